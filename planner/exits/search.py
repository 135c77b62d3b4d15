"""The search for thresholds: branch and bound over ranges of them.

Thresholds matter only where they change who leaves. Of those, one has to be considered only if lowering it to the next
confidence would let an image leave with a wrong answer that a later stage gets right: otherwise the lower one costs no
more and is at least as accurate.

Ranges of thresholds are searched for all early stages but the last one, which is solved for all its thresholds at once.
In a range it is open where some images leave; an oracle sends each of these to the cheapest stage that is right, as
many as wanted. That bounds what thresholds in the ranges can reach. Ranges that cannot improve on what was found are
cut off, of the others the one with the largest gap is halved. If the search is stopped, the bounds of what is left over
remain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import product
from typing import NamedTuple

import numpy as np

from offramp.planner.exits.frontier import LARGEST, UNREACHED, WORK, Bools, ExitScores, Frontier, Ints, ThresholdSetting

STEP = 10_000  # images in whose time a range is bounded or solved, however few there are
_HUGE = 1 << 62  # above all costs, with room to add some


def frontier(exits: ExitScores, floor: int = 0, work: int = WORK, known: Ints | None = None) -> Frontier:
    """The least costs for `floor` and more right answers; exact unless the search needs to evaluate more than `work`
    images.

    `known`: costs as in Frontier, of other chains, if only what improves on them is of interest.
    """
    search = _Search(exits, floor, work, known)
    search.run()
    bound = search.cost.copy()
    for _, _, one in search.queue:
        part = slice(one.right, one.right + len(one.costs))
        bound[part] = np.minimum(bound[part], one.costs)
    return Frontier(search.cost, bound, search.owner, tuple(search.settings), search.work)


@dataclass(frozen=True, eq=False)
class _Cuts:
    """Thresholds of a measure that have to be considered, the highest first. `order`: images, the most confident first;
    `place`: of each image in it. `ends`: how many images pass each threshold; `scores`: the least score that passes.
    """

    order: Ints
    place: Ints
    ends: Ints
    scores: Ints


class _Range(NamedTuple):
    """Thresholds of a stage's measure: cuts `first` to `last`."""

    measure: int
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class _Open:
    """What ranges may still improve: bounds of the cost for `right` and more right answers."""

    right: int
    costs: Ints


@dataclass(frozen=True, eq=False)
class _Split:
    """Where images go with thresholds in some ranges.

    `core`: they reach the last early stage, whatever the thresholds, (N,). `right`, `cost`: of those that certainly
    leave before. Of each other image `cheapest`: its least cost, wherever it leaves; `surest`: where it is right (or
    UNREACHED).
    """

    core: Bools
    right: int
    cost: int
    cheapest: Ints
    surest: Ints


