"""Checks a placement by the definition alone: bitmaps of the memories, and nothing that `solve` uses.

One rule is one function from (problem, placement) to the violations it finds. Rules about places skip blocks that
have none; `every_block_placed` reports those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from offramp.planner.placement.problem import (
    CYCLES,
    HIGHEST,
    BiasBlock,
    Buffer,
    Placement,
    Problem,
    Violation,
    WeightBlock,
    allowed_rooms,
    inside,
    label,
)

Bitmap = npt.NDArray[np.bool_]


def check(problem: Problem, placement: Placement) -> tuple[Violation, ...]:
    """All broken rules, in the order of RULES; empty if the placement is right."""
    return tuple(violation for rule in RULES for violation in rule(problem, placement))


def every_block_placed(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """Every weight, bias and data block has a place."""
    for kind, blocks, places in _kinds(problem, placement):
        for block in blocks:
            if block.name not in places:
                yield Violation("every_block_placed", f"{kind} {label(block)} has no place")


def only_known_blocks(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """Every place belongs to a block of the problem."""
    for kind, blocks, places in _kinds(problem, placement):
        for name in sorted(set(places) - {block.name for block in blocks}):
            yield Violation("only_known_blocks", f"{kind} {name} has a place but is not part of the problem")


def weights_inside(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """Kernels lie inside the weight memory of a processor."""
    for block, start in _placed_weights(problem, placement):
        if not inside(block, start, problem):
            found = f"weights {label(block)} occupy columns {start}..{start + block.columns - 1}"
            allowed = " or ".join(f"{low}..{high - 1}" for low, high in allowed_rooms(block, problem))
            where = f"they may have columns {allowed}" if block.rooms else f"a processor has columns {allowed}"
            yield Violation("weights_inside", f"{found}; {where}")


def weight_start_multiple(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """Kernels start at a multiple of the device's start multiple."""
    for block, start in _placed_weights(problem, placement):
        if start % problem.start_multiple:
            found = f"weights {label(block)} start at column {start}"
            yield Violation("weight_start_multiple", f"{found}; it must be a multiple of {problem.start_multiple}")


