"""What a question is made of: steps that the firmware executes, and measurements with what is assumed of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Code(IntEnum):
    """The steps that silicon.c executes; the comments name the fields that each uses."""

    ASK = 0  # value: question. Prints that it begins
    SAY = 1  # value: measurement. Prints the values that were noted, and what went wrong
    WRITE = 2  # address, value
    PAIRS = 3  # data: address, value, address, value ...
    COPY = 4  # address, data: words to `address`, + 4, ...
    FILL = 5  # address, value, count: the same word to `address`, + 4, ...
    COLUMN = 6  # address: a byte write, which sets the start column of express loading
    PUSH = 7  # address, value: bit of FIFO_STAT, data: words to one port of the FIFO, each when there is room
    GO = 8  # address, value: a write from which time counts
    AWAIT = 9  # address, value: mask, count: cycles of the accelerator, until a bit is set; time ends
    TIME = 10  # notes the time from GO to AWAIT, in cycles of the core
    READ = 11  # address: notes a word
    SUM = 12  # address, value: step, count: words into the checksum
    SUMMED = 13  # notes the checksum and begins a new one
    WALK = 14  # address, value: mask of the bits to try: notes those that read back as 0 and 1
    CLOCK = 15  # value: the accelerator's clock on or off
    WAIT = 16  # value: microseconds


@dataclass(frozen=True)
class Step:
    """One step. `data`: words; the firmware keeps equal ones once."""

    code: Code
    address: int = 0
    value: int = 0
    count: int = 0
    data: tuple[int, ...] = ()


Values = tuple[int, ...]


@dataclass(frozen=True)
class Measurement:
    """One line of the log: the values that its steps note.

    values: what is assumed. same_as, unlike: or that they equal, or do not equal, those of another measurement of the
    log. None of the three: nothing is assumed, the model refuses it. tolerance: how far a value may be from the
    assumed one. others: what other values would mean.
    """

    name: str
    steps: tuple[Step, ...]
    values: Values | None = None
    same_as: str = ""
    unlike: str = ""
    tolerance: tuple[float, int] = (0.0, 0)  # a share, and cycles
    others: Mapping[str, Values] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """Its name within the question."""
        return self.name.partition(".")[2]

    @property
    def assumes(self) -> bool:
        return self.values is not None or bool(self.same_as or self.unlike)


@dataclass(frozen=True)
class Question:
    """A question to a chip. name: as in the log; asks: in words; assumed: what Offramp takes for granted; matters: what
    depends on it."""

    name: str
    asks: str
    assumed: str
    matters: str
    measurements: tuple[Measurement, ...]


def pairs(writes: Iterable[tuple[int, int]]) -> Step:
    """Writes of values to addresses, in order."""
    return Step(Code.PAIRS, data=tuple(word for pair in writes for word in pair))


def copy(address: int, words: Iterable[int]) -> Step:
    """Words to `address`, + 4, ...; a fill where all are the same."""
    data = tuple(words)
    if len(set(data)) == 1:
        return Step(Code.FILL, address, data[0], len(data))
    return Step(Code.COPY, address, data=data)
