"""Cycles and energy of a placed chain: its stages, what happens between them, and a whole inference."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from types import MappingProxyType
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from offramp.configs.device import Column, Device
from offramp.planner.allocation.place import Placed
from offramp.planner.allocation.reload import external_bytes
from offramp.planner.hardware.core import (
    added_by_load,
    check_cycles,
    copy_cycles,
    fetch_cycles,
    load_cycles,
    start_cycles,
    stop_cycles,
    switch_cycles,
    weight_load_cycles,
)
from offramp.planner.hardware.cycles import Cycles, layer_cycles, run_cycles, sum_cycles
from offramp.planner.hardware.energy import Energy, core_energy, layer_energy, network_energy, run_energy
from offramp.planner.hardware.hw_layer import HwLayer, map_layer, quadrants_of, with_processors
from offramp.planner.ir.chain import INPUT_TENSOR, ExitStage, Segment, Slot, Stage
from offramp.planner.ir.measure import Measure
from offramp.planner.ir.network import Network
from offramp.planner.reference.confidence import gives_logits

Cost = TypeVar("Cost", Cycles, Energy)
PLAIN_CHECK: Measure = "margin"  # of a network that has no exit: its class, by the cheapest look


@dataclass(frozen=True)
class Budget(Generic[Cost]):
    """What the parts of an inference cost; the first five by stage.

    `loads`: what loading the input adds: before the first stage or, through the FIFO, to each stage that reads it.
    `starts`: to start the accelerator. `stages`: the accelerator. `inside`: from the end of each segment but the last
    to the start of the next one. `checks`: from the end of the last one to the decision, or to a copy of a result that
    nothing decides by. `forward[i]`: registers, and what is not resident, rewritten to go from stage i to the next;
    `back[i]`: to return from stage i to the first before the next inference. A hardware exit takes no check; what the
    core looks at where the run has ended there is in `back`.
    """

    loads: tuple[Cost, ...]
    starts: tuple[Cost, ...]
    stages: tuple[Cost, ...]
    inside: tuple[Cost, ...]
    checks: tuple[Cost, ...]
    forward: tuple[Cost, ...]
    back: tuple[Cost, ...]

    @property
    def parts(self) -> tuple[Cost, ...]:
        """All of them."""
        every = (self.loads, self.starts, self.stages, self.inside, self.checks, self.forward, self.back)
        return tuple(chain.from_iterable(every))

    @property
    def cost_by_exit(self) -> tuple[int, ...]:
        """Cycles or picojoules of an inference that leaves at each stage: everything so far, and the way back."""
        totals = []
        spent = 0
        by_stage = (self.loads, self.starts, self.stages, self.inside, self.checks)
        for index, parts in enumerate(zip(*by_stage, strict=True)):
            spent += sum(part.amount for part in parts)
            totals.append(spent + self.back[index].amount)
            spent += self.forward[index].amount if index < len(self.forward) else 0
        return tuple(totals)

    def mean(self, exit_index: npt.NDArray[np.int64]) -> float:
        """Mean cycles or picojoules of inferences that leave at stages `exit_index`, (N,)."""
        return float(np.array(self.cost_by_exit)[exit_index].mean())


def stage_cycles(placed: Placed, stage: Stage) -> Cycles:
    """Sum over the stage's segments."""
    return sum_cycles(segment_cycles(placed, segment) for segment in stage.segments)


def segment_cycles(placed: Placed, segment: Segment) -> Cycles:
    """Sum over the layers of one run, with the start columns of their kernels, and the start."""
    return run_cycles(_slot_cycles(placed, slot) for slot in segment.slots)


def _slot_cycles(placed: Placed, slot: Slot) -> Cycles:
    networks, device = placed.requirements.chain.networks, placed.requirements.device
    return layer_cycles(slot.layer, networks[slot.network], device, placed.kernel_start(slot))


def stage_energy(placed: Placed, stage: Stage) -> Energy:
    """Energy of all layers of a stage."""
    networks, device = placed.requirements.chain.networks, placed.requirements.device
    return run_energy(
        layer_energy(slot.layer, networks[slot.network], device, placed.kernel_start(slot)) for slot in stage.slots
    )


