"""A design as a function that can be trained: its forward pass gives the integers of the accelerator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from offramp.planner.ai8x.weights import LayerWeights
from offramp.training.arithmetic import (
    MAX_SHIFT,
    MIN_SHIFT,
    UNIT,
    bias_unit,
    pool,
    quantized_bias,
    quantized_weight,
    round_clip,
    weight_unit,
)
from offramp.training.design import Design, LayerDesign, layer_names, weight_shapes
from offramp.training.task import Arrays

Parameters = Sequence[Tensor]
# Softmax of the loss: this many times the logits, as real numbers, of a last layer of 8 bits. With fewer bits the
# smallest step of a weight is larger, and logits with it.
_SHARPNESS = {8: 16.0, 4: 4.0, 2: 1.0, 1: 0.5}
_WIDE_SPREAD = {8: 0.0, 4: 0.09, 2: 0.35, 1: 0.7}  # least standard deviation of first weights that are not shifted
_TINY = 2.0**-20


def initial_parameters(design: Design, seed: int) -> Arrays:
    """Random weights and biases of zero, float32, in the order of the layers; equal for equal seeds."""
    rng = np.random.default_rng([seed, 0])
    found = []
    for layer, shape in zip(design.layers, weight_shapes(design), strict=True):
        inputs = math.prod(shape[1:])
        spread = math.sqrt(2 / inputs)
        if layer.wide:
            spread = max(math.sqrt(1 / inputs) / 4, _WIDE_SPREAD[layer.bits])
        found.append((rng.standard_normal(shape) * spread).astype(np.float32))
        if layer.bias:
            found.append(np.zeros(shape[0], np.float32))
    return tuple(found)


@torch.no_grad()
def centred(design: Design, parameters: Arrays, x: Tensor) -> Arrays:
    """`parameters` with biases of one-bit layers such that their sums are zero in the mean of inputs `x`: one-bit
    weights are 0 and -1, and no sum behind a ReLU would be above zero."""
    tensors = [torch.from_numpy(values.copy()) for values in parameters]
    x = _cropped(design, x)
    for layer, (weight, bias) in zip(design.layers, _by_layer(design, tensors), strict=True):
        if layer.bits == 1 and bias is not None:
            bias -= _sums(layer, weight, None, x).mean((0, 2, 3)) / UNIT
        x = _apply(layer, weight, bias, x)
    return tuple(tensor.numpy() for tensor in tensors)


def sharpness(design: Design) -> float:
    """The factor from the last layer's results, as `results` gives them, to what the softmax of the loss takes."""
    return _SHARPNESS[design.layers[-1].bits] / UNIT


def results(design: Design, parameters: Parameters, x: Tensor) -> Tensor:
    """What the last layer writes, flat (N, values), of integers `x` (N, channels, rows, cols) as float32.

    8-bit results are the integers themselves, wide ones the accumulator times `weight_unit(0, bits)`.
    """
    x = _cropped(design, x)
    for layer, (weight, bias) in zip(design.layers, _by_layer(design, parameters), strict=True):
        x = _apply(layer, weight, bias, x)
    return x.flatten(1)


def _cropped(design: Design, x: Tensor) -> Tensor:
    return x[:, :, design.crop[0] : x.shape[2] - design.crop[1]] if any(design.crop) else x


def _by_layer(design: Design, parameters: Parameters) -> list[tuple[Tensor, Tensor | None]]:
    following = iter(parameters)
    return [(next(following), next(following) if layer.bias else None) for layer in design.layers]


def _apply(layer: LayerDesign, weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    if layer.wide:
        return _sums(layer, weight, bias, x)
    return round_clip(_sums(layer, weight, bias, x, 0.5), layer.relu)


def _sums(layer: LayerDesign, weight: Tensor, bias: Tensor | None, x: Tensor, more: float = 0.0) -> Tensor:
    """Accumulators in units of results, and `more`: the half that rounding adds."""
    shift = _shift(layer, weight, bias)
    one_dimensional = layer.op == "conv1d"
    window = (layer.pool, 1 if one_dimensional else layer.pool)
    stride = (layer.pool_stride, 1 if one_dimensional else layer.pool_stride)
    x = pool(x, window, stride, layer.pool_average)
    kernel = quantized_weight(weight, shift, layer.bits)
    # The bias as a real number is kept in units of weights, so that both learn at one rate.
    if bias is None:
        offset = torch.full((layer.outputs,), more)
    else:
        offset = quantized_bias(bias * UNIT, shift, layer.bits) + more
    if layer.op == "linear":
        return F.linear(x.flatten(1), kernel.flatten(1), offset)[:, :, None, None]
    return F.conv2d(x, kernel, offset, padding=(layer.pad, 0 if one_dimensional else layer.pad))


@torch.no_grad()
def _shift(layer: LayerDesign, weight: Tensor, bias: Tensor | None) -> int:
    """The output shift: the power of two that the largest weight is just below or, of few bits, with which the weights
    lose least by rounding; such that the largest bias fits. Wide results are not shifted."""
    if layer.wide:
        return 0
    shift = _exponent(weight)
    if layer.bits < 8:
        shift = min(range(shift - 2, shift + 1), key=lambda candidate: _loss(weight, candidate, layer.bits))
    if bias is not None:
        shift = max(shift, _exponent(bias) - (8 - layer.bits))
    return min(max(shift, MIN_SHIFT), MAX_SHIFT)


def _exponent(values: Tensor) -> int:
    """The smallest e with all |values| <= 2**e."""
    return math.ceil(math.log2(max(float(values.abs().max()), _TINY)))


def _loss(weight: Tensor, shift: int, bits: int) -> float:
    return float(torch.dist(quantized_weight(weight, shift, bits), weight))


@torch.no_grad()
def integers(design: Design, parameters: Arrays) -> tuple[LayerWeights, ...]:
    """Weights, biases and shifts as the accelerator gets them."""
    tensors = [torch.from_numpy(values) for values in parameters]
    found = []
    rows = zip(layer_names(design), design.layers, _by_layer(design, tensors), weight_shapes(design), strict=True)
    for name, layer, (weight, bias), shape in rows:
        shift = _shift(layer, weight, bias)
        kernel = quantized_weight(weight, shift, layer.bits) / weight_unit(shift, layer.bits)
        offset = None
        if bias is not None:
            scaled = quantized_bias(bias * UNIT, shift, layer.bits) / bias_unit(shift, layer.bits)
            offset = scaled.to(torch.int8).numpy()
        found.append(
            LayerWeights(
                name=f"{name}.op",
                shape=shape,
                weights=kernel.to(torch.int8).numpy(),
                bias=offset,
                bits=layer.bits,
                output_shift=shift,
            )
        )
    return tuple(found)


def real_parameters(design: Design, weights: Sequence[LayerWeights]) -> Arrays:
    """Parameters whose integers are `weights`, to go on training from them."""
    found = []
    for layer, given in zip(design.layers, islice(weights, len(design.layers)), strict=True):
        shift = 0 if layer.wide else given.output_shift or 0
        found.append((given.weights * weight_unit(shift, layer.bits)).astype(np.float32))
        if layer.bias:
            bias = np.zeros(given.out_channels) if given.bias is None else given.bias
            found.append((bias * bias_unit(shift, layer.bits) / UNIT).astype(np.float32))
    return tuple(found)
