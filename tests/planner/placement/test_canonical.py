"""The search for tight arrangements, on its own: it finds what exhaustive search finds, and is right to say no."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from offramp.planner.placement.answer import Answer, Found, Impossible
from offramp.planner.placement.canonical import search
from offramp.planner.placement.cliques import clique_bound, clique_cover
from offramp.planner.placement.conflicts import data_items, weight_items
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS, Items, Limits, bits_of
from offramp.planner.placement.intervals import arrange
from offramp.planner.placement.problem import Buffer, Problem
from offramp.planner.placement.sections import sections_of
from tests.helpers.placement_instances import EMPTY, RING, lowest_end, problems


def searched(items: Items, limits: Limits = DEFAULT_LIMITS) -> Answer[dict[int, int]]:
    return search(sections_of(items, clique_cover(items, bits_of(items.free)), items.free), limits)


def check_arrangement(items: Items, starts: dict[int, int]) -> None:
    placed = starts | items.fixed
    assert len(placed) == len(items.sizes)
    for item, start in starts.items():
        assert start % items.multiple == 0 and 0 <= start <= items.capacity - items.sizes[item]
        for other in range(len(items.sizes)):
            if items.conflicts[item] >> other & 1:
                apart = placed[other] >= start + items.sizes[item] or start >= placed[other] + items.sizes[other]
                assert apart, (item, other)


def check_against_exhaustive_search(items: Items) -> None:
    assume(items.free and isinstance(arrange(_only_fixed(items), DEFAULT_LIMITS), Found))
    answer = searched(items)
    if lowest_end(items) is None:
        assert isinstance(answer, Impossible)
    else:
        assert isinstance(answer, Found)
        check_arrangement(items, answer.value)


def _only_fixed(items: Items) -> Items:
    kept = list(items.fixed)
    conflicts = tuple(
        bits_of(at for at, other in enumerate(kept) if items.conflicts[item] >> other & 1) for item in kept
    )
    sizes, ranks = (tuple(part[item] for item in kept) for part in (items.sizes, items.ranks))
    return Items(sizes, tuple(items.starts[item] for item in kept), conflicts, ranks, items.multiple, items.capacity)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(problem=problems("weights"), capacity=st.integers(6, 12))
def test_weights_fit_if_and_only_if_exhaustive_search_says_so(problem: Problem, capacity: int) -> None:
    items = weight_items(problem.weights, problem)
    assume(max(items.sizes) <= capacity)
    check_against_exhaustive_search(
        Items(items.sizes, items.starts, items.conflicts, items.ranks, items.multiple, capacity)
    )


@settings(max_examples=150, deadline=None)
@given(problem=problems("data"), capacity=st.integers(5, 9))
def test_data_fit_if_and_only_if_exhaustive_search_says_so(problem: Problem, capacity: int) -> None:
    items = data_items(problem.data, problem)
    assume(max(items.sizes) <= capacity)
    check_against_exhaustive_search(Items(items.sizes, items.starts, items.conflicts, items.ranks, 1, capacity))


def test_what_no_section_shows_is_proved_impossible() -> None:
    """A ring of five: every pair that conflicts fits, but two levels are not enough."""
    items = weight_items(RING, EMPTY)
    tight = Items(items.sizes, items.starts, items.conflicts, items.ranks, items.multiple, 8)
    assert isinstance(searched(tight), Impossible)


def full_memory(seed: int, steps: int = 30, capacity: int = 4096) -> tuple[Buffer, ...]:
    """Buffers that fill a memory without a gap: the rectangle of steps and words, cut at random."""
    rng = np.random.default_rng(seed)
    pieces, done = [(0, steps, 0, capacity)], []
    while pieces:
        first, end, low, high = pieces.pop()
        across = rng.random() < (end - first) / steps
        if end - first > 1 and (across or high - low < 8):
            cut = int(rng.integers(first + 1, end))
            parts = [(first, cut, low, high), (cut, end, low, high)]
        elif high - low >= 8:
            cut = int(rng.integers(low + 1, high))
            parts = [(first, end, low, cut), (first, end, cut, high)]
        else:
            parts = []
        small = (end - first) * (high - low) < steps * capacity / 60
        done += [(first, end, low, high)] if small or not parts else []
        pieces += [] if small else parts
    return tuple(
        Buffer(f"b{number}", (0,), high - low, first, end - 1) for number, (first, end, low, high) in enumerate(done)
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_buffers_that_fill_the_memory_without_a_gap_are_placed(seed: int) -> None:
    blocks = full_memory(seed)
    problem = Problem((), (), blocks, 768, 4, 512, 4096)
    items = data_items(blocks, problem)
    everything = (1 << len(blocks)) - 1
    assert max(clique_bound(items, clique) for clique in clique_cover(items, everything)) == 4096
    answer = searched(items, Limits(effort=5.0))
    assert isinstance(answer, Found) and len(blocks) > 60
    check_arrangement(items, answer.value)
    assert searched(items, Limits(effort=5.0)) == answer
