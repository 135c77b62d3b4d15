"""What thresholds can reach: for every number of right answers, the least cost of a chain of exits.

An image leaves at the first stage whose confidence passes the stage's threshold; the last stage answers what is left.
Thresholds matter only where they change who leaves. Of those, a threshold is worth a look only if lowering it to the
next confidence would let an image go with a wrong answer that a later stage gets right: otherwise the lower one costs
no more and answers no worse. The search branches over the thresholds of all early stages but the last one, which is
solved for all its thresholds at once, and cuts a branch off if even an oracle that sends every image to the cheapest
stage that is right could not improve on what was found. If the search is stopped, the oracle's costs of the branches
left over are the bound that remains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from planner.confidence import Measure

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

LARGEST = (1 << 32) - 1  # of confidences and thresholds
UNREACHED = (1 << 63) - 1  # cost of what no thresholds give
WORK = 200_000_000  # images looked at before a search stops, some 5 s
BRANCH = 1500  # images in whose time a branch is set up, however few are left in it
_COARSE = 8  # thresholds a stage in the first, quick search for good solutions


class Setting(NamedTuple):
    """An early stage's measure, as an index into its scores, and the least score that leaves."""

    measure: int
    score: int


@dataclass(frozen=True, eq=False)
class Exits:
    """A chain on N images. `scores`: (N,) for every measure of every early stage, the higher the surer.

    `right`: (stages, N), the last stage included. `leaving`: cost of an inference that leaves at each stage.
    """

    scores: tuple[tuple[Ints, ...], ...]
    right: Bools
    leaving: tuple[int, ...]

    def taken(self, settings: tuple[Setting, ...]) -> Ints:
        """Stage at which each image leaves, (N,)."""
        taken = np.full(self.right.shape[1], len(self.leaving) - 1)
        for stage in reversed(range(len(settings))):
            taken[self.scores[stage][settings[stage].measure] >= settings[stage].score] = stage
        return taken

    def correct(self, settings: tuple[Setting, ...]) -> int:
        """Right answers."""
        taken = self.taken(settings)
        return int(self.right[taken, np.arange(len(taken))].sum())


@dataclass(frozen=True, eq=False)
class Frontier:
    """Costs of all N images together, by c = 0..N: `cost[c]`, the least that was found with at least c right answers,
    by `settings[owner[c]]`; `bound[c]`: no thresholds cost less. Below the floor of the search nothing is optimal.

    Where the search was given costs to improve on and did not, they are `cost`, without settings. `work`: left over.
    """

    cost: Ints
    bound: Ints
    owner: Ints
    settings: tuple[tuple[Setting, ...], ...]
    work: int

    def best(self, right: int) -> int:
        """The most right answers at the least cost of at least `right` of them."""
        return int(np.searchsorted(self.cost, self.cost[right], side="right")) - 1

    def setting(self, right: int) -> tuple[Setting, ...]:
        return self.settings[self.owner[right]]

    def points(self, floor: int) -> Iterator[int]:
        """Numbers of right answers, from `floor` on, that no cheaper setting reaches; ascending."""
        right = floor
        while right < len(self.cost) and self.cost[right] < UNREACHED:
            right = self.best(right)
            yield right
            right += 1


def to_scores(measure: Measure, values: npt.NDArray[np.uint32]) -> Ints:
    """Confidences in the unit of the measure as scores, the higher the surer; also the way back."""
    wide = values.astype(np.int64)
    return LARGEST - wide if measure == "entropy" else wide


def frontier(exits: Exits, floor: int = 0, work: int = WORK, known: Ints | None = None) -> Frontier:
    """The least costs for `floor` and more right answers; exact unless the search looks at more than `work` images.

    `known`: costs as in Frontier, of other chains, if only what improves on them is of interest.
    """
    search = _Search(exits, floor, work, known)
    images = exits.right.shape[1]
    everybody = _Branch(np.ones(images, bool), 0, 0, ())
    if len(exits.scores) > 2:
        search.thin = True
        search.follow(everybody)
        search.thin = False
    search.follow(everybody)
    bound = np.minimum(search.cost, search.open)
    return Frontier(search.cost, bound, search.owner, tuple(search.settings), search.work)


@dataclass(frozen=True, eq=False)
class _Branch:
    """Settings of the first stages, with the images that go on, and what those that left cost and got right."""

    alive: Bools
    cost: int
    right: int
    settings: tuple[Setting, ...]


