"""Small instances of the choice what is resident and what is written again, and all choices there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np

from offramp.planner.placement.answer import Found
from offramp.planner.placement.conflicts import weight_items
from offramp.planner.placement.cpsat_reload import Chosen, Reloadable, Use, cost_of
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS
from offramp.planner.placement.intervals import arrange
from offramp.planner.placement.problem import BiasBlock, Life, Problem, WeightBlock
from offramp.planner.placement.reload import with_lives

Candidates = dict[str, Reloadable]
AtEntry = Mapping[str, tuple[bool, ...]]


def parts(first: int, last: int) -> Life:
    return frozenset(range(first, last + 1))


def problem_of(weights: tuple[WeightBlock, ...] = (), biases: tuple[BiasBlock, ...] = ()) -> Problem:
    return Problem(weights, biases, (), columns=24, start_multiple=4, bias_bytes=16, data_words=8)


def instance(seed: int) -> tuple[Problem, Candidates]:
    """Up to eight weight blocks on four processors, and biases in two quadrants; the first has to be resident."""
    rng = np.random.default_rng(seed)
    weights, biases = [], []
    candidates: Candidates = {}
    for index in range(int(rng.integers(3, 9))):
        weight, bias = blocks(rng, index)
        weights.append(weight)
        biases.append(bias)
        if index:
            first = int(rng.integers(0, 6))
            needed = parts(first, first + int(rng.integers(0, 2)))
            candidates[f"b{index}"] = (Use(needed, parts(0, 6), int(rng.integers(1, 100))),)
    return problem_of(tuple(weights), tuple(biases)), candidates


def blocks(rng: np.random.Generator, index: int) -> tuple[WeightBlock, BiasBlock]:
    """Weights and biases of a layer."""
    processors = int(rng.integers(1, 16))
    weight = WeightBlock(f"b{index}", processors, int(rng.integers(1, 15)))
    quadrants = ((0,), (1,), (0, 1))[int(rng.integers(3))]
    return weight, BiasBlock(f"b{index}", int(rng.integers(1, 9)), quadrants, bool(rng.random() < 0.2))


def models(seed: int, shared: bool) -> tuple[Problem, Candidates]:
    """Up to six blocks of two or three models of three parts each. What the first part needs does not wait. `shared`:
    some blocks belong to several models, and one is always resident."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 4))
    pairs, candidates = [], {}
    for index in range(int(rng.integers(3, 7))):
        pairs.append(blocks(rng, index))
        users = 1 + int(shared and rng.random() < 0.4)
        chosen = sorted(rng.choice(count, users, replace=False).tolist())
        if index or not shared:
            candidates[f"b{index}"] = tuple(use_of(rng, 3 * model) for model in chosen)
    return problem_of(tuple(weight for weight, _ in pairs), tuple(bias for _, bias in pairs)), candidates


def use_of(rng: np.random.Generator, begin: int) -> Use:
    first = int(rng.integers(0, 3))
    last = int(rng.integers(first, 3))
    again = int(rng.integers(1, 100)) if first else None
    return Use(parts(begin + first, begin + last), parts(begin, begin + 2), again, int(rng.integers(1, 100)))


def choices(candidates: Candidates) -> Iterator[AtEntry]:
    """All: each block resident or not, and then for each use written before its run or when its model is entered."""
    names = list(candidates)
    states = []
    for uses in candidates.values():
        ways = [([False] if use.again is not None else []) + ([True] if use.entry is not None else []) for use in uses]
        states.append([None, *product(*ways)])
    for state in product(*states):
        yield {name: way for name, way in zip(names, state, strict=True) if way is not None}


def fits(problem: Problem, candidates: Candidates, at_entry: AtEntry) -> bool:
    found = with_lives(problem.weights, candidates, Chosen(at_entry, 0, 0))
    return isinstance(arrange(weight_items(found, problem), DEFAULT_LIMITS, lowest=False), Found)


def possible_costs(problem: Problem, candidates: Candidates) -> list[int]:
    """The costs of all choices of weights for which there are places."""
    return [cost_of(candidates, one) for one in choices(candidates) if fits(problem, candidates, one)]
