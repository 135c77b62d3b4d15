"""The smallest change with which a chain would fit, where it does not: each is tried before it is suggested."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain as chained

from offramp.configs.device import Device
from offramp.configs.errors import OfframpError
from offramp.planner.allocation.requirements import placement_problem, requirements_of
from offramp.planner.ir.chain import Chain, Slot
from offramp.planner.ir.network import Layer
from offramp.planner.placement.columns import weights_fit
from offramp.planner.placement.conflicts import weight_items
from offramp.planner.placement.explain import core
from offramp.planner.placement.interval_problem import Limits
from offramp.planner.placement.problem import Problem
from offramp.planner.placement.solve import solve
from offramp.planner.rules.check import check_chain

Alternative = tuple[str, Callable[[], Chain]]  # what would be different, and the chain with it
LIMITS = Limits(effort=0.2)  # of each attempt; what takes more is not suggested


def nearest(chain: Chain, problem: Problem, device: Device, overlap: bool, more: Iterable[Alternative]) -> str | None:
    """The first change with which everything fits: freed offsets, one of `more`, fewer weight bits. None: none found.

    Changes that cost no accuracy come first, then one layer of those that do not fit together, then all of these.
    """
    for words, changed in chained(_freed_offsets(chain), more, _fewer_bits(chain, problem)):
        if _fits(changed, device, overlap):
            return f"it would fit with {words}"
    return None


def _fits(changed: Callable[[], Chain], device: Device, overlap: bool) -> bool:
    try:
        chain = changed()
        if check_chain(chain, device):
            return False
        solve(placement_problem(requirements_of(chain, device), overlap), LIMITS)
    except OfframpError:
        return False
    return True


def _freed_offsets(chain: Chain) -> Iterator[Alternative]:
    """The planner chooses the places of the activations of one network, then of all."""
    kept = [name for name, keep in chain.keep_offsets.items() if keep]
    for names in [[name] for name in kept] + ([kept] if len(kept) > 1 else []):
        freed = {**chain.keep_offsets, **dict.fromkeys(names, False)}
        yield f"`offsets: free` for {' and '.join(names)}", partial(replace, chain, keep_offsets=freed)


def _fewer_bits(chain: Chain, problem: Problem) -> Iterator[Alternative]:
    """Half the weight bits for one layer of the irreducible core, the largest first, then for all of them. Nothing if
    the weights do fit."""
    if weights_fit(problem):
        return
    blocks, _ = core(problem.weights, weight_items, problem, LIMITS)
    slots = {slot.name: slot for slot in chain.slots}
    names = [block.name for block in sorted(blocks, key=lambda block: -block.columns * block.processors.bit_count())]
    names = [name for name in names if slots[name].layer.weight_bits > 1]
    for chosen in [[name] for name in names] + ([names] if len(names) > 1 else []):
        bits = [f"{slots[name].layer.weight_bits // 2}-bit weights for {name}" for name in chosen]
        yield " and ".join(bits), partial(_halved, chain, chosen)


def _halved(chain: Chain, names: Collection[str]) -> Chain:
    """The chain with half the bits in the weights of the named slots' layers."""
    layers = {(slot.network, slot.layer.index): _half(slot.layer) for slot in chain.slots if slot.name in names}

    def changed(slot: Slot) -> Slot:
        return replace(slot, layer=layers.get((slot.network, slot.layer.index), slot.layer))

    networks = {
        name: replace(network, layers=tuple(layers.get((name, layer.index), layer) for layer in network.layers))
        for name, network in chain.networks.items()
    }
    stages = tuple(replace(stage, slots=tuple(map(changed, stage.slots))) for stage in chain.stages)
    return replace(chain, networks=networks, stages=stages)


def _half(layer: Layer) -> Layer:
    """The layer, to be quantised again: the shift makes up for the bits, so its output keeps its scale."""
    bits = layer.weight_bits // 2
    return replace(layer, weight_bits=bits, output_shift=layer.output_shift + bits - layer.weight_bits)
