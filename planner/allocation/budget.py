"""Cycles of a placed chain: its stages, what happens between them, and what an inference that leaves early takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.planner.allocation.placed import Placed
from offramp.planner.hardware.cycles import Cycles, check_cycles, layer_cycles, run_cycles, switch_cycles
from offramp.planner.ir.chain import Stage


@dataclass(frozen=True)
class Budget:
    """Cycles of the accelerator's clock. `check`: reading the logits, and their confidence. `forward[i]`: registers
    rewritten to go from stage i to the next; `back[i]`: to return from stage i to the first before the next inference.
    """

    stages: tuple[Cycles, ...]
    check: Cycles
    forward: tuple[Cycles, ...]
    back: tuple[Cycles, ...]

    @property
    def cost_by_exit(self) -> tuple[int, ...]:
        """Cycles of an inference that leaves at each stage: stages, checks and switches so far, and the way back."""
        parts = [[one.cycles for one in part] for part in (self.stages, self.forward, self.back)]
        return exit_costs(parts[0], self.check.cycles, parts[1], parts[2])

    def mean(self, exit_index: npt.NDArray[np.int64]) -> float:
        """Mean cycles of inferences that leave at stages `exit_index`, (N,)."""
        return float(np.array(self.cost_by_exit)[exit_index].mean())


def exit_costs(stages: Sequence[int], check: int, forward: Sequence[int], back: Sequence[int]) -> tuple[int, ...]:
    """What an inference that leaves at each stage costs; the parts are those of `Budget`, in any unit."""
    totals = []
    spent = 0
    for index, stage in enumerate(stages):
        spent += stage + check
        totals.append(spent + back[index])
        spent += forward[index] if index < len(forward) else 0
    return tuple(totals)


def stage_cycles(placed: Placed, stage: Stage) -> Cycles:
    """Sum over the stage's layers, where their kernels lie included, and the start."""
    networks = placed.requirements.chain.networks
    return run_cycles(
        layer_cycles(slot.layer, networks[slot.network], placed.kernel_start(slot)) for slot in stage.slots
    )


def budget(placed: Placed, forward: Sequence[int], back: Sequence[int]) -> Budget:
    """Budget of a chain. `forward`, `back`: register writes of the switches, as in Budget."""
    chain, device = placed.requirements.chain, placed.requirements.device
    logits = placed.requirements.hw[chain.stages[-1].result or ""].layer.out_shape.channels
    return Budget(
        stages=tuple(stage_cycles(placed, stage) for stage in chain.stages),
        check=check_cycles(device, logits),
        forward=tuple(switch_cycles(device, writes) for writes in forward),
        back=tuple(switch_cycles(device, writes) for writes in back),
    )
