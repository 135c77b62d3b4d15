"""Which blocks are resident where not all can be, as models for CP-SAT: the least cost of writing the others again.

What is resident is there at all times. Of any other block each model that uses it says when it is written: before the
run that needs it, or when the model runs after another one; then it is there as long as that model runs. Weights are
bounded here by what each processor holds at once; whether there are start columns for them is decided by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ortools.sat.python import cp_model

from offramp.planner.placement.answer import Answer, Found, Impossible, Undecided
from offramp.planner.placement.cpsat_solver import SOLVED, solve_model
from offramp.planner.placement.interval_problem import Limits
from offramp.planner.placement.problem import BiasBlock, Life, Problem, WeightBlock, begins


@dataclass(frozen=True)
class Use:
    """What a model needs of a block that may be written again.

    `needed`: from the first to the last part of the chain that needs it; `model`: all parts of the model. `again`: what
    writing it before the run that needs it costs, None if that must not wait; `entry`: what writing it when the model
    runs after another one costs, None if there is no other model.
    """

    needed: Life
    model: Life
    again: int | None
    entry: int | None = None


Reloadable = tuple[Use, ...]  # a use for each model that needs the block
Candidates = Mapping[str, Reloadable]  # by the name of the block; others are resident


@dataclass(frozen=True)
class Chosen:
    """The blocks that are written again, by name: of each use whether that is when its model is entered. What it costs,
    and a lower bound of the cost."""

    at_entry: Mapping[str, tuple[bool, ...]]
    cost: int
    bound: int

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.at_entry)


@dataclass(frozen=True)
class Model:
    """`resident`: by block; `entered`: by block and use, whether the block is there as long as the use's model runs."""

    cp: cp_model.CpModel
    candidates: Candidates
    resident: Mapping[str, cp_model.IntVar]
    entered: Mapping[tuple[str, int], cp_model.IntVar]
    stays: dict[tuple[str, int, str], cp_model.IntVar] = field(default_factory=dict)

    def there(self, name: str, time: int) -> cp_model.IntVar | None:
        """What decides whether a block is there at a time; None if it always is."""
        for number, use in enumerate(self.candidates.get(name, ())):
            if time in use.needed:
                return None
            if time in use.model:
                return self.entered[name, number]
        return self.resident.get(name)


