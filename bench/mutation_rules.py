"""Arithmetic rules of the simulator, each replaced by a plausible mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator import arithmetic, decode, layer
from offramp.simulator.arithmetic import Eltwise, Integers, saturate
from offramp.simulator.config import Kernel, LayerConfig, Output, Pooling, Quadrant
from offramp.simulator.fetch import Kernels

Bytes = NDArray[np.int8]


@dataclass(frozen=True)
class Rule:
    """A function of the simulator (`module`, `name`), or a table of functions, and a wrong one in its place."""

    mistake: str
    module: Any
    name: str
    wrong: Any

    def __str__(self) -> str:
        return f"{self.module.__name__.removeprefix('simulator.')}.{self.name}: {self.mistake}"

    @contextmanager
    def broken(self) -> Iterator[None]:
        """The simulator with this mistake."""
        with patch.object(self.module, self.name, self.wrong):
            yield


def wrapped(values: Integers) -> Bytes:
    return values.astype(np.int8)


def symmetric(values: Integers) -> Bytes:
    return np.clip(values, -127, 127).astype(np.int8)


def combine_each(op: Eltwise, operands: Bytes, axis: int) -> Bytes:
    """Saturates after every operand."""
    parts = np.moveaxis(operands, axis, 0)
    result: Bytes = parts[0]
    for part in parts[1:]:
        result = RIGHT_COMBINE(op, np.stack([result, part]), 0)
    return result


def combine_from_last(op: Eltwise, operands: Bytes, axis: int) -> Bytes:
    return RIGHT_COMBINE(op, np.flip(operands, axis), axis)


def combine_swapped(op: Eltwise, operands: Bytes, axis: int) -> Bytes:
    swapped = {Eltwise.OR: Eltwise.XOR, Eltwise.XOR: Eltwise.OR, Eltwise.ADD: Eltwise.ADD}
    return RIGHT_COMBINE(swapped.get(op, op), operands, axis)


def floored(total: Integers, count: int) -> Bytes:
    return saturate(total // count)


def half_up(total: Integers, count: int) -> Bytes:
    return saturate((2 * total + count) // (2 * count))


def bias_of(units: int) -> Callable[[Integers, Integers], Integers]:
    return lambda accumulator, bias: accumulator + bias * units


def scale_truncated(accumulator: Integers, shift: int) -> Integers:
    return accumulator << shift >> 7 if shift >= 0 else accumulator >> (7 - shift)


def scale_away(accumulator: Integers, shift: int) -> Integers:
    """Halves away from zero."""
    return np.sign(accumulator) * RIGHT_SCALE(np.abs(accumulator), shift)


def scale_even(accumulator: Integers, shift: int) -> Integers:
    """Halves to even."""
    rounded: Integers = np.rint(accumulator * 2.0 ** (shift - 7)).astype(np.int64)
    return rounded


def scale_other_way(accumulator: Integers, shift: int) -> Integers:
    return RIGHT_SCALE(accumulator, -shift)


def scale_saturated_first(accumulator: Integers, shift: int) -> Integers:
    """Clips before the shift."""
    return RIGHT_SCALE(np.clip(accumulator, -(1 << 14), (1 << 14) - 1), shift)


def absolute_wrapped(values: Bytes) -> Bytes:
    return np.abs(values)


def unsigned(values: NDArray[np.uint8], bits: int) -> Bytes:
    return (values & ((1 << bits) - 1)).view(np.int8)


def plus_minus(values: NDArray[np.uint8], bits: int) -> Bytes:
    """One bit as +1 or -1."""
    right = RIGHT_SIGN_EXTEND(values, bits)
    return (2 * right + 1).astype(np.int8) if bits == 1 else right


def relu_wins(values: Bytes, output: Output) -> Bytes:
    if output.relu:
        return arithmetic.relu(values)
    return arithmetic.absolute(values) if output.absolute else values


def activate_wide(pixels: Bytes, config: LayerConfig, kernel: Kernel, kernels: Kernels) -> NDArray[Any]:
    """Scales and activates a wide output too."""
    narrow = replace(config, output=replace(config.output, wide=False))
    result = RIGHT_CONVOLUTION(pixels, narrow, kernel, kernels)
    return result.astype(np.int32) if config.output.wide else result


def pool_average_as_max(pixels: Bytes, pooling: Pooling) -> Bytes:
    return RIGHT_POOL(pixels, replace(pooling, average=False))


def pool_max_as_average(pixels: Bytes, pooling: Pooling) -> Bytes:
    return RIGHT_POOL(pixels, replace(pooling, average=True))


def pool_no_stride_alone(pixels: Bytes, pooling: Pooling) -> Bytes:
    """A stride without a window does nothing."""
    alone = pooling.rows == pooling.cols == 1
    return pixels if alone else RIGHT_POOL(pixels, pooling)


def pool_rounds_always(pixels: Bytes, pooling: Pooling) -> Bytes:
    return RIGHT_POOL(pixels, replace(pooling, round=True))


def pool_never_rounds(pixels: Bytes, pooling: Pooling) -> Bytes:
    return RIGHT_POOL(pixels, replace(pooling, round=False))


def prepare_other_order(pixels: Bytes, config: LayerConfig) -> Bytes:
    other = replace(config.input, pool_first=not config.input.pool_first)
    return RIGHT_PREPARE(pixels, replace(config, input=other))


def flipped(pixels: Bytes, kernel: Kernel, matrices: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """Convolution in the mathematical sense."""
    return RIGHT_CORRELATE(pixels, kernel, matrices[::-1])


def padded_with_edge(pixels: Bytes, kernel: Kernel, dtype: np.dtype[Any]) -> NDArray[Any]:
    if kernel.transposed:
        return RIGHT_PADDED(pixels, kernel, dtype)
    rows, cols = (kernel.pad_rows, kernel.pad_rows), (kernel.pad_cols, kernel.pad_cols)
    return np.pad(pixels.astype(dtype), (rows, cols, (0, 0)), mode="edge")


def zeros_first(pixels: Bytes, kernel: Kernel, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A transposed convolution with its zeros before the samples."""
    image = RIGHT_PADDED(pixels, kernel, dtype)
    return np.roll(image, (1, 1), axis=(0, 1)) if kernel.transposed else image


