"""Which thresholds: the fewest cycles on a calibration set within a given loss of accuracy.

A stage may answer an image when its confidence passes the stage's threshold; the last stage answers what is left. Only
thresholds that occur as a confidence matter, and "nobody leaves", so a chain of two stages is solved exactly by trying
them all. For longer chains the thresholds of all early stages but the last one are enumerated, each combination solved
exactly in that last one. Where there are too many combinations an even selection is tried and then improved one stage
at a time, which proves nothing: the result says `heuristic`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import floor, prod
from typing import Literal

import numpy as np
import numpy.typing as npt

from configs.errors import CheckFailed, Infeasible
from planner.confidence import Measure

Bools = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.int64]  # the higher the surer, whatever the measure

_COMBINATIONS = 4000  # of thresholds enumerated in front of the last early stage
_LARGEST = (1 << 32) - 1


@dataclass(frozen=True, eq=False)
class StageProfile:
    """A stage run on all images of the calibration set, also on those that an earlier stage would answer.

    `confidence`: uint32 (N,), in the unit of `measure`; not looked at for the last stage. `correct`: (N,). `cycles`:
    of the stage and the switch to it.
    """

    measure: Measure
    confidence: npt.NDArray[np.uint32]
    correct: Bools
    cycles: int


@dataclass(frozen=True)
class Calibrated:
    """Thresholds of all stages but the last, and what they give on the calibration set (counts of images, cycles)."""

    thresholds: tuple[int, ...]
    method: Literal["exact", "heuristic"]
    images: int
    correct: int
    full_correct: int
    left: tuple[int, ...]  # images answered by each stage
    cycles: int  # of all images together

    @property
    def mean_cycles(self) -> float:
        return self.cycles / self.images

    def summary(self) -> dict[str, object]:
        """For plan and report: JSON types only."""
        return {
            "thresholds": list(self.thresholds),
            "method": self.method,
            "images": self.images,
            "accuracy": {"staged": self.correct / self.images, "full": self.full_correct / self.images},
            "shares": [count / self.images for count in self.left],
            "mean_cycles": self.mean_cycles,
        }


@dataclass(frozen=True)
class _Choice:
    """Thresholds as scores, with the cycles and right answers they give."""

    scores: tuple[int, ...]
    cycles: int
    correct: int


def calibrate(profiles: Sequence[StageProfile], full_correct: Bools, max_drop: float) -> Calibrated:
    """The thresholds with the fewest cycles such that accuracy stays within `max_drop` of the full network's.

    `full_correct`: (N,), of the network that the chain replaces. `max_drop`: a share of the images, 0.003 for 0.3
    points. Of equally fast choices the one with more right answers is taken, then the one with higher thresholds.
    ValueError if there are fewer than two stages or no images, or if the profiles differ in N. Infeasible if no
    thresholds reach the accuracy (the last stage alone does not, or "nobody leaves" has no threshold); CheckFailed if
    none of those tried does.
    """
    images = len(full_correct)
    if len(profiles) < 2 or not images or any(len(one.correct) != images for one in profiles):
        raise ValueError("calibration needs two stages or more, and the same images, at least one, for all")
    needed = int(full_correct.sum()) - floor(max_drop * images + 1e-9)
    scores = [_scores(profile) for profile in profiles[:-1]]
    outer = [_candidates(one) for one in scores[:-1]]
    exact = prod(map(len, outer)) <= _COMBINATIONS
    if not exact:
        keep = max(2, int(_COMBINATIONS ** (1 / len(outer))))
        outer = [one[np.linspace(0, len(one) - 1, min(keep, len(one))).astype(int)] for one in outer]
    best: _Choice | None = None
    for fixed in product(*(one.tolist() for one in outer)):
        best = _better(best, _solve(profiles, scores, (*fixed, 0), len(fixed), needed))
    if best is None:
        message = f"no thresholds give {needed} right answers of {images} on the calibration set"
        raise Infeasible(message) if exact else CheckFailed(message)
    if not exact:
        best = _improve(profiles, scores, best, needed)
    return _result(profiles, scores, best, "exact" if exact else "heuristic", int(full_correct.sum()))


def _scores(profile: StageProfile) -> Scores:
    values = profile.confidence.astype(np.int64)
    return _LARGEST - values if profile.measure == "entropy" else values


def _candidates(scores: Scores) -> Scores:
    """Thresholds that differ in who leaves, descending, from nobody (where that can be expressed) to everybody."""
    distinct = np.unique(scores)[::-1]
    return np.concatenate([distinct[:1] + 1, distinct]) if distinct[0] < _LARGEST else distinct


def _better(one: _Choice | None, other: _Choice | None) -> _Choice | None:
    if one is None or other is None:
        return one or other
    return other if (-other.cycles, other.correct, other.scores) > (-one.cycles, one.correct, one.scores) else one


def _solve(
    profiles: Sequence[StageProfile], scores: Sequence[Scores], chosen: tuple[int, ...], free: int, needed: int
) -> _Choice | None:
    """The best threshold of stage `free` for given others; None if none gives `needed` right answers."""
    alive = np.ones(len(scores[0]), bool)
    cycles = correct = 0
    for stage in range(free):
        cycles += profiles[stage].cycles * int(alive.sum())
        leaving = alive & (scores[stage] >= chosen[stage])
        correct += int(profiles[stage].correct[leaving].sum())
        alive &= ~leaving
    cycles += profiles[free].cycles * int(alive.sum())
    later_correct, later_cycles = _continued(profiles, scores, chosen, free + 1)

    # Image by image from the surest on: who leaves gives this stage's answer and spares the later cycles.
    order = np.flatnonzero(alive)[np.argsort(-scores[free][alive], kind="stable")]
    candidates = _candidates(scores[free])
    leaving_counts = np.searchsorted(-scores[free][order], -candidates, side="right")
    gained = np.concatenate([[0], np.cumsum(profiles[free].correct[order].astype(np.int64) - later_correct[order])])
    spared = np.concatenate([[0], np.cumsum(later_cycles[order])])
    right = correct + int(later_correct[order].sum()) + gained[leaving_counts]
    total = cycles + int(later_cycles[order].sum()) - spared[leaving_counts]
    allowed = np.flatnonzero(right >= needed)
    if not len(allowed):
        return None
    at = allowed[np.lexsort((-candidates[allowed], -right[allowed], total[allowed]))[0]]
    return _Choice((*chosen[:free], int(candidates[at]), *chosen[free + 1 :]), int(total[at]), int(right[at]))


def _continued(
    profiles: Sequence[StageProfile], scores: Sequence[Scores], chosen: tuple[int, ...], first: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Per image that reaches stage `first`: is the answer right, and the cycles from there on."""
    correct = profiles[-1].correct.astype(np.int64)
    cycles = np.full(len(correct), profiles[-1].cycles, np.int64)
    for stage in range(len(profiles) - 2, first - 1, -1):
        leaves = scores[stage] >= chosen[stage]
        correct = np.where(leaves, profiles[stage].correct, correct)
        cycles = profiles[stage].cycles + np.where(leaves, 0, cycles)
    return correct, cycles


def _improve(profiles: Sequence[StageProfile], scores: Sequence[Scores], start: _Choice, needed: int) -> _Choice:
    """Solve one stage at a time, the others given, until nothing gets better."""
    best = start
    while True:
        before = best
        for free in range(len(scores)):
            best = _better(best, _solve(profiles, scores, best.scores, free, needed)) or best
        if best == before:
            return best


def _result(
    profiles: Sequence[StageProfile],
    scores: Sequence[Scores],
    choice: _Choice,
    method: Literal["exact", "heuristic"],
    full_correct: int,
) -> Calibrated:
    alive = np.ones(len(scores[0]), bool)
    left = []
    for one, threshold in zip(scores, choice.scores, strict=True):
        left.append(int((alive & (one >= threshold)).sum()))
        alive &= one < threshold
    thresholds = tuple(
        _LARGEST - score if profile.measure == "entropy" else score
        for profile, score in zip(profiles, choice.scores, strict=False)
    )
    return Calibrated(
        thresholds=thresholds,
        method=method,
        images=len(alive),
        correct=choice.correct,
        full_correct=full_correct,
        left=(*left, int(alive.sum())),
        cycles=choice.cycles,
    )
