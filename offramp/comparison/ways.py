"""One answer in time: what happens from the input to the answer, for each stage at which an inference may leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from offramp.pipeline.planning import Planned
from offramp.planner.allocation.budget import segment_cycles
from offramp.planner.hardware.cycles import START_CYCLES, Cycles, layer_cycles
from offramp.planner.ir.chain import Segment, Slot


@dataclass(frozen=True)
class Part:
    """Something that takes time. `layer`: which one, by its place in the order of execution; None: the core's work.
    `cycles`: of the accelerator's clock; `instructions`, `accesses`: of the core, 0 where none are counted."""

    name: str
    layer: int | None
    stage: int
    cycles: int
    tag: str
    source: str
    instructions: int = 0
    accesses: int = 0


@dataclass(frozen=True)
class Way:
    """An inference that leaves at `stage`. `share`: of the test images; None if unknown."""

    stage: str
    parts: tuple[Part, ...]
    clock_hz: int
    share: float | None

    @property
    def cycles(self) -> int:
        return sum(part.cycles for part in self.parts)


def ways_of(made: Planned, shares: tuple[float | None, ...]) -> tuple[Way, ...]:
    """Of each stage, in order. Their cycles are those of the budget's `cost_by_exit`."""
    clock, budget, stages = made.device.clocks["cnn_hz"], made.cycles, made.chain.stages
    ways = []
    spent: list[Part] = []
    for index, stage in enumerate(stages):
        spent += _stage(made, index)
        back = _core(f"back to {stages[0].name} for the next input", index, budget.back[index])
        ways.append(Way(stage.name, (*spent, *back), clock, shares[index]))
        if index < len(budget.forward):
            spent += _core(f"switch {stage.name} -> {stages[index + 1].name}", index, budget.forward[index])
    return tuple(ways)


def _stage(made: Planned, index: int) -> Iterator[Part]:
    budget, stage = made.cycles, made.chain.stages[index]
    yield from _core("load the input", index, budget.loads[index])
    yield from _core(f"start {stage.name}", index, budget.starts[index])
    for segment in stage.segments:
        yield from _segment(made, index, segment)
    yield from _core(f"between the runs of {stage.name}", index, budget.inside[index])
    rule = made.chain.exits[index].exit
    look = f"look at the result of {stage.name}{f', {rule.measure}' if rule else ''}"
    yield from _core(look, index, budget.checks[index])


def _core(name: str, stage: int, cost: Cycles) -> Iterator[Part]:
    """Work of the core, if there is any."""
    if cost.cycles:
        yield Part(name, None, stage, cost.cycles, cost.tag, cost.source, cost.instructions, cost.accesses)


def _segment(made: Planned, index: int, segment: Segment) -> Iterator[Part]:
    """The layers of a run; the cycle of its start counts to the first one."""
    numbers = {slot.name: number for number, slot in enumerate(made.chain.slots)}
    costs = [_layer(made, slot) for slot in segment.slots]
    total = segment_cycles(made.plan.placed, segment).cycles
    assert total == START_CYCLES + sum(cost.cycles for cost in costs)
    for place, (slot, cost) in enumerate(zip(segment.slots, costs, strict=True)):
        cycles = cost.cycles + (0 if place else START_CYCLES)
        yield Part(slot.name, numbers[slot.name], index, cycles, cost.tag, cost.source)


def _layer(made: Planned, slot: Slot) -> Cycles:
    placed = made.plan.placed
    return layer_cycles(slot.layer, made.chain.networks[slot.network], made.device, placed.kernel_start(slot))
