"""What a candidate is worth: the mean cost of the chain of it and main, with the threshold that `exits: auto` would
choose, on images that it has not learned from.

The threshold, the test of `risk` and the costs are those of `planner.exits.choose`; only the images are others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, log, log1p

import numpy as np
import numpy.typing as npt

from offramp.configs.errors import CheckFailed, Infeasible
from offramp.planner.exits.candidates import Candidate, CandidateProfile
from offramp.planner.exits.choose import Cost, choose
from offramp.planner.exits.verdicts import UNITS
from offramp.planner.reference.confidence import confidence
from offramp.planner.spec.spec import ChoiceSpec
from offramp.training.candidates import Priced

Logits = npt.NDArray[np.int32]  # (N, classes), or with a gate behind them


@dataclass(frozen=True, eq=False)
class Judge:
    """Images that candidates are compared on: `truth`: the right answers, (N,): labels, or main's answers where these
    count; `answers`: main's, (N,). `goal`: as in the spec, without `risk` where the images are too few for it."""

    goal: ChoiceSpec
    alone: Cost
    truth: npt.NDArray[np.int64]
    answers: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Worth:
    """A candidate before main on the images of a Judge.

    `value`: mean of what is minimised, as a share of main alone, 1 where nothing may leave. `cycles`, `energy_uj`: mean
    of an inference. `share`: of the images that leave. `accuracy`: of the chain; `own`: of the candidate alone;
    `agreement`: of its answers with main's.
    """

    value: float
    cycles: float
    energy_uj: float
    share: float
    accuracy: float
    own: float
    agreement: float
    measure: str = ""

    @property
    def rank(self) -> tuple[float, float]:
        """The smaller the better; among candidates with which nothing may leave, those that agree with main more."""
        return self.value, -self.agreement


def worth(judge: Judge, one: Priced, logits: Logits) -> Worth:
    """A candidate's worth by its logits on the judge's images."""
    profile = profile_of(one.candidate, logits, judge.truth)
    answers = one.candidate.classes_of(logits)
    own, agreement = float((answers == judge.truth).mean()), float((answers == judge.answers).mean())
    try:
        full = judge.answers == judge.truth
        chosen = choose(judge.goal, [profile], full, [judge.alone, replace(one.cost, early=(0,))]).chosen
    except (Infeasible, CheckFailed):  # a `budget` that no thresholds keep to
        return Worth(1.0, 0.0, 0.0, 0.0, 0.0, own, agreement)
    return Worth(
        value=value_of(judge, chosen.means, chosen.accuracy),
        cycles=chosen.means["cycles"],
        energy_uj=chosen.means["energy"],
        share=1 - chosen.exit_counts[-1] / chosen.images,
        accuracy=chosen.accuracy,
        own=own,
        agreement=agreement,
        measure=chosen.measures[0] if chosen.measures else "",
    )


def value_of(judge: Judge, means: Mapping[str, float], accuracy: float) -> float:
    """What is minimised: the mean cost as a share of main alone or, with a `budget`, the share of wrong answers."""
    if judge.goal.budget:
        return 1 - accuracy
    weights = judge.goal.weights
    alone = {key: judge.alone.cost_by_exit[key][0] / UNITS[key] for key in weights}
    return sum(weight * means[key] / alone[key] for key, weight in weights.items()) / sum(weights.values())


def profile_of(candidate: Candidate, logits: Logits, truth: npt.NDArray[np.int64]) -> CandidateProfile:
    """A candidate on some images: where it is right, and how sure."""
    values = tuple(
        confidence(rule.measure, logits, rule.fraction_bits, rule.temperature_q16) for rule in candidate.rules
    )
    return CandidateProfile(candidate, values, candidate.classes_of(logits) == truth)


def judged_goal(goal: ChoiceSpec, images: int) -> ChoiceSpec:
    """The goal, without `risk` where so many images could not show that any setting keeps to it."""
    if goal.delta is None or goal.accuracy_drop is None:
        return goal
    return goal if images >= images_needed(goal.accuracy_drop / 100, goal.delta) else replace(goal, delta=None)


def images_needed(rate: float, delta: float) -> int:
    """Images with which a single early stage that loses none passes the test of `risk`."""
    return ceil(log(delta) / log1p(-rate))
