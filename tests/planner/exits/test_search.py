"""The search for thresholds: every setting of small chains, and long chains proved."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.thresholds import draw
from offramp.planner.exits.frontier import UNREACHED, ExitScores, ThresholdSetting
from offramp.planner.exits.search import frontier


@st.composite
def chains(draw: st.DrawFn) -> ExitScores:
    """Up to three early stages with up to two measures, on up to eight images; costs in any order."""
    images, early = draw(st.integers(1, 8)), draw(st.integers(0, 3))
    values = st.lists(st.integers(0, 4), min_size=images, max_size=images).map(np.array)
    scores = tuple(tuple(draw(st.lists(values, min_size=1, max_size=2))) for _ in range(early))
    answers = st.lists(st.booleans(), min_size=images, max_size=images)
    right = np.array([draw(answers) for _ in range(early + 1)])
    cost_by_exit = tuple(draw(st.integers(0, 9)) for _ in range(early + 1))
    return ExitScores(scores, right, cost_by_exit)


def least_costs(exits: ExitScores) -> list[int]:
    """The least cost for each number of right answers, by trying all settings."""
    options = [
        [
            ThresholdSetting(at, int(score))
            for at, scores in enumerate(stage)
            for score in {*scores.tolist(), int(scores.max()) + 1}
        ]
        for stage in exits.scores
    ]
    least = [UNREACHED] * (exits.right.shape[1] + 1)
    for chosen in product(*options):
        cost = int(np.array(exits.cost_by_exit)[exits.exit_index(chosen)].sum())
        for right in range(exits.correct(chosen) + 1):
            least[right] = min(least[right], cost)
    return least


@settings(max_examples=200, deadline=None)
@given(exits=chains())
def test_costs_are_those_of_trying_all_settings(exits: ExitScores) -> None:
    found = frontier(exits)
    assert found.cost.tolist() == found.bound.tolist() == least_costs(exits)
    for right, cost in enumerate(found.cost.tolist()):
        if cost < UNREACHED:
            chosen = found.setting(right)
            assert (
                exits.correct(chosen) >= right and np.array(exits.cost_by_exit)[exits.exit_index(chosen)].sum() == cost
            )


@settings(max_examples=200, deadline=None)
@given(exits=chains(), work=st.integers(0, 300_000), floor=st.integers(0, 8))
def test_a_stopped_search_does_not_promise_too_much(exits: ExitScores, work: int, floor: int) -> None:
    floor = min(floor, exits.right.shape[1])
    found = frontier(exits, floor, work)
    for right, least in list(enumerate(least_costs(exits)))[floor:]:
        assert found.bound[right] <= least <= found.cost[right]


@pytest.mark.parametrize("kind", ["informed", "none"])
def test_three_candidates_with_three_measures_on_2000_images_are_solved_exactly(kind: str) -> None:
    exits = draw(kind, 2000, 3, 3)
    needed = int(exits.right[-1].sum()) - 20
    found = frontier(exits, needed)
    assert found.bound[needed] == found.cost[needed] < UNREACHED
    chosen = found.setting(needed)
    assert exits.correct(chosen) >= needed
    assert np.array(exits.cost_by_exit)[exits.exit_index(chosen)].sum() == found.cost[needed]
