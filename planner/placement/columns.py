"""Weight columns: first the fewest cycles lost to late starts, then the lowest highest column.

Where no block that costs cycles is in another's way, they all start at 0 and the rest is an interval problem
(`intervals`), whose bounds and first fit decide most instances. CP-SAT does the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from offramp.configs.device import Column
from offramp.planner.placement.answer import Answer, Found
from offramp.planner.placement.conflicts import weight_items
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS, Limits
from offramp.planner.placement.intervals import arrange
from offramp.planner.placement.problem import CYCLES, HIGHEST, Objective, Problem, WeightBlock
from offramp.planner.placement.rooms import in_rooms, restricted

Starts = tuple[Column, ...]


@dataclass(frozen=True)
class Columns:
    """Starts of the blocks, in their order, with the objectives."""

    starts: Starts
    objectives: tuple[Objective, Objective]


def place_columns(problem: Problem, limits: Limits) -> Answer[Columns]:
    """The best starts of the problem's weight blocks, as far as `limits` of each search allow. Deterministic."""
    blocks = problem.weights
    if any(restricted(block, problem) for block in blocks):
        return _in_rooms(problem, limits)
    at_zero = tuple(replace(block, start=0) if block.penalty and block.start is None else block for block in blocks)
    answer = arrange(weight_items(at_zero, problem), limits)
    if isinstance(answer, Found):
        found = answer.value
        lost = lost_cycles(blocks, found.in_order)  # of fixed blocks only
        objectives = (Objective(CYCLES, lost, lost), Objective(HIGHEST, found.end, found.bound))
        return Found(Columns(found.in_order, objectives))
    if any(block.rooms for block in blocks):
        return _in_rooms(problem, limits)
    if at_zero == blocks:
        return answer
    answer = arrange(weight_items(blocks, problem), limits, lowest=False)
    return Found(_least_loss(problem, answer.value.in_order, limits)) if isinstance(answer, Found) else answer


def _in_rooms(problem: Problem, limits: Limits) -> Answer[Columns]:
    answer = in_rooms(problem.weights, problem, limits)
    if not isinstance(answer, Found):
        return answer
    least = max((block.top for block in problem.weights), default=0)
    lost, highest = objectives_of(problem.weights, answer.value)
    return Found(Columns(answer.value, (lost, replace(highest, bound=least))))


def start_columns(blocks: Sequence[WeightBlock], problem: Problem, limits: Limits, lowest: bool) -> Answer[Starts]:
    """Starts for some blocks, in their order. `lowest`: with the lowest highest end, as far as `limits` allow."""
    if not any(restricted(block, problem) for block in blocks):
        answer = arrange(weight_items(blocks, problem), limits, lowest)
        if isinstance(answer, Found):
            return Found(answer.value.in_order)
        if not any(block.rooms for block in blocks):
            return answer
    return in_rooms(blocks, problem, limits)


def weights_fit(problem: Problem) -> bool:
    """Whether start columns are found for all kernels on the processors that they have."""
    return isinstance(start_columns(problem.weights, problem, DEFAULT_LIMITS, lowest=False), Found)


def objectives_of(blocks: Sequence[WeightBlock], starts: Sequence[Column]) -> tuple[Objective, Objective]:
    """The objectives of some starts, with nothing proved."""
    return Objective(CYCLES, lost_cycles(blocks, starts), 0), Objective(HIGHEST, highest_column(blocks, starts), 0)


def lost_cycles(blocks: Sequence[WeightBlock], starts: Sequence[Column]) -> int:
    """Cycles that an inference that runs every layer loses to starts above 0."""
    return sum(block.penalty * start for block, start in zip(blocks, starts, strict=True))


def highest_column(blocks: Sequence[WeightBlock], starts: Sequence[Column]) -> Column:
    """Columns in use in the fullest processor, counted from 0."""
    return max((start + block.top for block, start in zip(blocks, starts, strict=True)), default=0)


def _least_loss(problem: Problem, starts: Starts, limits: Limits) -> Columns:
    """The answer where some blocks with a penalty cannot start at 0, from any starts that fit."""
    from offramp.planner.placement.cpsat import fewest_cycles_lost, lowest_columns  # slow to import and rarely needed

    blocks = problem.weights
    fixed = sum(block.penalty * block.start for block in blocks if block.start is not None)
    starts, bound = fewest_cycles_lost(problem, starts, limits)
    lost = Objective(CYCLES, lost_cycles(blocks, starts), max(fixed, bound))
    longest = max(block.columns for block in blocks)
    starts, bound = lowest_columns(problem, lost.value, starts, limits)
    return Columns(starts, (lost, Objective(HIGHEST, highest_column(blocks, starts), max(longest, bound))))
