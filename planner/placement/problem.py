"""The placement problem as plain values: weight columns, bias bytes and activations of all stages of a chain.

Nothing here knows about layers or solvers; `solve` answers a Problem with a Placement, `check` judges the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from offramp.configs.device import Column, Word
from offramp.configs.errors import Where

Step = int  # a moment of one inference: the input is loaded at 0, then one step per layer slot and one per exit check


Life = frozenset[int]  # parts of the chains in the order of their runs


@dataclass(frozen=True)
class WeightBlock:
    """Kernels of one layer: `columns` kernel columns from one start column in every processor of the map, and as many
    from each of `copies` columns further.

    `rooms`: ranges of columns, [from, to), in one of which the first of them lie; none: they lie within the columns of
    the problem.

    `penalty`: cycles that an inference loses for each column that the start lies above 0. `life`: of kernels that are
    written again whenever they are needed, the parts of the chains during which they are there; None of those that are
    resident.
    """

    name: str
    processors: int  # 64-bit map, bit P = processor P
    columns: int
    start: Column | None = None  # fixed, or None
    where: Where | None = None
    penalty: int = 0
    life: Life | None = None
    rooms: tuple[tuple[Column, Column], ...] = ()
    copies: tuple[Column, ...] = (0,)

    @property
    def all_columns(self) -> int:
        """Columns of a processor that it takes."""
        return self.columns * len(self.copies)

    @property
    def top(self) -> Column:
        """Columns from the start column to behind the last one."""
        return self.copies[-1] + self.columns


@dataclass(frozen=True)
class BiasBlock:
    """Biases of one layer: `length` consecutive bytes of the bias memory of one of `quadrants`. `life` as in
    WeightBlock."""

    name: str
    length: int
    quadrants: tuple[int, ...]
    at_zero: bool = False  # must start at byte 0 of its quadrant
    where: Where | None = None
    life: Life | None = None


@dataclass(frozen=True)
class Buffer:
    """A tensor (or several at fixed distances) in data memory: the same `words` words in each of `instances`.

    It is live, and nothing else may touch its words, from step `first` to step `last`, both included; `kept`: it holds
    its content from one inference to the next, so it is live while other models of the image run, too.
    """

    name: str
    instances: tuple[int, ...]  # over all quadrants, 0..15
    words: int
    first: Step
    last: Step
    offset: Word | None = None  # fixed first word, or None
    where: Where | None = None
    kept: bool = False


@dataclass(frozen=True)
class Problem:
    """Everything that must be resident or live together. Names are unique within each tuple."""

    weights: tuple[WeightBlock, ...]
    biases: tuple[BiasBlock, ...]
    data: tuple[Buffer, ...]
    columns: int  # kernel columns that all processors have
    start_multiple: int  # of a weight block's start column
    bias_bytes: int  # of a quadrant
    data_words: int  # of an instance
    overlaps: frozenset[frozenset[str]] = frozenset()  # pairs of data blocks that the user allows to share words
    bias_multiple: int = 1  # of a bias block's start byte, and of their lengths


@dataclass(frozen=True)
class BiasPlace:
    quadrant: int
    start: int  # byte


@dataclass(frozen=True)
class Objective:
    """A value that is minimised. `bound`: a proved lower bound of it, given the objectives before it."""

    name: str
    value: int
    bound: int

    @property
    def optimal(self) -> bool:
        return self.value == self.bound


def allowed_rooms(block: WeightBlock, problem: Problem) -> tuple[tuple[Column, Column], ...]:
    """Ranges of columns, [from, to), in one of which the first columns of a weight block lie."""
    return block.rooms or ((0, problem.columns),)


def inside(block: WeightBlock, start: Column, problem: Problem) -> bool:
    """Whether a weight block that starts at a column lies where it may."""
    return any(low <= start and start + block.columns <= high for low, high in allowed_rooms(block, problem))


CYCLES = "cycles lost to late starts"  # sum over weight blocks of penalty x start
HIGHEST = "highest column"  # columns in use in the fullest processor: from 0 to the last used one


@dataclass(frozen=True)
class Placement:
    """An answer: block name -> place, and the weights' objectives in order of importance: CYCLES, HIGHEST."""

    weights: Mapping[str, Column]
    biases: Mapping[str, BiasPlace]
    data: Mapping[str, Word]
    objectives: tuple[Objective, ...]

    @property
    def highest(self) -> Objective:
        return next(objective for objective in self.objectives if objective.name == HIGHEST)


@dataclass(frozen=True)
class Violation:
    """A broken rule found by `check`: which, between what, where."""

    rule: str
    message: str


def may_share(one: Life | None, other: Life | None) -> bool:
    """Whether two blocks may have the same place: both are written again, and never there at once."""
    return one is not None and other is not None and one.isdisjoint(other)


def begins(lives: Iterable[Life | None]) -> list[int]:
    """The parts with which lives begin. What is there during any part is there, together, during one of these."""
    return sorted({part for life in lives for part in life or () if part - 1 not in (life or ())})


def label(block: WeightBlock | BiasBlock | Buffer) -> str:
    """The block as messages name it: `main/conv2 (main.yaml:12)`."""
    return f"{block.name} ({block.where})" if block.where else block.name
