"""Integer confidence: Python against exact arithmetic, and C against Python bit for bit."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from math import exp, fsum, log
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.planner.ir.measure import MEASURES, Measure
from offramp.planner.reference.confidence import Logits, confidence, confident, to_q16, to_real, to_threshold
from tests.helpers.paths import ROOT

STATIC = ROOT / "codegen" / "static"
SOURCE = STATIC / "src" / "offramp_confidence.c"
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion", "-pedantic"]
INT32 = np.iinfo(np.int32)

Twin = Callable[[Measure, Logits, int, int], list[int]]


def compilers() -> list[list[str]]:
    found = [[name] for name in ("cc", "gcc") if shutil.which(name)][:1]
    return found + ([[sys.executable, "-m", "ziglang", "cc"]] if importlib.util.find_spec("ziglang") else [])


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if not compilers():
        pytest.skip("no C compiler")
    built = tmp_path_factory.mktemp("confidence") / "confidence.so"
    flags = ["-O2", "-shared", "-fPIC", f"-I{STATIC / 'include'}"]
    subprocess.run([*compilers()[0], *WARNINGS, *flags, str(SOURCE), "-o", str(built)], check=True)
    return ctypes.CDLL(str(built))


@pytest.fixture(scope="session")
def twin(library: ctypes.CDLL) -> Twin:
    function = library.offramp_confidence
    function.restype = ctypes.c_uint32

    def run(measure: Measure, logits: Logits, fraction_bits: int, temperature_q16: int) -> list[int]:
        found = []
        for row in map(np.ascontiguousarray, logits):
            best = ctypes.c_uint32()
            values = (row.ctypes.data_as(ctypes.c_void_p), len(row), fraction_bits, temperature_q16)
            found.append(int(function(MEASURES.index(measure), *values, ctypes.byref(best))))
            assert best.value == int(row.argmax())  # the first of equals
        return found

    return run


def exact(logits: npt.NDArray[np.int32], fraction_bits: int, temperature_q16: int) -> tuple[float, float]:
    """(largest probability, entropy in nats) of one row, in double precision."""
    factor = 2.0**-fraction_bits * temperature_q16 / 65536
    distances = [(int(logits.max()) - int(one)) * factor for one in logits]
    total = fsum(exp(-d) for d in distances)
    return 1 / total, log(total) + fsum(d * exp(-d) for d in distances) / total


@st.composite
def cases(draw: st.DrawFn) -> tuple[Logits, int, int]:
    """Random logits at every scale, ties and extremes included, with 2..1024 classes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes = draw(st.sampled_from([2, 3, 10, 21, 100, 1024]))
    fraction_bits = draw(st.sampled_from([0, 7, 8, 10, 14, 31]))
    temperature = draw(st.sampled_from([1, 655, 65535, 65536, 100_000, 64 << 16]))
    spread = draw(st.sampled_from([0.0, 0.01, 1.0, 4.0, 20.0, 1e4])) * 2.0**fraction_bits * 65536 / temperature
    values = rng.normal(0, 1, (4, classes)) * spread + draw(st.sampled_from([0, INT32.min, INT32.max]))
    logits = values.clip(INT32.min, INT32.max).astype(np.int64).astype(np.int32)
    if draw(st.booleans()):
        logits[:, -1] = INT32.min
        logits[:, rng.integers(classes)] = INT32.max
    return logits, fraction_bits, temperature


@settings(max_examples=300, deadline=None)
@given(cases())
def test_c_gives_the_same_bits(twin: Twin, case: tuple[Logits, int, int]) -> None:
    for measure in MEASURES:
        assert confidence(measure, *case).tolist() == twin(measure, *case)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_error_against_exact_arithmetic(case: tuple[Logits, int, int]) -> None:
    probabilities, entropies = confidence("max_probability", *case), confidence("entropy", *case)
    for row, probability, entropy in zip(case[0], probabilities, entropies, strict=True):
        expected = exact(row, *case[1:])
        assert abs(probability / 65536 - expected[0]) < 2**-15
        assert abs(entropy / 65536 - expected[1]) < 2**-12


def test_error_where_most_classes_are_just_cut_off() -> None:
    """The worst case for the cut: 1023 classes of about 2**-28 each count as nothing."""
    for distance in (27.9, 27.99, 28.0, 28.01):
        logits = np.zeros((1, 1024), np.int32)
        logits[0, 5] = round(distance * log(2) * 2**14)
        expected = exact(logits[0], 14, 65536)
        assert abs(confidence("max_probability", logits, 14)[0] / 65536 - expected[0]) < 2**-15
        assert abs(confidence("entropy", logits, 14)[0] / 65536 - expected[1]) < 2**-12


