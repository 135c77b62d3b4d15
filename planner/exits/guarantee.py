"""Loss of accuracy on new data: settings whose loss is below a target with a stated probability, whatever the data.

An image is lost if the full network is right and the chain is wrong; the rate of lost images bounds the fall of the
accuracy. Settings are tested one after the other, in an order that does not depend on the images of the test, each
against the hypothesis that its rate exceeds the target, by the exact binomial p-value. The first one that is not
rejected ends the sequence, so that any choice among those before it is wrong with a probability of at most delta (Learn
then Test with fixed-sequence testing; Angelopoulos, Bates, Candes, Jordan, Lei 2021, arXiv:2110.01052).

A single threshold is tested from the highest to the lowest on all images, for each measure with its share of delta.
For several thresholds or chains the order is learned first, on a third of the images, from their exact frontier, and
the others test it (Pareto Testing; Laufer-Goldshtein, Fisch, Barzilay, Jaakkola 2022, arXiv:2210.07913).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, floor, fsum, lgamma, log, log1p

import numpy as np

from offramp.planner.exits.frontier import LARGEST, UNREACHED, WORK, ExitScores, Ints, ThresholdSetting
from offramp.planner.exits.search import frontier

_LEARN = 3  # one image of so many learns the order of the tests
# Parts of an exit's images that leave in settings tested before others; small steps where failing would cost most.
_SAFER = [*np.arange(0.25, 0.8, 0.05).tolist(), *np.arange(0.8, 1, 0.01).tolist()]


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
    """Settings in the order of their tests: (chain, settings). `images`: numbers of those that test."""

    sequence: Sequence[tuple[int, tuple[ThresholdSetting, ...]]]
    images: Ints
    level: float
    method: str


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


def certify(chains: Sequence[ExitScores], rate: float, delta: float, work: int = WORK) -> tuple[Certified, ...]:
    """All settings that passed, the cheapest on all images first; none if not even the safest did.

    `chains`: with `right` saying which images are not lost, so all of the last stage are. ValueError if there are too
    few images for any setting to pass, with the number that is needed.
    """
    passed = []
    for family in _families(chains, rate, delta, work):
        allowed = allowed_losses(len(family.images), rate, family.level)
        if allowed < 0:
            images = chains[0].right.shape[1]
            needed = ceil(log(family.level) / log1p(-rate))
            if len(family.images) < images:  # to have so many left when a part has learned the order
                needed = ceil(needed * _LEARN / (_LEARN - 1))
            have = f"{images} images cannot show a loss below {rate:.2%} with delta {delta}"
            raise ValueError(f"{have}; at least {needed} are needed")
        passed += list(_test(chains, family, rate, delta, allowed))
    return tuple(sorted(passed, key=lambda one: _cost(chains[one.chain], one.settings)))


def _test(
    chains: Sequence[ExitScores], family: _Family, rate: float, delta: float, allowed: int
) -> Iterator[Certified]:
    for tested, (chain, settings) in enumerate(family.sequence):
        exits = chains[chain]
        exit_index = exits.exit_index(settings)[family.images]
        losses = int((~exits.right[exit_index, family.images]).sum())
        if losses > allowed:
            return
        p = p_value(losses, len(family.images), rate)
        guarantee = Guarantee(rate, delta, family.method, len(family.images), losses, allowed, p, tested + 1)
        yield Certified(chain, settings, guarantee)


def _cost(exits: ExitScores, settings: tuple[ThresholdSetting, ...]) -> int:
    """Cost of all images together."""
    return int(np.array(exits.cost_by_exit)[exits.exit_index(settings)].sum())


def _families(chains: Sequence[ExitScores], rate: float, delta: float, work: int) -> list[_Family]:
    images = chains[0].right.shape[1]
    early = [number for number, exits in enumerate(chains) if exits.scores]
    if len(early) == 1 and len(chains[early[0]].scores) == 1:
        measures = chains[early[0]].scores[0]
        method = "fixed sequence of all thresholds, exact binomial"
        return [
            _Family(_descending(early[0], measure, scores), np.arange(images), delta / len(measures), method)
            for measure, scores in enumerate(measures)
        ]
    order = np.random.default_rng(0).permutation(images)
    learn, test = np.sort(order[::_LEARN]), np.sort(np.delete(order, np.s_[::_LEARN]))
    method = "fixed sequence learned on a third of the images, exact binomial"
    return [_Family(_learned([_only(one, learn) for one in chains], rate, work), test, delta, method)]


def _descending(chain: int, measure: int, scores: Ints) -> list[tuple[int, tuple[ThresholdSetting, ...]]]:
    """Every threshold that differs from the next higher one in who leaves."""
    return [(chain, (ThresholdSetting(measure, score),)) for score in np.unique(scores)[::-1].tolist()]


def _only(exits: ExitScores, images: Ints) -> ExitScores:
    scores = tuple(tuple(one[images] for one in stage) for stage in exits.scores)
    return ExitScores(scores, exits.right[:, images], exits.cost_by_exit)


def _learned(chains: Sequence[ExitScores], rate: float, work: int) -> list[tuple[int, tuple[ThresholdSetting, ...]]]:
    """The common frontier of some chains, the safest settings first; before each of them safer ones with the same
    measures, as far as these cost less than what comes before."""
    images = chains[0].right.shape[1]
    lowest = max(0, images - floor(rate * images) - 1)
    frontiers = [frontier(exits, lowest, work) for exits in chains]
    sequence: list[tuple[int, tuple[ThresholdSetting, ...]]] = []
    cheapest = UNREACHED
    for right in range(images, lowest - 1, -1):
        cost, chain = min((int(one.cost[right]), number) for number, one in enumerate(frontiers))
        if cost >= cheapest:
            continue
        exits, settings = chains[chain], frontiers[chain].setting(right)
        for tried in (*(_safer(exits, settings, part) for part in _SAFER), settings):
            cost = _cost(exits, tried)
            if cost < cheapest:
                sequence.append((chain, tried))
                cheapest = cost
    return sequence


def _safer(exits: ExitScores, settings: tuple[ThresholdSetting, ...], part: float) -> tuple[ThresholdSetting, ...]:
    """Settings with which about `part` of the images that leave at each stage now leave there: the most confident."""
    exit_index = exits.exit_index(settings)
    safer = []
    for stage, setting in enumerate(settings):
        leaving = np.sort(exits.scores[stage][setting.measure][exit_index == stage])[::-1]
        score = int(leaving[max(1, int(part * len(leaving))) - 1]) if len(leaving) else LARGEST
        safer.append(ThresholdSetting(setting.measure, max(score, setting.score)))
    return tuple(safer)
