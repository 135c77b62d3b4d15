"""A single network as its own application: in one run, or cut into several if it has more layers than a run can, or if
its kernels do not fit together and may be written again."""

from __future__ import annotations

from dataclasses import dataclass

from offramp.codegen.lower import Lowered, lower
from offramp.configs.device import Device
from offramp.configs.errors import Infeasible
from offramp.pipeline.chains import chain_budget
from offramp.pipeline.networks import placed_alone
from offramp.planner.allocation.budget import Budget, alone_budget, alone_energy, energy_budget
from offramp.planner.hardware.cycles import Cycles
from offramp.planner.hardware.energy import Energy
from offramp.planner.ir.network import Network
from offramp.planner.spec.spec import ReloadSpec


@dataclass(frozen=True)
class AloneCost:
    """What the parts of an inference with a network alone cost. `note`: what had to be assumed."""

    cycles: Budget[Cycles]
    energy: Budget[Energy]
    note: str | None = None


def alone_cost(name: str, network: Network, device: Device, reload: ReloadSpec | None) -> AloneCost:
    """Of network `name` of a spec with that `reload`. What is written again and what is between several runs depend on
    what lies where: the network is placed if it may need either. InputError or Infeasible if it takes several runs for
    the number of its layers, and cannot be placed."""
    deep = len(network.layers) > device.geometry.layers
    if not deep and reload is None:
        return _resident(network, device)
    try:
        lowered = lowered_alone(network, device, reload)
    except Infeasible:
        if deep:
            raise
        note = "alone it does not fit, whatever is written again: its costs alone are those of weights that all fit"
        return _resident(network, device, f"network `{name}`: {note}")
    if not deep and lowered.placed.reload is None:
        return _resident(network, device)
    cycles = chain_budget(lowered)
    return AloneCost(cycles, energy_budget(lowered.placed, cycles))


def _resident(network: Network, device: Device, note: str | None = None) -> AloneCost:
    """In a single run, with every kernel at the start of weight memory."""
    return AloneCost(alone_budget(network, device), alone_energy(network, device), note)


def lowered_alone(network: Network, device: Device, reload: ReloadSpec | None = None) -> Lowered:
    """The network placed, and cut into runs; see `placed_alone`."""
    return lower(placed_alone(network, device, reload))
