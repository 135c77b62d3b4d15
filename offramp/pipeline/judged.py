"""What every stage of a chain says on a data set, as far as thresholds decide by it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.configs.device import Device
from offramp.pipeline.chains import calibration_data
from offramp.planner.exits.frontier import NEVER, Ints, to_scores
from offramp.planner.ir.chain import Chain
from offramp.planner.ir.measure import NO_ANSWER
from offramp.planner.plan import Plan
from offramp.planner.reference.exits import groups_met, right_answers
from offramp.planner.reference.profile import profile_answers
from offramp.planner.spec.dataset import DataSet
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import AutoSpec, Calibration, ChoiceSpec


@dataclass(frozen=True, eq=False)
class Judged:
    """All stages on N images, also those that an earlier stage would answer; the first two of early stages only.

    `confidence`: uint32 (early stages, N), in the units of their measures. `group`: (early stages, N), which of the
    stage's thresholds an image has to meet, NO_ANSWER where it cannot leave. `right`: bool (stages, N).
    """

    confidence: npt.NDArray[np.uint32]
    group: Ints
    right: npt.NDArray[np.bool_]

    @property
    def images(self) -> int:
        return int(self.right.shape[1])

    def scores(self, chain: Chain, stage: int) -> Ints:
        """Of an early stage, (N,): higher means surer, NEVER where an image cannot leave."""
        found = to_scores(chain.exits[stage].rule.measure, self.confidence[stage])
        return np.where(self.group[stage] == NO_ANSWER, NEVER, found)


def judge(
    chain: Chain,
    classes: npt.NDArray[np.integer],
    confidence: npt.NDArray[np.uint32],
    right: npt.NDArray[np.bool_],
) -> Judged:
    """All of them (stages, N). Thresholds must be known."""
    early = chain.exits[:-1]
    groups = [
        groups_met(chain, stage, own, sure, bool(stage.rule.by_class))
        for stage, own, sure in zip(early, classes, confidence, strict=False)
    ]
    images = right.shape[1]
    return Judged(confidence[: len(early)], np.array(groups, np.int64).reshape(len(early), images), right)


def judged_again(plan: Plan, device: Device) -> Judged | None:
    """On the data that the thresholds of a plan were chosen on; None if its spec gives them."""
    goal = _goal(plan, device)
    if goal is None:
        return None
    data = calibration_data(plan.spec, plan.chain, goal)
    answered = profile_answers(plan.chain, data.x)
    right = right_answers(plan.chain, answered.answers(plan.chain), data.y if isinstance(data, DataSet) else None)
    assert right is not None  # calibration_data asks for what tells it
    return judge(plan.chain, answered.classes, answered.confidence, right)


def _goal(plan: Plan, device: Device) -> Calibration | ChoiceSpec | None:
    if plan.choice is None:
        return plan.spec.calibration
    spec = load_spec(Path(plan.spec.where.file), device)
    assert isinstance(spec, AutoSpec)  # as it was when the plan was made or read
    return spec.choice
