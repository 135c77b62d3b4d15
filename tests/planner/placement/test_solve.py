"""What `solve` answers: right by the checker, optimal by exhaustive search, and the same every time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.configs.errors import Infeasible, OfframpError
from offramp.planner.placement.check import check
from offramp.planner.placement.conflicts import data_items
from offramp.planner.placement.interval_problem import Limits
from offramp.planner.placement.problem import (
    CYCLES,
    HIGHEST,
    BiasBlock,
    BiasPlace,
    Buffer,
    Objective,
    Problem,
    WeightBlock,
)
from offramp.planner.placement.solve import solve
from tests.helpers.placement_instances import EMPTY, RING, best_values, biases_fit, lowest_end, problems

EVERY = (1 << 64) - 1


def test_blocks_of_different_processors_share_columns() -> None:
    blocks = (WeightBlock("a", 0b0011, 4), WeightBlock("b", 0b1100, 6), WeightBlock("c", 0b0110, 3))
    placement = solve(replace(EMPTY, weights=blocks))
    assert placement.highest == Objective(HIGHEST, 9, 9)


def test_the_block_that_leaves_a_start_unit_unfinished_goes_to_the_top() -> None:
    blocks = (WeightBlock("odd", EVERY, 3), WeightBlock("even", EVERY, 4))
    placement = solve(replace(EMPTY, weights=blocks))
    assert dict(placement.weights) == {"even": 0, "odd": 4}
    assert placement.highest.value == 7


def test_a_ring_needs_three_levels_which_only_the_solver_can_prove() -> None:
    placement = solve(replace(EMPTY, weights=RING))
    assert placement.highest == Objective(HIGHEST, 12, 12)


def test_what_costs_cycles_comes_first_even_if_others_lie_higher_for_it() -> None:
    blocks = (WeightBlock("long", 0b01, 7), WeightBlock("late", 0b11, 2, penalty=9), WeightBlock("other", 0b10, 3))
    assert solve(replace(EMPTY, weights=blocks)).weights["late"] == 0
    easy = replace(EMPTY, weights=tuple(replace(block, penalty=0) for block in blocks))
    lost, highest = solve(replace(EMPTY, weights=blocks)).objectives
    assert (lost.value, highest.value, solve(easy).highest.value) == (0, 9, 9)


def test_of_two_that_cost_cycles_the_dearer_one_starts_first() -> None:
    blocks = (WeightBlock("cheap", 0b1, 2, penalty=1), WeightBlock("dear", 0b1, 6, penalty=4))
    placement = solve(replace(EMPTY, weights=blocks))
    assert dict(placement.weights) == {"dear": 0, "cheap": 6}
    assert placement.objectives[0] == Objective(CYCLES, 6, 6)


def test_fixed_starts_are_kept_and_filled_around() -> None:
    blocks = (WeightBlock("fixed", 0b11, 4, start=4), WeightBlock("low", 0b01, 4), WeightBlock("high", 0b10, 5))
    placement = solve(replace(EMPTY, weights=blocks, columns=13))
    assert dict(placement.weights) == {"fixed": 4, "low": 0, "high": 8}


def test_a_short_fixed_block_does_not_hide_a_long_one() -> None:
    blocks = (WeightBlock("long", 0b01, 8, start=0), WeightBlock("short", 0b10, 2, start=2), WeightBlock("x", 0b11, 2))
    assert solve(replace(EMPTY, weights=blocks)).weights["x"] == 8


def test_biases_that_greedy_packing_cannot_place_are_placed() -> None:
    lengths = (3, 3, 2, 2, 2)  # long ones first into the emptiest of two quadrants of 6 bytes leaves 3 + 2 and 3 + 2
    blocks = tuple(BiasBlock(f"b{index}", length, (0, 1)) for index, length in enumerate(lengths))
    problem = replace(EMPTY, biases=blocks)
    assert check(problem, solve(problem)) == ()


def test_biases_that_must_start_at_zero_come_first() -> None:
    blocks = (BiasBlock("plain", 4, (0,)), BiasBlock("flat", 2, (0,), at_zero=True))
    assert dict(solve(replace(EMPTY, biases=blocks)).biases) == {"plain": BiasPlace(0, 2), "flat": BiasPlace(0, 0)}


def test_tensors_reuse_words_of_tensors_that_are_gone() -> None:
    blocks = tuple(Buffer(f"t{step}", (0,), 4, step, step + 1) for step in range(5))
    placement = solve(replace(EMPTY, data=blocks))
    assert max(placement.data.values()) == 4


def test_nothing_to_place_is_a_placement() -> None:
    placement = solve(EMPTY)
    assert (placement.weights, placement.biases, placement.data) == ({}, {}, {})
    assert [(one.value, one.optimal) for one in placement.objectives] == [(0, True)] * 2


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(problem=problems("weights"))
def test_no_arrangement_of_the_weights_is_better(problem: Problem) -> None:
    """Fewest cycles lost, and of these the lowest; both proved."""
    best = best_values(problem)
    if best is None:
        with pytest.raises(Infeasible):
            solve(problem)
        return
    placement = solve(problem)
    assert check(problem, placement) == ()
    assert placement.objectives == tuple(map(Objective, (CYCLES, HIGHEST), best, best))


@settings(max_examples=100, deadline=None)
@given(problem=problems("data"))
def test_data_are_placed_whenever_exhaustive_search_can(problem: Problem) -> None:
    if lowest_end(data_items(problem.data, problem)) is None:
        with pytest.raises(Infeasible):
            solve(problem)
        return
    assert check(problem, solve(problem)) == ()


def test_layers_that_fit_but_not_when_stacked_are_proved_not_to() -> None:
    """Two rings of five, each of which needs three levels of two words where its cliques need two."""
    blocks = tuple(Buffer(f"{ring}{at}", (0,), 2, 0, 0) for ring in "ab" for at in range(5))
    apart = {frozenset((f"{ring}{at}", f"{ring}{(at + 2) % 5}")) for ring in "ab" for at in range(5)}
    problem = replace(EMPTY, data=blocks, overlaps=frozenset(apart))
    assert check(replace(problem, data_words=12), solve(replace(problem, data_words=12))) == ()
    with pytest.raises(Infeasible):
        solve(replace(problem, data_words=11))


@settings(max_examples=100, deadline=None)
@given(problem=problems("biases"))
def test_biases_are_placed_whenever_exhaustive_search_can(problem: Problem) -> None:
    if biases_fit(problem.biases, problem):
        assert check(problem, solve(problem)) == ()
    else:
        with pytest.raises(Infeasible):
            solve(problem)


@settings(max_examples=20, deadline=None)
@given(problem=problems("weights"), seed=st.integers(0, 3))
def test_the_same_problem_gets_the_same_placement(problem: Problem, seed: int) -> None:
    def answer() -> str:
        try:
            return repr(solve(problem, Limits(seed=seed)))
        except Infeasible as error:
            return str(error)

    assert answer() == answer()


def test_another_process_gets_the_same_placement() -> None:
    code = (
        "from dataclasses import replace; from tests.helpers.placement_instances import EMPTY, RING;"
        "from offramp.planner.placement.solve import solve; print(solve(replace(EMPTY, weights=RING)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(solve(replace(EMPTY, weights=RING)))


def test_the_limit_is_reported_as_undecided_and_not_as_infeasible() -> None:
    blocks = tuple(replace(block, columns=5) for block in RING)
    with pytest.raises(OfframpError) as caught:
        solve(replace(EMPTY, weights=blocks), Limits(effort=0))
    assert not isinstance(caught.value, Infeasible)
    bounded = "placing the weights (at least 11 of 12 columns) is undecided after a solver effort of 0"
    assert str(caught.value) == bounded


def test_a_bound_below_the_placement_is_stated_when_the_limit_is_reached() -> None:
    placement = solve(replace(EMPTY, weights=RING), Limits(effort=0))
    assert placement.highest == Objective(HIGHEST, 12, 8) and not placement.highest.optimal


def test_easy_placements_do_not_import_the_solver() -> None:
    code = (
        "import sys; from dataclasses import replace; from tests.helpers.placement_instances import EMPTY, RING;"
        "from offramp.planner.placement.solve import solve; solve(replace(EMPTY, weights=RING[:3]));"
        "sys.exit('ortools' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
