"""Placement in one dimension, as values: intervals of cells, some pairs of which must not overlap.

Weights (cells are kernel columns, blocks with a common processor conflict) and data (cells are words, tensors that are
live together in a common instance conflict) are both this problem. Sets of items are bitmaps: bit i = item i.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

Bits = int
Ranges = tuple[tuple[int, int], ...]  # of cells: [from, to)


@dataclass(frozen=True)
class Items:
    """What to place. Starts are multiples of `multiple`; ends are at most `capacity` (not necessarily a multiple)."""

    sizes: tuple[int, ...]  # cells, at least 1
    starts: tuple[int | None, ...]  # fixed, or None
    conflicts: tuple[Bits, ...]  # per item: those it must not overlap; symmetric, without itself
    ranks: tuple[int, ...]  # items of similar rank conflict more often: the step at which a tensor begins, for instance
    multiple: int
    capacity: int

    def rounded(self, item: int) -> int:
        """Cells from the item's start to the next possible start."""
        return -(-self.sizes[item] // self.multiple) * self.multiple

    @cached_property
    def free(self) -> tuple[int, ...]:
        return tuple(item for item, start in enumerate(self.starts) if start is None)

    @cached_property
    def fixed(self) -> dict[int, int]:
        """Start by item."""
        return {item: start for item, start in enumerate(self.starts) if start is not None}

    @cached_property
    def busy(self) -> tuple[Ranges, ...]:
        """Per item the cells that fixed items deny it, ascending."""
        return tuple(
            tuple(sorted((s, s + self.sizes[other]) for other, s in self.fixed.items() if neighbours >> other & 1))
            for neighbours in self.conflicts
        )


@dataclass(frozen=True)
class Arrangement:
    """Starts by item, the highest end, and the proved lower bound of the highest end.

    A step of a search may end above the capacity; what `arrange` finds does not.
    """

    starts: dict[int, int]
    end: int
    bound: int

    @property
    def in_order(self) -> tuple[int, ...]:
        """The starts, if they are those of items 0, 1, ..."""
        return tuple(self.starts[item] for item in range(len(self.starts)))


@dataclass(frozen=True)
class Limits:
    """When a search gives up: `effort` in CP-SAT's deterministic time (a unit took up to 10 seconds of one core), which
    makes the same `seed` give the same answer on every machine."""

    effort: float = 2.0
    seed: int = 0


DEFAULT_LIMITS = Limits()


def bits_of(items: Iterable[int]) -> Bits:
    return sum(1 << item for item in items)


def members(bits: Bits) -> list[int]:
    """The items of a bitmap, ascending."""
    return [item for item in range(bits.bit_length()) if bits >> item & 1]