def weight_start_fixed(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """A start column given by the user is kept."""
    for block, start in _placed_weights(problem, placement):
        if block.start is not None and start != block.start:
            yield Violation("weight_start_fixed", f"weights {label(block)} start at {start}, fixed is {block.start}")


def weights_disjoint(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """No kernel column of a processor belongs to two blocks, but to such as are written again at different times."""
    maps = [(block, _weight_bitmap(problem, block, start)) for block, start in _placed_weights(problem, placement)]
    for (one, one_map), (other, other_map) in combinations(maps, 2):
        shared = one_map & other_map
        if shared.any() and not _apart(one, other):
            processor, column = (int(index) for index in np.argwhere(shared)[0])
            both = f"weights {label(one)} and {label(other)} both occupy column {column} of processor {processor}"
            yield Violation("weights_disjoint", both)


def bias_inside(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """Biases lie inside the bias memory of a quadrant."""
    for block in problem.biases:
        place = placement.biases.get(block.name)
        if place and (place.start < 0 or place.start + block.length > problem.bias_bytes):
            found = f"biases {label(block)} occupy bytes {place.start}..{place.start + block.length - 1}"
            yield Violation("bias_inside", f"{found}; a quadrant has bytes 0..{problem.bias_bytes - 1}")


def bias_start_multiple(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """Biases start at a multiple of the device's."""
    for block in problem.biases:
        place = placement.biases.get(block.name)
        if place and place.start % problem.bias_multiple:
            found = f"biases {label(block)} start at byte {place.start}"
            yield Violation("bias_start_multiple", f"{found}; it must be a multiple of {problem.bias_multiple}")


def bias_quadrant_allowed(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """Biases lie in a quadrant that the layer may take them from."""
    for block in problem.biases:
        place = placement.biases.get(block.name)
        if place and place.quadrant not in block.quadrants:
            allowed = ", ".join(str(quadrant) for quadrant in block.quadrants)
            found = f"biases {label(block)} lie in quadrant {place.quadrant}"
            yield Violation("bias_quadrant_allowed", f"{found}; allowed: {allowed}")


def bias_at_zero(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """Biases that must start at byte 0 of a quadrant do."""
    for block in problem.biases:
        place = placement.biases.get(block.name)
        if place and block.at_zero and place.start != 0:
            yield Violation("bias_at_zero", f"biases {label(block)} start at byte {place.start}; they must start at 0")


def biases_disjoint(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """No bias byte belongs to two blocks, but to such as are written again at different times."""
    places = [(block, placement.biases[block.name]) for block in problem.biases if block.name in placement.biases]
    placed = [(block, place) for block, place in places if place.quadrant in block.quadrants]
    quadrants = 1 + max((place.quadrant for _, place in placed), default=0)
    maps = []
    for block, place in placed:
        bitmap = np.zeros((quadrants, problem.bias_bytes), dtype=bool)
        bitmap[place.quadrant, max(place.start, 0) : max(place.start + block.length, 0)] = True
        maps.append((block, bitmap))
    for (one, one_map), (other, other_map) in combinations(maps, 2):
        shared = np.argwhere(one_map & other_map)
        if len(shared) and not _apart(one, other):
            quadrant, byte = (int(index) for index in shared[0])
            both = f"biases {label(one)} and {label(other)} both occupy byte {byte} of quadrant {quadrant}"
            yield Violation("biases_disjoint", both)


def data_inside(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """Tensors lie inside a data memory instance."""
    for block, offset in _placed_data(problem, placement):
        if offset < 0 or offset + block.words > problem.data_words:
            found = f"data {label(block)} occupy words {offset}..{offset + block.words - 1}"
            yield Violation("data_inside", f"{found}; an instance has words 0..{problem.data_words - 1}")


def data_offset_fixed(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """An offset given by the user is kept."""
    for block, offset in _placed_data(problem, placement):
        if block.offset is not None and offset != block.offset:
            yield Violation("data_offset_fixed", f"data {label(block)} lie at word {offset}, fixed is {block.offset}")


def data_disjoint(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """No word of an instance belongs to two live tensors at any step, except where the user allows it.

    Two blocks that are live together are both live at the step where the later one becomes live, so only steps at which
    a block becomes live are checked.
    """
    placed = _placed_data(problem, placement)
    for step in sorted({block.first for block, _ in placed}):
        live = [(block, offset) for block, offset in placed if block.first <= step <= block.last]
        fresh = {block.name for block, _ in live if block.first == step}
        crowd = _crowded(problem, live)
        for (one, one_map), (other, other_map) in combinations(crowd, 2):
            allowed = frozenset((one.name, other.name)) in problem.overlaps
            shared = np.argwhere(one_map & other_map)
            if len(shared) and not allowed and fresh & {one.name, other.name}:
                instance, word = (int(index) for index in shared[0])
                both = (
                    f"data {label(one)} and {label(other)} both occupy instance {instance} word {word} at step {step}"
                )
                yield Violation("data_disjoint", both)


def objectives_true(problem: Problem, placement: Placement) -> Iterator[Violation]:
    """Stated objectives are those of the placement, and not below the bounds that it claims."""
    placed = _placed_weights(problem, placement)
    highest = max((start + block.copies[-1] + block.columns for block, start in placed), default=0)
    lost = sum(block.penalty * start for block, start in placed)
    found = {CYCLES: lost, HIGHEST: highest}
    if [objective.name for objective in placement.objectives] != list(found):
        yield Violation("objectives_true", f"objectives are {', '.join(found)}, in this order")
        return
    for one in placement.objectives:
        value = found[one.name]
        if one.value != value:
            yield Violation("objectives_true", f"{one.name}: {one.value} is stated, {value} is true")
        if one.bound > value:
            yield Violation("objectives_true", f"{one.name}: {one.bound} is claimed as a lower bound of {value}")


RULES: tuple[Callable[[Problem, Placement], Iterator[Violation]], ...] = (
    every_block_placed,
    only_known_blocks,
    weights_inside,
    weight_start_multiple,
    weight_start_fixed,
    weights_disjoint,
    bias_inside,
    bias_start_multiple,
    bias_quadrant_allowed,
    bias_at_zero,
    biases_disjoint,
    data_inside,
    data_offset_fixed,
    data_disjoint,
    objectives_true,
)


def _kinds(problem: Problem, placement: Placement) -> Iterator[tuple[str, tuple[Any, ...], Mapping[str, object]]]:
    yield "weights", problem.weights, placement.weights
    yield "biases", problem.biases, placement.biases
    yield "data", problem.data, placement.data


def _placed_weights(problem: Problem, placement: Placement) -> list[tuple[WeightBlock, int]]:
    return [(block, placement.weights[block.name]) for block in problem.weights if block.name in placement.weights]


def _placed_data(problem: Problem, placement: Placement) -> list[tuple[Buffer, int]]:
    return [(block, placement.data[block.name]) for block in problem.data if block.name in placement.data]


def _apart(one: WeightBlock | BiasBlock, other: WeightBlock | BiasBlock) -> bool:
    """Both blocks are written again, and there is no part of the chains during which both are there."""
    if one.life is None or other.life is None:
        return False
    return not any(part in other.life for part in one.life)


def _weight_bitmap(problem: Problem, block: WeightBlock, start: int) -> Bitmap:
    """Bool (processors, columns): what the block occupies."""
    processors = max((other.processors.bit_length() for other in problem.weights), default=0)
    columns = max([problem.columns, *(high for other in problem.weights for _, high in other.rooms)])
    bitmap = np.zeros((processors, columns), dtype=bool)
    for processor in range(processors):
        for copy in block.copies if block.processors >> processor & 1 else ():
            bitmap[processor, max(start + copy, 0) : max(start + copy + block.columns, 0)] = True
    return bitmap


def _data_bitmap(problem: Problem, block: Buffer, offset: int) -> Bitmap:
    """Bool (instances, words): what the block occupies while it is live."""
    instances = 1 + max((instance for other in problem.data for instance in other.instances), default=-1)
    bitmap = np.zeros((instances, problem.data_words), dtype=bool)
    for instance in block.instances:
        bitmap[instance, max(offset, 0) : max(offset + block.words, 0)] = True
    return bitmap


def _crowded(problem: Problem, live: list[tuple[Buffer, int]]) -> list[tuple[Buffer, Bitmap]]:
    """The live blocks, with their bitmaps, that touch a word with more than one owner."""
    owners: npt.NDArray[np.int16] | None = None
    for block, offset in live:
        bitmap = _data_bitmap(problem, block, offset)
        owners = bitmap.astype(np.int16) if owners is None else owners + bitmap
    if owners is None or owners.max(initial=0) < 2:
        return []
    maps = [(block, _data_bitmap(problem, block, offset)) for block, offset in live]
    return [(block, bitmap) for block, bitmap in maps if owners[bitmap].max(initial=0) > 1]
