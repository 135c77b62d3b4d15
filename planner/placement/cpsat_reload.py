"""Which blocks are resident where not all can be, as models for CP-SAT: the least cost of writing the others again.

What is resident is there at all times, any other block only during its life. Weights are bounded here by what each
processor holds at once; whether there are start columns for them is decided by the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ortools.sat.python import cp_model

from offramp.planner.placement.answer import Answer, Found, Impossible, Undecided
from offramp.planner.placement.cpsat_solver import SOLVED, solve_model
from offramp.planner.placement.interval_problem import Limits
from offramp.planner.placement.problem import BiasBlock, Life, Problem, WeightBlock


@dataclass(frozen=True)
class Reloadable:
    """A block that may be written again: when it is needed, and what that costs."""

    life: Life
    cost: int


@dataclass(frozen=True)
class Chosen:
    """The blocks that are written again, what that costs, and a lower bound of the cost."""

    names: frozenset[str]
    cost: int
    bound: int


Candidates = Mapping[str, Reloadable]  # by the name of the block; others are resident
Resident = Mapping[str, cp_model.IntVar]


def reloaded_weights(
    problem: Problem, candidates: Candidates, refused: Iterable[Collection[str]], limits: Limits
) -> Answer[Chosen]:
    """The cheapest set of weight blocks to be written again. `refused`: sets of resident candidates that do not go
    together."""
    model = cp_model.CpModel()
    resident = _resident(model, candidates)
    units = -(-problem.columns // problem.start_multiple)
    for blocks in _by_processor(problem.weights):
        sizes = {block.name: -(-block.columns // problem.start_multiple) for block in blocks}
        for time in _times(candidates):
            model.add(_held(sizes, candidates, resident, time) <= units)
    for names in refused:
        model.add_bool_or(~resident[name] for name in sorted(names))
    return _cheapest(model, candidates, resident, limits)


def reloaded_biases(problem: Problem, candidates: Candidates, limits: Limits) -> Answer[Chosen]:
    """The cheapest set of bias blocks to be written again, so that all have a quadrant."""
    model = cp_model.CpModel()
    resident = _resident(model, candidates)
    _in_quadrants(model, problem.biases, problem.bias_bytes, candidates, resident)
    return _cheapest(model, candidates, resident, limits)


def assign_with_lives(blocks: Sequence[BiasBlock], capacity: int, limits: Limits) -> Answer[dict[str, int]]:
    """A quadrant for each bias block, some of which are written again."""
    model = cp_model.CpModel()
    candidates = {block.name: Reloadable(block.life, 0) for block in blocks if block.life}
    resident = _resident(model, candidates)
    for here in resident.values():
        model.add(here == 0)
    inside = _in_quadrants(model, blocks, capacity, candidates, resident)
    solver, status = solve_model(model, limits)
    if status in SOLVED:
        return Found({name: quadrant for (name, quadrant), here in inside.items() if solver.boolean_value(here)})
    return Impossible("solver") if status == cp_model.INFEASIBLE else Undecided()


def _resident(model: cp_model.CpModel, candidates: Candidates) -> dict[str, cp_model.IntVar]:
    return {name: model.new_bool_var(f"{name} is resident") for name in candidates}


def _times(candidates: Candidates) -> list[int]:
    """When anything comes to be needed: what is there at other times is there at one of these, too."""
    return sorted({one.life[0] for one in candidates.values()})


def _needed(name: str, candidates: Candidates, time: int) -> bool:
    """Whether a block is there at a time, resident or not."""
    one = candidates.get(name)
    return one is None or one.life[0] <= time <= one.life[1]


def _by_processor(blocks: Sequence[WeightBlock]) -> Iterable[tuple[WeightBlock, ...]]:
    """The blocks of each processor, each set once."""
    processors = range(max((block.processors.bit_length() for block in blocks), default=0))
    sets = (tuple(block for block in blocks if block.processors >> one & 1) for one in processors)
    return dict.fromkeys(filter(None, sets))


def _held(sizes: Mapping[str, int], candidates: Candidates, resident: Resident, time: int) -> cp_model.LinearExprT:
    """What a memory holds at a time."""
    always = sum(size for name, size in sizes.items() if _needed(name, candidates, time))
    return always + sum(size * resident[name] for name, size in sizes.items() if not _needed(name, candidates, time))


def _in_quadrants(
    model: cp_model.CpModel,
    blocks: Sequence[BiasBlock],
    capacity: int,
    candidates: Candidates,
    resident: Resident,
) -> dict[tuple[str, int], cp_model.IntVar]:
    """Every block lies in one of its quadrants, which hold what is there at any time, one block at byte 0."""
    inside = {(b.name, q): model.new_bool_var(f"{b.name} in {q}") for b in blocks for q in sorted(set(b.quadrants))}
    stays = {}
    for (name, quadrant), here in inside.items():
        if name in candidates:
            stays[name, quadrant] = model.new_bool_var(f"{name} stays in {quadrant}")
            model.add_bool_or(~here, ~resident[name], stays[name, quadrant])
    for block in blocks:
        model.add_exactly_one(inside[block.name, quadrant] for quadrant in sorted(set(block.quadrants)))
    for quadrant in sorted({quadrant for _, quadrant in inside}):
        guests = [block for block in blocks if quadrant in block.quadrants]
        for time in _times(candidates) or [0]:
            there = {
                block: (inside if _needed(block.name, candidates, time) else stays)[block.name, quadrant]
                for block in guests
            }
            model.add(sum(block.length * here for block, here in there.items()) <= capacity)
            model.add_at_most_one(here for block, here in there.items() if block.at_zero)
    return inside


def _cheapest(model: cp_model.CpModel, candidates: Candidates, resident: Resident, limits: Limits) -> Answer[Chosen]:
    whole = sum(one.cost for one in candidates.values())
    model.minimize(whole - sum(one.cost * resident[name] for name, one in candidates.items()))
    solver, status = solve_model(model, limits)
    if status not in SOLVED:
        return Impossible("solver") if status == cp_model.INFEASIBLE else Undecided()
    names = frozenset(name for name, here in resident.items() if not solver.boolean_value(here))
    cost = sum(candidates[name].cost for name in names)
    return Found(Chosen(names, cost, min(cost, round(solver.best_objective_bound))))
