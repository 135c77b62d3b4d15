"""Good thresholds of a chain, fast: Lagrangian relaxation by coordinate descent.

With a price on every right answer, the cost less the price of all right answers is minimised over one stage's measure
and threshold at a time, the others fixed, until nothing changes. This finds good settings and proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from offramp.planner.exits.best import ByMeasure, add_measures
from offramp.planner.exits.frontier import Ints
from offramp.planner.exits.pool import Cuts, Pool

ROUNDS = 10  # over all stages, at one price


class Descent(NamedTuple):
    """Where to start in a chain, at several prices of a right answer. `early`: its candidates; `costs`, `more`:
    of one quantity, as in ChainCosts."""

    early: tuple[int, ...]
    rising: bool
    costs: tuple[int, ...]
    more: ByMeasure
    prices: tuple[int, ...]
    measures: tuple[int, ...]
    cuts: tuple[int, ...]


@dataclass(frozen=True)
class Point:
    """Settings of a chain: measure and cut by early stage. `counts`: images by exit."""

    measures: tuple[int, ...]
    cuts: tuple[int, ...]
    right: int
    counts: tuple[int, ...]

    def cost(self, by_exit: Sequence[int]) -> int:
        return sum(count * cost for count, cost in zip(self.counts, by_exit, strict=True))


def descend(pool: Pool, task: Descent) -> tuple[Point, ...]:
    """What descents end at, each price from where the one before ended."""
    stages = Stages.of(pool, task.early, task.rising)
    points = [stages.point(task.measures, task.cuts)]
    for price in task.prices:
        points.append(stages.descend(task.costs, price, points[-1], task.more))
    return tuple(points[1:])


@dataclass(frozen=True, eq=False)
class Stages:
    """A chain's early stages on N images: cuts by stage and measure, and `right` (stages, N), main last."""

    cuts: tuple[tuple[Cuts, ...], ...]
    right: Ints

    @classmethod
    def of(cls, pool: Pool, early: Sequence[int], rising: bool) -> Stages:
        cuts = pool.cuts(rising)
        return cls(tuple(cuts[one] for one in early), pool.right[[*early, -1]].astype(np.int64))

    def point(self, measures: Sequence[int], cuts: Sequence[int]) -> Point:
        """What settings give."""
        images = self.right.shape[1]
        left = np.full(images, len(self.cuts))
        for stage in reversed(range(len(self.cuts))):
            left[self.cuts[stage][measures[stage]].level <= cuts[stage]] = stage
        right = int(self.right[left, np.arange(images)].sum())
        counts = np.bincount(left, minlength=len(self.cuts) + 1)
        return Point(tuple(measures), tuple(cuts), right, tuple(counts.tolist()))

    def descend(self, costs: tuple[int, ...], price: int, start: Point, more: ByMeasure = ()) -> Point:
        """From some settings to those that no change of a single stage improves. `costs`, `more`: as in Descent."""
        prices = [-price * right for right in self.right]
        measures, cuts = list(start.measures), list(start.cuts)
        for _ in range(ROUNDS):
            before = (*measures, *cuts)
            for stage in range(len(cuts)):
                by_exit = add_measures(costs, more[:stage], measures)
                by_exit = add_measures(by_exit, more[stage + 1 :], measures[stage + 1 :])
                values = [cost + one for cost, one in zip(by_exit, prices, strict=True)]
                own = more[stage] if more else ()
                measures[stage], cuts[stage] = self._best(stage, values, own, measures, cuts)
            if (*measures, *cuts) == before:
                break
        return self.point(measures, cuts)

    def _best(
        self, stage: int, values: list[Ints], own: tuple[tuple[int, ...], ...], measures: list[int], cuts: list[int]
    ) -> tuple[int, int]:
        """The measure and cut of a stage with the least value, the others fixed; the present ones if none is less.
        `values`: by exit, without what the stage's measures cost; `own`: that, by measure and exit."""
        later = values[-1].copy()
        exits = np.full(len(later), len(cuts))
        for one in reversed(range(stage + 1, len(cuts))):
            leaving = self.cuts[one][measures[one]].level <= cuts[one]
            later[leaving], exits[leaving] = values[one][leaving], one
        reaching = np.ones(len(later), bool)
        for one in range(stage):
            reaching &= self.cuts[one][measures[one]].level > cuts[one]
        saved = np.where(reaching, values[stage] - later, 0).astype(np.float64)
        best, chosen = np.inf, (measures[stage], cuts[stage])
        for measure, levels in enumerate(self.cuts[stage]):
            size, least, stay = len(levels.scores), saved, 0.0
            if own:
                added = np.where(reaching, np.array(own[measure])[exits], 0)  # where the image leaves later
                stay, least = float(added.sum()), saved + np.where(reaching, own[measure][stage] - added, 0)
            sums = stay + np.bincount(levels.level, least, minlength=size)[:size].cumsum()
            at = int(sums.argmin())
            if sums[at] < best:
                best, chosen = float(sums[at]), (measure, at)
            if measure == measures[stage] and sums[cuts[stage]] == best:
                chosen = (measure, cuts[stage])
        return chosen
