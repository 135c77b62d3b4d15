"""What values mean is recognised, told, or refused; and the vendor's rule for pixels is the vendor's."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from offramp.configs.errors import InputError, Where
from offramp.data.source import Samples, Source, arranged
from offramp.data.values import ai8x_values, folded, minus_128, normalized
from tests.helpers.memory import memory_below

PIXELS = np.arange(256, dtype=np.uint8)


def source(x: npt.NDArray[Any], test: npt.NDArray[Any] | None = None) -> Source:
    """Values as samples of one row."""
    parts = [Samples(array.reshape(-1, 1, 1, 1)) for array in (x, test) if array is not None]
    return Source("data.npz", "an .npz file", parts[0], parts[1] if len(parts) > 1 else None)


def rule(pixel: int) -> int:
    """ai8x.normalize in exact fractions; no pixel is half way between two whole numbers, so rounding is rounding."""
    return max(-128, min(127, round((Fraction(pixel, 255) - Fraction(1, 2)) * 256)))


def test_the_vendors_rule() -> None:
    """The bytes of ai8x.normalize behind ToTensor, from pixels and from fractions."""
    expected = [rule(pixel) for pixel in range(256)]
    assert ai8x_values(PIXELS, "pixels").tolist() == expected
    assert ai8x_values(PIXELS.astype(np.float32) / np.float32(255), "unit").tolist() == expected
    differing = [pixel for pixel in range(256) if expected[pixel] != pixel - 128]
    assert differing == list(range(128, 255))


def test_the_vendors_rule_with_its_own_operations() -> None:
    torch = pytest.importorskip("torch")
    image = torch.from_numpy(PIXELS.copy()).to(torch.float32).div(255)
    vendor = image.sub(0.5).mul(256.0).round().clamp(min=-128, max=127)
    assert np.array_equal(ai8x_values(PIXELS, "pixels"), vendor.numpy().astype(np.int8))


@pytest.mark.parametrize(
    ("values", "kind", "method"),
    [
        (PIXELS, "pixels", "ai8x"),
        (PIXELS[:100], "pixels", "ai8x"),
        (PIXELS.astype(np.int64), "pixels", "ai8x"),
        (PIXELS.astype(np.float64), "pixels", "ai8x"),
        (PIXELS.astype(np.float32) / 255, "unit", "ai8x"),
        (np.array([True, False]), "unit", "ai8x"),
        (np.array([-0.5, 0.5]), "signed", "none"),
        (np.arange(-128, 128), "int8", "none"),
        (np.arange(-128, 128).astype(np.float32), "int8", "none"),
        (np.zeros(4, np.int8), "int8", "none"),
    ],
)
def test_ranges_are_recognised(values: npt.NDArray[Any], kind: str, method: str) -> None:
    done, found = normalized(source(values))
    assert (found.range, found.method, done.samples.x.dtype.name) == (kind, method, "int8")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (np.arange(100), "which may be: pixels .* int8 .*Say which"),
        (np.array([0, 1], np.uint8), "which may be: unit .* pixels"),
        (np.array([0.0, 100.0]), "which may be: pixels .* int8"),
        (np.array([0.5, 1.5]), "which are none of: unit"),
        (np.array([-1, 200]), "which are none of"),
        (np.array([0.0, np.nan]), "no finite numbers"),
        (np.array([0.0, np.inf]), "no finite numbers"),
        (np.array([1j]), "`x` is complex128; numbers are expected"),
        (np.zeros(0), "there are no values"),
    ],
)
def test_what_is_not_clear_is_refused(values: npt.NDArray[Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        normalized(source(values))


def test_the_test_split_counts_too() -> None:
    """Training values alone would be pixels or int8."""
    done, found = normalized(source(np.arange(100), np.arange(-5, 5)))
    assert found.range == "int8" and done.test is not None and done.test.x.ravel().tolist() == list(range(-5, 5))


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_memory_is_that_of_the_result(kind: type, tmp_path: Path) -> None:
    """Copies in other types are made of a part at a time."""
    values: npt.NDArray[Any] = (np.arange(1 << 24, dtype=np.uint32) % 256).astype(kind).reshape(-1, 1, 32, 32)
    with memory_below((1 << 24) + (40 << 20)):
        done, _ = normalized(Source("data.npz", "an .npz file", Samples(values)))
    assert done.samples.x.nbytes == 1 << 24


def test_a_stated_range() -> None:
    done, _ = normalized(source(np.arange(100)), stated="pixels")
    assert done.samples.x.ravel().tolist() == [rule(pixel) for pixel in range(100)]
    done, _ = normalized(source(np.arange(100)), stated="int8")
    assert done.samples.x.ravel().tolist() == list(range(100))
    with pytest.raises(InputError, match="values from 0 to 255, all whole; whole numbers from -128 to 127"):
        normalized(source(PIXELS), stated="int8")


def test_the_other_rule_and_how_far_they_differ() -> None:
    done, found = normalized(source(PIXELS), "minus-128")
    assert done.samples.x.ravel().tolist() == list(range(-128, 128))
    assert (found.differing, found.values) == (127, 256)
    assert "p - 128; ai8x would give 127 of 256 values differently (49.6 %)" in found.text()[1]
    _, found = normalized(source(PIXELS.astype(np.float32) / 255))
    assert found.differing == 127 and "minus-128 would give 127 of 256" in found.text()[1]
    assert minus_128(PIXELS)[0] == -128


def test_signed_fractions_are_told_what_they_lose() -> None:
    done, found = normalized(source(np.array([-1.0, -0.5, 1 / 256, 127 / 128, 1.0])))
    assert done.samples.x.ravel().tolist() == [-128, -64, 0, 127, 127]
    assert (found.rounded, found.clipped) == (1, 1) and "1 were rounded, 1 clipped at 127" in found.text()[1]


@pytest.mark.parametrize(("values", "method"), [(PIXELS, "none"), (np.arange(-5, 5), "ai8x"), ([-0.5], "minus-128")])
def test_a_rule_that_does_not_fit(values: Any, method: str) -> None:
    with pytest.raises(InputError, match=rf"normalization `{method}` \(--normalize\) of .*(is|are) possible"):
        normalized(source(np.asarray(values)), method)


@given(hnp.arrays(np.int8, st.tuples(*[st.sampled_from([1, 2])] * 2, st.just(4), st.just(6))), st.sampled_from([1, 2]))
def test_folding_is_that_of_the_vendor(x: npt.NDArray[np.int8], factor: int) -> None:
    """ai8x.fold: sub-images [:, i::factor, j::factor] one behind the other."""
    parts = [x[:, :, i::factor, j::factor] for i in range(factor) for j in range(factor)]
    assert np.array_equal(folded(Samples(x), factor, Where("x")).x, np.concatenate(parts, axis=1))


def test_what_cannot_be_folded() -> None:
    with pytest.raises(InputError, match="images of 5 x 6 pixels cannot be folded by 2"):
        folded(Samples(np.zeros((1, 1, 5, 6), np.int8)), 2, Where("x"))


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((2, 3, 4, 5), None, (2, 3, 4, 5)),
        ((2, 3, 4, 1), None, (2, 3, 4, 1)),
        ((2, 4, 5, 3), "NHWC", (2, 3, 4, 5)),
        ((2, 4, 5), "NHW", (2, 1, 4, 5)),
        ((2, 4, 5), "NCL", (2, 4, 5, 1)),
        ((2, 4, 5), "NLC", (2, 5, 4, 1)),
        ((2, 4), "NC", (2, 4, 1, 1)),
    ],
)
def test_axes(shape: tuple[int, ...], layout: str | None, expected: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape)).reshape(shape)
    found = arranged(x, layout, Where("x"))
    assert found.shape == expected and sorted(found.ravel().tolist()) == x.ravel().tolist()
    if layout == "NHWC":
        assert found[1, 2, 3, 4] == x[1, 3, 4, 2]
    if layout == "NLC":
        assert found[1, 4, 3, 0] == x[1, 3, 4]


@pytest.mark.parametrize(
    ("shape", "layout", "complaint"),
    [
        ((2, 28, 28, 1), None, "may mean several things: say which with --layout: NCHW, NHWC"),
        ((2, 28, 28), None, "say which with --layout: NHW, NCL, NLC"),
        ((2,), None, "2 to 4 axes are expected, N first"),
        ((2, 3), "NCHW", "layout NCHW has 4 axes"),
    ],
)
def test_axes_that_are_not_clear(shape: tuple[int, ...], layout: str | None, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=complaint):
        arranged(np.zeros(shape, np.uint8), layout, Where("x"))


def test_our_own_files_are_clear() -> None:
    """int8 has the axes of a spec's data set, also series of one column."""
    assert arranged(np.zeros((2, 28, 28, 1), np.int8), None, Where("x")).shape == (2, 28, 28, 1)
