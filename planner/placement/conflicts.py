"""Weight and data blocks as items of the interval problem: what conflicts with what."""

from __future__ import annotations

from collections.abc import Sequence

from offramp.planner.placement.interval_problem import Items, bits_of
from offramp.planner.placement.problem import Buffer, Problem, WeightBlock, may_share


def weight_items(blocks: Sequence[WeightBlock], problem: Problem) -> Items:
    """Cells are kernel columns; blocks conflict that have a processor in common and are there at the same time."""
    return Items(
        tuple(block.columns for block in blocks),
        tuple(block.start for block in blocks),
        tuple(
            bits_of(i for i, other in enumerate(blocks) if other is not block and meet(block, other))
            for block in blocks
        ),
        tuple((block.processors & -block.processors).bit_length() for block in blocks),
        problem.start_multiple,
        problem.columns,
    )


def meet(one: WeightBlock, other: WeightBlock) -> bool:
    """Whether two blocks may not share a column."""
    return bool(one.processors & other.processors) and not may_share(one.life, other.life)


def data_items(blocks: Sequence[Buffer], problem: Problem) -> Items:
    """Cells are words; blocks conflict that are live together in a common instance, unless the user allows it."""
    return Items(
        tuple(block.words for block in blocks),
        tuple(block.offset for block in blocks),
        tuple(
            bits_of(i for i, other in enumerate(blocks) if other is not block and collide(block, other, problem))
            for block in blocks
        ),
        tuple(block.first for block in blocks),
        1,
        problem.data_words,
    )


def collide(one: Buffer, other: Buffer, problem: Problem) -> bool:
    """Whether two tensors may not share a word."""
    together = one.first <= other.last and other.first <= one.last and set(one.instances) & set(other.instances)
    return bool(together) and frozenset((one.name, other.name)) not in problem.overlaps
