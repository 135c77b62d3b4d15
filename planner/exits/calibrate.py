"""Which thresholds a given chain gets: the fewest cycles on a calibration set within a given loss of accuracy.

A stage may answer an image when its confidence passes the stage's threshold; the last stage answers what is left. Only
thresholds that occur as a confidence matter, and "nobody leaves"; `search` tries them, for two stages all of them. The
result says whether it is proved to be the best, or by how much other thresholds could be better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Literal

import numpy as np
import numpy.typing as npt

from offramp.configs.errors import CheckFailed, Infeasible
from offramp.planner.exits.by_class import best_of_groups
from offramp.planner.exits.frontier import (
    LARGEST,
    NEVER,
    UNREACHED,
    WORK,
    Bools,
    ExitScores,
    Ints,
    ThresholdSetting,
    to_scores,
)
from offramp.planner.exits.guarantee import Guarantee, certify, in_points
from offramp.planner.exits.records import CalibrationAccuracy, CalibrationRecord
from offramp.planner.exits.search import frontier
from offramp.planner.ir.chain import Threshold
from offramp.planner.ir.measure import Measure
from offramp.planner.spec.spec import Against
from offramp.planner.tasks.executor import IN_PROCESS, Executor

Method = Literal["exact", "gap", "tested"]  # proved the best; by how much not; the cheapest that passed a test


@dataclass(frozen=True, eq=False)
class StageProfile:
    """A stage run on all images of the calibration set, also on those that an earlier stage would answer.

    `confidence`: uint32 (N,), in the unit of `measure`; not used of the last stage. `correct`: (N,). `cycles`:
    of the stage and the switch to it. `group`: which of the stage's thresholds an image has to meet, (N,), negative
    where it cannot leave; None: all the same one. `groups`: how many thresholds that are, 0 for one of the stage.
    """

    measure: Measure
    confidence: npt.NDArray[np.uint32]
    correct: Bools
    cycles: int
    group: Ints | None = None
    groups: int = 0

    @property
    def scores(self) -> tuple[Ints, ...]:
        """For each threshold the scores of the images that have to meet it; others have one that never leaves."""
        scores = to_scores(self.measure, self.confidence)
        if self.group is None:
            return (scores,)
        return tuple(np.where(self.group == number, scores, NEVER) for number in range(max(1, self.groups)))


@dataclass(frozen=True)
class Calibrated:
    """Thresholds of all stages but the last, several where a stage has some, and what they give on the calibration set
    (counts of images, cycles)."""

    thresholds: tuple[Threshold, ...]
    method: Method
    images: int
    correct: int
    full_correct: int
    exit_counts: tuple[int, ...]  # images answered by each stage
    cycles: int  # of all images together
    gap: float = 0.0  # other thresholds could cost less by this share of the cycles at most
    guarantee: Guarantee | None = None
    against: Against = "labels"
    accuracy_drop: float | None = None  # percentage points that were asked for
    warnings: tuple[str, ...] = ()  # about the calibration data

    @property
    def mean_cycles(self) -> float:
        return self.cycles / self.images

    def record(self) -> CalibrationRecord:
        """For plan and report."""
        return CalibrationRecord(
            thresholds=tuple(one if isinstance(one, int) else None for one in self.thresholds),
            method=self.method,
            gap=self.gap,
            images=self.images,
            accuracy=CalibrationAccuracy(self.correct / self.images, self.full_correct / self.images),
            shares=tuple(count / self.images for count in self.exit_counts),
            mean_cycles=self.mean_cycles,
            risk=self.guarantee,
            against=self.against,
            accuracy_drop=self.accuracy_drop,
            warnings=self.warnings,
        )


def calibrate(
    profiles: Sequence[StageProfile],
    full_correct: Bools,
    max_drop: float,
    delta: float | None = None,
    tasks: Executor = IN_PROCESS,
    work: int = WORK,
) -> Calibrated:
    """The thresholds with the fewest cycles such that accuracy stays within `max_drop` of the full network's.

    `full_correct`: (N,), of the network that the chain replaces. `max_drop`: a share of the images, 0.003 for 0.3
    points. `delta`: on new data, too, accuracy falls by more than `max_drop` with at most this probability; None: only
    the given images count. Among equally fast choices the one with more correct answers wins, then the one with higher
    thresholds. ValueError if there are fewer than two stages or no images, if the profiles differ in N, or if there are
    too few images for `delta`. Infeasible if no thresholds reach the accuracy (the last stage alone does not, or
    "nobody leaves" has no threshold); CheckFailed if none of those tried does, or none passes the test of `delta`.
    """
    images = len(full_correct)
    if len(profiles) < 2 or not images or any(len(one.correct) != images for one in profiles):
        raise ValueError("calibration needs two stages or more, and the same images, at least one, for all")
    exits, owner = _exits(profiles)
    needed = int(full_correct.sum()) - floor(max_drop * images + 1e-9)
    if delta is not None:
        kept = ExitScores(exits.scores, exits.right | ~full_correct, exits.cost_by_exit)
        certified = certify([kept], max_drop, delta, work, tasks)
        passed = next((one for one in certified if exits.correct(one.settings) >= needed), None)
        if passed is None:
            raise CheckFailed(
                f"no thresholds keep the loss below {in_points(max_drop)} with probability {1 - delta:.0%}"
            )
        return _result(profiles, exits, owner, passed.settings, full_correct, 0.0, passed.guarantee)
    if len(profiles) == 2 and profiles[0].groups and exits.cost_by_exit[0] < exits.cost_by_exit[-1]:
        settings = best_of_groups(exits, max(0, needed))
        if settings is None:
            raise Infeasible(f"no thresholds give {needed} right answers of {images} on the calibration set")
        return _result(profiles, exits, owner, settings, full_correct, 0.0, None)
    found = frontier(exits, max(0, needed), work, tasks)
    cost, bound = int(found.cost[max(0, needed)]), int(found.bound[max(0, needed)])
    if cost == UNREACHED:
        message = f"no thresholds give {needed} right answers of {images} on the calibration set"
        proved = bound == UNREACHED or _most_right(exits) < needed
        raise Infeasible(message) if proved else CheckFailed(message)
    gap = (cost - bound) / cost if cost else 0.0
    return _result(profiles, exits, owner, found.setting(found.best(max(0, needed))), full_correct, gap, None)


def _most_right(exits: ExitScores) -> int:
    """No thresholds give more right answers: every image leaves where it is answered rightly, but never behind the
    first exit whose highest threshold it meets."""
    stays = np.ones(exits.right.shape[1], bool)
    found = np.zeros(len(stays), bool)
    for scores, right in zip(exits.scores, exits.right, strict=False):
        found |= stays & right & np.any([one > NEVER for one in scores], axis=0)
        stays &= ~np.all([one == LARGEST for one in scores], axis=0)
    return int((found | (stays & exits.right[-1])).sum())


def _exits(profiles: Sequence[StageProfile]) -> tuple[ExitScores, Ints]:
    """The chain, and the stage that each of its exits belongs to: a stage with several thresholds counts as that many,
    one behind the other, at the same cost and each only for the images that have to meet its threshold."""
    scores = [[(one,) for one in profile.scores] for profile in profiles[:-1]]
    owner = np.array([*(stage for stage, own in enumerate(scores) for _ in own), len(scores)])
    costs = np.cumsum([one.cycles for one in profiles])
    exits = ExitScores(
        scores=tuple(one for own in scores for one in own),
        right=np.stack([one.correct for one in profiles])[owner],
        cost_by_exit=tuple(costs[owner].tolist()),
    )
    return exits, owner


def _result(
    profiles: Sequence[StageProfile],
    exits: ExitScores,
    owner: Ints,
    settings: tuple[ThresholdSetting, ...],
    full_correct: Bools,
    gap: float,
    guarantee: Guarantee | None,
) -> Calibrated:
    exit_index = exits.exit_index(settings)
    scores = [
        [one.score for one, of in zip(settings, owner, strict=False) if of == stage] for stage in range(owner[-1])
    ]
    return Calibrated(
        thresholds=tuple(_thresholds(one, own) for one, own in zip(profiles, scores, strict=False)),
        method="tested" if guarantee else "gap" if gap else "exact",
        images=len(exit_index),
        correct=exits.correct(settings),
        full_correct=int(full_correct.sum()),
        exit_counts=tuple(np.bincount(owner[exit_index], minlength=len(profiles)).tolist()),
        cycles=int(np.array(exits.cost_by_exit)[exit_index].sum()),
        gap=gap,
        guarantee=guarantee,
    )


def _thresholds(profile: StageProfile, scores: Sequence[int]) -> Threshold:
    """In the unit of the stage's measure."""
    found = tuple(LARGEST - score if profile.measure == "entropy" else score for score in scores)
    return found if profile.groups else found[0]
