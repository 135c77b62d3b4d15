"""The accelerator's arithmetic, one rule per function, on integer arrays (izer simulate.py, compute.py, op.py; README).

Every function is exact. Accumulators are int64 or int32 arrays, results of the last steps int8.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.signedinteger[Any]]

BIAS_SCALE = 128  # a bias unit in units of the accumulator
ACCUMULATOR_BITS = 7  # fraction bits of the accumulator of an 8-bit result
LOWEST, HIGHEST = -128, 127


class Eltwise(IntEnum):
    """ONED.eltwise_op (UG7456 table 27-25; izer op.py)."""

    SUBTRACT = 0
    ADD = 1
    OR = 2
    XOR = 3


def saturate(values: Integers) -> NDArray[np.int8]:
    """Clip to the range of a signed byte."""
    return np.clip(values, LOWEST, HIGHEST).astype(np.int8)


def combine(op: Eltwise, operands: NDArray[np.int8], axis: int) -> NDArray[np.int8]:
    """Element-wise operation over an axis in full precision, saturated once at the end; subtraction: the first minus
    all others.
    """
    if op in (Eltwise.OR, Eltwise.XOR):
        bitwise = np.bitwise_or if op == Eltwise.OR else np.bitwise_xor
        combined: NDArray[np.int8] = bitwise.reduce(operands, axis=axis)
        return combined
    total = operands.sum(axis=axis, dtype=np.int32)
    if op == Eltwise.SUBTRACT:
        total = 2 * operands.take(0, axis=axis).astype(np.int32) - total
    return saturate(total)


def average_truncated(total: Integers, count: int) -> NDArray[np.int8]:
    """Average of `count` values, rounded toward zero (izer compute.py; its README says floor)."""
    return saturate(np.sign(total) * (np.abs(total) // count))


def average_rounded(total: Integers, count: int) -> NDArray[np.int8]:
    """Average of `count` values, rounded to nearest, halves away from zero (CTRL.pool_round)."""
    return saturate(np.sign(total) * ((2 * np.abs(total) + count) // (2 * count)))


def add_bias(accumulator: Integers, bias: Integers) -> Integers:
    """Add bias bytes (last axis: output slots) to an accumulator."""
    return accumulator + bias * BIAS_SCALE


def scale(accumulator: Integers, shift: int) -> Integers:
    """floor(accumulator * 2^shift / 128 + 1/2): shift > 0 to the left, < 0 to the right."""
    half = 1 << (ACCUMULATOR_BITS - 1)
    if shift >= 0:
        return ((accumulator << shift) + half) >> ACCUMULATOR_BITS
    return (accumulator + (half << -shift)) >> (ACCUMULATOR_BITS - shift)


def relu(values: NDArray[np.int8]) -> NDArray[np.int8]:
    return np.maximum(values, np.int8(0))


def absolute(values: NDArray[np.int8]) -> NDArray[np.int8]:
    """min(|y|, 127)."""
    return saturate(np.abs(values.astype(np.int16)))


def sign_extend(values: NDArray[np.uint8], bits: int) -> NDArray[np.int8]:
    """Signed integers of 1, 2, 4 or 8 bits from the low bits of bytes (1 bit: 0 or -1)."""
    unused = 8 - bits
    return (values << unused).view(np.int8) >> unused


def plus_or_minus_one(values: NDArray[np.int8]) -> NDArray[np.int8]:
    """Binary weights from sign-extended bits: 0 is +1, -1 is -1 (CTRL.binary_weights)."""
    return 2 * values + np.int8(1)
