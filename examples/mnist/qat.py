"""Quantization-aware training with the accelerator's arithmetic.

Inside the network a real value stands for an integer: activations k as k / 128, 8-bit weights W as W / 128.  Rescaling
by powers of two is exact and no sum here passes 2**24 units, so the float32 forward pass computes the integers of the
device.  Rounding is differentiated as the identity (straight-through), clipping blocks the gradient.

Arithmetic (vendor's README "Number Format" and simulator, analogdevicesinc/ai8x-synthesis at ab4f4c0):
    accumulator  a = sum(W * k) + 128 * B                      B: 8-bit bias
    output       clip(floor(a * 2**s / 128 + 1/2), -128, 127)  s: output shift, -15..15; then ReLU
    wide output  a itself, 32 bit
Average pooling divides and drops the fraction (toward zero); padding is zero, applied after pooling.
"""

from __future__ import annotations

from typing import Any

import torch
from checkpoint import LayerWeights
from layers import Layer
from torch import Tensor, nn
from torch.nn import functional as F

UNIT = 128  # one real unit in steps of an 8-bit value
LOWEST, HIGHEST = -128, 127
MIN_SHIFT, MAX_SHIFT = -6, 6  # far inside the field's -15..15; keeps every intermediate exact in float32
LOGIT_SCALE = 16.0  # logits (real units of the wide output) to the softmax of the loss


class _RoundClip(torch.autograd.Function):
    """Round to multiples of 1/128 and clip to [low, 127] / 128; the gradient passes where nothing was clipped."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, low: int) -> Tensor:
        steps = torch.floor(value * UNIT + 0.5)
        ctx.save_for_backward((steps >= low) & (steps <= HIGHEST))
        return steps.clamp_(low, HIGHEST).mul_(1 / UNIT)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None


def round_clip(value: Tensor, low: int = LOWEST) -> Tensor:
    """Quantize real values to 8 bit; `low` = 0 includes the ReLU."""
    result: Tensor = _RoundClip.apply(value, low)  # type: ignore[no-untyped-call]
    return result


def _truncate(value: Tensor) -> Tensor:
    """Drop fractions of a step, toward zero, passing the gradient through."""
    steps = torch.trunc(value.detach() * UNIT) / UNIT
    return value + (steps - value.detach())


class QuantLayer(nn.Module):
    """One accelerator layer whose weights are quantized at every use."""

    def __init__(self, layer: Layer, use_bias: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = layer
        shape = layer.weight_shape
        fan_in = int(torch.tensor(shape[1:]).prod())
        spread = (2.0 / fan_in) ** 0.5 if not layer.wide else (1.0 / fan_in) ** 0.5 / 4
        self.weight = nn.Parameter(torch.randn(shape, generator=generator) * spread)
        self.bias = nn.Parameter(torch.zeros(layer.out_channels)) if use_bias else None
        self.fixed_shift: int | None = None

    @torch.no_grad()
    def load(self, values: LayerWeights) -> None:
        """Take over the integers of a finished layer and keep its shift."""
        scale = 2.0**values.output_shift / UNIT
        self.weight.copy_(values.weight * scale)
        if self.bias is not None and values.bias is not None:
            self.bias.copy_(values.bias * scale)
        self.fixed_shift = values.output_shift

    def output_shift(self) -> int:
        """The power of two that brings the largest parameter just inside 8 bits; a wide output is not shifted."""
        if self.fixed_shift is not None:
            return self.fixed_shift
        if self.layer.wide:
            return 0
        largest = self.weight.detach().abs().max()
        if self.bias is not None:
            largest = torch.maximum(largest, self.bias.detach().abs().max())
        exponent = int(torch.ceil(torch.log2(largest.clamp(min=1e-6))))
        return min(max(exponent, MIN_SHIFT), MAX_SHIFT)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in, rows, cols) multiples of 1/128.  Returns the same kind, or wide logits (N, out)."""
        layer = self.layer
        scale = 2.0 ** self.output_shift()
        weight = round_clip(self.weight / scale)
        bias = None if self.bias is None else round_clip(self.bias / scale)
        x = _pool(x, layer)
        total = F.linear(x.flatten(1), weight, bias) if layer.flatten else F.conv2d(x, weight, bias, padding=layer.pad)
        if layer.wide:
            return total
        return round_clip(total * scale, 0 if layer.relu else LOWEST)

    @torch.no_grad()
    def integers(self) -> LayerWeights:
        """Integer weights, integer bias (or None) and output shift, as the device gets them."""
        shift = self.output_shift()
        weight = round_clip(self.weight / 2.0**shift) * UNIT
        bias = None if self.bias is None else round_clip(self.bias / 2.0**shift) * UNIT
        return LayerWeights(weight, bias, shift)


def _pool(x: Tensor, layer: Layer) -> Tensor:
    """Max or average pooling in front of a layer."""
    if layer.pool == 1 and layer.pool_stride == 1:
        return x
    if layer.pool_average:
        return _truncate(F.avg_pool2d(x, layer.pool, layer.pool_stride))
    return F.max_pool2d(x, layer.pool, layer.pool_stride)


def build(layers: tuple[Layer, ...], hidden_bias: bool, generator: torch.Generator) -> nn.Sequential:
    """A trainable network; the last layer always has a bias."""
    modules = [QuantLayer(layer, hidden_bias or layer.wide, generator) for layer in layers]
    return nn.Sequential(*modules)


def build_from(
    layers: tuple[Layer, ...], start: tuple[LayerWeights, ...], hidden_bias: bool, generator: torch.Generator
) -> nn.Sequential:
    """A trainable network that goes on from the integers of a finished one, if there are any; shifts may change."""
    network = build(layers, hidden_bias, generator)
    for module, values in zip(network, start, strict=bool(start)):
        assert isinstance(module, QuantLayer)
        module.load(values)
        module.fixed_shift = None
    return network


def build_frozen(layers: tuple[Layer, ...], weights: tuple[LayerWeights, ...]) -> nn.Sequential:
    """A finished network, for use as a teacher or as the unchanging part before a branch."""
    network = build(layers, any(values.bias is not None for values in weights[:-1]), torch.Generator())
    for module, values in zip(network, weights, strict=True):
        assert isinstance(module, QuantLayer)
        module.load(values)
    return network.requires_grad_(False)


def real_input(pixels: Tensor) -> Tensor:
    """Network input of pixels 0..255: the accelerator's sample (pixel - 128), as a real value."""
    return (pixels - UNIT) / UNIT