def cycle_budget(
    placed: Placed, inside: Sequence[Sequence[int]], forward: Sequence[int], back: Sequence[int]
) -> Budget[Cycles]:
    """Cycles of a chain. `inside`: register writes between the segments of each stage; `forward`, `back`: those of the
    switches, as in Budget."""
    requirements = placed.requirements
    stages = requirements.chain.stages
    return Budget(
        loads=tuple(loading(placed, stage) for stage in stages),
        starts=tuple(_start(placed, stage) for stage in stages),
        stages=tuple(stage_cycles(placed, stage) for stage in stages),
        inside=tuple(_inside(placed, *one) for one in zip(stages, inside, strict=True)),
        checks=checking(placed),
        forward=tuple(
            switching_cycles(placed, writes, after.segments[0])
            for writes, after in zip(forward, stages[1:], strict=True)
        ),
        back=tuple(
            sum_cycles([switching_cycles(placed, writes, stages[0].segments[0]), *_late_look(placed, stage)])
            for writes, stage in zip(back, stages, strict=True)
        ),
    )


def _start(placed: Placed, stage: Stage) -> Cycles:
    """Nothing behind a hardware exit: there the accelerator goes on by itself."""
    requirements = placed.requirements
    start = start_cycles(requirements.device, len(requirements.quadrants(stage)))
    return start if requirements.chain.run_of(stage)[0] is stage else replace(start, cycles=0)


def _late_look(placed: Placed, stage: Stage) -> tuple[Cycles, ...]:
    """At the result of a hardware exit, which the core looks at only if the run has ended with it."""
    return (_check(placed, stage),) if stage.hardware else ()


def switching_cycles(placed: Placed, writes: int, after: Segment) -> Cycles:
    """So many register writes, and what is written again before a run."""
    return _writing(placed, writes, placed.reloaded_weights(after), placed.reloaded_biases(after))


def entering_cycles(placed: Placed, writes: int) -> Cycles:
    """So many register writes, and what is written when a model runs after another one, before its first run."""
    first, found = placed.requirements.chain.segments[0], placed.reload
    weights, biases = (found.entry_weights, found.entry_biases) if found else ((), ())
    again = (placed.reloaded_weights(first), placed.reloaded_biases(first))
    return _writing(placed, writes, (*weights, *again[0]), (*biases, *again[1]))


def _writing(placed: Placed, writes: int, weights: Collection[str], biases: Collection[str]) -> Cycles:
    """Register writes, and the kernels and biases of some layers."""
    device, requirements = placed.requirements.device, placed.requirements
    slots = requirements.chain.slots
    weight_bytes = sum(requirements.layer(slot).weight_bytes for slot in slots if slot.name in weights)
    lengths = sum(block.length for block in placed.problem.biases if block.name in biases)
    parts = [switch_cycles(device, writes + lengths)]
    if weight_bytes:
        parts.append(weight_load_cycles(device, weight_bytes))
    if weights and placed.reload and placed.reload.external:
        size = external_bytes(requirements, weights)
        parts.insert(0, fetch_cycles(device, size, placed.reload.bytes_per_second))  # whose source says most
    return sum_cycles(parts)


def _inside(placed: Placed, stage: Stage, writes: Sequence[int]) -> Cycles:
    """What the core does between the segments of a stage: it stops, switches and starts."""
    device, quadrants = placed.requirements.device, len(placed.requirements.quadrants(stage))
    return sum_cycles(
        part
        for one, after in zip(writes, stage.segments[1:], strict=True)
        for part in (
            stop_cycles(device, quadrants),
            switching_cycles(placed, one, after),
            start_cycles(device, quadrants),
        )
    )


def _loads(placed: Placed, stage: Stage) -> bool:
    """Whether the input is loaded for a stage: for the first, or through the FIFO for each that reads it."""
    stages = placed.requirements.chain
    if stages.networks[stage.slots[0].network].fifo:
        return INPUT_TENSOR in stage.slots[0].reads
    return stage is stages.stages[0]


def loading(placed: Placed, stage: Stage, packed: bool = False) -> Cycles:
    """What loading the input adds to a stage, 0 to one that needs none; from bytes or from packed words."""
    requirements = placed.requirements
    network, device = requirements.chain.networks[stage.slots[0].network], requirements.device
    load = load_cycles(device, network, packed)
    if not _loads(placed, stage):
        return replace(load, cycles=0)
    if not network.fifo:
        return load
    return added_by_load(load, [(requirements.layer(slot), _slot_cycles(placed, slot)) for slot in stage.slots])


