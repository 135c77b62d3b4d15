"""Energy of a placed chain: its stages, what happens between them, and what an inference that leaves early takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.planner.allocation.budget import Budget, exit_costs
from offramp.planner.allocation.placed import Placed
from offramp.planner.hardware.energy import Energy, core_energy, layer_energy, run_energy
from offramp.planner.ir.chain import Stage


@dataclass(frozen=True)
class EnergyBudget:
    """Energy of a placed chain; the parts are those of `Budget`."""

    stages: tuple[Energy, ...]
    check: Energy
    forward: tuple[Energy, ...]
    back: tuple[Energy, ...]

    @property
    def cost_by_exit(self) -> tuple[int, ...]:
        """Picojoules of an inference that leaves at each stage."""
        parts = [[one.picojoules for one in part] for part in (self.stages, self.forward, self.back)]
        return exit_costs(parts[0], self.check.picojoules, parts[1], parts[2])

    def mean(self, exit_index: npt.NDArray[np.int64]) -> float:
        """Mean microjoules of inferences that leave at stages `exit_index`, (N,)."""
        return float(np.array(self.cost_by_exit)[exit_index].mean()) / 10**6


def stage_energy(placed: Placed, stage: Stage) -> Energy:
    """Energy of one run of a stage."""
    networks, device = placed.requirements.chain.networks, placed.requirements.device
    return run_energy(
        layer_energy(slot.layer, networks[slot.network], device, placed.kernel_start(slot)) for slot in stage.slots
    )


def energy_budget(placed: Placed, costs: Budget) -> EnergyBudget:
    """Energy of a chain whose cycles are `costs`."""
    device = placed.requirements.device
    return EnergyBudget(
        stages=tuple(stage_energy(placed, stage) for stage in placed.requirements.chain.stages),
        check=core_energy(costs.check, device),
        forward=tuple(core_energy(one, device) for one in costs.forward),
        back=tuple(core_energy(one, device) for one in costs.back),
    )
