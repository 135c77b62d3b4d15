"""Weight blocks that may not lie anywhere: physical memories, several at once, columns that only some have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offramp.configs.errors import Infeasible
from offramp.planner.placement.answer import Found, Impossible
from offramp.planner.placement.check import check
from offramp.planner.placement.cpsat_rooms import starts_in_rooms
from offramp.planner.placement.explain import weights
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS
from offramp.planner.placement.problem import Placement, Problem, WeightBlock
from offramp.planner.placement.rooms import in_rooms
from offramp.planner.placement.solve import solve

BANKS = ((0, 100), (100, 200), (200, 300), (300, 400))
FOUR = (0, 100, 200, 300)


def problem(*blocks: WeightBlock) -> Problem:
    return Problem(blocks, (), (), columns=400, start_multiple=4, bias_bytes=64, data_words=64)


def block(name: str, columns: int, processors: int = 1, **values: object) -> WeightBlock:
    return replace(WeightBlock(name, processors, columns), **values)  # type: ignore[arg-type]


def four(name: str, columns: int, processors: int = 1) -> WeightBlock:
    return block(name, columns, processors, rooms=((0, 100),), copies=FOUR)


def within(name: str, columns: int, processors: int = 1) -> WeightBlock:
    return block(name, columns, processors, rooms=BANKS)


def rules(problem: Problem, **starts: int) -> set[str]:
    answer = solve(problem)
    moved = Placement({**answer.weights, **starts}, answer.biases, answer.data, answer.objectives)
    return {violation.rule for violation in check(problem, moved)}


def test_outputs_at_once_leave_room_between_their_kernels_for_others() -> None:
    given = problem(four("x4", 40), within("depthwise", 60), block("plain", 60), block("other", 60), block("last", 60))
    answer = solve(given)
    assert not check(given, answer)
    assert answer.highest.value > 300  # the fourth copy


def test_what_fills_the_memory_in_one_piece_has_no_place_beside_four_at_once() -> None:
    with pytest.raises(Infeasible) as error:
        solve(problem(four("x4", 4), block("plain", 100, start=4)))
    assert "x4: 4 columns" in str(error.value) and "plain" in str(error.value)


def test_columns_that_only_some_processors_have_are_used_when_they_are_needed() -> None:
    tall = block("tall", 100, 1, rooms=((0, 500),))
    given = problem(block("wide", 400, 3), tall)
    answer = solve(given)
    assert answer.weights == {"wide": 0, "tall": 400} and not check(given, answer)
    with pytest.raises(Infeasible):
        solve(problem(block("wide", 400, 3), replace(tall, columns=104)))


def test_the_checker_finds_what_is_wrong() -> None:
    given = problem(four("x4", 40), within("depthwise", 60, 2))
    assert rules(given) == set()
    assert "weights_inside" in rules(given, depthwise=60)
    assert "weights_inside" in rules(given, x4=64)
    both = problem(four("x4", 40), within("depthwise", 52))
    assert "weights_disjoint" in rules(both, x4=0, depthwise=320)


def test_a_search_agrees_with_first_fit_on_random_blocks() -> None:
    """Both find places that the checker accepts, or the search proves that there are none."""
    rng = np.random.default_rng(4)
    decided = {"placed": 0, "impossible": 0}
    for _ in range(40):
        kinds = [four, within, block]
        blocks = [
            kinds[int(rng.integers(3))](f"b{n}", int(rng.integers(1, 25)) * 4, int(rng.integers(1, 4)))
            for n in range(int(rng.integers(2, 7)))
        ]
        given = problem(*blocks)
        quick = in_rooms(blocks, given, DEFAULT_LIMITS)
        searched = starts_in_rooms(blocks, given, DEFAULT_LIMITS)
        assert isinstance(quick, Found) == isinstance(searched, Found)
        if isinstance(quick, Found):
            answer = solve(given)
            assert not check(given, answer)
        else:
            assert isinstance(quick, Impossible)
        decided["placed" if isinstance(quick, Found) else "impossible"] += 1
    assert min(decided.values()) > 3


def test_the_reason_says_that_kernels_lie_in_several_memories() -> None:
    with pytest.raises(Infeasible) as caught:
        raise Infeasible(weights(problem(four("quad", 25), block("long", 100)), DEFAULT_LIMITS))
    assert "quad: 25 columns in each of 4 physical memories; long: 100 columns" in str(caught.value)
