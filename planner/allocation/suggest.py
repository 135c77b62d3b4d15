"""The smallest change with which a chain would fit, where it does not: each is tried before it is suggested."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain as chained
from itertools import combinations, islice

import numpy as np

from offramp.configs.device import Device
from offramp.configs.errors import OfframpError
from offramp.planner.allocation.requirements import placement_problem, requirements_of
from offramp.planner.hardware.hw_layer import set_bits
from offramp.planner.ir.chain import INPUT_TENSOR, Chain, Slot, of_core
from offramp.planner.ir.measure import GATE
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
EXACT = 3  # layers of which all sets are considered
ATTEMPTS = 24  # sets of layers that are tried


def nearest(chain: Chain, problem: Problem, device: Device, overlap: bool, more: Iterable[Alternative]) -> str | None:
    """The first change with which everything fits: another order of the stages, freed offsets, exits that the core
    decides about, one of `more`, fewer weight bits for as few layers as possible. None: none found.

    Changes that cost no accuracy come first.
    """
    for words, changed in chained(
        _other_orders(chain), freed_offsets(chain), _core_exits(chain), more, _fewer_bits(chain, problem)
    ):
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


def _other_orders(chain: Chain) -> Iterator[Alternative]:
    """A stage that reads the input in front of the first one, which may write over it. Not where hardware exits tie
    stages together: another order would have other runs."""
    for position, stage in enumerate(() if chain.hardware else chain.stages):
        before = {slot.network for earlier in chain.stages[:position] for slot in earlier.slots}
        reads_input = any(INPUT_TENSOR in slot.reads for slot in stage.slots)
        if position and reads_input and not before & {slot.network for slot in stage.slots}:
            others = tuple(other for other in chain.stages if other is not stage)
            words = f"stage `{stage.name}` in front of `{chain.stages[0].name}`: it reads the input, which"
            words += f" `{chain.stages[0].name}` writes over, so the order of the stages is wrong"
            yield words, partial(replace, chain, stages=(stage, *others))


def _core_exits(chain: Chain) -> Iterator[Alternative]:
    """No hardware exits: these need a word of their own, and what one of their stages leaves lives to the run's end. A
    network with a gate has no other exit."""
    gated = any(stage.exit and stage.exit.measure == GATE for stage in chain.exits)
    if chain.hardware and not gated:
        names = " and ".join(f"`{stage.name}`" for stage in chain.stages if stage.hardware)
        yield f"exits of the core (`confidence`) in place of the hardware exits: {names}", partial(of_core, chain)


def freed_offsets(chain: Chain) -> Iterator[Alternative]:
    """The planner chooses the places of the activations of one network, then of all."""
    kept = [name for name, keep in chain.keep_offsets.items() if keep]
    for names in [[name] for name in kept] + ([kept] if len(kept) > 1 else []):
        freed = {**chain.keep_offsets, **dict.fromkeys(names, False)}
        yield f"`offsets: free` for {' and '.join(names)}", partial(replace, chain, keep_offsets=freed)


def _fewer_bits(chain: Chain, problem: Problem) -> Iterator[Alternative]:
    """Half the weight bits for one layer, for two, and so on."""
    slots = {slot.name: slot for slot in chain.slots}
    for names in smaller_sets(slots, problem):
        yield halved_words(slots, names), partial(halved, chain, names)


def smaller_sets(slots: Mapping[str, Slot], problem: Problem) -> Iterator[Sequence[str]]:
    """Names of layers whose weights could have half the bits, one, two, and so on; of as many layers those with the
    fewest weights first. Nothing if the weights do fit. `slots`: by the names of the problem's blocks.

    Every set of up to EXACT layers is considered, but for those that leave a processor with too many columns in any
    case, and those without a layer of the irreducible core; the first ATTEMPTS that remain are tried. After them, for
    larger sets, the largest layers of the core are added one by one.
    """
    if weights_fit(problem):
        return
    names = [block.name for block in problem.weights if slots[block.name].layer.weight_bits > 1]
    blocks, _ = core(problem.weights, weight_items, problem, LIMITS)
    needed = {block.name for block in blocks}
    sets = (chosen for size in range(1, EXACT + 1) for chosen in _sets(slots, problem, names, size))
    yield from islice((one for one in sets if needed & set(one)), ATTEMPTS)
    largest = sorted(needed & set(names), key=lambda name: -_weights(slots[name].layer))
    for count in range(EXACT + 1, len(largest) + 1):
        yield largest[:count]


def halved_words(slots: Mapping[str, Slot], names: Sequence[str]) -> str:
    return " and ".join(f"{slots[name].layer.weight_bits // 2}-bit weights for {name}" for name in names)


def _sets(slots: Mapping[str, Slot], problem: Problem, names: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """Sets of layers with whose weights halved no processor has more columns than there are, the fewest weights
    first."""
    processors = sorted({bit for block in problem.weights for bit in set_bits(block.processors)})
    use = {
        block.name: block.columns * np.array([block.processors >> bit & 1 for bit in processors])
        for block in problem.weights
    }
    excess = sum(use.values()) - problem.columns
    fitting = [one for one in combinations(names, size) if np.all(sum(use[name] // 2 for name in one) >= excess)]
    yield from sorted(fitting, key=lambda one: sum(_weights(slots[name].layer) for name in one))


def _weights(layer: Layer) -> int:
    return 0 if layer.weights is None else layer.weights.size


def halved(chain: Chain, names: Collection[str]) -> Chain:
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
