"""What designs cost before they are trained: the whole answer, from the input to the decision.

The figures are those of `planner.allocation.budget` for a network that runs alone. What is missing is the switch to the
next network, whose registers are known only once both are placed (training/candidates.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from operator import ge

from offramp.configs.device import Device
from offramp.pipeline.costing import layer_macs
from offramp.planner.allocation.budget import alone_budget
from offramp.planner.hardware.cycles import network_cycles
from offramp.planner.ir.network import Network
from offramp.training.design import Design, network_of


@dataclass(frozen=True)
class DesignCost:
    """`cycles`: of a whole answer, switches left out, or of a head's layers; `seen`: pixels that the first layer is
    given, pooled; `macs`: multiply-accumulates; `weights`: values."""

    design: Design
    cycles: int
    seen: int
    macs: int
    weights: int

    @property
    def size(self) -> tuple[int, int, int]:
        """What a network can do more with, the more of it there is."""
        return self.seen, self.macs, self.weights


def cost_of(design: Design, device: Device, head: bool = False) -> DesignCost:
    """InputError if the device cannot run it. Of a head the cycles of its layers only: what is around it costs the same
    for all heads at a cut."""
    network = network_of(design, device)
    alone = network_cycles(network, device).cycles if head else alone_budget(network, device).cost_by_exit[0]
    first = network.layers[0]
    macs = sum(layer_macs(layer) for layer in network.layers)
    return DesignCost(design, alone, first.pooled[0] * first.pooled[1], macs, weights_of(network))


def weights_of(network: Network) -> int:
    """Weights of all layers."""
    return sum(
        layer.out_shape.channels * layer.in_features * layer.kernel[0] * layer.kernel[1] for layer in network.layers
    )


def worth_training(designs: Sequence[DesignCost]) -> tuple[DesignCost, ...]:
    """Designs that no other one dominates: one that costs at most as much, and sees, computes and holds at least as
    much. The cheapest first.

    Within a cost the larger network is the better bet, as it can do what the smaller one does: Lin et al., "MCUNet:
    Tiny Deep Learning on IoT Devices", 2020, arXiv:2007.10319, section 3.1, choose design spaces by it.
    """
    ranked = sorted(designs, key=lambda one: (one.cycles, *(-part for part in one.size), repr(one.design)))
    kept: list[DesignCost] = []
    for one in ranked:
        if not any(all(map(ge, other.size, one.size)) for other in kept):
            kept.append(one)
    return tuple(kept)


def spread(designs: Sequence[DesignCost], count: int, by_sight: bool = False) -> tuple[DesignCost, ...]:
    """At most `count` of the designs, about equally far from each other in the logarithm of the cost: the range of
    costs is cut into bands, and of each the one with most multiply-accumulates is taken. `by_sight`: one for every
    size of what is seen, and fewer bands. The cheapest first."""
    for bands in range(count, 0, -1):
        picked = _of_bands(designs, bands, by_sight)
        if len(picked) <= count:
            return picked
    return _of_bands(designs, count, False)


def _of_bands(designs: Sequence[DesignCost], bands: int, by_sight: bool) -> tuple[DesignCost, ...]:
    if not designs:
        return ()
    low, high = (pick(one.cycles for one in designs) for pick in (min, max))
    best: dict[tuple[int, int], DesignCost] = {}
    for one in designs:
        band = min(bands - 1, int(bands * log(one.cycles / low) / log(high / low))) if high > low else 0
        key = band, one.seen if by_sight else 0
        kept = best.setdefault(key, one)
        if (one.macs, one.weights) > (kept.macs, kept.weights):
            best[key] = one
    return tuple(sorted(best.values(), key=lambda one: (one.cycles, one.size)))
