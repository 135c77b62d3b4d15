"""What is resident and what is written again: the cheapest choice, beside all others."""

from __future__ import annotations

import numpy as np
import pytest

from offramp.planner.placement.answer import Found, Impossible
from offramp.planner.placement.biases import place_biases
from offramp.planner.placement.check import check
from offramp.planner.placement.cpsat_reload import Chosen, Reloadable
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS
from offramp.planner.placement.problem import BiasBlock, BiasPlace, Placement, Problem, WeightBlock
from offramp.planner.placement.reload import choose_biases, choose_weights, with_lives
from offramp.planner.placement.solve import solve
from tests.helpers.reload_instances import cost_of, instance, possible_costs, problem_of, subsets


@pytest.mark.parametrize("part", range(4))
def test_no_choice_of_weights_is_cheaper(part: int) -> None:
    """25 instances each: every subset that can be placed costs as much or more; where none can, it is proved."""
    kinds = set()
    for seed in range(25 * part, 25 * part + 25):
        problem, candidates = instance(seed)
        costs = possible_costs(problem, candidates)
        answer = choose_weights(problem, candidates, DEFAULT_LIMITS)
        kinds.add(type(answer).__name__ if not costs or min(costs) else "resident")
        if not costs:
            assert isinstance(answer, Impossible)
            continue
        assert isinstance(answer, Found)
        chosen = answer.value
        assert chosen.cost == chosen.bound == min(costs) == cost_of(chosen.names, candidates)
        placed = problem_of(with_lives(problem.weights, candidates, chosen))
        assert check(placed, solve(placed)) == ()
    assert {"Found", "resident"} <= kinds


@pytest.mark.parametrize("part", range(4))
def test_no_choice_of_biases_is_cheaper(part: int) -> None:
    for seed in range(25 * part, 25 * part + 25):
        problem, candidates = instance(seed)
        candidates = {name: Reloadable((one.life[0], one.life[0]), one.cost) for name, one in candidates.items()}
        costs = []
        for names in subsets(sorted(candidates)):
            blocks = with_lives(problem.biases, candidates, Chosen(names, 0, 0))
            if isinstance(place_biases(blocks, problem.bias_bytes, DEFAULT_LIMITS), Found):
                costs.append(cost_of(names, candidates))
        answer = choose_biases(problem, candidates, DEFAULT_LIMITS)
        if not costs:
            assert isinstance(answer, Impossible)
            continue
        assert isinstance(answer, Found)
        assert answer.value.cost == answer.value.bound == min(costs)
        placed = problem_of(biases=with_lives(problem.biases, candidates, answer.value))
        assert check(placed, solve(placed)) == ()


def test_the_checker_sees_two_blocks_that_are_needed_at_once() -> None:
    """In one place: resident ones, one that is resident, and lives that touch; not lives that are apart."""
    lives = {"resident": (None, None), "one resident": ((1, 2), None), "touching": ((1, 2), (2, 3))}
    for first, second in [*lives.values(), ((1, 2), (3, 3))]:
        weights = (WeightBlock("a", 1, 4, life=first), WeightBlock("b", 3, 4, life=second))
        biases = (BiasBlock("a", 4, (0,), life=first), BiasBlock("b", 4, (0,), life=second))
        places = Placement({"a": 0, "b": 0}, {"a": BiasPlace(0, 0), "b": BiasPlace(0, 2)}, {}, ())
        rules = {one.rule for one in check(problem_of(weights, biases), places)} - {"objectives_true"}
        assert rules == (set() if second == (3, 3) else {"weights_disjoint", "biases_disjoint"})


def test_forty_blocks_are_decided() -> None:
    rng = np.random.default_rng(0)
    blocks = tuple(WeightBlock(f"b{i}", (1 << 64) - 1, 4 * int(rng.integers(4, 17))) for i in range(40))
    problem = Problem(blocks, (), (), columns=768, start_multiple=4, bias_bytes=16, data_words=8)
    candidates = {f"b{i}": Reloadable((i, i), blocks[i].columns * (3 if i < 20 else 1)) for i in range(3, 40)}
    answer = choose_weights(problem, candidates, DEFAULT_LIMITS)
    assert isinstance(answer, Found) and answer.value.cost == answer.value.bound > 0
