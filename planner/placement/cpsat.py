"""What bounds and first fit leave open, for CP-SAT. The only module that imports OR-Tools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

from ortools.sat.python import cp_model

if TYPE_CHECKING:
    from offramp.planner.placement.firstfit import Ranges
    from offramp.planner.placement.intervals import Items, Limits
    from offramp.planner.placement.problem import BiasBlock


def improve(
    items: Items, busy: tuple[Ranges, ...], cliques: list[int], known: tuple[dict[int, int], int, int], limits: Limits
) -> tuple[dict[int, int], int, int]:
    """Starts, highest end and proved bound, at least as good as `known`, which has the same three.

    Only ends below the known one and within the capacity are searched: if there are none, the known end is optimal or
    nothing fits.
    """
    starts, end, bound = known
    top = min(end - 1, items.capacity)
    unit = _start_unit(items, busy, list(starts))
    built = _model(items, busy, cliques, (unit, bound, top))
    if built is None:
        return starts, end, top + 1
    model, variables, highest = built
    for item, variable in variables.items():
        model.add_hint(variable, min(starts[item], top - items.sizes[item]) // unit)
    model.minimize(highest)
    solver = new_solver(limits)
    status = solver.solve(model)
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        found = {item: solver.value(variable) * unit for item, variable in variables.items()}
        return found, round(solver.objective_value), max(bound, round(solver.best_objective_bound))
    if status == cp_model.INFEASIBLE:
        return starts, end, top + 1
    return starts, end, bound


def assign_quadrants(
    blocks: Sequence[BiasBlock], capacity: int, limits: Limits
) -> tuple[Literal["placed", "infeasible", "undecided"], dict[str, int]]:
    """A quadrant for each bias block: at most `capacity` bytes, and one block that must start at byte 0."""
    model = cp_model.CpModel()
    quadrants = sorted({quadrant for block in blocks for quadrant in block.quadrants})
    inside = {(b.name, q): model.new_bool_var(f"{b.name} in {q}") for b in blocks for q in sorted(set(b.quadrants))}
    for block in blocks:
        model.add_exactly_one(inside[block.name, quadrant] for quadrant in sorted(set(block.quadrants)))
    for quadrant in quadrants:
        guests = [block for block in blocks if quadrant in block.quadrants]
        model.add(sum(block.length * inside[block.name, quadrant] for block in guests) <= capacity)
        model.add_at_most_one(inside[block.name, quadrant] for block in guests if block.at_zero)
    solver = new_solver(limits)
    status = solver.solve(model)
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return "placed", {name: quadrant for (name, quadrant), here in inside.items() if solver.boolean_value(here)}
    return ("infeasible" if status == cp_model.INFEASIBLE else "undecided"), {}


class _Solver(cp_model.CpSolver):
    """A solver that does not keep the program from ending: OR-Tools would not let Python see a signal before it is
    done, or kill the process."""

    def solve(
        self, model: cp_model.CpModel, solution_callback: cp_model.CpSolverSolutionCallback | None = None
    ) -> cp_model.CpSolverStatus:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(super().solve, model, solution_callback)
            try:
                return answer.result()
            except BaseException:
                self.stop_search()
                raise


def new_solver(limits: Limits) -> cp_model.CpSolver:
    """One worker, seeded, with a limit that does not depend on the machine: same model, same answer."""
    solver = _Solver()
    solver.parameters.catch_sigint_signal = False
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = limits.seed
    solver.parameters.max_deterministic_time = limits.effort
    return solver


def _start_unit(items: Items, busy: tuple[Ranges, ...], chosen: list[int]) -> int:
    """Cells of which every start can be taken to be a multiple.

    In any arrangement each item can be moved down until it starts at 0 or at the first legal start above a neighbour,
    so starts are sums of rounded sizes and ends of fixed neighbours.
    """
    ends = [-(-high // items.multiple) * items.multiple for item in chosen for _, high in busy[item]]
    return math.gcd(*(items.rounded(item) for item in chosen), *ends)


def _model(
    items: Items, busy: tuple[Ranges, ...], cliques: list[int], scale: tuple[int, int, int]
) -> tuple[cp_model.CpModel, dict[int, cp_model.IntVar], cp_model.IntVar] | None:
    """Model, starts in units, highest end in cells. `scale`: unit, lowest and highest end. None: no start is left."""
    unit, bound, top = scale
    model = cp_model.CpModel()
    highest = model.new_int_var(bound, top, "highest")
    chosen = sorted({item for clique in cliques for item in range(clique.bit_length()) if clique >> item & 1})
    domains = {item: _allowed(unit, items.sizes[item], busy[item], top) for item in chosen}
    if any(domain.is_empty() for domain in domains.values()):
        return None
    variables = {item: model.new_int_var_from_domain(domain, f"start{item}") for item, domain in domains.items()}
    spans = {}
    for item, variable in variables.items():
        spans[item] = model.new_fixed_size_interval_var(variable, items.rounded(item) // unit, f"span{item}")
        model.add(variable * unit + items.sizes[item] <= highest)
    for clique in cliques:
        model.add_no_overlap([spans[item] for item in chosen if clique >> item & 1])
    for one, other in _twins(items, busy, chosen):
        model.add(variables[one] < variables[other])
    return model, variables, highest


def _allowed(unit: int, size: int, denied: Ranges, top: int) -> cp_model.Domain:
    """The units at which an item can start to end by `top`, without those where a fixed neighbour is in the way."""
    allowed = cp_model.Domain(0, (top - size) // unit)
    for low, high in denied:
        # in the way are starts with start * unit < high and start * unit + size > low
        first, last = max(0, (low - size) // unit + 1), -(-high // unit) - 1
        allowed = allowed.intersection_with(cp_model.Domain(first, last).complement())
    return allowed


def _twins(items: Items, busy: tuple[Ranges, ...], chosen: list[int]) -> list[tuple[int, int]]:
    """Pairs of equal items: one size, in conflict, with the same other conflicts. Their order is free, so it is set."""
    pairs = []
    among = sum(1 << item for item in chosen)
    for position, one in enumerate(chosen):
        for other in chosen[position + 1 :]:
            same = items.sizes[one] == items.sizes[other] and busy[one] == busy[other]
            if same and (items.conflicts[one] | 1 << one) & among == (items.conflicts[other] | 1 << other) & among:
                pairs.append((one, other))
                break
    return pairs
