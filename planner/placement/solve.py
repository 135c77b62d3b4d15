"""Answers a placement problem: weights, biases and data are independent of each other and are placed one by one."""

from __future__ import annotations

from dataclasses import replace

from offramp.configs.errors import Infeasible, OfframpError
from offramp.planner.placement import explain
from offramp.planner.placement.biases import place_biases
from offramp.planner.placement.columns import place_columns
from offramp.planner.placement.conflicts import data_items
from offramp.planner.placement.intervals import Limits, arrange
from offramp.planner.placement.problem import Placement, Problem


def solve(problem: Problem, *, effort: float = 2.0, seed: int = 0) -> Placement:
    """A placement with the fewest cycles lost, then the lowest highest column, then the most columns left in one piece.

    `effort` bounds each solver run in CP-SAT's deterministic time (a unit took up to 10 seconds of one core); the same
    problem, effort and seed give the same placement. Raises Infeasible with irreducible sets of blocks that cannot be
    placed together, and OfframpError if it is neither placed nor proved impossible within `effort`. Block sizes must be
    positive.
    """
    limits = Limits(effort, seed)
    weights = place_columns(problem, limits)
    biases = place_biases(problem.biases, problem.bias_bytes, limits)
    data = arrange(data_items(problem.data, problem), replace(limits, lowest=False))
    reasons = []
    if weights.impossible:
        reasons.append(explain.weights(problem, limits))
    if biases.status == "infeasible":
        reasons.append(explain.biases(problem, limits))
    if data.starts is None and data.bound > problem.data_words:
        reasons.append(explain.data(problem, limits))
    if reasons:
        raise Infeasible(reasons)
    if weights.starts is None or biases.status == "undecided" or data.starts is None:
        kind = "weights" if weights.starts is None else "data" if data.starts is None else "biases"
        raise OfframpError(f"placing the {kind} is undecided after a solver effort of {effort:g}; allow more effort")
    return Placement(
        weights={block.name: start for block, start in zip(problem.weights, weights.starts, strict=True)},
        biases=biases.places,
        data={block.name: offset for block, offset in zip(problem.data, data.starts, strict=True)},
        objectives=weights.objectives,
    )
