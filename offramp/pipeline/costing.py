"""What running costs, layer by layer and stage by stage, and what the core adds: loads, checks of results, switches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from offramp.codegen.load_images import weight_chunks
from offramp.configs.device import Column, Device
from offramp.pipeline.alone import lowered_alone
from offramp.pipeline.chains import chain_budget
from offramp.pipeline.networks import completed
from offramp.pipeline.planning import Planned
from offramp.planner.allocation.budget import Budget, alone_budget, alone_energy, energy_budget, loading
from offramp.planner.hardware.core import load_cycles, weight_load_cycles
from offramp.planner.hardware.cycles import Cycles, Tag, layer_cycles, run_cycles, sum_cycles
from offramp.planner.hardware.energy import UNKNOWN, Energy, core_energy, layer_energy, run_energy
from offramp.planner.hardware.hw_layer import WORD_BYTES, map_layer, with_processors
from offramp.planner.ir.network import Layer, Network
from offramp.planner.reference.confidence import gives_logits

When = Literal["after power-up", "each inference", "each stage", "each switch"]


@dataclass(frozen=True)
class LayerCost:
    """One layer. `processors`: that it reads with, in each cycle. `macs`: multiply-accumulates of its convolution."""

    name: str
    cycles: Cycles
    energy: Energy
    processors: int
    macs: int


@dataclass(frozen=True)
class StageCost:
    """The accelerator in a stage: its layers, and the start of each of its runs. `later`: with how many layers its runs
    but the first begin, counted from 0."""

    name: str
    layers: tuple[LayerCost, ...]
    later: tuple[int, ...] = ()

    @property
    def cycles(self) -> Cycles:
        bounds = pairwise((0, *self.later, len(self.layers)))
        return sum_cycles(run_cycles(layer.cycles for layer in self.layers[first:end]) for first, end in bounds)

    @property
    def energy(self) -> Energy:
        return run_energy(layer.energy for layer in self.layers)


@dataclass(frozen=True)
class Overhead:
    """What the core does besides, in cycles of the accelerator's clock."""

    name: str
    when: When
    cycles: Cycles
    energy: Energy


@dataclass(frozen=True)
class AnswerCost:
    """An inference from the input to the answer, everything that it goes through added up."""

    name: str
    cycles: Cycles
    energy: Energy


@dataclass(frozen=True)
class Costs:
    """Everything that running a network or a chain of stages costs on a device at its clocks.

    `note`: what had to be assumed, or is not known.
    """

    name: str
    device: Device
    stages: tuple[StageCost, ...]
    overheads: tuple[Overhead, ...]
    answers: tuple[AnswerCost, ...]
    note: str | None = None

    @property
    def layers(self) -> tuple[LayerCost, ...]:
        return tuple(layer for stage in self.stages for layer in stage.layers)

    @property
    def cycles(self) -> Cycles:
        """One run of every stage, without the overheads."""
        return sum_cycles(stage.cycles for stage in self.stages)

    @property
    def energy(self) -> Energy:
        return run_energy(stage.energy for stage in self.stages)


def network_costs(
    name: str, network: Network, device: Device, kernel_starts: Mapping[int, Column] | None = None
) -> Costs:
    """Costs of a network in a single run. Weights may be missing.

    `kernel_starts`: start column by layer index; where not given, kernels lie at the start of weight memory.
    """
    if len(network.layers) > device.geometry.layers:
        return _deep_costs(name, network, device)
    starts = kernel_starts or {}
    budget, energy = alone_budget(network, device, starts), alone_energy(network, device, starts)
    return _alone_costs(name, network, device, starts, (budget, energy))


def _deep_costs(name: str, network: Network, device: Device) -> Costs:
    """Of a network that takes several runs; it is placed, as what is between them depends on that."""
    lowered = lowered_alone(network, device)
    chain, placed = lowered.placed.requirements.chain, lowered.placed
    (network,) = chain.networks.values()
    starts = {slot.layer.index: placed.kernel_start(slot) for slot in chain.slots}
    cycles = chain_budget(lowered)
    costs = _alone_costs(name, network, device, starts, (cycles, energy_budget(placed, cycles)))
    return replace(costs, stages=(replace(costs.stages[0], later=chain.stages[0].cuts),))


def _alone_costs(
    name: str,
    network: Network,
    device: Device,
    starts: Mapping[int, Column],
    budgets: tuple[Budget[Cycles], Budget[Energy]],
) -> Costs:
    layers = tuple(
        _layer(layer.name or str(layer.index), layer, network, device, starts.get(layer.index, 0))
        for layer in network.layers
    )
    mapped = [map_layer(layer, network, device) for layer in completed(network, device).layers]
    weight_bytes = sum(hw.weight_bytes for hw in mapped)
    budget, energy = budgets
    packed = alone_budget(network, device, starts, packed=True).loads[0]
    overheads = [_weights(weight_bytes, device), *_loading(network, budget, energy, packed, device)]
    overheads.append(_overhead("starting", "each stage", budget.starts[0], device))
    if budget.inside[0].cycles:
        overheads.append(_overhead("switching to its further runs", "each inference", budget.inside[0], device))
        overheads.append(_overhead("switching back to its first run", "each inference", budget.back[0], device))
    what = "checking" if gives_logits(network.layers[-1]) else "copying"
    overheads.append(_overhead(f"{what} the result", "each stage", budget.checks[0], device))
    answers = _answers(["the network"], budget, energy)
    return Costs(name, device, (StageCost(name, layers),), tuple(overheads), answers)


