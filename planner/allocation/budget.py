"""Cycles and energy of a placed chain: its stages, what happens between them, and a whole inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from offramp.planner.allocation.place import Placed
from offramp.planner.hardware.cycles import Cycles, check_cycles, layer_cycles, run_cycles, switch_cycles
from offramp.planner.hardware.energy import Energy, core_energy, layer_energy, run_energy
from offramp.planner.ir.chain import Stage

Cost = TypeVar("Cost", Cycles, Energy)


@dataclass(frozen=True)
class Budget(Generic[Cost]):
    """What the parts of an inference cost. `check`: reading the logits, and their confidence. `forward[i]`: registers
    rewritten to go from stage i to the next; `back[i]`: to return from stage i to the first before the next inference.
    """

    stages: tuple[Cost, ...]
    check: Cost
    forward: tuple[Cost, ...]
    back: tuple[Cost, ...]

    @property
    def cost_by_exit(self) -> tuple[int, ...]:
        """Cycles or picojoules of an inference that leaves at each stage: stages, checks and switches so far, and the
        way back."""
        totals = []
        spent = 0
        for index, stage in enumerate(self.stages):
            spent += stage.amount + self.check.amount
            totals.append(spent + self.back[index].amount)
            spent += self.forward[index].amount if index < len(self.forward) else 0
        return tuple(totals)

    def mean(self, exit_index: npt.NDArray[np.int64]) -> float:
        """Mean cycles or picojoules of inferences that leave at stages `exit_index`, (N,)."""
        return float(np.array(self.cost_by_exit)[exit_index].mean())


def stage_cycles(placed: Placed, stage: Stage) -> Cycles:
    """Sum over the stage's layers, with the start columns of their kernels, and the start."""
    networks, device = placed.requirements.chain.networks, placed.requirements.device
    return run_cycles(
        layer_cycles(slot.layer, networks[slot.network], device, placed.kernel_start(slot)) for slot in stage.slots
    )


def stage_energy(placed: Placed, stage: Stage) -> Energy:
    """Energy of one run of a stage."""
    networks, device = placed.requirements.chain.networks, placed.requirements.device
    return run_energy(
        layer_energy(slot.layer, networks[slot.network], device, placed.kernel_start(slot)) for slot in stage.slots
    )


def cycle_budget(placed: Placed, forward: Sequence[int], back: Sequence[int]) -> Budget[Cycles]:
    """Cycles of a chain. `forward`, `back`: register writes of the switches, as in Budget."""
    chain, device = placed.requirements.chain, placed.requirements.device
    logits = placed.requirements.hw[chain.stages[-1].result].layer.out_shape.channels
    return Budget(
        stages=tuple(stage_cycles(placed, stage) for stage in chain.stages),
        check=check_cycles(device, logits),
        forward=tuple(switch_cycles(device, writes) for writes in forward),
        back=tuple(switch_cycles(device, writes) for writes in back),
    )


def energy_budget(placed: Placed, cycles: Budget[Cycles]) -> Budget[Energy]:
    """Energy of a chain whose cycles are known."""
    device = placed.requirements.device
    return Budget(
        stages=tuple(stage_energy(placed, stage) for stage in placed.requirements.chain.stages),
        check=core_energy(cycles.check, device),
        forward=tuple(core_energy(one, device) for one in cycles.forward),
        back=tuple(core_energy(one, device) for one in cycles.back),
    )
