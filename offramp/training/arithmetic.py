"""The accelerator's arithmetic on float32 tensors that hold integers, with gradients.

Data are the integers k of planner/reference/layers.py as floating-point numbers, and weights W of b bits at output
shift s are the numbers W * 2**(s + 1 - b), so that a convolution gives accumulator * 2**(s + 8 - b) / 128 at once: what
is rounded and clipped to 8 bits. Powers of two change no digit; as long as every sum stays below 2**24 of its smallest
unit, every result is exact (`exact_in_float32`). A bias B adds B * 2**(s + 8 - b).

Rounding is differentiated as the identity (straight-through, arXiv 1308.3432), clipping blocks the gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

LOWEST, HIGHEST = -128, 127
UNIT = 128  # an 8-bit value of this size stands for 1
MIN_SHIFT, MAX_SHIFT = -6, 6  # of trained layers, far inside the field's -15..15
_EXACT = 1 << 24


class _RoundClip(torch.autograd.Function):
    """floor(value) and clip, in place: the half that rounding adds is in the bias already."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, low: int) -> Tensor:
        result = value.floor_().clamp_(low, HIGHEST)
        ctx.mark_dirty(value)
        ctx.save_for_backward(result)
        ctx.low = low
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (result,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradients[0], result, float(ctx.low), float(HIGHEST)), None


class _Mean(torch.autograd.Function):
    """Sums of `count` integers divided, without fractions: toward zero, or half away from zero."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, count: int, rounding: bool) -> Tensor:
        ctx.count = count
        if rounding:
            magnitude = torch.div(2 * total.abs() + count, 2 * count, rounding_mode="floor")
            return total.sign() * magnitude
        return torch.div(total, count, rounding_mode="trunc")

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0] / ctx.count, None, None


class _Weights(torch.autograd.Function):
    """Round to multiples of `step` and clip to `low` and `high` of them. The gradient passes, but where it would take a
    value further out of this range."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, step: float, low: int, high: int) -> Tensor:
        ctx.save_for_backward(value)
        ctx.limits = (low - 0.5) * step, (high + 0.5) * step
        return (value / step + 0.5).floor_().clamp_(low, high).mul_(step)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (value,), (low, high) = ctx.saved_tensors, ctx.limits
        outwards = ((value > high) & (gradients[0] < 0)) | ((value < low) & (gradients[0] > 0))
        return gradients[0].masked_fill(outwards, 0), None, None, None


def round_clip(value: Tensor, relu: bool) -> Tensor:
    """8-bit results of sums to which one half was added; changes `value`."""
    result: Tensor = _RoundClip.apply(value, 0 if relu else LOWEST)  # type: ignore[no-untyped-call]
    return result


def pool(x: Tensor, window: tuple[int, int], stride: tuple[int, int], average: bool, rounding: bool = False) -> Tensor:
    """Max or average pooling of integers (N, channels, rows, cols); windows that do not fit are dropped."""
    if window == (1, 1):
        return x if stride == (1, 1) else x[:, :, :: stride[0], :: stride[1]]
    if not average:
        return F.max_pool2d(x, window, stride)
    total = F.avg_pool2d(x, window, stride, divisor_override=1)
    mean: Tensor = _Mean.apply(total, window[0] * window[1], rounding)  # type: ignore[no-untyped-call]
    return mean


def weight_unit(shift: int, bits: int) -> float:
    """What a weight of 1 counts: the factor from accumulators to results."""
    return 2.0 ** (shift + 1 - bits)


def bias_unit(shift: int, bits: int) -> float:
    """What a bias of 1 counts."""
    return UNIT * weight_unit(shift, bits)


def quantized_weight(weight: Tensor, shift: int, bits: int) -> Tensor:
    """Weights, real numbers from -2**shift to 2**shift, as they count in a convolution."""
    half = 1 << (bits - 1)
    result: Tensor = _Weights.apply(weight, weight_unit(shift, bits), -half, half - 1)  # type: ignore[no-untyped-call]
    return result


def quantized_bias(bias: Tensor, shift: int, bits: int) -> Tensor:
    """Biases, in the units of the data, as they count in a convolution."""
    result: Tensor = _Weights.apply(bias, bias_unit(shift, bits), LOWEST, HIGHEST)  # type: ignore[no-untyped-call]
    return result


def exact_in_float32(
    weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int8] | None, shift: int, bits: int, wide: bool
) -> bool:
    """Whether a layer's sums for any 8-bit input, rounding included, are exact in float32."""
    out = weights.shape[0]
    largest = np.abs(weights.astype(np.int64)).reshape(out, -1).sum(axis=1) * -LOWEST
    if bias is not None:
        largest = largest + UNIT * np.abs(bias.astype(np.int64))
    unit = 1.0 if wide else weight_unit(shift, bits)
    # Sums are multiples of `unit`, and of one half once that was added for rounding.
    return bool((largest.max(initial=0) * unit + 0.5) / min(unit, 0.5) < _EXACT)
