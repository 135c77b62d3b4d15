"""From a spec to a plan and the report of it: shared by `offramp plan`, `build` and `run`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from offramp.codegen.load_images import reload_words
from offramp.codegen.program import Switching
from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.pipeline.chains import (
    TEST_DATA,
    TRAIN_DATA,
    calibration_data,
    chain_budget,
    chain_switching,
    disjoint_data,
)
from offramp.pipeline.choosing import Progress, choose_plan
from offramp.pipeline.emulate import count_kinds
from offramp.pipeline.evaluate import Evaluation, evaluate, run_alone
from offramp.pipeline.report import (
    AccuracyReport,
    AloneReport,
    CyclesReport,
    EnergyReport,
    MemoryReport,
    Report,
    StageReport,
    SwitchReport,
)
from offramp.planner.allocation.budget import Budget, energy_budget
from offramp.planner.allocation.place import Placed, place
from offramp.planner.chain.build import build_chain, freed_processors, load_alone
from offramp.planner.exits.calibrate import Calibrated, StageProfile, calibrate
from offramp.planner.hardware.cycles import Cycles, network_cycles, switch_cycles
from offramp.planner.hardware.energy import Energy, network_energy
from offramp.planner.hardware.hw_layer import HwLayer, set_bits
from offramp.planner.ir.chain import ExitRule, Stage, with_threshold
from offramp.planner.ir.network import Network
from offramp.planner.plan import Plan
from offramp.planner.reference.confidence import to_real
from offramp.planner.reference.profile import profile
from offramp.planner.rules.check import check_network
from offramp.planner.spec.clocks import with_clocks
from offramp.planner.spec.dataset import DataSet
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import Spec


def make_plan(path: Path, device: Device, progress: Progress) -> Plan:
    """Read a spec, place its stages, calibrate open thresholds. OfframpError for everything that stands against it."""
    progress("reading networks and checkpoints")
    spec = load_spec(path, device)
    device = with_clocks(device, spec.clocks)
    if spec.choice:
        return choose_plan(spec, device, progress)
    chain = build_chain(spec, device)
    networks = (*chain.networks.values(), *load_alone(spec, device).values())
    problems = [problem for network in networks for problem in check_network(network, device)]
    if problems:
        raise InputError(problems)
    progress("placing weights, biases and activations")
    placed = place(chain, device, alternatives=freed_processors(spec, device))
    if all(stage.exit is None or stage.exit.threshold is not None for stage in chain.stages[:-1]):
        return Plan(spec, placed, None)
    progress("calibrating thresholds")
    calibrated = _calibrate(spec, placed)
    names = [stage.name for stage in chain.stages]
    chain = with_threshold(chain, dict(zip(names, calibrated.thresholds, strict=False)))
    return Plan(spec, replace(placed, requirements=replace(placed.requirements, chain=chain)), calibrated)


def _calibrate(spec: Spec, placed: Placed) -> Calibrated:
    assert spec.calibration is not None
    chain = placed.requirements.chain
    data = calibration_data(spec, chain, spec.calibration.data)
    profiled = profile(chain, data.x)
    leaving = chain_budget(placed).cost_by_exit
    own = np.diff(leaving, prepend=0)
    profiles = [
        StageProfile(stage.exit.measure, confidence, answers == data.y, int(cycles))
        for stage, confidence, answers, cycles in zip(
            chain.stages, profiled.confidence, profiled.answers, own, strict=True
        )
        if stage.exit is not None
    ]
    try:
        drop, delta = spec.calibration.accuracy_drop / 100, spec.calibration.delta
        return calibrate(profiles, profiles[-1].correct, drop, delta)
    except ValueError as error:
        raise InputError(Diagnostic(spec.calibration.where, str(error))) from error


def evaluate_plan(plan: Plan) -> tuple[Evaluation, DataSet] | None:
    """The chain on the spec's test data; None if it has none. InputError if it is training data."""
    if TEST_DATA not in plan.spec.data:
        return None
    # Where something was calibrated, all data sets were compared.
    names = (TEST_DATA,) if plan.calibrated else (TEST_DATA, TRAIN_DATA)
    data = disjoint_data(plan.spec, plan.chain, names)[0]
    return evaluate(plan.chain, data), data


def plan_report(plan: Plan, device: Device, evaluated: tuple[Evaluation, DataSet] | None) -> Report:
    """Everything about a plan that does not need the firmware to run."""
    costs = chain_budget(plan.placed)
    evaluation = evaluated[0] if evaluated else None
    alone = {plan.chain.slots[-1].network: plan.chain.networks[plan.chain.slots[-1].network]}
    compared = load_alone(plan.spec, device)
    results = run_alone(alone | compared, evaluated[1], costs, device) if evaluated else ()
    energy = energy_budget(plan.placed, costs)
    return Report(
        name=plan.spec.name,
        device=device.name,
        stages=tuple(_stage(plan, index, (costs, energy), evaluation) for index in range(len(plan.chain.stages))),
        memory=_memory(plan.placed, device),
        switches=_switches(plan.placed, device),
        cycles=_cycles(plan, costs, evaluation),
        energy=_energy(plan, energy, evaluation),
        accuracy=AccuracyReport(evaluation.accuracy, results[0].accuracy, len(evaluation.y)) if evaluation else None,
        alone=tuple(
            AloneReport(one.name, one.accuracy, one.cycles.cycles, _alone(compared[one.name], plan.placed, energy))
            for one in results[1:]
        ),
        calibration=plan.calibrated.summary() if plan.calibrated else None,
        choice=plan.choice,
    )