def checking(placed: Placed) -> tuple[Cycles, ...]:
    """From the end of each stage to the decision, with the measures of its exit; of hardware exits nothing."""
    looks = [(stage, _check(placed, stage)) for stage in placed.requirements.chain.stages]
    return tuple(replace(look, cycles=0) if stage.hardware else look for stage, look in looks)


def _check(placed: Placed, stage: Stage) -> Cycles:
    requirements = placed.requirements
    hw = requirements.hw[stage.result]
    rule = stage.exit if isinstance(stage, ExitStage) else None
    measure = rule.measure if rule and not rule.hardware else PLAIN_CHECK
    return _look(requirements.device, measure, hw, len(requirements.quadrants(stage)))


def _look(device: Device, measure: Measure, hw: HwLayer, quadrants: int) -> Cycles:
    """At the result of a layer. One that is none of logits is copied."""
    shape = hw.layer.out_shape
    if not gives_logits(hw.layer):
        copy = copy_cycles(device, shape.channels, shape.pixels, hw.layer.output_width, quadrants)
        return sum_cycles([check_cycles(device, measure, 0, 0, quadrants), copy])
    return check_cycles(device, measure, hw.layer.out_shape.channels, hw.result_words, quadrants)


def energy_budget(placed: Placed, cycles: Budget[Cycles]) -> Budget[Energy]:
    """Energy of a chain whose cycles are known. The core loads all of the input, whatever overlaps."""
    device = placed.requirements.device
    stages = placed.requirements.chain.stages
    networks = placed.requirements.chain.networks
    loads = [
        load_cycles(device, networks[stage.slots[0].network]) if _loads(placed, stage) else cycles.loads[index]
        for index, stage in enumerate(stages)
    ]
    return Budget(
        loads=tuple(core_energy(load, device) for load in loads),
        starts=tuple(core_energy(start, device) for start in cycles.starts),
        stages=tuple(stage_energy(placed, stage) for stage in stages),
        inside=tuple(core_energy(one, device) for one in cycles.inside),
        checks=tuple(core_energy(check, device) for check in cycles.checks),
        forward=tuple(core_energy(one, device) for one in cycles.forward),
        back=tuple(core_energy(one, device) for one in cycles.back),
    )


def alone_budget(
    network: Network,
    device: Device,
    kernel_starts: Mapping[int, Column] = MappingProxyType({}),
    packed: bool = False,
) -> Budget[Cycles]:
    """Cycles of a network in a single run. Its result is checked as the cheapest check does. `kernel_starts`: by
    layer index, at the start of weight memory where not given; `packed`: how its input is loaded."""
    layers = [map_layer(with_processors(layer, device), network, device) for layer in network.layers]
    costs = [layer_cycles(layer, network, device, kernel_starts.get(layer.index, 0)) for layer in network.layers]
    last = layers[-1]
    maps = [*(hw.processors for hw in layers), last.output_processors]
    quadrants = len({0} | {quadrant for bits in maps for quadrant in quadrants_of(bits, device)})
    load = load_cycles(device, network, packed)
    return Budget(
        loads=(added_by_load(load, list(zip(layers, costs, strict=True))) if network.fifo else load,),
        starts=(start_cycles(device, quadrants),),
        stages=(run_cycles(costs),),
        inside=(switch_cycles(device, 0),),
        checks=(_look(device, PLAIN_CHECK, last, quadrants),),
        forward=(),
        back=(switch_cycles(device, 0),),
    )


def alone_energy(
    network: Network, device: Device, kernel_starts: Mapping[int, Column] = MappingProxyType({})
) -> Budget[Energy]:
    """Energy of the same, loaded from bytes."""
    cycles = alone_budget(network, device, kernel_starts)
    return Budget(
        loads=(core_energy(load_cycles(device, network), device),),
        starts=(core_energy(cycles.starts[0], device),),
        stages=(network_energy(network, device, kernel_starts),),
        inside=(core_energy(cycles.inside[0], device),),
        checks=(core_energy(cycles.checks[0], device),),
        forward=(),
        back=(core_energy(cycles.back[0], device),),
    )
