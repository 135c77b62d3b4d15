"""Thresholds of classes of a single early stage: exactly the best, as no class's images depend on another's threshold.

Each class has its settings, with so many images that leave and so many right answers more than if none left. All
classes together are a knapsack with one item of each: solved by the number of right answers, class by class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offramp.planner.exits.frontier import LARGEST, NEVER, ExitScores, Ints, ThresholdSetting

_NONE = -(1 << 60)  # images that leave, where nothing gives that many right answers


@dataclass(frozen=True, eq=False)
class _Options:
    """Of a class, by right answers more than if none left, from `lowest` on: the most images that leave, and the score
    with which they do."""

    lowest: int
    leave: Ints
    score: Ints


def best_of_groups(exits: ExitScores, needed: int) -> tuple[ThresholdSetting, ...] | None:
    """The settings of all exits with which most images leave and at least `needed` answers are right; None if there are
    none. All exits cost the same, the last stage more. Among those with as many leaving images the one with most right
    answers."""
    last = exits.right[-1].astype(np.int64)
    groups = [_options(own[0], right - last) for own, right in zip(exits.scores, exits.right[:-1], strict=True)]
    sums = [np.zeros(1, np.int64)]
    lowest = 0
    for one in groups:
        sums.append(_add(sums[-1], one.leave))
        lowest += one.lowest
    allowed = sums[-1].copy()
    allowed[: max(0, needed - int(last.sum()) - lowest)] = _NONE
    if not len(allowed) or allowed.max() < 0:
        return None
    at = int(len(allowed) - 1 - np.argmax(allowed[::-1]))
    found = []
    for one, before in zip(reversed(groups), reversed(sums[:-1]), strict=True):
        choice = np.arange(len(one.leave))
        inside = choice[(at - choice >= 0) & (at - choice < len(before))]
        picked = int(inside[np.argmax(one.leave[inside] + before[at - inside])])
        found.append(ThresholdSetting(0, int(one.score[picked])))
        at -= picked
    return tuple(reversed(found))


def _options(scores: Ints, gain: Ints) -> _Options:
    """`gain`: right answers more if an image leaves, (N,)."""
    images = np.flatnonzero(scores > NEVER)
    order = images[np.argsort(-scores[images], kind="stable")]
    ranked = scores[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, len(ranked)) if len(ranked) else np.array([], int)
    counts = np.append(0, ends)
    highest = min(int(ranked[0]) + 1, LARGEST) if len(ranked) else LARGEST
    least = np.append(highest, ranked[ends - 1] if len(ends) else ranked)
    more = np.append(0, np.cumsum(gain[order]))[counts]
    if len(ranked) and ranked[0] == LARGEST:  # no threshold keeps the surest images
        counts, least, more = counts[1:], least[1:], more[1:]
    lowest = int(more.min())
    leave, score = np.full(int(more.max()) - lowest + 1, _NONE), np.zeros(int(more.max()) - lowest + 1, np.int64)
    leave[more - lowest], score[more - lowest] = counts, least  # the last of equals has most images
    return _Options(lowest, leave, score)


def _add(first: Ints, second: Ints) -> Ints:
    """The most of a sum, by the sum of positions."""
    found = np.full(len(first) + len(second) - 1, _NONE)
    for at, value in enumerate(second.tolist()):
        if value > _NONE:
            part = found[at : at + len(first)]
            np.maximum(part, np.where(first > _NONE, first + value, _NONE), out=part)
    return found
