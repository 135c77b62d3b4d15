"""First processors of bundles by CP-SAT: what bounds and levelling leave open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ortools.sat.python import cp_model

from offramp.planner.placement.cpsat import new_solver

if TYPE_CHECKING:
    from offramp.planner.placement.intervals import Limits
    from offramp.planner.placement.joint import Board

Choice = list[list[cp_model.IntVar]]  # per bundle: one truth value for each base
Runs = list[tuple[int, int]]  # first processor and length


def search(board: Board, limits: Limits) -> tuple[list[int] | None, bool]:
    """A choice of one base for each bundle with which all blocks fit, or whether it is proved that there is none.

    First without start columns: if no choice keeps every processor within its height, none fits.
    """
    model = cp_model.CpModel()
    _choices(model, board)
    solver = new_solver(limits)
    solver.parameters.linearization_level = 2
    if solver.solve(model) == cp_model.INFEASIBLE:
        return None, True
    model = cp_model.CpModel()
    chosen = _choices(model, board)
    _columns(model, board, chosen)
    solver = new_solver(limits)
    status = solver.solve(model)
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return [next(i for i, one in enumerate(bases) if solver.boolean_value(one)) for bases in chosen], False
    return None, status == cp_model.INFEASIBLE


def _choices(model: cp_model.CpModel, board: Board) -> Choice:
    """One base for each bundle; no processor fuller than its height."""
    chosen = [[model.new_bool_var(f"{bundle.name}@{base}") for base in bundle.bases] for bundle in board.bundles]
    for bases in chosen:
        model.add_exactly_one(bases)
    seen = set()
    for processor in range(board.processors):
        terms = [
            (int(loads[i, processor]), variable)
            for loads, bases in zip(board.loads, chosen, strict=True)
            for i, variable in enumerate(bases)
            if loads[i, processor]
        ]
        key = tuple((load, variable.index) for load, variable in terms)
        if key not in seen:
            seen.add(key)
            model.add(sum(load * variable for load, variable in terms) <= board.height)
    return chosen


def _columns(model: cp_model.CpModel, board: Board, chosen: Choice) -> None:
    """Blocks as rectangles, processors by start units, that do not overlap; one start for all runs of a block."""
    across, upwards = [], []
    for bundle, bases in zip(board.bundles, chosen, strict=True):
        base = model.new_int_var_from_domain(cp_model.Domain.from_values(list(bundle.bases)), f"base of {bundle.name}")
        model.add(base == sum(value * variable for value, variable in zip(bundle.bases, bases, strict=True)))
        for block in bundle.blocks:
            units = board.units(block)
            start = model.new_int_var(0, board.height - units, f"start of {block.name}")
            span = model.new_fixed_size_interval_var(start, units, f"columns of {block.name}")
            for first, length in _runs(block.processors):
                across.append(model.new_fixed_size_interval_var(base + first, length, f"{block.name}@{first}"))
                upwards.append(span)
    model.add_no_overlap_2d(across, upwards)


def _runs(processors: int) -> Runs:
    """Runs of neighbouring processors of a map."""
    runs: Runs = []
    while processors:
        first = (processors & -processors).bit_length() - 1
        length = (~(processors >> first) & (processors >> first) + 1).bit_length() - 1
        runs.append((first, length))
        processors &= ~((1 << length) - 1 << first)
    return runs