def test_known_values(twin: Twin) -> None:
    logits = np.array([[3, 3], [128, 0], [INT32.max, INT32.min]], np.int32)
    for compute in (confidence, twin):
        assert list(compute("margin", logits, 7, 65536)) == [0, 128, 2**32 - 1]
        assert list(compute("max_probability", logits, 7, 65536)) == [32768, round(65536 / (1 + exp(-1))), 65536]
        assert list(compute("entropy", logits, 7, 65536)) == [round(log(2) * 65536), round(0.5822031 * 65536), 0]
        equal = np.full((1, 1024), -5, np.int32)
        assert list(compute("entropy", equal, 7, 65536)) == [round(log(1024) * 65536)]
        assert list(compute("max_probability", equal, 7, 65536)) == [64]


def test_temperature_scales_the_softmax_and_not_the_margin() -> None:
    logits = np.array([[256, 0, -64]], np.int32)
    assert confidence("max_probability", logits, 7, 32768) == confidence("max_probability", logits, 8)
    assert confidence("entropy", logits, 7, 32768) == confidence("entropy", logits, 8)
    assert confidence("margin", logits, 7, 32768) == 256


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(INT32.min, INT32.max), min_size=1, max_size=40), st.integers(0, 40))
def test_the_class_is_the_first_of_the_largest_and_the_margin_is_0_then(
    twin: Twin, values: list[int], again: int
) -> None:
    values.insert(again % (len(values) + 1), max(values))
    array = np.array([values], np.int32)
    assert values.index(max(values)) == int(array[0].argmax())
    assert twin("margin", array, 0, 65536) == [0]  # `twin` compares the class


@pytest.mark.parametrize(
    ("measure", "expected"),
    [("margin", [False, True, True]), ("max_probability", [False, True, True]), ("entropy", [True, True, False])],
)
def test_comparison_with_a_threshold(library: ctypes.CDLL, measure: Measure, expected: list[bool]) -> None:
    values = np.array([9, 10, 2**32 - 1], np.uint32)
    assert confident(measure, values, 10).tolist() == expected
    library.offramp_confident.restype = ctypes.c_bool
    number = MEASURES.index(measure)
    assert [library.offramp_confident(number, ctypes.c_uint32(int(v)), ctypes.c_uint32(10)) for v in values] == expected


def test_thresholds_in_real_units() -> None:
    assert to_threshold("margin", 1.5, 14) == 1.5 * 2**14
    assert to_threshold("max_probability", 0.9, 14) == round(0.9 * 65536)
    assert to_real("entropy", to_threshold("entropy", 0.25, 14), 14) == 0.25
    assert to_real("margin", 3 << 7, 7) == 3.0
    assert to_q16(1.0) == 65536
    with pytest.raises(ValueError, match="outside"):
        to_threshold("margin", -0.1, 14)
    for huge in (1e308, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="outside"):
            to_threshold("margin", huge, 14)
        with pytest.raises(ValueError, match="outside"):
            to_q16(huge)
    with pytest.raises(ValueError, match="outside"):
        to_threshold("margin", 2.0**18, 14)
    with pytest.raises(ValueError, match="outside"):
        to_q16(0.0)


@pytest.mark.parametrize(
    ("shape", "fraction_bits", "temperature", "message"),
    [
        ((1, 1), 7, 65536, "1 classes"),
        ((1, 1025), 7, 65536, "1025 classes"),
        ((1, 2), 32, 65536, "32 fraction bits"),
        ((1, 2), 7, 0, "temperature 0"),
        ((2,), 7, 65536, "1 dimensions"),
    ],
)
def test_wrong_arguments_are_refused(
    shape: tuple[int, ...], fraction_bits: int, temperature: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        confidence("margin", np.zeros(shape, np.int32), fraction_bits, temperature)


def targets() -> list[list[str]]:
    found = []
    if importlib.util.find_spec("ziglang"):
        zig = [sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4"]
        found.append([*zig, "-fno-sanitize=all"])
    if shutil.which("arm-none-eabi-gcc"):
        found.append(["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"])
    return found


@pytest.mark.parametrize("compiler", targets(), ids=lambda words: Path(words[0]).name)
def test_compiles_for_the_target_without_warnings_or_division(compiler: list[str], tmp_path: Path) -> None:
    built = tmp_path / "confidence.o"
    flags = ["-O2", "-c", f"-I{STATIC / 'include'}"]
    subprocess.run([*compiler, *WARNINGS, *flags, str(SOURCE), "-o", str(built)], check=True)
    assert b"__aeabi_uldivmod" not in built.read_bytes()


@pytest.mark.parametrize("measure", MEASURES)
def test_thresholds_far_out_of_range(measure: Measure) -> None:
    for value in (1e10, 1e308, 1.7e308):
        with pytest.raises(ValueError, match="a threshold of"):
            to_threshold(measure, value, 31)
    with pytest.raises(ValueError, match="a temperature of"):
        to_q16(1e308)
