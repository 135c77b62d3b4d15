"""A single network as its own application: in one run, or cut into several if it has more layers than a run can."""

from __future__ import annotations

from offramp.codegen.lower import Lowered, lower
from offramp.configs.device import Device
from offramp.pipeline.chains import chain_budget
from offramp.pipeline.networks import placed_alone
from offramp.planner.allocation.budget import Budget, alone_budget, alone_energy, energy_budget
from offramp.planner.hardware.cycles import Cycles
from offramp.planner.hardware.energy import Energy
from offramp.planner.ir.network import Network


def alone_budgets(network: Network, device: Device) -> tuple[Budget[Cycles], Budget[Energy]]:
    """What the parts of an inference with the network alone cost. InputError or Infeasible if it takes several runs and
    cannot be placed: what is between them depends on what lies where."""
    if len(network.layers) <= device.geometry.layers:
        return alone_budget(network, device), alone_energy(network, device)
    lowered = lowered_alone(network, device)
    cycles = chain_budget(lowered)
    return cycles, energy_budget(lowered.placed, cycles)


def lowered_alone(network: Network, device: Device) -> Lowered:
    """The network placed, and cut into runs; see `placed_alone`."""
    return lower(placed_alone(network, device))