def _loading(
    network: Network, budget: Budget[Cycles], energy: Budget[Energy], packed: Cycles, device: Device
) -> tuple[Overhead, Overhead]:
    """From bytes and from packed words. Through the FIFO: what it takes longer than the layers that it overlaps; the
    core is busy all the time."""
    what = "loading the input, beyond the layers it overlaps" if network.fifo else "loading the input"
    return (
        Overhead(what, "each inference", budget.loads[0], energy.loads[0]),
        Overhead(
            f"{what}, if it is packed already",
            "each inference",
            packed,
            core_energy(load_cycles(device, network, packed=True), device),
        ),
    )


def _answers(names: Sequence[str], budget: Budget[Cycles], energy: Budget[Energy]) -> tuple[AnswerCost, ...]:
    """Inferences by where they leave."""
    source = "the sum of its parts"
    tag: Tag = "unverified" if sum_cycles(budget.parts).tag == "unverified" else "estimated"
    known = all(part.known for part in energy.parts)
    return tuple(
        AnswerCost(name, Cycles(cycles, tag, source), Energy(picojoules, "estimated", source) if known else UNKNOWN)
        for name, cycles, picojoules in zip(names, budget.cost_by_exit, energy.cost_by_exit, strict=True)
    )


def chain_costs(made: Planned) -> Costs:
    """Costs of a plan's stages."""
    placed, chain, device = made.plan.placed, made.chain, made.device
    stages = tuple(
        StageCost(
            stage.name,
            tuple(
                _layer(slot.name, slot.layer, chain.networks[slot.network], device, placed.kernel_start(slot))
                for slot in stage.slots
            ),
            stage.cuts,
        )
        for stage in chain.stages
    )
    first = chain.networks[chain.first_reader.network]
    weight_bytes = sum(WORD_BYTES * len(chunk.words) for chunk in weight_chunks(placed))
    packed = loading(placed, chain.stages[0], packed=True)
    from_input = _loading(first, made.cycles, made.energy, packed, device)
    overheads = (_weights(weight_bytes, device), *from_input, *_between(made))
    answers = _answers([f"leaves at {stage.name}" for stage in chain.stages], made.cycles, made.energy)
    return Costs(made.plan.spec.name, device, stages, overheads, answers)


def _between(made: Planned) -> Sequence[Overhead]:
    """Starts, checks of results, and all switches that can happen."""
    budget, energy, device = made.cycles, made.energy, made.device
    names = [stage.name for stage in made.chain.stages]
    parts = [
        Overhead(f"sending the input again, to {name}", "each switch", cycles, spent)
        for name, cycles, spent in zip(names[1:], budget.loads[1:], energy.loads[1:], strict=True)
        if cycles.cycles
    ]
    for index, name in enumerate(names):
        parts.append(_overhead(f"starting {name}", "each stage", budget.starts[index], device))
        looks = gives_logits(made.chain.producers[made.chain.stages[index].result].layer)
        what = "checking" if looks else "copying"
        parts.append(_overhead(f"{what} the result of {name}", "each stage", budget.checks[index], device))
        if budget.inside[index].cycles:
            parts.append(_overhead(f"switching between the runs of {name}", "each stage", budget.inside[index], device))
    for index, cycles in enumerate(budget.forward):
        parts.append(_overhead(f"{names[index]} -> {names[index + 1]}", "each switch", cycles, device))
    for index, cycles in enumerate(budget.back):
        if not (index or made.chain.stages[0].cuts):
            continue
        parts.append(_overhead(f"{names[index]} -> {names[0]}", "each switch", cycles, device))
    return parts


def _weights(weight_bytes: int, device: Device) -> Overhead:
    return _overhead("loading weights", "after power-up", weight_load_cycles(device, weight_bytes), device)


def _overhead(name: str, when: When, cycles: Cycles, device: Device) -> Overhead:
    return Overhead(name, when, cycles, core_energy(cycles, device))


def _layer(name: str, layer: Layer, network: Network, device: Device, start: Column = 0) -> LayerCost:
    return LayerCost(
        name=name,
        cycles=layer_cycles(layer, network, device, start),
        energy=layer_energy(layer, network, device, start),
        processors=with_processors(layer, device).processors.bit_count(),
        macs=layer_macs(layer),
    )


def layer_macs(layer: Layer) -> int:
    """Multiply-accumulates of a layer's convolution; 0 for a layer without one."""
    if not layer.has_weights:
        return 0
    rows, cols = layer.kernel
    return layer.out_shape.pixels * layer.out_shape.channels * layer.in_features * rows * cols
