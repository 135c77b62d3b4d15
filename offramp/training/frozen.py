"""Finished networks in PyTorch: the integers of the reference, several times as fast, for teachers and features.

Every layer's sums are computed in a type that holds all of them; nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.ir.network import INPUT, Layer, Network
from offramp.planner.reference.layers import BIAS_SCALE
from offramp.planner.reference.layers import Tensor as Integers
from offramp.training.arithmetic import HIGHEST, LOWEST, exact_in_float32, pool, weight_unit

BATCH = 128  # images at a time


class Frozen:
    """`network` with its weights; `frozen` makes it. Tensors are of a floating type and hold integers."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.layers = [_FrozenLayer(layer, network.avg_pool_rounding) for layer in network.layers]

    @torch.no_grad()
    def __call__(self, x: Tensor, keep: Collection[int] = ()) -> dict[int, Tensor]:
        """Outputs of the last layer and of those in `keep`, (N, channels, rows, cols), by layer index; `x` likewise."""
        wanted = {*keep, len(self.layers) - 1}
        tensors = {INPUT: x}
        last_use = {index: layer.index for layer in self.network.layers for index in layer.inputs}
        for layer in self.layers[: max(wanted) + 1]:
            index = layer.layer.index
            tensors[index] = layer(tensors)
            done = [one for one in tensors if one not in wanted and last_use.get(one, -1) <= index]
            for one in done:
                del tensors[one]
        return {index: tensors[index] for index in sorted(wanted)}


def frozen(network: Network) -> Frozen:
    """InputError where the network has an operator that is not here: `planner.reference` has all of them."""
    problems = [
        Diagnostic(layer.where, f"layer `{layer.label}` cannot be computed in floating point: {why}")
        for layer in network.layers
        if (why := _not_here(layer))
    ]
    if problems:
        raise InputError(problems)
    return Frozen(network)


def _not_here(layer: Layer) -> str | None:
    if layer.source is not None or layer.target is not None:
        return "rolling buffers"
    if layer.eltwise in ("or", "xor"):
        return f"`{layer.eltwise}` of bits"
    if layer.operands > 1 and len(layer.inputs) == 1 and layer.inputs != (INPUT,):
        return "several operands in one tensor"
    return None


class _FrozenLayer:
    """One layer. `exact`: float32 holds all its sums."""

    def __init__(self, layer: Layer, rounding: bool) -> None:
        self.layer = layer
        # The vendor's tool ignores the flag for 1-D convolutions, as planner/reference/layers.py does.
        self.rounding = rounding and layer.op != "conv1d"
        if layer.weights is None:
            return
        wide = layer.output_width == 32
        exact = exact_in_float32(layer.weights, layer.bias, layer.output_shift, layer.weight_bits, wide)
        self.dtype = torch.float32 if exact else torch.float64
        unit = 1.0 if wide else weight_unit(layer.output_shift, layer.weight_bits)
        self.weight = torch.from_numpy(layer.weights).to(self.dtype) * unit
        bias = np.zeros(len(layer.weights), np.int8) if layer.bias is None else layer.bias
        self.offset = torch.from_numpy(bias).to(self.dtype) * (BIAS_SCALE * unit) + (0 if wide else 0.5)

    def __call__(self, tensors: dict[int, Tensor]) -> Tensor:
        layer = self.layer
        x = self._read([tensors[index] for index in layer.inputs])
        if layer.flatten:
            x = x.reshape(len(x), -1, 1, 1)
        if not layer.has_weights:
            return x
        x = x.to(self.dtype)
        if layer.op == "convtranspose2d":
            x = _stretched(x)
        pad = layer.pad if layer.op != "convtranspose2d" else (2 - layer.pad[0], 2 - layer.pad[1])
        total = F.conv2d(x, self.weight, self.offset, padding=pad, dilation=layer.dilation)
        if layer.output_width == 32:
            return total
        result = total.floor_().clamp_(LOWEST, HIGHEST).to(torch.float32)
        if layer.activation == "abs":
            return result.abs_().clamp_(max=HIGHEST)
        return result.clamp_(min=0) if layer.activation == "relu" else result

    def _read(self, inputs: Sequence[Tensor]) -> Tensor:
        """What the convolution takes: after the element-wise operation and pooling, in their order."""
        layer = self.layer
        operands = [self._shaped(one) for one in _joined(layer, inputs).chunk(layer.operands, 1)]
        if layer.operands == 1:
            return self._pool(operands[0])
        if layer.pool_first:
            return self._combine([self._pool(one) for one in operands])
        return self._pool(self._combine(operands))

    def _shaped(self, x: Tensor) -> Tensor:
        shape = self.layer.in_shape
        return x.reshape(len(x), shape.channels, shape.rows, shape.cols)

    def _pool(self, x: Tensor) -> Tensor:
        stride = self.layer.pool_stride
        return pool(x, self.layer.pool, (stride, stride), self.layer.pool_average, self.rounding)

    def _combine(self, operands: list[Tensor]) -> Tensor:
        layer = self.layer
        result = sum(operands[1:], start=operands[0]) if layer.eltwise == "add" else reduce(torch.sub, operands)
        wide = not layer.has_weights and layer.output_width == 32
        return result if wide else result.clamp(LOWEST, HIGHEST)


def _joined(layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """All inputs as one tensor, without the pixels that the layer crops."""
    if layer.join == "pixels":
        inputs = [one.flatten(2)[..., None] for one in inputs]
    x = torch.cat(list(inputs), 2 if layer.join == "pixels" else 1) if len(inputs) > 1 else inputs[0]
    if any(layer.crop):
        front, behind = layer.crop
        flat = x.flatten(2)[..., None]
        x = flat[:, :, front : flat.shape[2] - behind]
    return x


def _stretched(x: Tensor) -> Tensor:
    """A zero behind every sample and every row, as transposed convolutions read it."""
    result = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    result[:, :, ::2, ::2] = x
    return result


def run_frozen(module: Frozen, x: npt.NDArray[np.int8], keep: Collection[int] = ()) -> dict[int, Integers]:
    """As `run_network` of the reference: int8 (N, channels, rows, cols) in, int8 or int32 by layer index out."""
    parts = []
    for start in range(0, max(len(x), 1), BATCH):
        parts.append(module(torch.from_numpy(x[start : start + BATCH].astype(np.float32)), keep))
    types = {index: np.int32 if module.network.layers[index].output_width == 32 else np.int8 for index in parts[0]}
    return {
        index: np.concatenate([part[index].numpy() for part in parts]).astype(kind) for index, kind in types.items()
    }