def bias_not_ahead(device: Device, number: int, fields: Any, skew: int) -> Quadrant:
    """The bias counter of a streaming layer 0 starts at its first bias."""
    return RIGHT_QUADRANT(device, number, fields, 0)


def bias_always_ahead(device: Device, number: int, fields: Any, skew: int) -> Quadrant:
    return RIGHT_QUADRANT(device, number, fields, 1)


RIGHT_COMBINE = arithmetic.combine
RIGHT_SCALE = arithmetic.scale
RIGHT_SIGN_EXTEND = arithmetic.sign_extend
RIGHT_CONVOLUTION = layer.convolution
RIGHT_POOL = layer.pool
RIGHT_PREPARE = layer.prepare
RIGHT_CORRELATE = layer.correlate
RIGHT_PADDED = layer.padded
RIGHT_QUADRANT = decode._quadrant

RULES = (
    Rule("wraps instead of clipping", arithmetic, "saturate", wrapped),
    Rule("clips at -127", arithmetic, "saturate", symmetric),
    Rule("clips after every operand", arithmetic, "combine", combine_each),
    Rule("subtracts from the last operand", arithmetic, "combine", combine_from_last),
    Rule("takes or for exclusive or", arithmetic, "combine", combine_swapped),
    Rule("rounds down", arithmetic, "average_truncated", floored),
    Rule("rounds to nearest", arithmetic, "average_truncated", arithmetic.average_rounded),
    Rule("truncates", arithmetic, "average_rounded", arithmetic.average_truncated),
    Rule("rounds halves up", arithmetic, "average_rounded", half_up),
    Rule("counts a bias as 1", arithmetic, "add_bias", bias_of(1)),
    Rule("counts a bias as 64", arithmetic, "add_bias", bias_of(64)),
    Rule("subtracts the bias", arithmetic, "add_bias", bias_of(-128)),
    Rule("does not round", arithmetic, "scale", scale_truncated),
    Rule("rounds halves away from zero", arithmetic, "scale", scale_away),
    Rule("rounds halves to even", arithmetic, "scale", scale_even),
    Rule("shifts the other way", arithmetic, "scale", scale_other_way),
    Rule("clips before the shift", arithmetic, "scale", scale_saturated_first),
    Rule("does nothing", arithmetic, "relu", lambda values: values),
    Rule("takes the absolute value", arithmetic, "relu", arithmetic.absolute),
    Rule("leaves -128", arithmetic, "absolute", absolute_wrapped),
    Rule("clips negative values", arithmetic, "absolute", arithmetic.relu),
    Rule("reads weights as unsigned", arithmetic, "sign_extend", unsigned),
    Rule("reads one bit as +1 or -1", arithmetic, "sign_extend", plus_minus),
    Rule("ReLU wins over the absolute value", layer, "activate", relu_wins),
    Rule("scales a 32-bit output", layer, "convolution", activate_wide),
    Rule("takes the maximum for the average", layer, "pool", pool_average_as_max),
    Rule("takes the average for the maximum", layer, "pool", pool_max_as_average),
    Rule("ignores a stride without a window", layer, "pool", pool_no_stride_alone),
    Rule("always rounds averages", layer, "pool", pool_rounds_always),
    Rule("never rounds averages", layer, "pool", pool_never_rounds),
    Rule("pools in the other order with the element-wise operation", layer, "prepare", prepare_other_order),
    Rule("flips the kernel", layer, "correlate", flipped),
    Rule("pads with the edge", layer, "padded", padded_with_edge),
    Rule("puts a transposed convolution's zeros first", layer, "padded", zeros_first),
    Rule("a streaming layer 0 counts biases like any other", decode, "_quadrant", bias_not_ahead),
    Rule("every layer counts biases one ahead", decode, "_quadrant", bias_always_ahead),
)
