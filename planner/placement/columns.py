"""Weight columns: first what costs cycles, then the highest column, then memory left in one piece.

Where no block that costs cycles is in another's way, they all start at 0 and the rest is an interval problem
(`intervals`), whose bounds and first fit decide most instances. The last objective is what a further network could use
above all others' kernels; it comes from first fit in some orders, and from CP-SAT where these miss the bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from offramp.configs.device import Column
from offramp.planner.placement.conflicts import weight_items
from offramp.planner.placement.firstfit import packed
from offramp.planner.placement.intervals import Arrangement, Limits, arrange, busy_ranges
from offramp.planner.placement.problem import CYCLES, HIGHEST, REACH, Objective, Problem, WeightBlock

LAST_SHARE = 0.3  # of the effort, for the last objective: it decides nothing that others need
LIMITS = Limits(effort=2.0, seed=0)
Starts = tuple[Column, ...]


@dataclass(frozen=True)
class Columns:
    """Starts of the blocks in order, None if none were found; `impossible`: it is proved that there are none."""

    starts: Starts | None
    impossible: bool
    objectives: tuple[Objective, ...] = ()


def place_columns(problem: Problem, limits: Limits) -> Columns:
    """The best starts of the problem's weight blocks, as far as `limits` of each solver run allow. Deterministic."""
    blocks = problem.weights
    plain = arrange(weight_items(blocks, problem), limits)
    if plain.starts is None:
        return Columns(None, plain.bound > problem.columns)
    lost, highest, starts = _without_loss(problem, plain, limits) or _with_loss(problem, plain.starts, limits)
    starts = _pack(problem, starts, lost.value, highest.value)
    reach = Objective(REACH, reach_of(blocks, starts), _least_reach(problem))
    if not reach.optimal:
        from offramp.planner.placement.cpsat_columns import lower  # OR-Tools takes longer to import than most to place

        held = {CYCLES: lost.value, HIGHEST: highest.value}
        starts, reach = lower(problem, reach, held, starts, replace(limits, effort=LAST_SHARE * limits.effort))
    return Columns(starts, False, (lost, highest, reach))


def weights_fit(problem: Problem, limits: Limits = LIMITS) -> bool:
    """Whether start columns are found for all kernels on the processors that they have."""
    return arrange(weight_items(problem.weights, problem), limits).starts is not None


def objectives_of(blocks: Sequence[WeightBlock], starts: Sequence[Column]) -> tuple[Objective, Objective, Objective]:
    """What starts are worth, with nothing proved."""
    end = max((start + block.columns for block, start in zip(blocks, starts, strict=True)), default=0)
    values = ((CYCLES, lost_cycles(blocks, starts)), (HIGHEST, end), (REACH, reach_of(blocks, starts)))
    lost, highest, reach = (Objective(name, value, 0) for name, value in values)
    return lost, highest, reach


def lost_cycles(blocks: Sequence[WeightBlock], starts: Sequence[Column]) -> int:
    """Cycles that an inference of everything loses to starts above 0."""
    return sum(block.penalty * start for block, start in zip(blocks, starts, strict=True))


def reach_of(blocks: Sequence[WeightBlock], starts: Sequence[Column]) -> int:
    """Columns up to the last used one, summed over processors."""
    tops: dict[int, Column] = {}
    for block, start in zip(blocks, starts, strict=True):
        for processor in _processors(block):
            tops[processor] = max(tops.get(processor, 0), start + block.columns)
    return sum(tops.values())


def _without_loss(problem: Problem, plain: Arrangement, limits: Limits) -> tuple[Objective, Objective, Starts] | None:
    """The answer where all free blocks with a penalty can start at 0. None if they cannot, or were not found to."""
    blocks = problem.weights
    at_zero = tuple(replace(one, start=0) if one.penalty and one.start is None else one for one in blocks)
    found = plain if at_zero == blocks else arrange(weight_items(at_zero, problem), limits)
    if found.starts is None:
        return None
    lost = lost_cycles(blocks, found.starts)  # of fixed blocks only
    return Objective(CYCLES, lost, lost), Objective(HIGHEST, found.end, found.bound), found.starts


def _with_loss(problem: Problem, starts: Starts, limits: Limits) -> tuple[Objective, Objective, Starts]:
    """The answer where some blocks with a penalty cannot start at 0, from any starts that fit."""
    from offramp.planner.placement.cpsat_columns import lower

    blocks = problem.weights
    fixed = sum(block.penalty * block.start for block in blocks if block.start is not None)
    starts, lost = lower(problem, Objective(CYCLES, lost_cycles(blocks, starts), fixed), {}, starts, limits)
    end = max(start + block.columns for block, start in zip(blocks, starts, strict=True))
    longest = max(block.columns for block in blocks)
    starts, highest = lower(problem, Objective(HIGHEST, end, longest), {CYCLES: lost.value}, starts, limits)
    return lost, highest, starts


def _pack(problem: Problem, starts: Starts, lost: int, highest: Column) -> Starts:
    """The best reach of a few arrangements with every free block as low as it can lie, the first objectives held."""
    blocks = problem.weights
    items = weight_items(blocks, problem)
    free = {item: start for item, start in enumerate(starts) if items.starts[item] is None}
    best = starts
    for places in packed(items, busy_ranges(items), free):
        found = tuple(places.get(item, start) for item, start in enumerate(starts))
        cycles, end, reach = (one.value for one in objectives_of(blocks, found))
        if cycles <= lost and end <= highest and reach < reach_of(blocks, best):
            best = found
    return best


def _least_reach(problem: Problem) -> int:
    """A lower bound of the reach: the blocks of each processor by themselves."""
    in_processor: dict[int, list[WeightBlock]] = {}
    for block in problem.weights:
        for processor in _processors(block):
            in_processor.setdefault(processor, []).append(block)
    return sum(least_top(blocks, problem.start_multiple) for blocks in in_processor.values())


def least_top(blocks: Sequence[WeightBlock], step: int) -> Column:
    """The least end of blocks that lie upon each other: all but one fill whole start units of `step` columns."""
    rounded = [-(-block.columns // step) * step for block in blocks]
    return sum(rounded) - max(up - block.columns for up, block in zip(rounded, blocks, strict=True))


def _processors(block: WeightBlock) -> list[int]:
    return [processor for processor in range(block.processors.bit_length()) if block.processors >> processor & 1]
