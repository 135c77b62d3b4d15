"""The layout of a plan of ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from offramp.comparison.headline import headline
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
from offramp.pipeline.planning import Planned
from offramp.pipeline.report import Report, StageReport, SwitchReport
from offramp.planner.allocation.place import Placed
from offramp.planner.allocation.requirements import depthwise_bias
from offramp.planner.exits.guarantee import in_points
from offramp.planner.exits.records import ChoiceRecord, OutcomeRecord
from offramp.planner.hardware.cycles import layer_cycles
from offramp.planner.hardware.energy import layer_energy
from offramp.planner.ir.chain import INPUT_TENSOR, Chain, Slot, Stage, TensorId


def layout_of_plan(made: Planned, report: Report, kind: str, path: str) -> Layout:
    """The layout of a plan, with the figures of its report."""
    placed = made.plan.placed
    layout = Layout(
        name=made.plan.spec.name,
        kind=kind,
        path=path,
        sizes=sizes_of(made.device),
        stages=tuple(
            StageUse(stage.name, cost.cycles, cost.estimate, cost_by_exit, known.share, _run_names(stage))
            for stage, cost, cost_by_exit, known in zip(
                made.chain.stages, made.cycles.stages, made.cycles.cost_by_exit, report.stages, strict=True
            )
        ),
        layers=_layers(placed),
        weights=weight_uses(placed),
        biases=bias_uses(placed),
        data=data_uses(placed),
        steps=step_names(made.chain),
        switches=tuple(SwitchUse(switch.source, switch.target, _writes(switch)) for switch in report.switches),
        mean_cycles=report.cycles.mean,
        mean_energy=report.energy.mean_uj,
        accuracy=report.accuracy.staged if report.accuracy else None,
        points=(),
        points_data="test data",
        device=made.device.name,
        unverified=made.device.cycles == "unverified",
        headline=headline(report, made.chain.slots[-1].network, made.device.clocks["cnn_hz"]),
    )
    if report.choice:
        data, note = "data that the stages were chosen on", _choice_note(report.choice)
        return replace(layout, points=_choice_points(report.choice), points_data=data, points_note=note)
    return replace(layout, points=_known_points(made, report))


def _run_names(stage: Stage) -> tuple[str, ...]:
    return tuple(segment.name for segment in stage.segments)


def _writes(switch: SwitchReport) -> int:
    return switch.register_writes + switch.weight_words + switch.bias_words


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
    spent = energy.microjoules if energy.known else None
    return LayerUse(slot.name, slot.layer.index, stage, cycles.cycles, cycles.estimate, spent)


def weight_uses(placed: Placed) -> tuple[WeightUse, ...]:
    """Blocks by start of their first layer; a block that several layers use names them all. Kernels in several physical
    memories are as many blocks."""
    requirements = placed.requirements
    numbers = layer_numbers(requirements.chain)
    users: dict[str, list[int]] = {}
    for name, owner in requirements.kernels.items():
        users.setdefault(owner, []).append(numbers[name])
    blocks = {block.name: block for block in placed.problem.weights}
    return tuple(
        WeightUse(tuple(layers), blocks[name].processors, placed.placement.weights[name] + copy, blocks[name].columns)
        for name, layers in users.items()
        for copy in blocks[name].copies
    )


def bias_uses(placed: Placed) -> tuple[BiasUse, ...]:
    """Blocks of all layers; a depthwise one has one in each of its quadrants."""
    numbers = layer_numbers(placed.requirements.chain)
    quadrants = range(placed.requirements.device.geometry.quadrants)
    numbers |= {depthwise_bias(name, one): number for name, number in numbers.items() for one in quadrants}
    places = placed.placement.biases
    return tuple(
        BiasUse(numbers[block.name], places[block.name].quadrant, places[block.name].start, block.length)
        for block in placed.problem.biases
    )


def data_uses(placed: Placed) -> tuple[DataUse, ...]:
    """Every tensor by itself, those that are placed together included."""
    requirements = placed.requirements
    chain = requirements.chain
    producers, numbers = chain.producers, layer_numbers(chain)
    buffers = {buffer.name: buffer for buffer in placed.problem.data}
    kept = {tensor for group in requirements.groups if buffers[group.name].kept for tensor in group.tensors}
    return tuple(
        DataUse(
            name=_label(name, chain),
            layer=numbers[producers[name].name] if name in producers else None,
            instances=tensor.instances,
            start=placed.base(name) - tensor.lead,
            words=tensor.words,
            first=tensor.first,
            last=tensor.last,
            kept=name in kept,
        )
        for name, tensor in requirements.tensors.items()
    )


def _label(name: TensorId, chain: Chain) -> str:
    if name in chain.buffers:
        return f"rolling buffer {chain.buffers[name].name}"
    return "input" if name == INPUT_TENSOR else f"output of {chain.producers[name].name}"


def step_names(chain: Chain) -> tuple[str, ...]:
    """Names of the steps of one inference, in the order in which `planner.allocation.requirements` counts them."""
    names = ["load input"]
    for stage in chain.stages:
        names += [f"run {slot.name}" for slot in stage.slots]
        names.append(f"read result of {stage.name}")
    return tuple(names)


def _choice_points(choice: ChoiceRecord) -> tuple[Point, ...]:
    """The fronts over cycles and energy, the chosen point and the runner-up, each once."""
    found = [*choice.pareto["cycles"], *choice.pareto["energy"], choice.chosen, choice.runner_up or choice.chosen]
    points = {
        _settings(one): Point(_settings(one), one.accuracy, one.mean_cycles, one.mean_energy_uj, one == choice.chosen)
        for one in found
    }
    return tuple(points.values())


def _choice_note(choice: ChoiceRecord) -> str:
    """Why a point of the front need not have been chosen; empty without a bound on the risk."""
    if not choice.risk:
        return ""
    risk = choice.risk
    fall = f"on new data accuracy falls by more than {in_points(risk.accuracy_drop)}"
    promise = f"{fall} with probability at most {risk.delta:g}"
    return f"Only settings that passed a test were chosen from: {promise}. The front is of these images alone."


def _settings(outcome: OutcomeRecord) -> str:
    """Stages with their thresholds: `front (margin 2.5) > main`."""
    return _named(outcome.stages, zip(outcome.measures, outcome.thresholds, strict=True))


def _planned_settings(stages: Sequence[StageReport]) -> str:
    rules = [(stage.confidence, stage.threshold) for stage in stages[:-1]]
    return _named([one.name for one in stages], rules)


def _named(stages: Sequence[str], rules: Iterable[tuple[str | None, float | None]]) -> str:
    named = [
        f"{stage} ({measure} {'by class' if threshold is None else f'{threshold:.4g}'})"
        for stage, (measure, threshold) in zip(stages, rules, strict=False)
    ]
    return " > ".join([*named, *stages[len(named) :]])


def _known_points(made: Planned, report: Report) -> tuple[Point, ...]:
    """All leaving at one stage, the chain, the last network alone, and networks named for comparison."""
    accuracy, mean, mean_energy = report.accuracy, report.cycles.mean, report.energy.mean_uj
    if accuracy is None or accuracy.staged is None or accuracy.full is None or mean is None:
        return ()
    points = []
    several = len(report.stages) > 1
    costs = zip(report.stages, made.cycles.cost_by_exit, made.energy.cost_by_exit, strict=True)
    for stage, cycles, energy in costs if several else ():
        if stage.accuracy_alone is not None:
            spent = energy / 10**6 if made.device.energy else None
            points.append(Point(f"all leave at {stage.name}", stage.accuracy_alone, cycles, spent, False))
    points.append(Point(f"as planned: {_planned_settings(report.stages)}", accuracy.staged, mean, mean_energy, True))
    if several:
        name = f"{made.chain.slots[-1].network} alone"
        points.append(Point(name, accuracy.full, report.cycles.full, report.energy.full_uj, False))
    known = [(one, one.accuracy) for one in report.alone if one.accuracy is not None]
    points += [Point(f"{one.name} alone", share, one.cycles, one.energy_uj, False) for one, share in known]
    return tuple(points)
