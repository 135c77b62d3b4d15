"""Loss of accuracy on new data: settings whose loss is below a target with a stated probability, whatever the data.

An image is lost if the full network is right and the chain is wrong; the rate of lost images bounds the fall of the
accuracy. Settings are tested one after the other, in an order that does not depend on the images of the test, each
against the hypothesis that its rate exceeds the target, by the exact binomial p-value. The first one that is not
rejected ends the sequence, so that any choice among those before it is wrong with a probability of at most delta (Learn
then Test with fixed-sequence testing; Angelopoulos, Bates, Candes, Jordan, Lei 2021, arXiv:2110.01052).

A single threshold is tested from the highest to the lowest on all images, for each measure with its share of delta:
the first measure's is what one allowed loss more would exceed, and so on with what is left of delta.
For several thresholds or chains the order is learned first, on a quarter of the images, and the others test it (as in
Pareto Testing; Laufer-Goldshtein, Fisch, Barzilay, Jaakkola 2022, arXiv:2210.07913). It has settings of one chain, the
best on these images, in which thresholds only fall: an order that goes from chain to chain ends at the first one that
was better by luck.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, floor, fsum, lgamma, log, log1p

import numpy as np

from offramp.planner.exits.best import ChainCosts, Found
from offramp.planner.exits.frontier import (
    LARGEST,
    NEVER,
    WORK,
    CandidateScores,
    ExitScores,
    Ints,
    ThresholdSetting,
)
from offramp.planner.exits.goal import AtLeast
from offramp.planner.exits.pool import Pool, make_pool
from offramp.planner.exits.search import SEARCHED, Place, Search
from offramp.planner.tasks.executor import IN_PROCESS, Executor

FIXED = "fixed sequence of all thresholds, exact binomial"
_LEARNED = "fixed sequence learned on a quarter of the images, exact binomial"
_LEARN = 4  # one image of so many learns the order of the tests
_LOSSES = (0.0, 0.5, 1.0)  # as parts of the most that are looked at: where the order of tests is searched for
_SPARE = 3  # losses beyond those of the rate, up to which the order goes
_A_STAGE = 0.1  # by which a chain has to be cheaper for each stage that it has more
_STEPS = 100  # of a threshold on the way to a point


@dataclass(frozen=True)
class Guarantee:
    """The evidence for the settings: `losses` of `images` tested, `allowed` by a test at level `level`."""

    accuracy_drop: float  # a share of the images
    delta: float
    method: str
    images: int
    losses: int
    allowed: int
    p_value: float
    tested: int  # settings tested before the sequence ended


@dataclass(frozen=True)
class Certified:
    """A chain, by its number among those given, with settings that passed."""

    chain: int
    settings: tuple[ThresholdSetting, ...]
    guarantee: Guarantee


@dataclass(frozen=True, eq=False)
class _Family:
    """Settings in the order of their tests: (chain, settings). `allowed`: losses with which a test passes."""

    sequence: Sequence[tuple[int, tuple[ThresholdSetting, ...]]]
    allowed: int


@lru_cache(maxsize=1 << 16)  # most settings of a sequence share their losses with another one
def p_value(losses: int, images: int, rate: float) -> float:
    """Probability of at most so many losses if the rate is `rate`: the exact binomial p-value of "it is higher"."""
    if losses >= images:
        return 1.0
    logs = (
        lgamma(images + 1) - lgamma(k + 1) - lgamma(images - k + 1) + k * log(rate) + (images - k) * log1p(-rate)
        for k in range(losses + 1)
    )
    return min(1.0, fsum(map(exp, logs)))


def allowed_losses(images: int, rate: float, level: float) -> int:
    """The most losses with a p-value of at most `level`; -1 if even 0 losses have a larger one."""
    return bisect_right(range(images + 1), level, key=lambda losses: p_value(losses, images, rate)) - 1


def certify(
    chains: Sequence[ExitScores], rate: float, delta: float, work: int = WORK, tasks: Executor = IN_PROCESS
) -> tuple[Certified, ...]:
    """`certify_chains` for chains whose stages have nothing to do with each other."""
    scores: list[tuple[Ints, ...]] = []
    numbered = []
    for one in chains:
        early = tuple(range(len(scores), len(scores) + len(one.scores)))
        numbered.append(ChainCosts(early, (one.cost_by_exit,)))
        scores += one.scores
    right = np.concatenate([*(one.right[:-1] for one in chains), chains[0].right[-1:]])
    images = CandidateScores(tuple(scores), right)
    return certify_chains(images, dict(enumerate(numbered)), rate, delta, Learning(work, tasks))


@dataclass(frozen=True, eq=False)
class Learning:
    """How the order of tests is searched for. `place`: as in Search, of chains that are not placed."""

    work: int = WORK
    executor: Executor = IN_PROCESS
    place: Place | None = None


def certify_chains(
    images: CandidateScores, chains: Mapping[int, ChainCosts], rate: float, delta: float, learning: Learning
) -> tuple[Certified, ...]:
    """All settings that passed, the cheapest on all images first; none if not even the safest did.

    `images`: with `right` saying which images are not lost, so all of the last stage are. `chains`: by number; those
    that are placed meanwhile get their costs. ValueError if there are too few images for any setting to pass, with the
    number that is needed.
    """
    single = _single(chains)
    count = images.right.shape[1]
    if single is not None:
        _enough(count, count, rate, delta)
        passed = list(_by_measure(images, single, chains[single], rate, delta))
        return tuple(one for _, one in sorted(passed, key=lambda pair: pair[0]))
    learn, test = _parted(count)
    allowed = _enough(len(test), count, rate, delta)
    known = dict(chains)
    sequence = _learned(images.only(learn), known, rate, learning)
    found = _test(images.only(test), known, _Family(sequence, allowed), rate, delta)
    return tuple(sorted(found, key=lambda one: _cost(_exits(images, known[one.chain], one.settings), one.settings)))


def _parted(count: int) -> tuple[Ints, Ints]:
    """Images that learn an order of tests, and those that test."""
    order = np.random.default_rng(0).permutation(count)
    return np.sort(order[::_LEARN]), np.sort(np.delete(order, np.s_[::_LEARN]))


def images_that_test(count: int, tested: int) -> Ints:
    """Which of `count` images a guarantee was tested on, given how many."""
    return np.arange(count) if tested == count else _parted(count)[1]


def _single(chains: Mapping[int, ChainCosts]) -> int | None:
    """The only chain with an early stage, if that is its only one."""
    early = [number for number, one in chains.items() if one.early]
    return early[0] if len(early) == 1 and len(chains[early[0]].early) == 1 else None


def in_points(rate: float) -> str:
    """A fraction of 1 as percentage points, in words."""
    shown = f"{100 * rate:g}"
    return f"{shown} point" if shown == "1" else f"{shown} points"


def _enough(tested: int, images: int, rate: float, delta: float) -> int:
    """The losses that a test at level delta allows. ValueError if not even none."""
    allowed = allowed_losses(tested, rate, delta)
    if allowed < 0:
        needed = ceil(log(delta) / log1p(-rate))
        if tested < images:  # to have so many left when a part has learned the order
            needed = ceil(needed * _LEARN / (_LEARN - 1))
        have = f"{images} images cannot show a loss below {in_points(rate)} with delta {delta}"
        raise ValueError(f"{have}; at least {needed} are needed")
    return allowed


def _by_measure(
    images: CandidateScores, chain: int, costs: ChainCosts, rate: float, delta: float
) -> Iterator[tuple[int, Certified]]:
    """Every threshold that passed, with its cost: a sequence for each measure, from the highest threshold down, as long
    as anything is left of delta. Each has the largest part of it that is of use; the parts depend on numbers only, not
    on what the images show."""
    lost = ~images.right[costs.early[0]]
    count, rest = len(lost), delta
    for measure, scores in enumerate(images.scores[costs.early[0]]):
        allowed = allowed_losses(count, rate, rest)
        if allowed < 0:
            return
        rest -= p_value(allowed, count, rate)
        by_exit = costs.by_exit(0, (measure,))
        order = np.argsort(-scores, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(scores[order])), count - 1)  # the last image of each threshold
        ends = ends[scores[order[ends]] > NEVER]
        losses = lost[order].cumsum()[ends]
        for tested in range(int(losses.searchsorted(allowed, side="right"))):
            own, leaving = int(losses[tested]), int(ends[tested]) + 1
            cost = leaving * by_exit[0] + (count - leaving) * by_exit[1]
            settings = (ThresholdSetting(measure, int(scores[order[ends[tested]]])),)
            p = p_value(own, count, rate)
            yield cost, Certified(chain, settings, Guarantee(rate, delta, FIXED, count, own, allowed, p, tested + 1))


def _test(
    images: CandidateScores, chains: Mapping[int, ChainCosts], family: _Family, rate: float, delta: float
) -> Iterator[Certified]:
    count = images.right.shape[1]
    for tested, (chain, settings) in enumerate(family.sequence):
        losses = count - _exits(images, chains[chain], settings).correct(settings)
        if losses > family.allowed:
            return
        p = p_value(losses, count, rate)
        guarantee = Guarantee(rate, delta, _LEARNED, count, losses, family.allowed, p, tested + 1)
        yield Certified(chain, settings, guarantee)


def _exits(images: CandidateScores, chain: ChainCosts, settings: Sequence[ThresholdSetting]) -> ExitScores:
    """A chain with the costs of the measures of some settings."""
    return images.exits(chain.early, chain.by_exit(0, [one.measure for one in settings]))


def _cost(exits: ExitScores, settings: tuple[ThresholdSetting, ...]) -> int:
    """Cost of all images together."""
    return int(np.array(exits.cost_by_exit)[exits.exit_index(settings)].sum())


def _learned(
    images: CandidateScores, chains: dict[int, ChainCosts], rate: float, learning: Learning
) -> list[tuple[int, tuple[ThresholdSetting, ...]]]:
    """Settings of the chain that is best on the images, the first with which nobody leaves. Each lets more images leave
    than the one before, so that losses grow slowly, and the test that ends the sequence comes late. Chains that were
    placed have their costs afterwards."""
    count = images.right.shape[1]
    most = floor(rate * count) + _SPARE
    search = Search(make_pool(images.scores, images.right), AtLeast(count), learning.executor, learning.work)
    for number, one in chains.items():
        search.add(number, one)
    own: list[dict[int, Found]] = []
    for losses in (floor(most * share) for share in _LOSSES):
        search.work = learning.work // len(_LOSSES)
        search.aim(AtLeast(max(0, count - losses)))
        search.run(0.5, learning.place)
        search.run_own()
        own.append(search.own)
    chains.update(search.chains)
    means = {chain: _mean(chains[chain], count, own, chain) for chain in own[-1] if chains[chain].early}
    if not means:
        return []
    chosen = min(means, key=lambda chain: (means[chain], chain))
    points = [one[chosen] for one in own if chosen in one and one[chosen].measures == own[-1][chosen].measures]
    numbers = {one.early: number for number, one in reversed(chains.items())}
    path = _path(images, chains[chosen], search.pool, points)
    return [_without_idle(numbers, chosen, chains[chosen].early, settings) for settings in path]


def _mean(costs: ChainCosts, count: int, own: Sequence[Mapping[int, Found]], chain: int) -> float:
    """Cost of a chain's best settings, where it has none that of nobody leaving; more for more stages, which fit few
    images better than they do new ones. Exits of the same cost are those of a stage with thresholds by class."""
    nobody = costs.costs[0][-1] * count
    best = [one[chain].cost if chain in one else nobody for one in own]
    return sum(best) / len(best) * (1 + _A_STAGE * (len(set(costs.costs[0])) - 2))


def _without_idle(
    numbers: Mapping[tuple[int, ...], int], chain: int, early: Sequence[int], settings: tuple[ThresholdSetting, ...]
) -> tuple[int, tuple[ThresholdSetting, ...]]:
    """The chain without exits at which nobody leaves, if there is one: it answers the same and costs less. `numbers`:
    of all chains, by their exits; `early`: those of this one."""
    used = [at for at, one in enumerate(settings) if one.score < LARGEST]
    shorter = numbers.get(tuple(early[at] for at in used))
    return (chain, settings) if shorter is None else (shorter, tuple(settings[at] for at in used))


def _path(
    images: CandidateScores, chain: ChainCosts, pool: Pool, points: Sequence[Found]
) -> Iterator[tuple[ThresholdSetting, ...]]:
    """Settings on the way from nobody to some points with the same measures: thresholds only fall, in small steps, one
    exit after the other, or where there are many, as with thresholds by class, in turn."""
    measures = points[0].measures
    scores = [images.scores[exit][measure] for exit, measure in zip(chain.early, measures, strict=True)]
    now = [LARGEST] * len(scores)
    for point in points:
        targets = [one.score for one in chain.thresholds(pool, measures, point.cuts)]
        ways = [
            [(exit, score) for score in _steps(own, now[exit], target)]
            for exit, (own, target) in enumerate(zip(scores, targets, strict=True))
        ]
        few = len(ways) <= SEARCHED
        moves = itertools.chain(*ways) if few else itertools.chain(*itertools.zip_longest(*ways))
        for exit, score in filter(None, moves):
            now[exit] = score
            yield tuple(map(ThresholdSetting, measures, now))


def _steps(scores: Ints, above: int, target: int) -> list[int]:
    """Thresholds below one, down to a target, about as many images between two of them."""
    between = np.sort(scores[(scores >= target) & (scores < above)])[::-1]
    if not len(between):
        return []
    chosen = between[np.linspace(0, len(between) - 1, min(_STEPS, len(between))).round().astype(int)]
    return [*dict.fromkeys(chosen.tolist())]
