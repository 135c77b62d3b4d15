"""Solves a placement problem: weights, biases and data are independent of each other and are placed one by one."""

from __future__ import annotations

from offramp.configs.errors import Infeasible, OfframpError
from offramp.planner.placement import explain
from offramp.planner.placement.answer import Answer, Found, Impossible, Undecided
from offramp.planner.placement.biases import place_biases
from offramp.planner.placement.columns import place_columns
from offramp.planner.placement.conflicts import data_items
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS, Limits
from offramp.planner.placement.intervals import arrange
from offramp.planner.placement.problem import Placement, Problem


def solve(problem: Problem, limits: Limits = DEFAULT_LIMITS) -> Placement:
    """A placement with the fewest cycles lost, and of these the lowest highest column; `limits` bound each search.

    The same problem and limits give the same placement. Raises Infeasible with irreducible sets of blocks that cannot
    be placed together, and OfframpError if it is neither placed nor proved impossible within the limits. Block sizes
    must be positive.
    """
    weights = place_columns(problem, limits)
    biases = place_biases(problem.biases, problem.bias_bytes, limits)
    data = arrange(data_items(problem.data, problem), limits, lowest=False)
    if isinstance(weights, Found) and isinstance(biases, Found) and isinstance(data, Found):
        return Placement(
            weights={block.name: start for block, start in zip(problem.weights, weights.value.starts, strict=True)},
            biases=biases.value,
            data={block.name: offset for block, offset in zip(problem.data, data.value.in_order, strict=True)},
            objectives=weights.value.objectives,
        )
    answers = (weights, biases, data)
    reasons = (explain.weights, explain.biases, explain.data)
    proved = [reason for reason, answer in zip(reasons, answers, strict=True) if isinstance(answer, Impossible)]
    if proved:
        raise Infeasible([reason(problem, limits) for reason in proved])
    raise OfframpError(f"{_undecided(problem, answers)} undecided after a solver effort of {limits.effort:g}")


def _undecided(problem: Problem, answers: tuple[Answer[object], ...]) -> str:
    """`placing the weights (at least 744 of 768 columns) is`"""
    rooms = (f"{problem.columns} columns", f"{problem.bias_bytes} bytes", f"{problem.data_words} words")
    kinds = [
        f"the {kind}" + (f" (at least {answer.bound} of {room})" if answer.bound else "")
        for kind, room, answer in zip(("weights", "biases", "data"), rooms, answers, strict=True)
        if isinstance(answer, Undecided)
    ]
    return f"placing {' and '.join(kinds)} is"
