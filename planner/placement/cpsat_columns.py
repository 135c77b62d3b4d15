"""One objective of the weight columns at a time by CP-SAT, those before it held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ortools.sat.python import cp_model

from offramp.configs.device import Column
from offramp.planner.placement.columns import least_top, objectives_of
from offramp.planner.placement.cpsat import new_solver
from offramp.planner.placement.intervals import Limits
from offramp.planner.placement.problem import CYCLES, HIGHEST, REACH, Objective, Problem, WeightBlock

Starts = tuple[Column, ...]
Groups = Mapping[tuple[int, ...], int]  # blocks that lie in the same processors together -> how many processors


def lower(
    problem: Problem, objective: Objective, held: Mapping[str, int], starts: Starts, limits: Limits
) -> tuple[Starts, Objective]:
    """Starts that are at least as good as the given ones, and the objective with its value and bound there.

    `held`: by name, what other objectives may not exceed. The given starts must keep to that.
    """
    built = _build(problem, held.get(HIGHEST, problem.columns))
    if CYCLES in held:
        built.model.add(built.lost <= held[CYCLES])
    for variable, start in zip(built.starts, starts, strict=True):
        built.model.add_hint(variable, start // problem.start_multiple)
    built.model.minimize(_goal(built, objective.name))
    solver = new_solver(limits)
    solver.parameters.linearization_level = 2  # bounds sums over processors; pairs of the corpus need it
    if solver.solve(built.model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return starts, objective
    found = tuple(solver.value(variable) * problem.start_multiple for variable in built.starts)
    value = next(one.value for one in objectives_of(problem.weights, found) if one.name == objective.name)
    return found, replace(objective, value=value, bound=max(objective.bound, round(solver.best_objective_bound)))


@dataclass(frozen=True, eq=False)
class _Built:
    """`starts`: in start units. `tops`: where the blocks of processors that hold the same ones end; how many these are.
    `lost`: cycles. `most`: columns that may be used."""

    model: cp_model.CpModel
    starts: tuple[cp_model.IntVar, ...]
    tops: tuple[tuple[cp_model.IntVar, int], ...]
    lost: cp_model.LinearExprT
    most: Column


def _build(problem: Problem, most: Column) -> _Built:
    """`most`: columns that may be used."""
    model = cp_model.CpModel()
    step = problem.start_multiple
    starts = tuple(_start(model, block, step, most) for block in problem.weights)
    spans = [
        model.new_fixed_size_interval_var(start, -(-block.columns // step), f"columns of {block.name}")
        for start, block in zip(starts, problem.weights, strict=True)
    ]
    tops = []
    for together, processors in _groups(problem.weights).items():
        model.add_no_overlap([spans[index] for index in together])
        least = least_top([problem.weights[index] for index in together], step)
        top = model.new_int_var(least, most, f"top of {processors} processors")
        for index in together:
            model.add(top >= starts[index] * step + problem.weights[index].columns)
        tops.append((top, processors))
    lost = sum(block.penalty * step * start for block, start in zip(problem.weights, starts, strict=True))
    return _Built(model, starts, tuple(tops), lost, most)


def _goal(built: _Built, name: str) -> cp_model.LinearExprT:
    if name == CYCLES:
        return built.lost
    if name == REACH:
        return sum(processors * top for top, processors in built.tops)
    highest = built.model.new_int_var(0, built.most, "highest")
    built.model.add_max_equality(highest, [top for top, _ in built.tops])
    return highest


def _start(model: cp_model.CpModel, block: WeightBlock, step: int, most: Column) -> cp_model.IntVar:
    if block.start is not None:
        return model.new_constant(block.start // step)
    return model.new_int_var(0, (most - block.columns) // step, f"start of {block.name}")


def _groups(blocks: tuple[WeightBlock, ...]) -> Groups:
    groups: dict[tuple[int, ...], int] = {}
    for processor in range(max(block.processors.bit_length() for block in blocks)):
        together = tuple(index for index, block in enumerate(blocks) if block.processors >> processor & 1)
        if together:
            groups[together] = groups.get(together, 0) + 1
    return groups