class _Search:
    """`cost`, `owner`, `settings` as in Frontier. `queue`: ranges that are left, the one with the largest gap first."""

    def __init__(self, exits: ExitScores, floor: int, work: int, known: Ints | None) -> None:
        self.exits, self.floor, self.work = exits, floor, work
        images = exits.right.shape[1]
        self.cost = np.full(images + 1, UNREACHED) if known is None else known.copy()
        self.owner = np.zeros(images + 1, np.int64)
        self.settings: list[tuple[ThresholdSetting, ...]] = []
        self.cuts = [
            [_cuts_of(scores, _harmed(exits, stage)) for scores in measures]
            for stage, measures in enumerate(exits.scores)
        ]
        self.queue: list[tuple[float, tuple[_Range, ...], _Open]] = []

    def run(self) -> None:
        if not self.exits.scores:
            right, images = int(self.exits.right[0].sum()), self.exits.right.shape[1]
            self.found(right, images * self.exits.cost_by_exit[0], ())
            return
        measures = [[_Range(at, 0, len(one.ends) - 1) for at, one in enumerate(stage)] for stage in self.cuts[:-1]]
        for ranges in product(*measures):
            for share in (0.0, 1.0):  # nobody leaves early, or everybody does
                self.solve(_single(ranges, share))
            self.add(ranges)
        while self.queue and self.work > 0:
            _, ranges, left = heappop(self.queue)
            if (left.costs < self.cost[left.right : left.right + len(left.costs)]).any():
                for half in self.halves(ranges):
                    self.solve(_single(half, 0.5))
                    self.add(half)

    def add(self, ranges: tuple[_Range, ...]) -> None:
        """Keep ranges that are not solved and may still improve something."""
        if all(one.first == one.last for one in ranges):
            return
        bound = self.bound(ranges)
        better = self.floor + np.flatnonzero(bound[self.floor :] < self.cost[self.floor :])
        if len(better):
            first, last = int(better[0]), int(better[-1])
            ratio = float((bound[better] / self.cost[better]).min())
            heappush(self.queue, (ratio, ranges, _Open(first, bound[first : last + 1])))

    def halves(self, ranges: tuple[_Range, ...]) -> Iterator[tuple[_Range, ...]]:
        """The ranges with the one halved in which most images are open."""
        widths = [
            self.cuts[stage][one.measure].ends[one.last] - self.cuts[stage][one.measure].ends[one.first]
            for stage, one in enumerate(ranges)
        ]
        stage = int(np.argmax(widths))
        one = ranges[stage]
        middle = (one.first + one.last) // 2
        for part in (one._replace(last=middle), one._replace(first=middle + 1)):
            yield (*ranges[:stage], part, *ranges[stage + 1 :])

    def split(self, ranges: tuple[_Range, ...]) -> _Split:
        exits = self.exits
        images = exits.right.shape[1]
        sure, may = np.ones(images, bool), np.ones(images, bool)  # they get to the stage, or could
        cheapest, surest = np.full(images, UNREACHED), np.full(images, UNREACHED)
        right, cost = 0, 0

        def could_leave(where: Bools, stage: int) -> None:
            np.minimum(cheapest, exits.cost_by_exit[stage], out=cheapest, where=where)
            np.minimum(surest, exits.cost_by_exit[stage], out=surest, where=where & exits.right[stage])

        for stage, one in enumerate(ranges):
            cuts = self.cuts[stage][one.measure]
            leaves, could = cuts.place < cuts.ends[one.first], cuts.place < cuts.ends[one.last]
            certain = sure & leaves
            right += int(exits.right[stage][certain].sum())
            cost += int(certain.sum()) * exits.cost_by_exit[stage]
            could_leave(may & could & ~certain, stage)
            sure, may = sure & ~could, may & ~leaves
        for stage in range(len(ranges), len(exits.cost_by_exit)):
            could_leave(may & ~sure, stage)
        between = cheapest < UNREACHED
        return _Split(sure, right, cost, cheapest[between], surest[between])

    def last_stage(self, split: _Split, measure: int) -> tuple[Ints, Ints]:
        """Right answers and costs of what does not depend on ranges, for each cut of the last early stage."""
        here, last = self.exits.cost_by_exit[-2:]
        early, final = self.exits.right[-2:]
        cuts = self.cuts[-1][measure]
        inside = split.core[cuts.order]
        gains = np.where(inside, early[cuts.order].astype(np.int64) - final[cuts.order], 0)
        leaving, gained = (np.concatenate([[0], np.cumsum(one)])[cuts.ends] for one in (inside, gains))
        rights = split.right + int(final[split.core].sum()) + gained
        costs = split.cost + int(split.core.sum()) * last + leaving * (here - last)
        return rights, costs

    def bound(self, ranges: tuple[_Range, ...]) -> Ints:
        """Costs that no thresholds in the ranges go below, by right answers."""
        self.spend()
        split = self.split(ranges)
        least = np.full(len(self.cost), _HUGE)
        free = int((split.surest == split.cheapest).sum())  # right where they are cheapest
        for measure in range(len(self.cuts[-1])):
            rights, costs = self.last_stage(split, measure)
            np.minimum.at(least, rights + free, costs)
        least = np.minimum.accumulate(least[::-1])[::-1] + int(split.cheapest.sum())
        dearer = (split.surest > split.cheapest) & (split.surest < UNREACHED)
        more = split.surest[dearer] - split.cheapest[dearer]
        for each, count in zip(*np.unique(more, return_counts=True), strict=True):
            least = _with_more(least, int(each), int(count))
        return np.where(least < _HUGE, least, UNREACHED)

    def solve(self, ranges: tuple[_Range, ...]) -> None:
        """All cuts of the last early stage behind single thresholds."""
        self.spend()
        split = self.split(ranges)
        settings = tuple(
            ThresholdSetting(one.measure, int(self.cuts[stage][one.measure].scores[one.first]))
            for stage, one in enumerate(ranges)
        )
        for measure, cuts in enumerate(self.cuts[-1]):
            rights, costs = self.last_stage(split, measure)
            for at in np.flatnonzero((rights >= self.floor) & (costs < self.cost[rights])).tolist():
                last = ThresholdSetting(measure, int(cuts.scores[at]))
                self.found(int(rights[at]), int(costs[at]), (*settings, last))

    def spend(self) -> None:
        self.work -= STEP + (len(self.exits.scores) + len(self.cuts[-1])) * self.exits.right.shape[1]

    def found(self, right: int, cost: int, settings: tuple[ThresholdSetting, ...]) -> None:
        """Keep settings for every number of right answers for which nothing as cheap is known."""
        better = self.cost[: right + 1] > cost
        if better.any():
            self.cost[: right + 1][better] = cost
            self.owner[: right + 1][better] = len(self.settings)
            self.settings.append(settings)


def _single(ranges: tuple[_Range, ...], share: float) -> tuple[_Range, ...]:
    """Single thresholds at a share of the ranges."""
    at = [one.first + round(share * (one.last - one.first)) for one in ranges]
    return tuple(_Range(one.measure, index, index) for one, index in zip(ranges, at, strict=True))


def _cuts_of(scores: Ints, harmed: Bools) -> _Cuts:
    order = np.argsort(-scores, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    ranked = scores[order]
    ends = np.concatenate([[0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, [len(ranked)]])
    leasts = np.concatenate([ranked[:1] + 1, ranked[ends[1:] - 1]])
    harm = np.concatenate([[0], np.cumsum(harmed[order])])[ends]
    useful = np.append(harm[1:] > harm[:-1], True) & (leasts <= LARGEST)
    return _Cuts(order, place, ends[useful], leasts[useful])


def _harmed(exits: ExitScores, stage: int) -> Bools:
    """Images that may be better off if they do not leave at a stage, (N,)."""
    if min(exits.cost_by_exit[stage + 1 :]) < exits.cost_by_exit[stage]:
        return np.ones(exits.right.shape[1], bool)
    harmed: Bools = ~exits.right[stage] & exits.right[stage + 1 :].any(axis=0)
    return harmed


def _with_more(costs: Ints, more: int, count: int) -> Ints:
    """The least costs if up to `count` further right answers can be had for `more` each."""
    ramp = more * np.arange(len(costs))
    low = costs - ramp
    width = 1
    while width < count + 1:
        step = min(width, count + 1 - width)
        low[step:] = np.minimum(low[step:], low[:-step].copy())
        width += step
    return low + ramp
