"""Chains with their costs, and the best settings that a search has found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import add

import numpy as np

from offramp.planner.exits.frontier import UNREACHED, Ints, ThresholdSetting
from offramp.planner.exits.pool import Pool

ByMeasure = tuple[tuple[tuple[int, ...], ...], ...]  # by early stage, measure and exit


def add_measures(costs: tuple[int, ...], more: ByMeasure, measures: Sequence[int]) -> tuple[int, ...]:
    """Costs by exit, with what the measures of stages add."""
    for own, measure in zip(more, measures, strict=False):
        costs = tuple(map(add, costs, own[measure]))
    return costs


@dataclass(frozen=True)
class ChainCosts:
    """A chain: numbers of its candidates in the pool, and the cost of an inference by exit, for every quantity; the
    first is minimised. `placed`: these are its costs; else none of them is more. `costs`: with the cheapest measures;
    `more`: what those of each stage cost besides, at least 0 and never less at a later exit; empty: nothing."""

    early: tuple[int, ...]
    costs: tuple[tuple[int, ...], ...]
    placed: bool = True
    more: tuple[ByMeasure, ...] = ()

    def by_exit(self, quantity: int, measures: Sequence[int]) -> tuple[int, ...]:
        """With the measures of all stages; or of the first of them, then nothing is less with those of the others."""
        return add_measures(self.costs[quantity], self.more[quantity] if self.more else (), measures)

    @property
    def rising(self) -> bool:
        """Each stage is at least as dear to leave at as those before it."""
        return all(list(one) == sorted(one) for one in self.costs)

    def thresholds(self, pool: Pool, measures: Sequence[int], cuts: Sequence[int]) -> tuple[ThresholdSetting, ...]:
        """Settings by score."""
        stages = [pool.cuts(self.rising)[one] for one in self.early]
        return tuple(
            ThresholdSetting(measure, int(stage[measure].scores[cut]))
            for stage, measure, cut in zip(stages, measures, cuts, strict=True)
        )


@dataclass(frozen=True)
class Found:
    """Settings of a chain. `measures`, `cuts`: by early stage. `cost`: of all images, in one quantity."""

    chain: int
    measures: tuple[int, ...]
    cuts: tuple[int, ...]
    right: int
    cost: int


class Best:
    """The cheapest settings found, by the exact number of right answers, in one quantity."""

    def __init__(self, images: int) -> None:
        self.cost = np.full(images + 1, UNREACHED)
        self.owner = np.full(images + 1, -1)
        self.settings: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = []

    def add(self, chain: int, measures: tuple[int, ...], right: Ints, cost: Ints, cuts: Ints) -> None:
        """Settings of a chain; no two with as many right answers."""
        for at in np.flatnonzero(cost < self.cost[right]).tolist():
            self.cost[right[at]] = cost[at]
            self.owner[right[at]] = len(self.settings)
            self.settings.append((chain, measures, tuple(cuts[at].tolist())))

    @property
    def least(self) -> Ints:
        """The least cost of at least so many right answers."""
        return np.minimum.accumulate(self.cost[::-1])[::-1]

    def owners(self) -> Ints:
        """By number of right answers, the settings that have at least so many at the least cost; any where there are
        none."""
        numbers = np.arange(len(self.cost))
        reached = np.where(self.cost == self.least, numbers, len(self.cost) - 1)
        return self.owner[np.minimum.accumulate(reached[::-1])[::-1]]

    def at(self, right: int) -> Found:
        """The settings with exactly so many right answers."""
        chain, measures, cuts = self.settings[self.owner[right]]
        return Found(chain, measures, cuts, right, int(self.cost[right]))

    def points(self, floor: int) -> list[Found]:
        """Settings with at least so many right answers that no other ones beat, the most accurate first."""
        higher = np.append(self.least[1:], UNREACHED)
        return [self.at(at) for at in np.flatnonzero(self.cost < higher)[::-1].tolist() if at >= floor]
