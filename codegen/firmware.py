"""The input of the C generator: everything an image holds, as bus addresses and 32-bit values.

The lowering fills these types from register programs; `codegen.firmware_check.problems` refuses what C cannot express;
`codegen.image` lays it out; `codegen.render.render` prints it. Addresses are absolute bus addresses as in the device
file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from offramp.configs.clock_tree import ClockSetting
from offramp.planner.ir.chain import ExitRule

DIGEST_BYTES = 16


@dataclass(frozen=True)
class BusWrite:
    """One 32-bit write to a register."""

    address: int
    value: int


@dataclass(frozen=True)
class Guard:
    """A register that holds `value` under `mask` as long as nothing has gone wrong."""

    address: int
    mask: int
    value: int


@dataclass(frozen=True, eq=False)
class Chunk:
    """A run of kernel columns in express format: a byte write to `address | 1`, then `words` to `address`, +4, ...

    address: start of the processor's weight memory + start column * express stride. words: uint32, (n,). plain: where
    the first of the `columns` columns is read back."""

    address: int
    words: NDArray[np.uint32]
    plain: int
    columns: int


@dataclass(frozen=True, eq=False)
class BiasRun:
    """Consecutive bias bytes of a quadrant, one 32-bit address each. values: int8, (n,)."""

    address: int
    values: NDArray[np.int8]


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies. shape: (channels, rows, columns); bits: 8 or 32 of a value.

    places: for each channel the address of its first value, with the byte lane of 8-bit values added. step: bytes from
    a pixel to the next one.
    """

    shape: tuple[int, int, int]
    bits: int
    step: int
    places: tuple[int, ...]

    @property
    def values(self) -> int:
        """How many values it has."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def bytes(self) -> int:
        """That it takes in the application's memory."""
        return self.values * self.bits // 8

    def addresses(self) -> NDArray[np.int64]:
        """Byte address of each value in the order channel, row, column: int64, (values,)."""
        pixels = np.arange(self.shape[1] * self.shape[2])
        return (np.array(self.places)[:, None] + self.step * pixels).reshape(-1)

    def byte_addresses(self) -> NDArray[np.int64]:
        """Address of each byte of each value, the least significant first: int64, (bytes,)."""
        return (self.addresses()[:, None] + np.arange(self.bits // 8)).reshape(-1)


@dataclass(frozen=True)
class StageCode:
    """What the runtime does for one run of the accelerator: a stage, or a segment of one, with the stage's name.

    quadrants: those the stage runs in, the master first. registers: the whole state, the same addresses in all
    stages of a model: those that entering it writes, in ascending order, then the others. advance: writes to the
    state of the next stage (none in the last one); restore: back to that of the first (none in that). stop: enable
    and done bits off. control: CTRL of each quadrant while the stage runs, without the done bit. least_cycles,
    most_cycles: of the core's clock, between which it finishes. exit: None if the result is not looked at. answers:
    of each class, negative for none; empty: classes are the answers; of a result that is not looked at, one at
    most. reads_fifo: the input is sent through the FIFO while the stage runs. answering: False of a segment that
    another one goes on from. weights, biases: written each time before it starts; `external`: weights too, from a
    file outside flash. `hit`: of a hardware exit, where matches are counted: with none the next stage has run, too,
    and has no start of its own.
    """

    name: str
    quadrants: tuple[int, ...]
    registers: tuple[BusWrite, ...]
    advance: tuple[BusWrite, ...]
    restore: tuple[BusWrite, ...]
    start: tuple[BusWrite, ...]
    stop: tuple[BusWrite, ...]
    control: tuple[Guard, ...]
    least_cycles: int
    most_cycles: int
    result: Tensor
    exit: ExitRule | None
    answers: tuple[int, ...] = ()
    reads_fifo: bool = False
    answering: bool = True
    weights: tuple[Chunk, ...] = ()
    biases: tuple[BiasRun, ...] = ()
    external: tuple[Chunk, ...] = ()
    hit: int | None = None


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


@dataclass(frozen=True)
class WordRun:
    """`words` neighbouring words of data memory."""

    address: int
    words: int


@dataclass(frozen=True)
class Model:
    """A chain of stages. labels: one an answer, or none. buffers: what it keeps from one inference to the next, zero at
    the start. weights, biases: written when it runs after another model. entered: how many of the registers are written
    then, from the first on (None: all); the others hold the same in all stages and are written once."""

    name: str
    input: InputLayout
    stages: tuple[StageCode, ...]
    labels: tuple[str, ...] = ()
    buffers: tuple[WordRun, ...] = ()
    weights: tuple[Chunk, ...] = ()
    biases: tuple[BiasRun, ...] = ()
    entered: int | None = None

    @property
    def written(self) -> tuple[BusWrite, ...]:
        """What is written to registers when it runs after another model."""
        return self.stages[0].registers[: self.entered]

    @property
    def kept(self) -> tuple[BusWrite, ...]:
        """What is written to registers once."""
        return () if self.entered is None else self.stages[0].registers[self.entered :]

    @property
    def answers(self) -> int:
        """How many different ones it gives: as many as have labels, else the classes of the last stage, or one if its
        result is none of logits."""
        return len(self.labels) or (self.stages[-1].result.values if self.stages[-1].exit else 1)


@dataclass(frozen=True, eq=False)
class KnownAnswer:
    """A sample the firmware carries to test itself. image: int8, (channels, rows, columns); stage: 0-based; answer:
    what its class means; values: of the stage's result."""

    image: NDArray[np.int8]
    stage: int
    answer: int
    class_index: int
    values: tuple[int, ...]
    model: int = 0


@dataclass(frozen=True, eq=False)
class Firmware:
    """Everything the generated C holds.

    quadrants: to be powered: all that any stage uses. init: after power-up, before weights. readable: weight memories
    can be read; `init` undoes it. guards: registers by which a lost power is noticed. weights and biases: of all
    models, loaded once. digest: the first bytes of the plan's.
    """

    name: str
    models: tuple[Model, ...]
    quadrants: tuple[int, ...]
    clock: ClockSetting
    init: tuple[BusWrite, ...]
    readable: tuple[BusWrite, ...]
    guards: tuple[Guard, ...]
    weights: tuple[Chunk, ...]
    biases: tuple[BiasRun, ...]
    digest: bytes = bytes(DIGEST_BYTES)
    tests: tuple[KnownAnswer, ...] = field(default=())

    @property
    def identifier(self) -> str:
        """The name as C writes it; all symbols and file names begin with it. Not one of the runtime's."""
        found = re.sub("[^A-Za-z0-9]", "_", self.name)
        return found if re.match("(?!offramp)[A-Za-z]", found) else f"model_{found}"

    @property
    def external(self) -> bool:
        """Whether it has weights outside flash."""
        return any(stage.external for stage in self.stages)

    @property
    def stages(self) -> tuple[StageCode, ...]:
        """Of all models."""
        return tuple(stage for model in self.models for stage in model.stages)
