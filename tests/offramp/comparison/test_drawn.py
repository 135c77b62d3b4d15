"""Inputs as small pictures and curves, and marks of axes."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from offramp.comparison.drawn import SIDE, draw
from offramp.comparison.svg import marks, number, powers

RNG = np.random.default_rng(0)


def pixels_of(png: str) -> np.ndarray:
    head, _, text = png.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_those_of_the_input(channels: int) -> None:
    x = RNG.integers(-128, 128, (channels, 7, 9)).astype(np.int8)
    expected = (x.astype(int) + 128).transpose(1, 2, 0)
    assert (pixels_of(draw(x).png).reshape(7, 9, channels) == expected).all()


def test_large_pictures_are_made_smaller() -> None:
    x = np.repeat(np.repeat(RNG.integers(-128, 128, (1, 40, 32)).astype(np.int8), 4, axis=1), 4, axis=2)
    small = pixels_of(draw(x).png)
    assert small.shape == (SIDE, 32) and (small == x[0, ::4, ::4].astype(int) + 128).all()


def test_one_dimension_is_curves_or_rows() -> None:
    few = draw(RNG.integers(-128, 128, (6, 128, 1)).astype(np.int8))
    assert not few.png and len(few.curves) == 6 and few.note == "6 channels over 128 positions"
    assert few.curves[0].startswith("0,") and few.curves[0].split()[-1].startswith("100,")
    many = draw(RNG.integers(-128, 128, (64, 1, 32)).astype(np.int8))
    assert not many.curves and "64 channels from top to bottom" in many.note
    assert draw(np.zeros((12, 8, 8), np.int8)).note == "the first of 12 channels, 8 x 8"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (98.1, 99.3, [98.2, 98.4, 98.6, 98.8, 99, 99.2]),
        (5, 5, [5]),
        (0, 0.03, [0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03]),
    ],
)
def test_marks_are_round_numbers_inside(low: float, high: float, expected: list[float]) -> None:
    assert marks(low, high, 7) == pytest.approx(expected)


def test_marks_of_a_logarithmic_scale() -> None:
    assert powers(900, 25_000) == pytest.approx([1000, 2000, 5000, 10_000, 20_000])
    assert powers(1, 1000) == pytest.approx([1, 10, 100, 1000])
    assert [number(one) for one in (0, 0.5, 20_000, 98.6, 2.5)] == ["0", "0.5", "20,000", "98.6", "2.5"]
