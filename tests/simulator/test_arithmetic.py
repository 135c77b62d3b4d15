"""The arithmetic rules against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from offramp.simulator import arithmetic
from offramp.simulator.arithmetic import Eltwise


def test_saturation_clips_to_a_signed_byte() -> None:
    assert arithmetic.saturate(np.array([-129, -128, 127, 128, 100_000])).tolist() == [-128, -128, 127, 127, 127]


@pytest.mark.parametrize(
    ("op", "operands", "expected"),
    [
        (Eltwise.ADD, [100, 100, -90], 110),  # saturated once, at the end
        (Eltwise.ADD, [100, 100], 127),
        (Eltwise.SUBTRACT, [-100, 20, 30], -128),
        (Eltwise.SUBTRACT, [5, -3, 1], 7),
        (Eltwise.OR, [1, -128], -127),
        (Eltwise.XOR, [-1, 1, 2], -4),
    ],
)
def test_element_wise(op: Eltwise, operands: list[int], expected: int) -> None:
    values = np.array(operands, dtype=np.int8)[None, :]
    assert arithmetic.combine(op, values, axis=1).tolist() == [expected]


def test_averages_truncate_toward_zero_or_round_halves_away() -> None:
    totals = np.array([-7, -6, -5, -2, 2, 5, 6, 7])
    assert arithmetic.average_truncated(totals, 4).tolist() == [-1, -1, -1, 0, 0, 1, 1, 1]
    assert arithmetic.average_rounded(totals, 4).tolist() == [-2, -2, -1, -1, 1, 1, 2, 2]


def test_bias_counts_128_accumulator_units() -> None:
    assert arithmetic.add_bias(np.array([[1, 2]]), np.array([3, -1])).tolist() == [[385, -126]]


@pytest.mark.parametrize(
    ("accumulator", "shift", "expected"),
    [
        (63, 0, 0),
        (64, 0, 1),
        (-64, 0, 0),
        (-65, 0, -1),
        (16, 2, 1),
        (15, 2, 0),
        (255, -2, 0),
        (256, -2, 1),
        (-257, -2, -1),
    ],
)
def test_scaling_rounds_halves_up(accumulator: int, shift: int, expected: int) -> None:
    assert arithmetic.scale(np.array([accumulator]), shift).tolist() == [expected]


def test_activations() -> None:
    values = np.array([-128, -1, 0, 127], dtype=np.int8)
    assert arithmetic.relu(values).tolist() == [0, 0, 0, 127]
    assert arithmetic.absolute(values).tolist() == [127, 1, 0, 127]


@pytest.mark.parametrize(
    ("bits", "expected"), [(1, [0, -1, 0, -1]), (2, [0, 1, -2, -1]), (4, [0, 1, 2, 3]), (8, [0, 1, 2, 3])]
)
def test_sign_extension(bits: int, expected: list[int]) -> None:
    assert arithmetic.sign_extend(np.array([0, 1, 2, 3], dtype=np.uint8), bits).tolist() == expected
