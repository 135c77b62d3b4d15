"""The layout of a plan of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from offramp.comparison.layouts import (
    BiasUse,
    DataUse,
    LayerUse,
    Layout,
    Point,
    StageUse,
    SwitchUse,
    WeightUse,
    sizes_of,
)
from offramp.configs.device import Device
from offramp.pipeline.chains import chain_budget
from offramp.pipeline.planning import evaluate_plan, plan_report
from offramp.pipeline.report import report_json
from offramp.planner.allocation.budget import Budget, energy_budget
from offramp.planner.allocation.place import Placed
from offramp.planner.chain.build import load_alone
from offramp.planner.hardware.cycles import layer_cycles
from offramp.planner.hardware.energy import Energy, layer_energy, network_energy
from offramp.planner.ir.chain import INPUT_TENSOR, Chain, Slot
from offramp.planner.plan import Plan

Figures = Mapping[str, Any]  # content of a report.json, docs/REPORT.md


def plan_figures(plan: Plan, device: Device) -> Figures:
    """The figures of a plan as report.json has them. Runs the test data through the integer reference."""
    content: Figures = json.loads(report_json(plan_report(plan, device, evaluate_plan(plan))))
    return content


def layout_of_plan(plan: Plan, figures: Figures, kind: str, path: str) -> Layout:
    """The layout of a plan whose report has `figures`."""
    placed = plan.placed
    costs = chain_budget(placed)
    energy = energy_budget(placed, costs)
    stages = tuple(
        StageUse(stage.name, cost.cycles, cost.estimate, cost_by_exit, known["share"])
        for stage, cost, cost_by_exit, known in zip(
            plan.chain.stages, costs.stages, costs.cost_by_exit, figures["stages"], strict=True
        )
    )
    layout = Layout(
        name=plan.spec.name,
        kind=kind,
        path=path,
        sizes=sizes_of(placed.requirements.device),
        stages=stages,
        layers=_layers(placed),
        weights=weight_uses(placed),
        biases=bias_uses(placed),
        data=data_uses(placed),
        steps=step_names(placed.requirements.chain),
        switches=tuple(SwitchUse(one["from"], one["to"], _writes(one)) for one in figures["switches"]),
        mean_cycles=figures["cycles"]["mean"],
        mean_energy=_mean(stages, energy),
        accuracy=figures["accuracy"]["staged"] if figures["accuracy"] else None,
        points=(),
        points_data="test data",
    )
    if figures.get("choice"):
        points = _choice_points(figures["choice"])
        note = _choice_note(figures["choice"])
        return replace(layout, points=points, points_data="data that the stages were chosen on", points_note=note)
    return replace(layout, points=_known_points(plan, layout, energy, figures))


def _mean(stages: Sequence[StageUse], energy: Budget[Energy]) -> float | None:
    """Mean microjoules of an inference; None where it is not known how many leave at each stage."""
    shares = [stage.share for stage in stages]
    parts = [share * spent for share, spent in zip(shares, energy.cost_by_exit, strict=True) if share is not None]
    return sum(parts) / 10**6 if len(parts) == len(stages) else None


def _writes(switch: Figures) -> int:
    return int(switch["register_writes"] + switch["weight_words"] + switch["bias_words"])


def layer_numbers(chain: Chain) -> dict[str, int]:
    """Position of each slot, by name, in the order of execution."""
    return {slot.name: number for number, slot in enumerate(chain.slots)}


def _layers(placed: Placed) -> tuple[LayerUse, ...]:
    chain = placed.requirements.chain
    return tuple(_layer(placed, slot, number) for number, stage in enumerate(chain.stages) for slot in stage.slots)


def _layer(placed: Placed, slot: Slot, stage: int) -> LayerUse:
    network, start = placed.requirements.chain.networks[slot.network], placed.kernel_start(slot)
    cycles = layer_cycles(slot.layer, network, placed.requirements.device, start)
    energy = layer_energy(slot.layer, network, placed.requirements.device, start)
    return LayerUse(slot.name, stage, cycles.cycles, cycles.estimate, energy.microjoules)


def weight_uses(placed: Placed) -> tuple[WeightUse, ...]:
    """Blocks by start of their first layer; a block that several layers use names them all."""
    requirements = placed.requirements
    numbers = layer_numbers(requirements.chain)
    users: dict[str, list[int]] = {}
    for name, owner in requirements.kernels.items():
        users.setdefault(owner, []).append(numbers[name])
    blocks = {block.name: block for block in placed.problem.weights}
    return tuple(
        WeightUse(tuple(layers), blocks[name].processors, placed.placement.weights[name], blocks[name].columns)
        for name, layers in users.items()
    )


def bias_uses(placed: Placed) -> tuple[BiasUse, ...]:
    numbers = layer_numbers(placed.requirements.chain)
    places = placed.placement.biases
    return tuple(
        BiasUse(numbers[block.name], places[block.name].quadrant, places[block.name].start, block.length)
        for block in placed.problem.biases
    )


def data_uses(placed: Placed) -> tuple[DataUse, ...]:
    """Every tensor by itself, those that are placed together included."""
    requirements = placed.requirements
    producers, numbers = requirements.chain.producers, layer_numbers(requirements.chain)
    return tuple(
        DataUse(
            name="input" if name == INPUT_TENSOR else f"output of {producers[name].name}",
            layer=None if name == INPUT_TENSOR else numbers[producers[name].name],
            instances=tensor.instances,
            start=placed.base(name) - tensor.lead,
            words=tensor.words,
            first=tensor.first,
            last=tensor.last,
        )
        for name, tensor in requirements.tensors.items()
    )


def step_names(chain: Chain) -> tuple[str, ...]:
    """Names of the steps of one inference, in the order in which `planner.allocation.requirements` counts them."""
    names = ["load input"]
    for stage in chain.stages:
        names += [f"run {slot.name}" for slot in stage.slots]
        names.append(f"read result of {stage.name}")
    return tuple(names)


def _choice_points(choice: Figures) -> tuple[Point, ...]:
    """The fronts over cycles and energy, the chosen point and the runner-up, each once."""
    chosen = choice["chosen"]
    found = [*choice["pareto"]["cycles"], *choice["pareto"]["energy"], chosen, choice["runner_up"] or chosen]
    points = {
        _settings(one): Point(_settings(one), one["accuracy"], one["mean_cycles"], one["mean_energy_uj"], one == chosen)
        for one in found
    }
    return tuple(points.values())


def _choice_note(choice: Figures) -> str:
    """Why a point of the front need not have been chosen; empty without a bound on the risk."""
    risk = choice.get("risk")
    if not risk:
        return ""
    promise = f"on new data accuracy falls by more than {risk['accuracy_drop']:.2%} with probability {risk['delta']:g}"
    return f"Only settings that passed a test were chosen from: {promise} at most. The front is of these images alone."


def _settings(outcome: Figures) -> str:
    """Stages with their thresholds: `front (margin 2.5) > main`."""
    early = zip(outcome["stages"], outcome["measures"], outcome["thresholds"], strict=False)
    named = [f"{stage} ({measure} {threshold:.4g})" for stage, measure, threshold in early]
    return " > ".join([*named, *outcome["stages"][len(named) :]])


def _planned_settings(stages: Sequence[Figures]) -> str:
    early = stages[:-1]
    return _settings(
        {
            "stages": [one["name"] for one in stages],
            "measures": [one["confidence"] for one in early],
            "thresholds": [one["threshold"] for one in early],
        }
    )


def _known_points(plan: Plan, layout: Layout, energy: Budget[Energy], figures: Figures) -> tuple[Point, ...]:
    """All leaving at one stage, the chain, the last network alone, and networks named for comparison."""
    accuracy, chain = figures["accuracy"], plan.chain
    if accuracy is None or layout.mean_cycles is None or layout.mean_energy is None:
        return ()
    points = []
    for stage, one, spent in zip(layout.stages, figures["stages"], energy.cost_by_exit, strict=True):
        if one["accuracy_alone"] is not None and stage.cost_by_exit is not None and len(layout.stages) > 1:
            name = f"all leave at {stage.name}"
            points.append(Point(name, one["accuracy_alone"], stage.cost_by_exit, spent / 10**6, False))
    name = f"as planned: {_planned_settings(figures['stages'])}"
    points.append(Point(name, accuracy["staged"], layout.mean_cycles, layout.mean_energy, True))
    last = chain.slots[-1].network
    full = {"name": last, "accuracy": accuracy["full"], "cycles": figures["cycles"]["full"]}
    alone = [*([full] if len(layout.stages) > 1 else []), *figures["alone"]]
    networks = {**load_alone(plan.spec, plan.placed.requirements.device), last: chain.networks[last]}
    for one in alone:
        spent = (
            network_energy(networks[one["name"]], plan.placed.requirements.device).picojoules + energy.check.picojoules
        )
        points.append(Point(f"{one['name']} alone", one["accuracy"], one["cycles"], spent / 10**6, False))
    return tuple(points)
