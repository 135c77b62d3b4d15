"""The input of the C generator: every table of the firmware, as bus addresses and 32-bit values.

The lowering fills these types from register programs; `codegen.firmware_check.problems` refuses what C cannot express;
`codegen.render.render` prints it. Addresses are absolute bus addresses as in the device file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from offramp.planner.ir.chain import ExitRule


@dataclass(frozen=True)
class BusWrite:
    """One 32-bit write to a register."""

    address: int
    value: int


@dataclass(frozen=True, eq=False)
class Chunk:
    """A run of kernel columns in express format: a byte write to `address | 1`, then `words` to `address`, +4, ...

    address: start of the processor's weight memory + start column * express stride. words: uint32, (n,)."""

    address: int
    words: NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class BiasRun:
    """Consecutive bias bytes of a quadrant, one 32-bit address each. values: int8, (n,)."""

    address: int
    values: NDArray[np.int8]


@dataclass(frozen=True)
class Logit:
    """Where logit i of a stage is read: a signed word (`width` 32, `lane` 0) or the signed byte `lane` (`width` 8)."""

    address: int
    lane: int = 0
    width: int = 32


@dataclass(frozen=True)
class StageCode:
    """What the dispatcher does for one stage once its registers are written.

    quadrants: those the stage runs in, the master first; their enable and done bits are cleared after the stage.
    cycles: modelled accelerator clock cycles of the stage, from which the bound on waiting follows. reads_fifo: the
    input is sent through the FIFO once the stage has started.
    """

    name: str
    start: tuple[BusWrite, ...]
    quadrants: tuple[int, ...]
    cycles: int
    logits: tuple[Logit, ...]
    exit: ExitRule
    reads_fifo: bool = False


@dataclass(frozen=True)
class InputRun:
    """Words of the input tensor at `address`, +`step` bytes, ... in one data memory instance; or all to one FIFO port,
    whose data register is at `address`: `step` is 0 and `full` the bit of FIFO_STAT that says "no more now".

    HWC: one word a pixel, byte k is channel `channels[k]` (-1: no channel, written as 0); always four entries.
    CHW: one word for four pixels of the channel `channels[0]`, the only entry; bytes after the last pixel are 0.
    """

    address: int
    step: int
    channels: tuple[int, ...]
    full: int = 0


@dataclass(frozen=True)
class InputLayout:
    """Where the input goes. shape: (channels, rows, columns); `chw`: four pixels a word instead of four channels."""

    shape: tuple[int, int, int]
    chw: bool
    runs: tuple[InputRun, ...]

    @property
    def fifo(self) -> bool:
        """Whether it goes through the FIFO instead of to data memory."""
        return any(run.full for run in self.runs)


@dataclass(frozen=True, eq=False)
class KnownAnswer:
    """A sample the firmware carries to test itself. image: int8, (channels, rows, columns); stage: 0-based."""

    image: NDArray[np.int8]
    stage: int
    logits: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Firmware:
    """Everything the generated C holds.

    init: after power-up, before weights. configure: the full register state for stage 0, whatever was there before
    (the accelerator is stopped first). transitions: (from, to) -> writes that change the state of stage `from` into
    that of stage `to`; (i, i + 1) and (i, 0) are needed. weights and biases are loaded once, by offramp_init.
    """

    name: str
    quadrants: tuple[int, ...]  # to be powered: all that any stage uses
    init: tuple[BusWrite, ...]
    configure: tuple[BusWrite, ...]
    transitions: Mapping[tuple[int, int], tuple[BusWrite, ...]]
    weights: tuple[Chunk, ...]
    biases: tuple[BiasRun, ...]
    input: InputLayout
    stages: tuple[StageCode, ...]
    labels: tuple[str, ...] = ()  # one a class, or none
    tests: tuple[KnownAnswer, ...] = field(default=())

    @property
    def classes(self) -> int:
        return len(self.stages[0].logits)
