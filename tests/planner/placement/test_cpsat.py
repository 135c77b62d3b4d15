"""The solver behind the bounds, on its own: it finds and proves what exhaustive search finds."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from offramp.planner.placement.cliques import clique_cover
from offramp.planner.placement.conflicts import data_items, weight_items
from offramp.planner.placement.cpsat import improve
from offramp.planner.placement.interval_problem import Arrangement, Items, Limits, bits_of
from offramp.planner.placement.problem import Problem
from tests.helpers.placement_instances import lowest_end, problems

LIMITS = Limits(effort=10.0, seed=0)


def improved(items: Items) -> tuple[int, int]:
    """Highest end and bound that the solver reaches from an arrangement above the capacity.

    Fixed items are left out of the model and deny their cells to others, as in `arrange`.
    """
    cliques = clique_cover(items, bits_of(items.free))
    longest = max(items.sizes[item] for item in items.free)
    known = Arrangement(dict.fromkeys(items.free, items.capacity), 2 * items.capacity, longest)
    found = improve(items, cliques, known, LIMITS)
    end = max(found.starts[item] + items.sizes[item] for item in items.free)
    assert found.end in (2 * items.capacity, end)
    return found.end, found.bound


def check_against_exhaustive_search(items: Items) -> None:
    ends = [start + items.sizes[item] for item, start in items.fixed.items()]
    legal = max(ends, default=0) <= items.capacity and not any(s % items.multiple for s in items.fixed.values())
    assume(None in items.starts and legal)
    only_fixed = replace(
        items, sizes=tuple(0 if s is None else n for n, s in zip(items.sizes, items.starts, strict=True))
    )
    assume(lowest_end(only_fixed) is not None)
    assume(max(size for size, start in zip(items.sizes, items.starts, strict=True) if start is None) <= items.capacity)
    best = lowest_end(items)
    end, bound = improved(items)
    if best is None:
        assert bound > items.capacity
    else:
        top = max((start + items.sizes[item] for item, start in items.fixed.items()), default=0)
        assert max(end, top) == best
        assert bound == end


def test_starts_are_not_rounded_past_the_end_of_a_fixed_item() -> None:
    items = Items(sizes=(3, 4), starts=(0, None), conflicts=(0b10, 0b01), ranks=(0, 0), multiple=1, capacity=7)
    assert improved(items) == (7, 7)


@settings(max_examples=60, deadline=None)
@given(problem=problems("weights"), factor=st.integers(1, 3))
def test_weights_as_low_as_exhaustive_search(problem: Problem, factor: int) -> None:
    items = weight_items(problem.weights, problem)
    scaled = replace(items, sizes=tuple(size * factor for size in items.sizes))  # starts get a common divisor
    check_against_exhaustive_search(scaled)


@settings(max_examples=60, deadline=None)
@given(problem=problems("data"), factor=st.integers(1, 2))
def test_data_as_low_as_exhaustive_search(problem: Problem, factor: int) -> None:
    items = data_items(problem.data, problem)
    check_against_exhaustive_search(replace(items, sizes=tuple(size * factor for size in items.sizes)))
