"""Start columns in rooms, as a model for CP-SAT."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ortools.sat.python import cp_model

from offramp.configs.device import Column
from offramp.planner.placement.answer import Answer, Found, Impossible, Undecided
from offramp.planner.placement.conflicts import meet
from offramp.planner.placement.cpsat_solver import SOLVED, solve_model
from offramp.planner.placement.interval_problem import Limits
from offramp.planner.placement.problem import Problem, WeightBlock, allowed_rooms


def starts_in_rooms(blocks: Sequence[WeightBlock], problem: Problem, limits: Limits) -> Answer[tuple[Column, ...]]:
    """Any starts of the blocks, in their order."""
    model = cp_model.CpModel()
    starts = [model.new_int_var_from_domain(_domain(block, problem), f"start of {block.name}") for block in blocks]
    spans = [_spans(model, block, start, problem) for block, start in zip(blocks, starts, strict=True)]
    for (one, own), (other, others) in combinations(zip(blocks, spans, strict=True), 2):
        if meet(one, other):
            for first in own:
                for second in others:
                    model.add_no_overlap([first, second])
    solver, status = solve_model(model, limits)
    if status in SOLVED:
        return Found(tuple(solver.value(start) * problem.start_multiple for start in starts))
    return Impossible("solver") if status == cp_model.INFEASIBLE else Undecided()


def _domain(block: WeightBlock, problem: Problem) -> cp_model.Domain:
    """The starts that a block may have, in start units."""
    step = problem.start_multiple
    if block.start is not None:
        return cp_model.Domain(block.start // step, block.start // step)
    rooms = allowed_rooms(block, problem)
    pairs = [[-(-low // step), (high - block.columns) // step] for low, high in rooms if high - low >= block.columns]
    return cp_model.Domain.from_intervals(pairs)


def _spans(
    model: cp_model.CpModel, block: WeightBlock, start: cp_model.IntVar, problem: Problem
) -> list[cp_model.IntervalVar]:
    """The columns of a block and of its copies."""
    step, length = problem.start_multiple, -(-block.columns // problem.start_multiple)
    return [
        model.new_fixed_size_interval_var(start + copy // step, length, f"columns of {block.name} from {copy}")
        for copy in block.copies
    ]
