"""From a spec to a plan and what follows from it: shared by everything that plans."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from offramp.codegen.lower import Lowered, lower
from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.host.progress import Progress
from offramp.pipeline.chains import IN_ORDER, calibration_data, chain_budget
from offramp.pipeline.choosing import choose_plan
from offramp.pipeline.warnings import data_warnings
from offramp.planner.allocation.budget import Budget, energy_budget
from offramp.planner.allocation.place import place
from offramp.planner.chain.build import build_chain, freed_processors
from offramp.planner.chain.sources import load_compared, read_sources
from offramp.planner.exits.calibrate import Calibrated, StageProfile, calibrate
from offramp.planner.hardware.cycles import Cycles
from offramp.planner.hardware.energy import Energy
from offramp.planner.ir.chain import Chain, with_threshold
from offramp.planner.plan import Plan
from offramp.planner.reference.profile import profile_answers
from offramp.planner.rules.check import check_chain, check_network
from offramp.planner.spec.clocks import with_clocks
from offramp.planner.spec.dataset import DataSet
from offramp.planner.spec.spec import AutoSpec, Calibration, ManualSpec
from offramp.planner.tasks.executor import IN_PROCESS, Executor


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan with its register programs, and the cycles and energy of its stages, switches and ways to leave."""

    plan: Plan
    lowered: Lowered
    cycles: Budget[Cycles]
    energy: Budget[Energy]

    @property
    def chain(self) -> Chain:
        return self.plan.chain

    @property
    def device(self) -> Device:
        """At the clocks of the spec."""
        return self.plan.placed.requirements.device


def planned(plan: Plan, lowered: Lowered) -> Planned:
    """The plan with what its programs cost."""
    cycles = chain_budget(lowered)
    return Planned(plan, lowered, cycles, energy_budget(plan.placed, cycles))


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
    placed = place(chain, device, alternatives=freed_processors(spec, sources, device))
    lowered = lower(placed)
    return calibrated(spec, planned(Plan(spec, lowered.placed, compared), lowered), progress, tasks)


def calibrated(spec: ManualSpec, made: Planned, progress: Progress, tasks: Executor) -> Planned:
    """The plan with thresholds chosen on the spec's data, if it asks for that. InputError if they cannot be."""
    if spec.calibration is None:
        return made
    progress.step("calibrating thresholds")
    found = _calibrate(spec, spec.calibration, made, tasks)
    names = [stage.name for stage in made.chain.stages]
    chain = with_threshold(made.chain, dict(zip(names, found.thresholds, strict=False)))
    placed = made.plan.placed.with_chain(chain)
    plan = replace(made.plan, placed=placed, calibration=found.record())
    return replace(made, plan=plan, lowered=replace(made.lowered, placed=placed))


def _calibrate(spec: ManualSpec, goal: Calibration, made: Planned, tasks: Executor) -> Calibrated:
    chain = made.chain
    if goal.delta is not None and chain.buffers:
        raise InputError(Diagnostic(goal.where, IN_ORDER))
    data = calibration_data(spec, chain, goal)
    answered = profile_answers(chain, data.x, tasks)
    truth = data.y if isinstance(data, DataSet) else answered.classes[-1]
    own = np.diff(made.cycles.cost_by_exit, prepend=0)
    profiles = [
        StageProfile(stage.exit.measure, confidence, answers == truth, int(cycles))
        for stage, confidence, answers, cycles in zip(
            chain.exits, answered.confidence, answered.classes, own, strict=True
        )
    ]
    try:
        drop, delta = goal.accuracy_drop / 100, goal.delta
        found = calibrate(profiles, profiles[-1].correct, drop, delta, tasks)
    except ValueError as error:
        raise InputError(Diagnostic(goal.where, str(error))) from error
    return replace(found, against=goal.against, accuracy_drop=goal.accuracy_drop, warnings=data_warnings(data))
