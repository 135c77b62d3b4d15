"""Why no placement exists: an irreducible set of blocks that cannot be placed together, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from offramp.configs.errors import Diagnostic
from offramp.planner.placement.answer import Answer, Impossible, Undecided
from offramp.planner.placement.biases import all_quadrants, place_biases
from offramp.planner.placement.cliques import clique_bound, clique_cover
from offramp.planner.placement.columns import start_columns
from offramp.planner.placement.conflicts import collide, data_items, weight_items
from offramp.planner.placement.interval_problem import Bits, Items, Limits, members
from offramp.planner.placement.intervals import arrange
from offramp.planner.placement.problem import BiasBlock, Buffer, Problem, WeightBlock, label

Block = TypeVar("Block", WeightBlock, BiasBlock, Buffer)
Conflicting = TypeVar("Conflicting", WeightBlock, Buffer)


def irreducible(
    blocks: Sequence[Block], place: Callable[[Sequence[Block]], Answer[object]]
) -> tuple[list[Block], bool]:
    """Leave out blocks, in the given order, as long as the rest still cannot be placed (deletion filter).

    A block without which `place` is undecided is kept. The result is in the given order; true if every set with one
    block less is proved to fit.
    """
    kept = list(blocks)
    proved = True
    for block in blocks:
        rest = [other for other in kept if other is not block]
        answer = place(rest)
        if isinstance(answer, Impossible):
            kept = rest
        proved = proved and not isinstance(answer, Undecided)
    return kept, proved


def core(
    blocks: Sequence[Conflicting],
    items_of: Callable[[Sequence[Conflicting], Problem], Items],
    problem: Problem,
    limits: Limits,
) -> tuple[list[Conflicting], bool]:
    """Weight or data blocks that cannot be placed together, the smallest left out first; true if each proper subset is
    proved to be placeable. `items_of`: their items (`conflicts`)."""

    def place(some: Sequence[Conflicting]) -> Answer[object]:
        weights = [block for block in some if isinstance(block, WeightBlock)]
        if weights:
            return start_columns(weights, problem, limits, lowest=False)
        return arrange(items_of(some, problem), limits, lowest=False)

    items = items_of(blocks, problem)
    sizes = dict(zip((block.name for block in blocks), items.sizes, strict=True))
    kept, proved = irreducible(sorted(_heaviest(blocks, items), key=lambda block: sizes[block.name]), place)
    return [block for block in blocks if block in kept], proved


def bias_core(problem: Problem, limits: Limits) -> tuple[list[BiasBlock], bool]:
    """Bias blocks that cannot be placed together; true if each proper subset is proved to be placeable."""

    def place(blocks: Sequence[BiasBlock]) -> Answer[object]:
        return place_biases(blocks, problem.bias_bytes, limits)

    kept, proved = irreducible(sorted(problem.biases, key=lambda block: block.length), place)
    return [block for block in problem.biases if block in kept], proved


def weights(problem: Problem, limits: Limits) -> Diagnostic:
    """The reason why the weights do not fit."""
    blocks, proved = core(problem.weights, weight_items, problem, limits)
    sizes = [f"{label(block)}: {_columns(block)}{_fixed(block.start, 'column')}" for block in blocks]
    common = ~0
    for block in blocks:
        common &= block.processors
    items = weight_items(blocks, problem)
    everyone = (1 << len(blocks)) - 1
    if len(blocks) > 1 and common and clique_bound(items, everyone) > problem.columns:
        need = f"they need {clique_bound(items, everyone)} of {problem.columns} kernel columns in {processors(common)}"
    elif len(blocks) == 1 and blocks[0].start is not None and blocks[0].start % problem.start_multiple:
        need = f"kernels start at multiples of {problem.start_multiple}"
    else:
        need = f"a processor has {problem.columns} kernel columns"
        if len(blocks) > 1:
            need += ", and layers with a common processor may not share any"
    return _reason("weights", blocks, sizes, need, proved)


def _columns(block: WeightBlock) -> str:
    apart = f" in each of {len(block.copies)} physical memories" if len(block.copies) > 1 else ""
    return f"{block.columns} columns{apart}"


def biases(problem: Problem, limits: Limits) -> Diagnostic:
    """The reason why the biases do not fit."""
    blocks, proved = bias_core(problem, limits)
    sizes = [f"{label(block)}: {block.length} bytes{' at byte 0' if block.at_zero else ''}" for block in blocks]
    room = all_quadrants(blocks)
    total = sum(block.length for block in blocks)
    where = f"quadrant {room[0]}" if len(room) == 1 else f"quadrants {', '.join(str(quadrant) for quadrant in room)}"
    if not room:
        need = "no quadrant is allowed"
    elif sum(block.at_zero for block in blocks) > len(room):
        need = f"each must start at byte 0 of its quadrant, allowed: {where}"
    else:
        need = f"they need {total} bytes in {where}; a quadrant has {problem.bias_bytes}"
    return _reason("biases", blocks, sizes, need, proved)


def data(problem: Problem, limits: Limits) -> Diagnostic:
    """The reason why the tensors do not fit."""
    blocks, proved = core(problem.data, data_items, problem, limits)
    sizes = [
        f"{label(block)}: {block.words} words{_fixed(block.offset, 'word')}, steps {block.first}..{block.last}"
        for block in blocks
    ]
    need = f"an instance has {problem.data_words} words"
    if len(blocks) == 2 and all(block.offset is not None for block in blocks):
        need = f"both occupy {_shared(blocks[0], blocks[1])}"
    elif len(blocks) > 1:
        total = clique_bound(data_items(blocks, problem), (1 << len(blocks)) - 1)
        common = sorted(set.intersection(*(set(block.instances) for block in blocks)))
        pairwise = all(collide(one, other, problem) for one in blocks for other in blocks if one is not other)
        if common and pairwise and total > problem.data_words:
            need = f"they need {total} of {problem.data_words} words in instance {_numbers(common)}"
        else:
            need += ", and tensors that are live together may not share any"
    return _reason("data", blocks, sizes, need, proved)


def processors(bits: Bits) -> str:
    """`processors 0..3, 8`."""
    listed = members(bits)
    return f"processor{'s' if len(listed) > 1 else ''} {_numbers(listed)}"


def _reason(kind: str, blocks: Sequence[Block], sizes: list[str], need: str, proved: bool) -> Diagnostic:
    count = "1 block" if len(blocks) == 1 else f"{len(blocks)} blocks"
    if len(blocks) == 1:
        rest = ""
    elif proved:
        rest = "; without any one of them the others fit"
    else:
        rest = "; whether fewer of them would do as a reason is undecided"
    return Diagnostic(blocks[0].where, f"the {kind} do not fit, {count}: {'; '.join(sizes)}: {need}{rest}")


def _shared(one: Buffer, other: Buffer) -> str:
    """What two fixed blocks share."""
    assert one.offset is not None and other.offset is not None
    instances = sorted(set(one.instances) & set(other.instances))
    low, high = max(one.offset, other.offset), min(one.offset + one.words, other.offset + other.words) - 1
    first, last = max(one.first, other.first), min(one.last, other.last)
    return f"instance {_numbers(instances)} words {low}..{high} at steps {first}..{last}"


def _numbers(listed: Sequence[int]) -> str:
    """Ascending numbers, runs of them as ranges: `0..3, 8`."""
    runs: list[list[int]] = []
    for number in listed:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}..{high}" for low, high in runs)


def _fixed(start: int | None, unit: str) -> str:
    return "" if start is None else f" fixed at {unit} {start}"


def _heaviest(blocks: Sequence[Conflicting], items: Items) -> list[Conflicting]:
    """The blocks of a clique that alone exceeds the capacity, else all: starting from a small set saves solver runs."""
    everything = (1 << len(blocks)) - 1
    cliques = clique_cover(items, everything)
    clique = max(cliques, key=lambda clique: clique_bound(items, clique))
    rooms = any(isinstance(block, WeightBlock) and block.rooms for block in blocks)
    chosen = clique if clique_bound(items, clique) > items.capacity and not rooms else everything
    return [blocks[item] for item in members(chosen)]
