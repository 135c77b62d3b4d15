"""Loading the input: every form and layout gives the accelerator the same words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from offramp.codegen.firmware import Firmware, InputLayout, InputRun
from offramp.pipeline.compile import compile_firmware
from offramp.simulator.board.run import run
from tests.helpers.fake_accelerator import FakeAccelerator
from tests.helpers.firmware_builds import COMPILERS, write_firmware
from tests.helpers.small_firmware import DEVICE, small_firmware, started

STATUS = DEVICE.register_address("FIFO_STAT")
PORTS = [DEVICE.register_address(f"FIFO_DATA{port}") for port in range(4)]
FULL = [DEVICE.registers["FIFO_STAT"].encode({"full": 1 << port}) for port in range(4)]
FORMS = {
    "aligned": ("image[OFFRAMP_INPUT_BYTES]", "image, sizeof image", "offramp_load_input(image)"),
    "not aligned": (
        "space[OFFRAMP_INPUT_BYTES + 1u], *image = space + 1",
        "image, OFFRAMP_INPUT_BYTES",
        "offramp_load_input(image)",
    ),
    "packed": (
        "image[4u * OFFRAMP_INPUT_RUNS * OFFRAMP_INPUT_WORDS]",
        "image, sizeof image",
        "offramp_load_packed((const uint32_t *)(const void *)image)",
    ),
}
SIZES = [(1, 3), (4, 4), (1, 17), (5, 7)]


class Feed(FakeAccelerator):
    """The FIFO of port 0 is full at every third look."""

    looks = 0

    def read(self, address: int) -> int:
        if address != STATUS:
            return super().read(address)
        self.looks += 1
        return FULL[0] if self.looks % 3 == 0 else 0


def layout(chw: bool, fifo: bool, size: tuple[int, int]) -> InputLayout:
    """Three channels of their own in CHW; six in HWC, with lanes that have none."""
    channels = [(0,), (1,), (2,)] if chw else [(0, 1, 2, 3), (-1, 4, -1, 5)]
    steps = 0 if fifo else 4 if chw else 12
    runs = tuple(
        InputRun(PORTS[i] if fifo else DEVICE.data_address(i, 5), steps, these, FULL[i] if fifo else 0)
        for i, these in enumerate(channels)
    )
    return InputLayout((3 if chw else 6, *size), chw, runs)


def words_of(image: npt.NDArray[np.int8], shape: InputLayout) -> list[list[int]]:
    """The words of each run, from the layout's description."""
    flat = image.reshape(image.shape[0], -1).view(np.uint8)
    found = []
    for one in shape.runs:
        if shape.chw:
            channel = np.pad(flat[one.channels[0]], (0, -flat.shape[1] % 4))
            found.append(channel.view("<u4").tolist())
        else:
            lanes = [flat[channel] if channel >= 0 else np.zeros_like(flat[0]) for channel in one.channels]
            found.append(np.stack(lanes, axis=1).reshape(-1).view("<u4").tolist())
    return found


def firmware_with(shape: InputLayout) -> Firmware:
    small = small_firmware()
    stage = replace(small.stages[1], reads_fifo=shape.fifo, quadrants=(0,), start=started(0))
    return replace(small, stages=(stage,), transitions={}, tests=(), input=shape)


def compiled(firmware: Firmware, folder: Path, form: str, compiler: str) -> Path:
    write_firmware(firmware, folder)
    text = (folder / "emulator" / "main_emulator.c").read_text()
    space, read, load = FORMS[form]
    for old, new in (("image[OFFRAMP_INPUT_BYTES]", space), ("image, sizeof image", read)):
        assert old in text
        text = text.replace(old, new)
    assert "offramp_load_input(image)" in text
    (folder / "form.c").write_text(
        text.replace("offramp_load_input(image)", load).replace("static int8_t", "_Alignas(4) static int8_t")
    )
    return compile_firmware(folder, folder / "form.elf", compiler, "form.c").elf


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("chw", [True, False], ids=["CHW", "HWC"])
@pytest.mark.parametrize("fifo", [False, True], ids=["memory", "FIFO"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_words(size: tuple[int, int], fifo: bool, chw: bool, form: str, tmp_path: Path) -> None:
    shape = layout(chw, fifo, size)
    firmware = firmware_with(shape)
    image = np.random.default_rng(1).integers(-128, 128, shape.shape).astype(np.int8)
    expected = words_of(image, shape)
    given = np.array(expected, "<u4").view(np.int8) if form == "packed" else image
    accelerator = Feed(firmware, DEVICE, (0,), ((3, 2, 1),))
    before = len(accelerator.registers)
    found = run(compiled(firmware, tmp_path, form, "auto"), given[None], accelerator, DEVICE)
    assert (found.errors.tolist(), found.logits.tolist()) == ([0], [[3, 2, 1]])
    if fifo:
        sent = [write for write in accelerator.registers[before:] if write[0] in PORTS]
        assert sent == [(PORTS[i], run_[k]) for k in range(len(expected[0])) for i, run_ in enumerate(expected)]
    else:
        for one, words in zip(shape.runs, expected, strict=True):
            assert [accelerator.memory[one.address + k * one.step] for k in range(len(words))] == words


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("fifo", [False, True], ids=["memory", "FIFO"])
@pytest.mark.parametrize("chw", [True, False], ids=["CHW", "HWC"])
def test_compiles_without_warnings(chw: bool, fifo: bool, compiler: str, tmp_path: Path) -> None:
    compiled(firmware_with(layout(chw, fifo, (3, 7))), tmp_path, "packed", compiler)
