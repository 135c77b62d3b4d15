"""Start columns of weight blocks that may not lie anywhere: in physical memories, in several at once, or beyond the
columns that all processors have. First fit in several orders; CP-SAT for what that leaves open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from offramp.configs.device import Column
from offramp.planner.placement.answer import Answer, Found, Impossible
from offramp.planner.placement.conflicts import meet
from offramp.planner.placement.interval_problem import Limits
from offramp.planner.placement.problem import Problem, WeightBlock, allowed_rooms, inside

Starts = tuple[Column, ...]


def restricted(block: WeightBlock, problem: Problem) -> bool:
    """Whether a block may not lie at any of the columns that all processors have."""
    whole = any(low == 0 and high >= problem.columns for low, high in allowed_rooms(block, problem))
    return block.copies != (0,) or not whole


def in_rooms(blocks: Sequence[WeightBlock], problem: Problem, limits: Limits) -> Answer[Starts]:
    """Starts of the blocks, in their order. Deterministic."""
    for key in _orders(problem):
        starts = _first_fit(blocks, sorted(range(len(blocks)), key=lambda index: (*key(blocks[index]), index)), problem)
        if starts:
            return Found(starts)
    if any(not _starts(block, problem) for block in blocks):
        return Impossible("rooms")
    from offramp.planner.placement.cpsat_rooms import starts_in_rooms  # OR-Tools is slow to import and rarely needed

    return starts_in_rooms(blocks, problem, limits)


def _orders(problem: Problem) -> Iterator[Callable[[WeightBlock], tuple[int, ...]]]:
    """Sort keys: restricted blocks first, then large ones; all by size; those with the least choice first."""
    yield lambda block: (block.start is None, not restricted(block, problem), -block.all_columns)
    yield lambda block: (block.start is None, -block.all_columns)
    yield lambda block: (block.start is None, max(high for _, high in allowed_rooms(block, problem)))
    yield lambda block: (block.start is None, not restricted(block, problem), -block.processors.bit_count())


def _first_fit(blocks: Sequence[WeightBlock], order: Sequence[int], problem: Problem) -> Starts | None:
    """Each block in turn at the lowest start that it may have and no earlier one denies it; None if there is none."""
    found: dict[int, Column] = {}
    for index in order:
        block = blocks[index]
        taken = [
            (start + copy, start + copy + blocks[other].columns)
            for other, start in found.items()
            if meet(block, blocks[other])
            for copy in blocks[other].copies
        ]
        start = next((one for one in _starts(block, problem) if not _denied(block, one, taken)), None)
        if start is None:
            return None
        found[index] = start
    return tuple(found[index] for index in range(len(blocks)))


def _starts(block: WeightBlock, problem: Problem) -> Sequence[Column]:
    """The columns at which a block may start, ascending."""
    if block.start is not None:
        legal = block.start % problem.start_multiple == 0 and inside(block, block.start, problem)
        return [block.start] if legal else []
    step = problem.start_multiple
    rooms = allowed_rooms(block, problem)
    return [start for low, high in rooms for start in range(-(-low // step) * step, high - block.columns + 1, step)]


def _denied(block: WeightBlock, start: Column, taken: Sequence[tuple[Column, Column]]) -> bool:
    return any(
        start + copy < high and low < start + copy + block.columns for low, high in taken for copy in block.copies
    )