def reloaded_weights(
    problem: Problem, candidates: Candidates, refused: Iterable[Chosen], limits: Limits
) -> Answer[Chosen]:
    """The cheapest set of weight blocks to be written again. `refused`: choices for which there are no places."""
    model = _model(candidates)
    units = -(-problem.columns // problem.start_multiple)
    for blocks in _by_processor(problem.weights):
        sizes = {block.name: -(-block.all_columns // problem.start_multiple) for block in blocks}
        for time in _times(candidates):
            model.cp.add(_held(sizes, model, time) <= units)
    for choice in refused:
        model.cp.add_bool_or(~literal for literal in _kept(model, choice))
    return _cheapest(model, limits)


def reloaded_biases(problem: Problem, candidates: Candidates, limits: Limits) -> Answer[Chosen]:
    """The cheapest set of bias blocks to be written again, so that all have a quadrant."""
    model = _model(candidates)
    _in_quadrants(model, problem.biases, problem.bias_bytes)
    return _cheapest(model, limits)


def assign_with_lives(blocks: Sequence[BiasBlock], capacity: int, limits: Limits) -> Answer[dict[str, int]]:
    """A quadrant for each bias block, some of which are written again."""
    model = _model({block.name: (Use(block.life, block.life, 0),) for block in blocks if block.life})
    for here in model.resident.values():
        model.cp.add(here == 0)
    inside = _in_quadrants(model, blocks, capacity)
    solver, status = solve_model(model.cp, limits)
    if status in SOLVED:
        return Found({name: quadrant for (name, quadrant), here in inside.items() if solver.boolean_value(here)})
    return Impossible("solver") if status == cp_model.INFEASIBLE else Undecided()


def _model(candidates: Candidates) -> Model:
    """Without another model to run in between, what is there as long as its model runs is resident."""
    cp = cp_model.CpModel()
    resident = {name: cp.new_bool_var(f"{name} is resident") for name in candidates}
    entered = {}
    for name, uses in candidates.items():
        for number, use in enumerate(uses):
            here = resident[name] if use.entry is None else cp.new_bool_var(f"{name} stays for {number}")
            cp.add_implication(resident[name], here)
            if use.again is None:
                cp.add(here == 1)
            entered[name, number] = here
    return Model(cp, candidates, resident, entered)


def _times(candidates: Candidates) -> list[int]:
    """When anything comes to be needed, and where models begin: what is there at other times is there at one of these,
    too."""
    uses = [use for reloadable in candidates.values() for use in reloadable]
    return begins(life for use in uses for life in (use.needed, use.model))


def _by_processor(blocks: Sequence[WeightBlock]) -> Iterable[tuple[WeightBlock, ...]]:
    """The blocks of each processor, each set once."""
    processors = range(max((block.processors.bit_length() for block in blocks), default=0))
    sets = (tuple(block for block in blocks if block.processors >> one & 1) for one in processors)
    return dict.fromkeys(filter(None, sets))


def _held(sizes: Mapping[str, int], model: Model, time: int) -> cp_model.LinearExprT:
    """What a memory holds at a time."""
    there = {name: model.there(name, time) for name in sizes}
    return sum(size * (1 if (here := there[name]) is None else here) for name, size in sizes.items())


def _kept(model: Model, choice: Chosen) -> list[cp_model.IntVar]:
    """What makes blocks stay in a choice: another one in which all of these stay has no places either."""
    found = [here for name, here in model.resident.items() if name not in choice.at_entry]
    for name, kept in choice.at_entry.items():
        found += [model.entered[name, number] for number, stays in enumerate(kept) if stays]
    return found


def _in_quadrants(model: Model, blocks: Sequence[BiasBlock], capacity: int) -> dict[tuple[str, int], cp_model.IntVar]:
    """Every block lies in one of its quadrants, which hold what is there at any time, one block at byte 0."""
    cp = model.cp
    inside = {(b.name, q): cp.new_bool_var(f"{b.name} in {q}") for b in blocks for q in sorted(set(b.quadrants))}
    for block in blocks:
        cp.add_exactly_one(inside[block.name, quadrant] for quadrant in sorted(set(block.quadrants)))
    for quadrant in sorted({quadrant for _, quadrant in inside}):
        guests = [block for block in blocks if quadrant in block.quadrants]
        for time in _times(model.candidates) or [0]:
            there = {block: _inside_at(model, inside[block.name, quadrant], block, quadrant, time) for block in guests}
            cp.add(sum(block.length * here for block, here in there.items()) <= capacity)
            cp.add_at_most_one(here for block, here in there.items() if block.at_zero)
    return inside


def _inside_at(model: Model, inside: cp_model.IntVar, block: BiasBlock, quadrant: int, time: int) -> cp_model.IntVar:
    """Whether a block is in a quadrant at a time."""
    here = model.there(block.name, time)
    if here is None:
        return inside
    key = (block.name, quadrant, here.name)
    if key not in model.stays:
        model.stays[key] = model.cp.new_bool_var(f"{block.name} stays in {quadrant} if {here.name}")
        model.cp.add_bool_or(~inside, ~here, model.stays[key])
    return model.stays[key]


def _cheapest(model: Model, limits: Limits) -> Answer[Chosen]:
    model.cp.minimize(sum(_cost(model, name, number) for name, number in model.entered))
    solver, status = solve_model(model.cp, limits)
    if status not in SOLVED:
        return Impossible("solver") if status == cp_model.INFEASIBLE else Undecided()
    at_entry = {
        name: tuple(solver.boolean_value(model.entered[name, number]) for number in range(len(uses)))
        for name, uses in model.candidates.items()
        if not solver.boolean_value(model.resident[name])
    }
    cost = cost_of(model.candidates, at_entry)
    return Found(Chosen(at_entry, cost, min(cost, round(solver.best_objective_bound))))


def _cost(model: Model, name: str, number: int) -> cp_model.LinearExprT:
    """Of a use: nothing if the block is resident."""
    use, here = model.candidates[name][number], model.entered[name, number]
    return (use.again or 0) * (1 - here) + (use.entry or 0) * (here - model.resident[name])


def cost_of(candidates: Candidates, at_entry: Mapping[str, Sequence[bool]]) -> int:
    """What writing some blocks again costs."""
    return sum(
        (use.entry if kept else use.again) or 0
        for name, uses in at_entry.items()
        for use, kept in zip(candidates[name], uses, strict=True)
    )
