"""What is resident and what is written again: the cheapest choice, beside all others."""

from __future__ import annotations

import numpy as np
import pytest

from offramp.planner.placement.answer import Found, Impossible
from offramp.planner.placement.biases import place_biases
from offramp.planner.placement.check import check
from offramp.planner.placement.cpsat_reload import Chosen, Use, cost_of
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS
from offramp.planner.placement.problem import BiasBlock, BiasPlace, Placement, Problem, WeightBlock
from offramp.planner.placement.reload import choose_biases, choose_weights, with_lives
from offramp.planner.placement.solve import solve
from tests.helpers.reload_instances import Candidates, choices, instance, models, parts, possible_costs, problem_of


def no_choice_is_cheaper(problem: Problem, candidates: Candidates) -> str:
    """Of weights: every choice that can be placed costs as much or more; where none can, it is proved. Says which."""
    costs = possible_costs(problem, candidates)
    answer = choose_weights(problem, candidates, DEFAULT_LIMITS)
    if not costs:
        assert isinstance(answer, Impossible)
        return "Impossible"
    assert isinstance(answer, Found)
    chosen = answer.value
    assert chosen.cost == chosen.bound == min(costs) == cost_of(candidates, chosen.at_entry)
    placed = problem_of(with_lives(problem.weights, candidates, chosen))
    assert check(placed, solve(placed)) == ()
    return "resident" if not min(costs) else "at entry" if any(map(any, chosen.at_entry.values())) else "again"


def no_choice_of_biases_is_cheaper(problem: Problem, candidates: Candidates) -> None:
    costs = []
    for one in choices(candidates):
        found = with_lives(problem.biases, candidates, Chosen(one, 0, 0))
        if isinstance(place_biases(found, problem.bias_bytes, DEFAULT_LIMITS), Found):
            costs.append(cost_of(candidates, one))
    answer = choose_biases(problem, candidates, DEFAULT_LIMITS)
    if not costs:
        assert isinstance(answer, Impossible)
        return
    assert isinstance(answer, Found)
    assert answer.value.cost == answer.value.bound == min(costs)
    placed = problem_of(biases=with_lives(problem.biases, candidates, answer.value))
    assert check(placed, solve(placed)) == ()


@pytest.mark.parametrize("part", range(4))
def test_no_choice_of_weights_is_cheaper(part: int) -> None:
    """25 instances each."""
    kinds = {no_choice_is_cheaper(*instance(seed)) for seed in range(25 * part, 25 * part + 25)}
    assert {"again", "resident"} <= kinds


@pytest.mark.parametrize("shared", [False, True])
def test_no_choice_of_weights_of_several_models_is_cheaper(shared: bool) -> None:
    """25 instances each."""
    kinds = {no_choice_is_cheaper(*models(seed, shared)) for seed in range(25)}
    assert {"again", "at entry", "resident"} <= kinds


@pytest.mark.parametrize("part", range(4))
def test_no_choice_of_biases_is_cheaper(part: int) -> None:
    for seed in range(25 * part, 25 * part + 25):
        problem, candidates = instance(seed)
        for name, (use,) in candidates.items():
            candidates[name] = (Use(frozenset({min(use.needed)}), use.model, use.again),)
        no_choice_of_biases_is_cheaper(problem, candidates)


def test_no_choice_of_biases_of_several_models_is_cheaper() -> None:
    for seed in range(6):
        problem, candidates = models(seed, shared=False)
        for name, (use,) in candidates.items():
            candidates[name] = (Use(frozenset({min(use.needed)}), use.model, use.again, use.entry),)
        no_choice_of_biases_is_cheaper(problem, candidates)


def test_the_checker_sees_two_blocks_that_are_needed_at_once() -> None:
    """In one place: resident ones, one that is resident, and lives that touch; not lives that are apart."""
    early, late = parts(1, 2), parts(2, 3)
    lives = {"resident": (None, None), "one resident": (early, None), "touching": (early, late)}
    for first, second in [*lives.values(), (early, parts(3, 3))]:
        weights = (WeightBlock("a", 1, 4, life=first), WeightBlock("b", 3, 4, life=second))
        biases = (BiasBlock("a", 4, (0,), life=first), BiasBlock("b", 4, (0,), life=second))
        places = Placement({"a": 0, "b": 0}, {"a": BiasPlace(0, 0), "b": BiasPlace(0, 2)}, {}, ())
        rules = {one.rule for one in check(problem_of(weights, biases), places)} - {"objectives_true"}
        assert rules == (set() if second == parts(3, 3) else {"weights_disjoint", "biases_disjoint"})


@pytest.mark.parametrize("models", [1, 4])
def test_forty_blocks_are_decided(models: int) -> None:
    """Of a chain, or of models of ten layers each, the first of which does not wait."""
    rng = np.random.default_rng(0)
    found = tuple(WeightBlock(f"b{i}", (1 << 64) - 1, 4 * int(rng.integers(4, 17))) for i in range(40))
    problem = Problem(found, (), (), columns=768, start_multiple=4, bias_bytes=16, data_words=8)
    own = 40 // models
    candidates = {}
    for i, block in enumerate(found):
        again = block.columns * (3 if i < 20 else 1) if i % own > 2 else None
        model = parts(i - i % own, i - i % own + own - 1)
        if models > 1 or again is not None:
            candidates[block.name] = (Use(parts(i, i), model, again, block.columns * 2 if models > 1 else None),)
    answer = choose_weights(problem, candidates, DEFAULT_LIMITS)
    assert isinstance(answer, Found) and answer.value.cost == answer.value.bound > 0
