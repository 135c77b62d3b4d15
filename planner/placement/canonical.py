"""Search for an arrangement within the capacity, for tight instances where first fit finds none.

Only canonical arrangements are searched: every item starts at 0, or at the end of a fixed item or of another one, and
items are placed from the lowest start up. At each node the lowest open item is placed at its least start, or else is to
lie directly above one that is still open (M. D. Moffitt, "MiniMalloc", ASPLOS 2023, which also prunes by sections of
time). The rules of `windows` cut branches long before an item is in the way. Parts of the problem that no open item
connects are searched separately. Which of several lowest items has to come first is not known: the search restarts with
another order after a fixed number of nodes (M. Luby, A. Sinclair, D. Zuckerman, "Optimal speedup of Las Vegas
algorithms", 1993).
Every other round prefers items of the sections where the search failed most, as constraint solvers do (F. Boussemart,
F. Hemery, C. Lecoutre, L. Sais, "Boosting systematic search by weighting constraints", 2004).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import numpy.typing as npt

from offramp.planner.placement.answer import Answer, Found, Impossible, Undecided
from offramp.planner.placement.interval_problem import Limits
from offramp.planner.placement.sections import Numbers, Sections
from offramp.planner.placement.windows import Windows

NODES = 4000  # for each unit of effort; a unit takes about as long as one of CP-SAT's
RUN = 1000  # nodes of the shortest run
ORDERS = 10  # different ones, before they are varied
SPREAD = 0.4  # how far an order's measures are varied after its first run

Outcome = Literal["placed", "none", "limit"]  # for a group of items, given those placed before


def search(sections: Sections, limits: Limits) -> Answer[dict[int, int]]:
    """Starts by item within the capacity, for all items of the sections. The same input gives the same answer."""
    random = np.random.default_rng(limits.seed)
    left = round(NODES * limits.effort)
    everything = np.arange(len(sections.items))
    failures = np.ones(len(sections.loads))
    with _deep_enough(len(everything)):
        for number, measures in enumerate(_orders(sections, random)):
            if number // ORDERS % 2:
                measures = measures * np.where(sections.member, failures, 0).max(axis=1)
            run = _Run(sections, measures, min(left, RUN * _luby(number // ORDERS + 1)))
            outcome = run.solve(everything) if run.windows.consistent() else "none"
            left -= run.nodes
            failures += run.windows.failures
            if outcome == "placed":
                starts = (run.placed * sections.unit).tolist()
                return Found(dict(zip(sections.items, starts, strict=True)))
            if outcome == "none" or left <= 0:
                return Impossible("search") if outcome == "none" else Undecided()
    raise AssertionError("there is always another order")


@contextmanager
def _deep_enough(count: int) -> Iterator[None]:
    """Allow three nested calls for every item."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 3 * count + 1000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _orders(sections: Sections, random: np.random.Generator) -> Iterator[npt.NDArray[np.float64]]:
    """Measures by item: of several lowest items the one with the largest is placed first. Size, number of sections,
    both; each as it is, and weighted by how full the item's fullest section is."""
    sizes, widths = sections.sizes.astype(float), sections.member.sum(axis=1).astype(float)
    fullest = np.where(sections.member, sections.loads[None, :], 0).max(axis=1) / sections.capacity
    plain = (sizes * widths, widths, sizes, sizes * np.sqrt(widths), widths * np.sqrt(sizes))
    measures = [weighted for measure in plain for weighted in (measure, measure * fullest**16)]
    assert len(measures) == ORDERS
    yield from measures
    while True:
        for measure in measures:
            yield measure * random.uniform(1 - SPREAD, 1 + SPREAD, len(sizes))


def _luby(number: int) -> int:
    """1, 1, 2, 1, 1, 2, 4, ...: the element with this number, from 1."""
    power = number.bit_length()
    if number == (1 << power) - 1:
        return 1 << power - 1
    return _luby(number - (1 << power - 1) + 1)


class _Run:
    """One depth-first search. `placed`: starts so far, -1 for what is open."""

    def __init__(self, sections: Sections, measures: npt.NDArray[np.float64], limit: int) -> None:
        self.sections, self.measures, self.limit = sections, measures, limit
        self.nodes = 0
        self.windows = Windows(sections)
        self.placed = np.full(len(sections.sizes), -1, np.int64)

    def solve(self, group: Numbers) -> Outcome:
        """Place the open items of a group. If that fails, the windows are as they were before."""
        mark = self.windows.mark()
        while len(group):
            self.nodes += 1
            parts = self._parts(group)
            if self.nodes > self.limit:
                outcome: Outcome = "limit"
            elif len(parts) > 1:
                outcome = self._solve_parts(parts)
            else:
                least = self.windows.least[group]
                lowest = group[least == least.min()]
                item = int(lowest[np.argmax(self.measures[lowest])])
                outcome = self._place(item, group)
                if outcome == "none" and self._postpone(item):
                    continue
            if outcome != "placed":
                self.windows.undo(mark)
            return outcome
        return "placed"

    def _solve_parts(self, parts: list[Numbers]) -> Outcome:
        """Groups without a conflict between them: each separately, the smallest first."""
        done: list[Numbers] = []
        for part in sorted(parts, key=len):
            outcome = self.solve(part)
            if outcome != "placed":
                for item in np.concatenate([part[:0], *done]).tolist():
                    self.windows.reopen(item)
                return outcome
            done.append(part)
        return "placed"

    def _place(self, item: int, group: Numbers) -> Outcome:
        """The item at its least start; all open ones in conflict with it come above."""
        sections, windows = self.sections, self.windows
        mark = windows.mark()
        start = int(windows.least[item])
        end = start + sections.sizes[item]
        windows.close(item)
        above = windows.neighbours(item)
        below = above[windows.least[above] < end]
        low = min(sections.first[item], sections.first[below].min(initial=sections.first[item]))
        high = max(sections.last[item], sections.last[below].max(initial=sections.last[item]))
        outcome: Outcome = "none"
        if windows.lift(below, np.full(len(below), end)) and windows.narrow(int(low), int(high)):
            self.placed[item] = start
            outcome = self.solve(group[group != item])
        if outcome != "placed":
            windows.undo(mark)
            windows.reopen(item)
        return outcome

    def _postpone(self, item: int) -> bool:
        """The item above at least one that is open now: it will rest on that, or on something fixed. False: it cannot.

        If none of them can start below where the item would end, the item could as well have been placed.
        """
        sections, windows = self.sections, self.windows
        others = windows.neighbours(item)
        start = int(windows.least[item])
        if not len(others) or windows.least[others].min() >= start + sections.sizes[item]:
            return False
        supports = [int((windows.least[others] + sections.sizes[others]).min())]
        supports += [end for _, end in sections.busy[item] if end > start]
        lifted = windows.lift(np.array([item]), np.array([min(supports)]))
        return lifted and windows.narrow(int(sections.first[item]), int(sections.last[item]))

    def _parts(self, group: Numbers) -> list[Numbers]:
        """The group, split where no item reaches from one section to the next."""
        ordered = group[np.argsort(self.sections.first[group], kind="stable")]
        reach = np.maximum.accumulate(self.sections.last[ordered])
        return np.split(ordered, np.flatnonzero(self.sections.first[ordered][1:] >= reach[:-1]) + 1)
