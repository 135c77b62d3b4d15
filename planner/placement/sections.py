"""Sections of an interval problem: sets of items that conflict pairwise, in an order that keeps neighbours together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.planner.placement.interval_problem import Bits, Items, Ranges

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sections:
    """Items (n of them, by position) and sections (s), in start units. All conflicts are within sections.

    sizes: units from an item's start to the next possible start. latest: last start at which it ends within the
    capacity. member: bool, (n, s). first, last: an item's sections are in [first, last). loads: (s,), sizes of all
    members. conflicts: bool, (n, n). busy: ranges of units that fixed items deny.
    """

    items: tuple[int, ...]
    unit: int  # cells
    capacity: int
    sizes: Numbers
    latest: Numbers
    member: npt.NDArray[np.bool_]
    first: Numbers
    last: Numbers
    loads: Numbers
    conflicts: npt.NDArray[np.bool_]
    busy: tuple[Ranges, ...]

    def clear(self, item: int, start: int) -> int:
        """The lowest start from `start` on at which nothing fixed is in the way."""
        size = int(self.sizes[item])
        for low, high in self.busy[item]:
            if start + size <= low:
                return start
            start = max(start, high)
        return start


def sections_of(items: Items, cliques: Sequence[Bits], chosen: Sequence[int]) -> Sections:
    """Sections of the chosen items. `cliques` cover all conflicts among them."""
    sets = _ordered(cliques, items)
    member = np.array([[bool(one >> item & 1) for one in sets] for item in chosen])
    sizes = np.array([-(-items.sizes[item] // items.multiple) for item in chosen])
    return Sections(
        items=tuple(chosen),
        unit=items.multiple,
        capacity=-(-items.capacity // items.multiple),
        sizes=sizes,
        latest=np.array([(items.capacity - items.sizes[item]) // items.multiple for item in chosen]),
        member=member,
        first=member.argmax(axis=1),
        last=member.shape[1] - member[:, ::-1].argmax(axis=1),
        loads=(member * sizes[:, None]).sum(axis=0),
        conflicts=np.array([[bool(items.conflicts[item] >> other & 1) for other in chosen] for item in chosen]),
        busy=tuple(_in_units(items.busy[item], items.multiple) for item in chosen),
    )


def _in_units(ranges: Ranges, unit: int) -> Ranges:
    """The start units that ranges of cells touch."""
    return tuple((low // unit, -(-high // unit)) for low, high in ranges)


def _ordered(sets: Sequence[Bits], items: Items) -> list[Bits]:
    """By the rank of the last one to begin: the order of time."""
    return sorted(sets, key=lambda one: (max(items.ranks[i] for i in range(one.bit_length()) if one >> i & 1), one))