def _alone(network: Network, placed: Placed, energy: Budget[Energy]) -> float:
    """Microjoules of a network run alone, a look at its result included."""
    return (network_energy(network, placed.requirements.device).picojoules + energy.check.picojoules) / 10**6


def _stage(
    plan: Plan, index: int, budgets: tuple[Budget[Cycles], Budget[Energy]], evaluation: Evaluation | None
) -> StageReport:
    stage = plan.chain.stages[index]
    layers = [plan.placed.requirements.layer(slot) for slot in stage.slots]
    rule = stage.exit
    costs, energy = budgets
    return StageReport(
        name=stage.name,
        layers=tuple(slot.name for slot in stage.slots),
        share=evaluation.share(index) if evaluation else None,
        accuracy=evaluation.accuracy_leaving(index) if evaluation else None,
        accuracy_alone=evaluation.accuracy_alone(index) if evaluation else None,
        cycles=costs.stages[index].cycles,
        cycles_tag=costs.stages[index].tag,
        energy_uj=energy.stages[index].microjoules,
        weight_columns=fullest_processor(layers),
        weight_bytes=weight_bytes(layers),
        bias_bytes=sum(layer.bias_bytes for layer in layers),
        data_bytes=_data_bytes(plan.placed, stage),
        confidence=rule.measure if rule else None,
        threshold=_threshold(rule),
    )


def _threshold(rule: ExitRule | None) -> float | None:
    """In real units; None where nothing leaves early."""
    if rule is None or rule.threshold is None:
        return None
    return to_real(rule.measure, rule.threshold, rule.fraction_bits)


def fullest_processor(layers: Sequence[HwLayer]) -> int:
    """Kernel columns that some layers take in the processor that has most of them."""
    used = [processor for layer in layers for processor in set_bits(layer.processors)]
    return max(sum(layer.columns for layer in layers if layer.processors >> one & 1) for one in set(used))


def weight_bytes(layers: Iterable[HwLayer]) -> int:
    """Bytes of weight memory that some layers take."""
    return sum(layer.weight_bytes for layer in layers)


def _data_bytes(placed: Placed, stage: Stage) -> int:
    """Data memory that the stage reads or writes."""
    used = {tensor for slot in stage.slots for tensor in (*slot.reads, slot.writes)}
    tensors = [placed.requirements.tensors[tensor] for tensor in used]
    return sum(4 * tensor.words * len(tensor.instances) for tensor in tensors)


def _memory(placed: Placed, device: Device) -> MemoryReport:
    requirements = placed.requirements
    layers = list(requirements.hw.values())
    stored = [requirements.layer(slot) for slot in requirements.chain.slots if slot.name in placed.placement.weights]
    weights, biases = device.memories["weights"], device.memories["bias"]
    return MemoryReport(
        highest_column=placed.placement.highest.value,
        columns=weights.words,
        proved_lowest=placed.placement.highest.optimal,
        objectives=placed.placement.objectives,
        weight_bytes=weight_bytes(stored),
        weight_memory_bytes=device.geometry.processors * weights.words * weights.word_bytes,
        bias_bytes=sum(layer.bias_bytes for layer in layers),
        bias_memory_bytes=device.geometry.quadrants * biases.words,
    )


def _switches(placed: Placed, device: Device) -> tuple[SwitchReport, ...]:
    states = chain_switching(placed)
    count = len(states.states)
    pairs = [(index, index + 1) for index in range(count - 1)] + [(index, 0) for index in range(1, count)]
    return tuple(_switch(placed, states, before, after) for before, after in pairs)


def _switch(placed: Placed, states: Switching, before: int, after: int) -> SwitchReport:
    """What a switch writes, by what its addresses reach; and what the vendor's way of two models would write."""
    stages = placed.requirements.chain.stages
    writes = states.transition(before, after)
    kinds = count_kinds(np.array([write.address for write in writes], np.uint32), states.device)
    return SwitchReport(
        source=stages[before].name,
        target=stages[after].name,
        register_writes=kinds["register"],
        weight_words=kinds["weights"],
        bias_words=kinds["bias"],
        reload_words=sum(reload_words(placed, stages[after])) + len(states.configure(after)),
        cycles=switch_cycles(states.device, len(writes)).cycles,
    )


def _cycles(plan: Plan, costs: Budget[Cycles], evaluation: Evaluation | None) -> CyclesReport:
    device = plan.placed.requirements.device
    full = network_cycles(plan.chain.networks[plan.chain.slots[-1].network], device).cycles
    stages = np.cumsum([stage.cycles for stage in costs.stages])
    mean = costs.mean(evaluation.exit_index) if evaluation else None
    parts = [one for one in (*costs.stages, costs.check, *costs.forward, *costs.back) if one.cycles]
    return CyclesReport(
        mean=mean,
        worst=max(costs.cost_by_exit),
        full=full + costs.check.cycles,
        ratio=(full + costs.check.cycles) / mean if mean else None,
        accelerator_mean=float(stages[evaluation.exit_index].mean()) if evaluation else None,
        accelerator_full=full,
        tag="estimated" if any(one.estimate for one in parts) else "simulated",
        sources=tuple(sorted({one.source for one in parts})),
    )


def _energy(plan: Plan, energy: Budget[Energy], evaluation: Evaluation | None) -> EnergyReport:
    mean = energy.mean(evaluation.exit_index) / 10**6 if evaluation else None
    full = _alone(plan.chain.networks[plan.chain.slots[-1].network], plan.placed, energy)
    parts = (*energy.stages, energy.check, *energy.forward, *energy.back)
    return EnergyReport(
        mean_uj=mean,
        full_uj=full,
        ratio=full / mean if mean else None,
        tag="estimated",
        source="; ".join(dict.fromkeys(one.source for one in parts)),
    )
