"""Loading the input: every form and layout gives the accelerator the same words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from offramp.codegen.firmware import Firmware, InputLayout, InputRun
from offramp.simulator.board.calls import Format, Status
from offramp.simulator.board.session import Session
from tests.helpers.fake_accelerator import FakeAccelerator
from tests.helpers.firmware_builds import COMPILERS, build
from tests.helpers.small_firmware import DEVICE, row_of, small_firmware, stage

STATUS = DEVICE.register_address("FIFO_STAT")
PORTS = [DEVICE.register_address(f"FIFO_DATA{port}") for port in range(4)]
FULL = [DEVICE.registers["FIFO_STAT"].encode({"full": 1 << port}) for port in range(4)]
SIZES = [(1, 3), (4, 4), (1, 17), (5, 7)]
FORMS = {
    "bytes": Format.CHW,
    "bytes not aligned": Format.CHW,
    "by pixel": Format.HWC,
    "by pixel, unsigned": Format.HWC | Format.UNSIGNED,
    "unsigned": Format.CHW | Format.UNSIGNED,
    "packed": Format.PACKED,
}


class Feed(FakeAccelerator):
    """The FIFO of port 0 is full at every third look. `seen`: data memory whenever an answer is ready; `sent`: what has
    come through the FIFO until then."""

    def __init__(self, firmware: Firmware) -> None:
        super().__init__(firmware, DEVICE, (0,) * len(FORMS), ((3, 2, 1),) * len(FORMS))
        self.looks = 0
        self.seen: list[dict[int, int]] = []
        self.sent: list[list[tuple[int, int]]] = []

    def read(self, address: int) -> int:
        if address != STATUS:
            return super().read(address)
        self.looks += 1
        return FULL[0] if self.looks % 3 == 0 else 0

    def _answer(self, *answer: object) -> None:
        self.seen.append(dict(self.memory))
        self.sent.append([write for write in self.registers if write[0] in PORTS])
        self.registers.clear()
        super()._answer(*answer)  # type: ignore[arg-type]


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


def given_as(image: npt.NDArray[np.int8], form: Format, words: list[list[int]]) -> bytes:
    """What the application has in its memory."""
    if form is Format.PACKED:
        return np.array(words, "<u4").tobytes()
    given = np.moveaxis(image, 0, -1) if form & Format.HWC else image
    return (given ^ np.int8(-128) if form & Format.UNSIGNED else given).tobytes()


def firmware_with(shape: InputLayout) -> Firmware:
    last = stage("main", (0,), row_of(DEVICE.data_address(2, 128)), reads_fifo=shape.fifo)
    return small_firmware(stages=(last,), input=shape)


@pytest.mark.parametrize("chw", [True, False], ids=["CHW", "HWC"])
@pytest.mark.parametrize("fifo", [False, True], ids=["memory", "FIFO"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_words(size: tuple[int, int], fifo: bool, chw: bool, tmp_path: Path) -> None:
    shape = layout(chw, fifo, size)
    firmware = firmware_with(shape)
    images = np.random.default_rng(1).integers(-128, 128, (len(FORMS), *shape.shape)).astype(np.int8)
    expected = [words_of(image, shape) for image in images]
    accelerator = Feed(firmware)
    with Session(build(firmware, tmp_path), accelerator, DEVICE) as session:
        session.open()
        for (name, form), image, words in zip(FORMS.items(), images, expected, strict=True):
            session.shift = 1 if "not aligned" in name else 0
            assert session.infer(0, given_as(image, form, words), form).status is Status.OK, name
    for name, words, seen, sent in zip(FORMS, expected, accelerator.seen, accelerator.sent, strict=True):
        if fifo:
            pairs = [(PORTS[port], column[k]) for k in range(len(words[0])) for port, column in enumerate(words)]
            assert sent == pairs, name
        else:
            places = [[one.address + k * one.step for k in range(len(words[0]))] for one in shape.runs]
            assert [[seen[place] for place in one] for one in places] == words, name


@pytest.mark.parametrize("compiler", COMPILERS)
def test_compiles_without_warnings(compiler: str, tmp_path: Path) -> None:
    build(firmware_with(layout(False, True, (3, 7))), tmp_path, compiler=compiler)
