"""A hand-made `Firmware` with two stages, small enough to read its C; the registers in it mean nothing to a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.codegen.assemble import control_guards, readable_writes, timing_guards
from offramp.codegen.firmware import (
    BiasRun,
    BusWrite,
    Chunk,
    Firmware,
    InputLayout,
    InputRun,
    KnownAnswer,
    Model,
    StageCode,
    Tensor,
)
from offramp.configs.device import load_device
from offramp.planner.ir.chain import ExitRule
from offramp.planner.spec.clocks import clock_setting

DEVICE = load_device()
CLASSES = 3
SHAPE = (5, 2, 3)
THRESHOLD = 100
MOST_CYCLES = 2000


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


def stopped(*quadrants: int) -> tuple[BusWrite, ...]:
    return tuple(control(quadrant) for quadrant in quadrants)


def row_of(address: int, count: int = CLASSES) -> Tensor:
    """Words side by side, one for each channel."""
    return Tensor((count, 1, 1), 32, 4, tuple(address + 4 * index for index in range(count)))


def stage(name: str, quadrants: tuple[int, ...], result: Tensor, **others: Any) -> StageCode:
    """A stage that starts and stops in its quadrants, without registers unless `others` has them."""
    start = started(*quadrants)
    rule = ExitRule("margin", None, 0)
    fields: dict[str, Any] = {
        "registers": FRONT,
        "advance": (),
        "restore": (),
        "exit": rule,
        "least_cycles": 0,
    } | others
    return StageCode(
        name=name,
        quadrants=quadrants,
        start=start,
        stop=stopped(*quadrants),
        control=control_guards(start, DEVICE),
        most_cycles=MOST_CYCLES,
        result=result,
        **(fields | others),
    )


# Registers of the two stages, in the order of their addresses, and what the switches between them write.
FRONT = (write("LCNT_MAX", 0), write("RCNT", 0x1001D), write("EN", 0), write("LCNT_MAX", 0, 1))
MAIN = (write("LCNT_MAX", 1), write("RCNT", 7), write("EN", 0), write("LCNT_MAX", 1, 1))
ADVANCE = (write("LCNT_MAX", 1), write("LCNT_MAX", 1, 1), write("RCNT", 7))
RESTORE = (write("LCNT_MAX", 0), write("LCNT_MAX", 0, 1), write("RCNT", 0x1001D))


def small_model() -> Model:
    """Five channels, HWC, in two instances; byte logits in stage 0 and 32-bit logits in stage 1."""
    bytes_ = Tensor((CLASSES, 1, 1), 8, 4, tuple(DEVICE.data_address(1, 64) + lane for lane in range(CLASSES)))
    layout = InputLayout(
        SHAPE,
        False,
        (
            InputRun(DEVICE.data_address(0, 16), 8, (0, 1, 2, 3)),
            InputRun(DEVICE.data_address(1, 16), 8, (4, -1, -1, -1)),
        ),
    )
    front = stage("front", (0,), bytes_, advance=ADVANCE, exit=ExitRule("margin", THRESHOLD, 0))
    main = stage("main", (0, 1), row_of(DEVICE.data_address(2, 128)), registers=MAIN, restore=RESTORE)
    return Model("small", layout, (front, main), ("cat", "dog", "none of them"))


def small_firmware(**model: Any) -> Firmware:
    """An image of that model, with the fields in `model` replaced; then without samples."""
    image = np.arange(-15, 15, dtype=np.int8).reshape(SHAPE)
    return Firmware(
        name="small",
        models=(replace(small_model(), **model),),
        quadrants=(0, 1),
        clock=clock_setting(DEVICE),
        init=(write("AON", 0), control(0), control(1), write("SRAM", 0x40E, 0), write("SRAM", 0x40E, 1)),
        readable=readable_writes((0, 1), DEVICE),
        guards=timing_guards((0, 1), DEVICE),
        weights=(
            weights_at(0, 0, np.arange(9, dtype=np.uint32) * 0x01010101, 4),
            weights_at(17, 4, np.array([0xFFFFFFFF] * 3, dtype=np.uint32), 1),
        ),
        biases=(BiasRun(DEVICE.bias_address(1, 8), np.array([1, -2, 127, -128], dtype=np.int8)),),
        digest=bytes(range(16)),
        tests=() if model else (KnownAnswer(image, 1, 2, 2, (-100000, 5, 7)),),
    )


def weights_at(processor: int, column: int, words: NDArray[np.uint32], columns: int) -> Chunk:
    """Kernel columns of a processor from `column` on."""
    base, memory = DEVICE.weight_address(processor), DEVICE.memories["weights"]
    address, plain = base + column * DEVICE.express_stride, base + column * memory.word_stride
    return Chunk(address, words, plain, columns)
