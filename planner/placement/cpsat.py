"""What bounds, first fit and searches leave open, as models for CP-SAT. Only `cpsat*.py` import OR-Tools.

Every rule of a model is a function that adds its constraints and says what they mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ortools.sat.python import cp_model

from offramp.configs.device import Column
from offramp.planner.placement.answer import Answer, Found, Impossible, Undecided
from offramp.planner.placement.cpsat_solver import SOLVED, solve_model
from offramp.planner.placement.interval_problem import Arrangement, Bits, Items, Limits, bits_of, members
from offramp.planner.placement.joint_problem import Board
from offramp.planner.placement.problem import BiasBlock, Problem, begins

Starts = tuple[Column, ...]
Choices = list[list[cp_model.IntVar]]  # per bundle: one truth value for each base


# The interval problem: a lower highest end.


def improve(items: Items, cliques: Sequence[Bits], known: Arrangement, limits: Limits) -> Arrangement:
    """An arrangement of the same items that ends as low as the known one or lower, with the bound that is proved.

    Only ends below the known one and within the capacity are searched: if there are none, the known end is optimal or
    nothing fits. `cliques` contain all conflicts.
    """
    top = min(known.end - 1, items.capacity)
    none_lower = replace(known, bound=top + 1)
    chosen = sorted(known.starts)
    unit = _start_unit(items, chosen)
    domains = {item: _clear_of_fixed(items, item, unit, top) for item in chosen}
    if any(domain.is_empty() for domain in domains.values()):
        return none_lower
    model = cp_model.CpModel()
    highest = model.new_int_var(known.bound, top, "highest")
    starts = {item: model.new_int_var_from_domain(domain, f"start{item}") for item, domain in domains.items()}
    spans = {}
    for item, start in starts.items():
        spans[item] = model.new_fixed_size_interval_var(start, items.rounded(item) // unit, f"span{item}")
        _ends_by(model, start * unit + items.sizes[item], highest)
    for clique in cliques:
        _stacked(model, [spans[item] for item in members(clique)])
    _interchangeable_in_order(model, items, starts)
    for item, start in starts.items():
        model.add_hint(start, min(known.starts[item], top - items.sizes[item]) // unit)
    model.minimize(highest)
    solver, status = solve_model(model, limits)
    if status in SOLVED:
        found = {item: solver.value(start) * unit for item, start in starts.items()}
        bound = max(known.bound, round(solver.best_objective_bound))
        return Arrangement(found, round(solver.objective_value), bound)
    return none_lower if status == cp_model.INFEASIBLE else known


def _start_unit(items: Items, chosen: Sequence[int]) -> int:
    """Cells of which every start can be taken to be a multiple.

    In any arrangement each item can be moved down until it starts at 0 or at the first legal start above a neighbour,
    so starts are sums of rounded sizes and ends of fixed neighbours.
    """
    ends = [-(-high // items.multiple) * items.multiple for item in chosen for _, high in items.busy[item]]
    return math.gcd(*(items.rounded(item) for item in chosen), *ends)


def _clear_of_fixed(items: Items, item: int, unit: int, top: int) -> cp_model.Domain:
    """An item ends by `top` and overlaps no fixed neighbour: the units at which it can start."""
    size = items.sizes[item]
    allowed = cp_model.Domain(0, (top - size) // unit)
    for low, high in items.busy[item]:
        # in the way are starts with start * unit < high and start * unit + size > low
        first, last = max(0, (low - size) // unit + 1), -(-high // unit) - 1
        allowed = allowed.intersection_with(cp_model.Domain(first, last).complement())
    return allowed


def _ends_by(model: cp_model.CpModel, end: cp_model.LinearExprT, highest: cp_model.IntVar) -> None:
    """No item ends above the highest end."""
    model.add(end <= highest)


def _stacked(model: cp_model.CpModel, spans: Sequence[cp_model.IntervalVar]) -> None:
    """Items that conflict pairwise do not overlap."""
    model.add_no_overlap(spans)


def _interchangeable_in_order(model: cp_model.CpModel, items: Items, starts: Mapping[int, cp_model.IntVar]) -> None:
    """Of two items of one size, in conflict, with the same other conflicts, the first is the lower one: either order
    is as good, so one is searched."""
    chosen = list(starts)
    among = bits_of(chosen)
    for position, one in enumerate(chosen):
        for other in chosen[position + 1 :]:
            same = items.sizes[one] == items.sizes[other] and items.busy[one] == items.busy[other]
            if same and (items.conflicts[one] | 1 << one) & among == (items.conflicts[other] | 1 << other) & among:
                model.add(starts[one] < starts[other])
                break


# Weight columns of which some cost cycles: the fewest cycles lost, then the lowest highest column.


def fewest_cycles_lost(problem: Problem, starts: Starts, limits: Limits) -> tuple[Starts, int]:
    """Starts that lose no more cycles than the given ones, and a lower bound of the cycles lost."""
    model, variables = _weight_model(problem, starts)
    model.minimize(_cycles_lost(problem, variables))
    return _best_starts(model, variables, problem, starts, limits)


def lowest_columns(problem: Problem, most_lost: int, starts: Starts, limits: Limits) -> tuple[Starts, Column]:
    """Starts that lose at most `most_lost` cycles, as the given ones do, with the same or a lower highest column; and a
    lower bound of the highest column."""
    model, variables = _weight_model(problem, starts)
    model.add(_cycles_lost(problem, variables) <= most_lost)
    highest = model.new_int_var(0, problem.columns, "highest")
    for variable, block in zip(variables, problem.weights, strict=True):
        _ends_by(model, variable * problem.start_multiple + block.columns, highest)
    model.minimize(highest)
    return _best_starts(model, variables, problem, starts, limits)


def _weight_model(problem: Problem, starts: Starts) -> tuple[cp_model.CpModel, list[cp_model.IntVar]]:
    """All weight blocks within the memory, and their starts in start units; the given ones, in columns, are a hint."""
    model = cp_model.CpModel()
    step = problem.start_multiple
    variables, spans = [], []
    for block, start in zip(problem.weights, starts, strict=True):
        fixed = block.start is not None
        low, high = (start // step, start // step) if fixed else (0, (problem.columns - block.columns) // step)
        variables.append(model.new_int_var(low, high, f"start of {block.name}"))
        model.add_hint(variables[-1], start // step)
        length = -(-block.columns // step)
        spans.append(model.new_fixed_size_interval_var(variables[-1], length, f"columns of {block.name}"))
    for together in _in_one_processor(problem):
        _stacked(model, [spans[index] for index in together])
    return model, variables


def _in_one_processor(problem: Problem) -> Iterable[tuple[int, ...]]:
    """The weight blocks that each processor holds at once, each set of blocks once."""
    processors = range(max(block.processors.bit_length() for block in problem.weights))
    times = begins(block.life for block in problem.weights) or [0]
    sets = (
        tuple(
            index
            for index, block in enumerate(problem.weights)
            if block.processors >> processor & 1 and (block.life is None or time in block.life)
        )
        for processor in processors
        for time in times
    )
    return dict.fromkeys(filter(None, sets))


def _cycles_lost(problem: Problem, variables: Sequence[cp_model.IntVar]) -> cp_model.LinearExprT:
    step = problem.start_multiple
    return sum(block.penalty * step * start for block, start in zip(problem.weights, variables, strict=True))


def _best_starts(
    model: cp_model.CpModel, variables: Sequence[cp_model.IntVar], problem: Problem, starts: Starts, limits: Limits
) -> tuple[Starts, int]:
    """The best starts that are found, else the given ones, and the bound of the objective."""
    solver, status = solve_model(model, limits)
    if status not in SOLVED:
        return starts, 0
    found = tuple(solver.value(variable) * problem.start_multiple for variable in variables)
    return found, round(solver.best_objective_bound)


# Biases: a quadrant for each block.


def assign_quadrants(blocks: Sequence[BiasBlock], capacity: int, limits: Limits) -> Answer[dict[str, int]]:
    """A quadrant for each bias block, by name, each of `capacity` bytes."""
    model = cp_model.CpModel()
    inside = {(b.name, q): model.new_bool_var(f"{b.name} in {q}") for b in blocks for q in sorted(set(b.quadrants))}
    for block in blocks:
        _in_one_quadrant(model, [inside[block.name, quadrant] for quadrant in sorted(set(block.quadrants))])
    for quadrant in sorted({quadrant for _, quadrant in inside}):
        guests = {block: inside[block.name, quadrant] for block in blocks if quadrant in block.quadrants}
        _within_memory(model, guests, capacity)
        _one_at_zero(model, guests)
    solver, status = solve_model(model, limits)
    if status in SOLVED:
        return Found({name: quadrant for (name, quadrant), here in inside.items() if solver.boolean_value(here)})
    return Impossible("solver") if status == cp_model.INFEASIBLE else Undecided()


def _in_one_quadrant(model: cp_model.CpModel, places: Sequence[cp_model.IntVar]) -> None:
    """A block lies in exactly one of the quadrants that it may use."""
    model.add_exactly_one(places)


def _within_memory(model: cp_model.CpModel, guests: Mapping[BiasBlock, cp_model.IntVar], capacity: int) -> None:
    """The blocks in a quadrant have no more bytes than its memory."""
    model.add(sum(block.length * here for block, here in guests.items()) <= capacity)


def _one_at_zero(model: cp_model.CpModel, guests: Mapping[BiasBlock, cp_model.IntVar]) -> None:
    """One block in a quadrant starts at byte 0."""
    model.add_at_most_one(here for block, here in guests.items() if block.at_zero)


# Processors and columns together.


def choose_bases(board: Board, limits: Limits) -> Answer[list[int]]:
    """For each bundle the index of one of its bases, such that all blocks fit.

    First without start columns: if no choice keeps every processor within its height, none fits.
    """
    model = cp_model.CpModel()
    _processors_within_height(model, board, _one_base_each(model, board))
    if solve_model(model, limits, linearization=2)[1] == cp_model.INFEASIBLE:
        return Impossible("solver")
    model = cp_model.CpModel()
    choices = _one_base_each(model, board)
    _processors_within_height(model, board, choices)
    _rectangles_apart(model, board, choices)
    solver, status = solve_model(model, limits)
    if status in SOLVED:
        return Found([next(i for i, one in enumerate(bases) if solver.boolean_value(one)) for bases in choices])
    return Impossible("solver") if status == cp_model.INFEASIBLE else Undecided()


def _one_base_each(model: cp_model.CpModel, board: Board) -> Choices:
    """Every bundle has exactly one of its bases."""
    choices = [[model.new_bool_var(f"{bundle.name}@{base}") for base in bundle.bases] for bundle in board.bundles]
    for bases in choices:
        model.add_exactly_one(bases)
    return choices


def _processors_within_height(model: cp_model.CpModel, board: Board, choices: Choices) -> None:
    """The blocks of a processor have no more start units than its height. Follows from columns; bounds the choice."""
    seen = set()
    for processor in range(board.processors):
        terms = [
            (int(loads[i, processor]), variable)
            for loads, bases in zip(board.loads, choices, strict=True)
            for i, variable in enumerate(bases)
            if loads[i, processor]
        ]
        key = tuple((load, variable.index) for load, variable in terms)
        if key not in seen:
            seen.add(key)
            model.add(sum(load * variable for load, variable in terms) <= board.height)


def _rectangles_apart(model: cp_model.CpModel, board: Board, choices: Choices) -> None:
    """Blocks, as rectangles of processors by start units, do not overlap; all runs of a block have one start."""
    across, upwards = [], []
    for bundle, bases in zip(board.bundles, choices, strict=True):
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


def _runs(processors: Bits) -> list[tuple[int, int]]:
    """First processor and length of each run of neighbouring processors of a map."""
    runs = []
    while processors:
        first = (processors & -processors).bit_length() - 1
        length = (~(processors >> first) & (processors >> first) + 1).bit_length() - 1
        runs.append((first, length))
        processors &= ~((1 << length) - 1 << first)
    return runs
