"""From a spec to a plan and what follows from it: shared by everything that plans."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offramp.codegen.lower import Lowered, lower, with_thresholds
from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.host.progress import Progress
from offramp.pipeline.chains import IN_ORDER, calibration_data, chain_budget
from offramp.pipeline.choosing import choose_plan
from offramp.pipeline.judged import Judged, judge
from offramp.pipeline.warnings import data_warnings, earlyexit_warnings
from offramp.planner.allocation.budget import Budget, energy_budget
from offramp.planner.allocation.place import place
from offramp.planner.allocation.reload import FLASH
from offramp.planner.chain.build import build_chain, freed_processors
from offramp.planner.chain.sources import load_compared, read_sources
from offramp.planner.exits.calibrate import Calibrated, StageProfile, calibrate
from offramp.planner.hardware.cycles import Cycles
from offramp.planner.hardware.energy import Energy
from offramp.planner.ir.chain import Chain, with_threshold
from offramp.planner.plan import Plan
from offramp.planner.reference.exits import by_class, groups_met, meant_classes, numbers_of_classes, right_answers
from offramp.planner.reference.profile import Answers, profile_answers
from offramp.planner.rules.check import check_chain, check_network
from offramp.planner.spec.clocks import with_clocks
from offramp.planner.spec.dataset import DataSet
from offramp.planner.spec.spec import AutoSpec, Calibration, ManualSpec
from offramp.planner.tasks.executor import IN_PROCESS, Executor

CHOOSING_AGAIN = "choosing what is written again, by how often stages are reached"


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan with its register programs, and the cycles and energy of its stages, switches and ways to leave.
    `judged`: its stages on the data that thresholds were chosen on, where that was done just now."""

    plan: Plan
    lowered: Lowered
    cycles: Budget[Cycles]
    energy: Budget[Energy]
    judged: Judged | None = None

    @property
    def chain(self) -> Chain:
        return self.plan.chain

    @property
    def device(self) -> Device:
        """At the clocks of the spec."""
        return self.plan.placed.requirements.device


def planned(plan: Plan, lowered: Lowered, judged: Judged | None = None) -> Planned:
    """The plan with what its programs cost."""
    cycles = chain_budget(lowered)
    return Planned(plan, lowered, cycles, energy_budget(plan.placed, cycles), judged)


def make_plan(spec: ManualSpec | AutoSpec, device: Device, progress: Progress, tasks: Executor = IN_PROCESS) -> Planned:
    """Place the stages of a spec, calibrate open thresholds. OfframpError lists everything that prevents it."""
    progress.step("reading networks and checkpoints")
    device = with_clocks(device, spec.clocks)
    sources = read_sources(spec, device)
    if isinstance(spec, AutoSpec):
        return planned(*choose_plan(spec, sources, device, progress, tasks))
    chain, compared = build_chain(spec, sources, device), load_compared(spec, sources, device)
    problems = [*check_chain(chain, device)]
    problems += [problem for network in compared.values() for problem in check_network(network, device)]
    if problems:
        raise InputError(problems)
    progress.step("placing weights, biases and activations")
    always = [1] * len(chain.stages) if spec.reload else None
    source = spec.reload or FLASH
    placed = place(chain, device, alternatives=freed_processors(spec, sources, device), reached=always, source=source)
    lowered = lower(placed)
    return calibrated(spec, planned(Plan(spec, lowered.placed, compared), lowered), progress, tasks)


def calibrated(spec: ManualSpec, made: Planned, progress: Progress, tasks: Executor) -> Planned:
    """The plan with thresholds chosen on the spec's data, if it asks for that, and what is written again chosen by how
    often stages are reached with them. InputError if they cannot be."""
    found = with_thresholds_of(spec, made, progress, tasks)
    if found.plan.calibration is None or found.plan.placed.reload is None:
        return found
    progress.step(CHOOSING_AGAIN)
    lowered = lower(place(found.chain, found.device, reached=reached_stages(found.plan), source=spec.reload or FLASH))
    return planned(replace(found.plan, placed=lowered.placed), lowered, found.judged)


def with_thresholds_of(spec: ManualSpec, made: Planned, progress: Progress, tasks: Executor) -> Planned:
    """The plan with thresholds chosen on the spec's data, if it asks for that. InputError if they cannot be."""
    if spec.calibration is None:
        return made
    progress.step("calibrating thresholds")
    found, answered, right = _calibrate(spec, spec.calibration, made, tasks)
    early = zip(made.chain.exits, found.thresholds, strict=False)
    thresholds = {stage.name: by_class(one, numbers_of_classes(made.chain, stage)) for stage, one in early}
    placed = made.plan.placed.with_chain(with_threshold(made.chain, thresholds))
    plan = replace(made.plan, placed=placed, calibration=found.record())
    judged = judge(placed.requirements.chain, answered.classes, answered.confidence, right)
    return replace(made, plan=plan, lowered=with_thresholds(made.lowered, placed), judged=judged)


def reached_stages(plan: Plan) -> tuple[int, ...]:
    """How many inferences reach each stage: of the images that thresholds were chosen on; without any, all of one."""
    if plan.calibration is None:
        return (1,) * len(plan.chain.stages)
    leave = [round(share * plan.calibration.images) for share in plan.calibration.shares]
    return tuple(sum(leave[stage:]) for stage in range(len(leave)))


def _profile(
    made: Planned,
    index: int,
    classes: npt.NDArray[np.int32],
    confidence: npt.NDArray[np.uint32],
    correct: npt.NDArray[np.bool_],
    cycles: int,
) -> StageProfile:
    """A stage on the calibration data, (N,) each."""
    stage = made.chain.exits[index]
    if index == len(made.chain.exits) - 1:
        return StageProfile("margin", confidence, correct, cycles)
    assert isinstance(made.plan.spec, ManualSpec)
    per_class = made.plan.spec.stages[index].exit.per_class
    group = groups_met(made.chain, stage, classes, confidence, per_class)
    groups = len(meant_classes(made.chain, stage)) if per_class else 0
    return StageProfile(stage.rule.measure, confidence, correct, cycles, group, groups)


def _calibrate(
    spec: ManualSpec, goal: Calibration, made: Planned, tasks: Executor
) -> tuple[Calibrated, Answers, npt.NDArray[np.bool_]]:
    """Thresholds, and what they were chosen on: answers of all stages, and which are right, (stages, N)."""
    chain = made.chain
    if goal.delta is not None and chain.buffers:
        raise InputError(Diagnostic(goal.where, IN_ORDER))
    data = calibration_data(spec, chain, goal)
    answered = profile_answers(chain, data.x, tasks)
    right = right_answers(chain, answered.answers(chain), data.y if isinstance(data, DataSet) else None)
    assert right is not None  # calibration_data asks for what tells it
    own = np.diff(made.cycles.cost_by_exit, prepend=0)
    profiles = [
        _profile(made, index, answered.classes[index], answered.confidence[index], right[index], int(cycles))
        for index, cycles in enumerate(own)
    ]
    try:
        drop, delta = goal.accuracy_drop / 100, goal.delta
        found = calibrate(profiles, profiles[-1].correct, drop, delta, tasks)
    except ValueError as error:
        raise InputError(Diagnostic(goal.where, str(error))) from error
    said = (*data_warnings(data), *earlyexit_warnings(spec, chain, answered, right, found.thresholds))
    return replace(found, against=goal.against, accuracy_drop=goal.accuracy_drop, warnings=said), answered, right
