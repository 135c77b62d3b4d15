"""The device file's instruction counts: some of them again, and what a built firmware does."""

from __future__ import annotations

import shutil

import pytest

from bench.counting import CHECK, LOAD
from bench.instructions import Question, copied, instructions_of, section
from offramp.planner.ir.measure import Measure
from tests.helpers.small_firmware import DEVICE

pytestmark = pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed")
STATED = DEVICE.instructions


def stated(name: str, unit: str, number: int) -> float:
    return STATED[name] + STATED[f"{name}_100_{unit}"] * number / 100


@pytest.mark.parametrize(
    ("name", "chw", "packed", "fifo"),
    [("load_chw", True, False, False), ("load_hwc", False, False, False), ("fifo_packed", True, True, True)],
)
def test_loading_between_the_sizes_that_were_counted(name: str, chw: bool, packed: bool, fifo: bool) -> None:
    found = instructions_of(Question(size=640, chw=chw, packed=packed, fifo=fifo), (LOAD,), DEVICE)
    assert found == pytest.approx(stated(name, "words", 640), rel=0.05)


@pytest.mark.parametrize("measure", ["margin", "entropy"])
def test_checks_between_the_sizes_that_were_counted(measure: Measure) -> None:
    """How many values the margin sees that are larger than those before depends on the logits."""
    found = instructions_of(Question(measure=measure, logits=50), CHECK, DEVICE)
    assert found == pytest.approx(stated(f"check_{measure}", "logits", 50), rel=0.05)


@pytest.mark.parametrize(("channels", "pixels", "bits"), [(7, 33, 8), (3, 50, 32)])
def test_copies_between_the_sizes_that_were_counted(channels: int, pixels: int, bits: int) -> None:
    each = STATED[f"copy_{bits}_100_channels"] * channels + STATED[f"copy_{bits}_100_values"] * channels * pixels
    found = copied(channels, pixels, bits, DEVICE)
    assert found == pytest.approx(STATED[f"copy_{bits}"] + each / 100, rel=0.05)


def test_section_is_the_device_files_text() -> None:
    text = section({"load_chw": 1, "start": 2}, "counted")
    assert text.splitlines()[1:] == ["  load_chw: 1", "  start: 2", "  source: counted"]
