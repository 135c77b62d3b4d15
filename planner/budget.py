"""Cycles of a placed chain's stages and of what happens between them."""

from __future__ import annotations

from dataclasses import dataclass

from planner.cost import START_CYCLES, layer_cycles
from planner.placed import Placed
from planner.stages import Stage


@dataclass(frozen=True)
class StageCycles:
    """Accelerator clock cycles of a stage. `estimate`: some layer streams, and its cycles are a guess."""

    cycles: int
    estimate: bool


def stage_budget(placed: Placed, stage: Stage) -> StageCycles:
    """Sum over the stage's layers, where their kernels lie included, and the start."""
    layers = [
        layer_cycles(
            slot.layer,
            placed.resources.chain.networks[slot.network],
            placed.placement.weights.get(slot.name, 0),
        )
        for slot in stage.slots
    ]
    return StageCycles(START_CYCLES + sum(one.cycles for one in layers), any(one.estimate for one in layers))


def stage_cycles(placed: Placed, stage: Stage) -> int:
    return stage_budget(placed, stage).cycles
