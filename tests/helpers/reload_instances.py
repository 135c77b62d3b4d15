"""Small instances of the choice what is resident and what is written again, and all choices there are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations

import numpy as np

from offramp.planner.placement.answer import Found
from offramp.planner.placement.conflicts import weight_items
from offramp.planner.placement.cpsat_reload import Chosen, Reloadable
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS
from offramp.planner.placement.intervals import arrange
from offramp.planner.placement.problem import BiasBlock, Problem, WeightBlock
from offramp.planner.placement.reload import with_lives

Candidates = dict[str, Reloadable]


def problem_of(weights: tuple[WeightBlock, ...] = (), biases: tuple[BiasBlock, ...] = ()) -> Problem:
    return Problem(weights, biases, (), columns=24, start_multiple=4, bias_bytes=16, data_words=8)


def instance(seed: int) -> tuple[Problem, Candidates]:
    """Up to eight weight blocks on four processors, and biases in two quadrants; the first has to be resident."""
    rng = np.random.default_rng(seed)
    weights, biases, candidates = [], [], {}
    for index in range(int(rng.integers(3, 9))):
        processors = int(rng.integers(1, 16))
        weights.append(WeightBlock(f"b{index}", processors, int(rng.integers(1, 15))))
        quadrants = ((0,), (1,), (0, 1))[int(rng.integers(3))]
        biases.append(BiasBlock(f"b{index}", int(rng.integers(1, 9)), quadrants, bool(rng.random() < 0.2)))
        if index:
            first = int(rng.integers(0, 6))
            life = (first, first + int(rng.integers(0, 2)))
            candidates[f"b{index}"] = Reloadable(life, int(rng.integers(1, 100)))
    return problem_of(tuple(weights), tuple(biases)), candidates


def subsets(names: list[str]) -> Iterator[frozenset[str]]:
    yield from map(frozenset, chain.from_iterable(combinations(names, size) for size in range(len(names) + 1)))


def cost_of(names: frozenset[str], candidates: Candidates) -> int:
    return sum(candidates[name].cost for name in names)


def possible_costs(problem: Problem, candidates: Candidates) -> list[int]:
    """The costs of all choices of weights for which there are places."""
    costs = []
    for names in subsets(sorted(candidates)):
        blocks = with_lives(problem.weights, candidates, Chosen(names, 0, 0))
        if isinstance(arrange(weight_items(blocks, problem), DEFAULT_LIMITS, lowest=False), Found):
            costs.append(cost_of(names, candidates))
    return costs
