"""A hand-made `Firmware` with two stages, small enough to read its C; the registers in it mean nothing to a network."""

from __future__ import annotations

import numpy as np

from offramp.codegen.firmware import (
    BiasRun,
    BusWrite,
    Chunk,
    Firmware,
    InputLayout,
    InputRun,
    KnownAnswer,
    Logit,
    StageCode,
)
from offramp.configs.device import load_device
from offramp.planner.ir.chain import ExitRule

DEVICE = load_device()
CLASSES = 3
SHAPE = (5, 2, 3)
THRESHOLD = 100
CYCLES = 250


def write(name: str, value: int, quadrant: int = 0, layer: int = 0) -> BusWrite:
    return BusWrite(DEVICE.register_address(name, quadrant, layer), value)


def control(quadrant: int, **fields: int) -> BusWrite:
    values = {"clock_enable": 1, "express": 1, **fields}
    return write("CTRL", DEVICE.registers["CTRL"].encode(values), quadrant)


def started(*quadrants: int) -> tuple[BusWrite, ...]:
    """The start sequence, as HARDWARE's sources describe it: the master armed, the others waiting, the master off."""
    master, *others = quadrants
    waiting = tuple(control(quadrant, sync_enable=1, enable=1) for quadrant in others)
    return (control(master, sync_enable=1), *waiting, control(master, enable=1))


def stage(name: str, quadrants: tuple[int, ...], logits: tuple[Logit, ...], threshold: int | None) -> StageCode:
    return StageCode(name, started(*quadrants), quadrants, CYCLES, logits, ExitRule("margin", threshold, 0))


def small_firmware() -> Firmware:
    """Five channels, HWC, in two instances; byte logits in stage 0 and 32-bit logits in stage 1."""
    bytes_ = tuple(Logit(DEVICE.data_address(1, 64), lane, 8) for lane in range(CLASSES))
    words = tuple(Logit(DEVICE.data_address(2, 128 + index)) for index in range(CLASSES))
    image = np.arange(-15, 15, dtype=np.int8).reshape(SHAPE)
    return Firmware(
        name="small",
        quadrants=(0, 1),
        init=(write("AON", 0), control(0), control(1), write("SRAM", 0x40E, 0), write("SRAM", 0x40E, 1)),
        configure=(
            write("LCNT_MAX", 0, 0),
            write("LCNT_MAX", 0, 1),
            write("RCNT", 0x1001D, 0, 0),
            write("EN", 0, 0, 0),
        ),
        transitions={
            (0, 1): (write("LCNT_MAX", 1, 0), write("LCNT_MAX", 1, 1), write("RCNT", 7, 0, 0)),
            (1, 0): (write("LCNT_MAX", 0, 0), write("LCNT_MAX", 0, 1), write("RCNT", 0x1001D, 0, 0)),
        },
        weights=(
            Chunk(DEVICE.weight_address(0), np.arange(9, dtype=np.uint32) * 0x01010101),
            Chunk(DEVICE.weight_address(17) + 4 * DEVICE.express_stride, np.array([0xFFFFFFFF] * 3, dtype=np.uint32)),
        ),
        biases=(BiasRun(DEVICE.bias_address(1, 8), np.array([1, -2, 127, -128], dtype=np.int8)),),
        input=InputLayout(
            SHAPE,
            False,
            (
                InputRun(DEVICE.data_address(0, 16), 8, (0, 1, 2, 3)),
                InputRun(DEVICE.data_address(1, 16), 8, (4, -1, -1, -1)),
            ),
        ),
        stages=(stage("front", (0,), bytes_, THRESHOLD), stage("main", (0, 1), words, None)),
        labels=("cat", "dog", "none of them"),
        tests=(KnownAnswer(image, 1, (-100000, 5, 7)),),
    )
