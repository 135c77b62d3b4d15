"""Start windows of items that are still to be placed, and the rules that narrow them.

Items that conflict pairwise form a section, which is to them what a machine is to its jobs: least starts are release
dates and the capacity is everyone's deadline. The rules are those of scheduling on one machine: overload checking, the
not-first rule and disjunctive precedences (P. Baptiste, C. Le Pape, W. Nuijten, "Constraint-Based Scheduling", 2001,
chapter 2).
"""

from __future__ import annotations

import numpy as np

from offramp.planner.placement.sections import Numbers, Sections


class Windows:
    """By item: is it `open`, its `least` and `latest` start that are not ruled out; by section: `loads`, the sizes of
    open items, and `failures`, how often a rule found no arrangement there."""

    def __init__(self, sections: Sections) -> None:
        count = len(sections.sizes)
        self.sections = sections
        self.open = np.ones(count, bool)
        self.least: Numbers = np.array([sections.clear(item, 0) for item in range(count)])
        self.latest = sections.latest.copy()
        self.loads = sections.loads.copy()
        self.failures = np.zeros(len(self.loads), np.int64)
        self._trail: list[tuple[Numbers, Numbers, Numbers]] = []  # least or latest, items, and what they were

    def consistent(self) -> bool:
        """Whether the rules leave any arrangement."""
        return self._possible(np.arange(len(self.least))) and self.narrow(0, len(self.loads))

    def mark(self) -> int:
        """For `undo`."""
        return len(self._trail)

    def undo(self, mark: int) -> None:
        """Windows as they were at a mark."""
        while len(self._trail) > mark:
            side, items, starts = self._trail.pop()
            side[items] = starts

    def close(self, item: int) -> None:
        """The item is placed."""
        self.open[item] = False
        self.loads -= self.sections.sizes[item] * self.sections.member[item]

    def reopen(self, item: int) -> None:
        self.open[item] = True
        self.loads += self.sections.sizes[item] * self.sections.member[item]

    def neighbours(self, item: int) -> Numbers:
        """Open items in conflict with one."""
        return np.flatnonzero(self.sections.conflicts[item] & self.open)

    def lift(self, items: Numbers, starts: Numbers) -> bool:
        """Least starts, moved up to where nothing fixed is in the way. False: one of the items has no start left."""
        self._trail.append((self.least, items, self.least[items]))
        clear = self.sections.clear
        self.least[items] = [clear(item, start) for item, start in zip(items.tolist(), starts.tolist(), strict=True)]
        return self._possible(items)

    def _lower(self, items: Numbers, starts: Numbers) -> bool:
        """Latest starts."""
        self._trail.append((self.latest, items, self.latest[items]))
        self.latest[items] = starts
        return self._possible(items)

    def _possible(self, items: Numbers) -> bool:
        return self._blame(items[self.least[items] > self.latest[items]])

    def _blame(self, items: Numbers) -> bool:
        """Count a failure in the sections of items that cannot be placed. True: there are none."""
        for item in items:
            self.failures[self.sections.first[item] : self.sections.last[item]] += 1
        return not len(items)

    def narrow(self, low: int, high: int) -> bool:
        """Apply the rules in sections [low, high) and wherever that leads. False: some section has no arrangement."""
        sections = self.sections
        while True:
            rows = np.flatnonzero(self.open & (sections.first < high) & (sections.last > low))
            if not len(rows):
                return True
            rows = rows[np.argsort(-self.least[rows], kind="stable")]
            narrowed = self._in_sections(rows, low, high)
            if narrowed is None:
                return False
            up, down = narrowed[0] > self.least[rows], narrowed[1] < self.latest[rows]
            changed = rows[up | down]
            if not len(changed):
                return True
            if not self.lift(rows[up], narrowed[0][up]) or not self._lower(rows[down], narrowed[1][down]):
                return False
            low, high = int(sections.first[changed].min()), int(sections.last[changed].max())

    def _in_sections(self, rows: Numbers, low: int, high: int) -> tuple[Numbers, Numbers] | None:
        """Narrower windows of items in falling order of their least starts; None: there is no arrangement."""
        sections = self.sections
        member, sizes = sections.member[rows, low:high], sections.sizes[rows]
        least, latest = self.least[rows], self.latest[rows]
        # Overload: what starts at t or later lies above t.
        piled = np.cumsum(member * sizes[:, None], axis=0) + least[:, None]
        overloaded = (piled * member > sections.capacity).any(axis=0)
        if overloaded.any():
            self.failures[low:high] += overloaded
            return None
        # Not first: an item below all others of its section starts low enough for them; the rest lies above one.
        room = sections.capacity - self.loads[low:high]
        can = member & (least[:, None] <= room)
        lowest_end = np.where(can, (least + sizes)[:, None], sections.capacity).min(axis=0)
        least = np.maximum(least, np.where(member & ~can, lowest_end, 0).max(axis=1))
        only = can & (can.sum(axis=0) == 1)
        latest = np.minimum(latest, np.where(only, room, sections.capacity).min(axis=1))
        return self._in_pairs(rows, least, latest)

    def _in_pairs(self, rows: Numbers, least: Numbers, latest: Numbers) -> tuple[Numbers, Numbers] | None:
        """Narrower windows where one of two items must come first, as the other cannot end before its latest start."""
        sizes = self.sections.sizes[rows]
        before = self.sections.conflicts[np.ix_(rows, rows)] & ((least + sizes)[None, :] > latest[:, None])
        if not self._blame(rows[(before & before.T).any(axis=0)]):
            return None
        if before.any():
            least = np.maximum(least, np.where(before, (least + sizes)[:, None], 0).max(axis=0))
            highest = int(latest.max())
            latest = np.minimum(latest, np.where(before, latest[None, :] - sizes[:, None], highest).min(axis=1))
        return least, latest