class _Search:
    """Branch and bound. `cost`, `owner`, `settings` as in Frontier; `open`: oracle's costs of branches not followed."""

    def __init__(self, exits: Exits, floor: int, work: int, known: Ints | None) -> None:
        self.exits, self.floor, self.work = exits, floor, work
        self.may_stop = known is not None  # else not before something is found
        images = exits.right.shape[1]
        self.thin = False
        self.cost = np.full(images + 1, UNREACHED) if known is None else known.copy()
        self.open = np.full(images + 1, UNREACHED)
        self.owner = np.zeros(images + 1, np.int64)
        self.settings: list[tuple[Setting, ...]] = []
        self.orders = [[np.argsort(-one, kind="stable") for one in stage] for stage in exits.scores]
        stages = range(len(exits.leaving))
        self.cheapest = [sorted(stages[start:], key=lambda one: exits.leaving[one]) for start in stages]
        # Position in `cheapest` of the first stage that is right, after the last one if none is: (N,) by stage.
        self.positions = [_first(exits.right[ranked]) for ranked in self.cheapest]
        self.harmed = [self.harm(stage) for stage in stages[:-1]]
        self.gains = exits.right[-2:][0].astype(np.int64) - exits.right[-1]

    def follow(self, branch: _Branch) -> None:
        """Try all settings of the stages that are left."""
        if not branch.alive.any():  # then it does not matter how the other stages are set
            rest = len(self.exits.scores) - len(branch.settings)
            branch = replace(branch, settings=branch.settings + (Setting(0, 0),) * rest)
        stage = len(branch.settings)
        first, costs = self.oracle(branch)
        self.work -= int(branch.alive.sum()) + BRANCH
        if not self.promising(first, costs):
            return
        if stage == len(self.exits.scores):
            self.found(branch.right + int(self.exits.right[stage][branch.alive].sum()), int(costs[0]), branch.settings)
        elif self.work < 0 and (self.settings or self.may_stop):
            reached = slice(first, first + len(costs))
            self.open[reached] = np.minimum(self.open[reached], costs)
            self.open[:first] = np.minimum(self.open[:first], costs[0])
        elif stage == len(self.exits.scores) - 1:
            self.solve(branch)
        else:
            for setting, leaving in self.options(branch):
                cost = branch.cost + int(leaving.sum()) * self.exits.leaving[stage]
                right = branch.right + int(self.exits.right[stage][leaving].sum())
                self.follow(_Branch(branch.alive & ~leaving, cost, right, (*branch.settings, setting)))

    def oracle(self, branch: _Branch) -> tuple[int, Ints]:
        """Costs if every image left at the cheapest stage that is right, as many as wanted, the others at the cheapest
        stage: (fewest right answers, cost of them and of each one more)."""
        stage = len(branch.settings)
        ranked = [self.exits.leaving[one] for one in self.cheapest[stage]]
        counts = np.bincount(self.positions[stage][branch.alive], minlength=len(ranked) + 1)
        more = np.repeat(np.array(ranked[1:], np.int64) - ranked[0], counts[1:-1])
        start = branch.cost + int(counts.sum()) * ranked[0]
        return branch.right + int(counts[0]), start + np.concatenate([[0], np.cumsum(more)])

    def promising(self, first: int, costs: Ints) -> bool:
        start = max(self.floor, first)
        known = self.cost[start : first + len(costs)]
        return bool((costs[start - first :] < known).any())

    def options(self, branch: _Branch) -> Iterator[tuple[Setting, Bools]]:
        """Settings of the next stage that are worth a look, and who leaves with each."""
        stage = len(branch.settings)
        for measure in range(len(self.exits.scores[stage])):
            order, ends, scores = self.ends(branch, measure)
            if self.thin:
                kept = np.unique(np.linspace(0, len(ends) - 1, _COARSE).astype(int))
                ends, scores = ends[kept], scores[kept]
            for end, score in zip(ends.tolist(), scores.tolist(), strict=True):
                leaving = np.zeros(len(branch.alive), bool)
                leaving[order[:end]] = True
                yield Setting(measure, score), leaving

    def ends(self, branch: _Branch, measure: int) -> tuple[Ints, Ints, Ints]:
        """Images that are left, the surest first; how many of them leave with each threshold worth a look; and those
        thresholds, as the least score that leaves."""
        stage = len(branch.settings)
        order = self.orders[stage][measure]
        order = order[branch.alive[order]]
        scores = self.exits.scores[stage][measure][order]
        ends = np.concatenate([[0], np.flatnonzero(scores[1:] != scores[:-1]) + 1, [len(scores)]])
        leasts = np.concatenate([scores[:1] + 1, scores[ends[1:] - 1]])
        harm = np.concatenate([[0], np.cumsum(self.harmed[stage][order])])[ends]
        useful = np.append(harm[1:] > harm[:-1], True)
        useful &= leasts <= LARGEST
        return order, ends[useful], leasts[useful]

    def harm(self, stage: int) -> Bools:
        """Images that may be better off if they do not leave at a stage, (N,)."""
        later = self.exits.leaving[stage + 1 :]
        if min(later) < self.exits.leaving[stage]:
            return np.ones(self.exits.right.shape[1], bool)
        harmed: Bools = ~self.exits.right[stage] & self.exits.right[stage + 1 :].any(axis=0)
        return harmed

    def solve(self, branch: _Branch) -> None:
        """All settings of the last early stage: who leaves answers there, the others at the last stage."""
        stage = len(branch.settings)
        here, last = self.exits.leaving[stage:]
        right = branch.right + int(self.exits.right[-1][branch.alive].sum())
        cost = branch.cost + int(branch.alive.sum()) * last
        for measure in range(len(self.exits.scores[stage])):
            order, ends, scores = self.ends(branch, measure)
            self.work -= len(order)
            rights = right + np.concatenate([[0], np.cumsum(self.gains[order])])[ends]
            costs = cost + ends * (here - last)
            for at in np.flatnonzero((rights >= self.floor) & (costs < self.cost[rights])).tolist():
                settings = (*branch.settings, Setting(measure, int(scores[at])))
                self.found(int(rights[at]), int(costs[at]), settings)

    def found(self, right: int, cost: int, settings: tuple[Setting, ...]) -> None:
        """Keep settings for every number of right answers for which nothing as cheap is known."""
        better = self.cost[: right + 1] > cost
        if better.any():
            self.cost[: right + 1][better] = cost
            self.owner[: right + 1][better] = len(self.settings)
            self.settings.append(settings)


def _first(rows: Bools) -> Ints:
    """The first row that is true, the number of rows where none is, (N,) of (rows, N)."""
    found: Ints = np.argmax(np.vstack([rows, np.ones(rows.shape[1], bool)]), axis=0)
    return found
