"""The choice of stages against brute force, and what it says about itself."""

from __future__ import annotations

import numpy as np
import pytest

from offramp.configs.errors import CheckFailed, Infeasible
from offramp.planner.exits.candidates import chains_of
from offramp.planner.exits.choice import Choice
from offramp.planner.exits.choose import Cost, choose
from offramp.planner.reference.confidence import confident, to_threshold
from tests.helpers.exit_instances import FRACTION_BITS, Instance, candidate


def chosen(instance: Instance, **weights: float) -> Choice:
    return choose(instance.goal(None, **weights), instance.profiles, instance.full, instance.costs)


def needed(instance: Instance) -> int:
    return int(instance.full.sum()) - int(instance.drop / 100 * instance.images + 1e-9)


@pytest.mark.parametrize("block", range(10))
def test_the_choice_is_that_of_brute_force(block: int) -> None:
    for seed in range(20 * block, 20 * block + 20):
        instance = Instance(seed)
        allowed = [one for one in instance.outcomes() if one[2] >= needed(instance)]
        for at, quantity in enumerate(("cycles", "energy")):
            choice = chosen(instance, **{quantity: 1.0})
            scale = instance.images * (1 if quantity == "cycles" else 10**6)
            assert round(choice.chosen.means[quantity] * scale) == min(one[at] for one in allowed), seed
            assert choice.method == "exact" and choice.chosen.correct >= needed(instance)
            cheapest = [one for one in allowed if one[at] == min(other[at] for other in allowed)]
            assert choice.chosen.correct == max(one[2] for one in cheapest), seed
            for one, cost in zip(choice.verdicts, instance.costs, strict=True):
                own = [other[at] for other in allowed if other[3] == cost.early]
                assert (round(one.best.means[quantity] * scale) if one.best else None) == min(own, default=None), seed


@pytest.mark.parametrize("block", range(3))
def test_measures_that_differ_in_cost_are_chosen_by_what_they_cost(block: int) -> None:
    compared = 0
    for seed in range(100 * block, 100 * block + 60):
        instance = Instance(seed, most=3, dear=True)
        longest = max(len(one.early) for one in instance.costs)
        if instance.images > 12 or (longest == 3 and len(instance.measures) == 3):
            continue
        allowed = [one for one in instance.outcomes() if one[2] >= needed(instance)]
        choice = chosen(instance, cycles=1.0)
        least = min(one[0] for one in allowed)
        assert round(choice.chosen.means["cycles"] * instance.images) == least and choice.method == "exact", seed
        assert choice.chosen.correct == max(one[2] for one in allowed if one[0] == least), seed
        compared += 1
    assert compared > 10


def test_a_stopped_search_is_right_about_measures_that_differ_in_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(400, 410):
        instance = Instance(seed, dear=True)
        best = min(one[0] for one in instance.outcomes() if one[2] >= needed(instance))
        for work in (0, 30, 300):
            monkeypatch.setattr("offramp.planner.exits.choose.WORK", work)
            choice = chosen(instance, cycles=1.0)
            found = choice.chosen.means["cycles"] * instance.images
            assert found * (1 - choice.gap) <= best + 1e-6 and best <= found + 1e-6


@pytest.mark.parametrize("dear", [False, True])
@pytest.mark.parametrize("seed", range(200, 230))
def test_weighted_sums_and_budgets_are_those_of_brute_force(seed: int, dear: bool) -> None:
    instance = Instance(seed, dear=dear)
    outcomes = instance.outcomes()
    main = next(one for one in outcomes if not one[3])
    choice = chosen(instance, cycles=1.0, energy=3.0)
    cost = 0.25 * choice.chosen.means["cycles"] * instance.images / main[0]
    cost += 0.75 * choice.chosen.means["energy"] * instance.images * 1e6 / main[1]
    best = min(0.25 * one[0] / main[0] + 0.75 * one[1] / main[1] for one in outcomes if one[2] >= needed(instance))
    assert cost == pytest.approx(best, abs=1e-6)

    costs = sorted(one[0] for one in outcomes)
    for most in (costs[0], costs[len(costs) // 2], costs[-1]):
        budget = (most + 0.5) / instance.images
        within = [one for one in outcomes if one[0] <= most]
        choice = choose(instance.goal(("cycles", budget)), instance.profiles, instance.full, instance.costs)
        assert choice.chosen.correct == max(one[2] for one in within) and choice.method == "exact"
        cheapest = min(one[0] for one in within if one[2] == choice.chosen.correct)
        assert round(choice.chosen.means["cycles"] * instance.images) == cheapest


@pytest.mark.parametrize("dear", [False, True])
@pytest.mark.parametrize("seed", range(300, 330))
def test_the_pareto_front_is_that_of_brute_force(seed: int, dear: bool) -> None:
    instance = Instance(seed, dear=dear)
    outcomes = instance.outcomes()
    least = min(one[0] for one in outcomes)
    choice = choose(instance.goal(("cycles", least + 1)), instance.profiles, instance.full, instance.costs)
    for at, (quantity, points) in enumerate(choice.pareto.items()):
        scale = instance.images * (1 if quantity == "cycles" else 10**6)
        found = {(round(one.means[quantity] * scale), one.correct) for one in points}
        pairs = {((cycles, energy)[at], right) for cycles, energy, right, _ in outcomes}
        front = {
            (cost, right)
            for cost, right in pairs
            if not any(c <= cost and r >= right and (c, r) != (cost, right) for c, r in pairs)
        }
        assert found == front


def test_a_search_that_is_stopped_tells_how_far_the_best_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    gaps = 0
    for seed in (404, 416, 428, 437, 440, *range(400, 410)):
        instance = Instance(seed)
        # What is left needs the search.
        costs = [Cost(one.early, {}, "left out") if len(one.early) == 1 else one for one in instance.costs]
        outcomes = [one for one in instance.outcomes() if len(one[3]) != 1]
        best = min(one[0] for one in outcomes if one[2] >= needed(instance))
        budget = float(np.median([one[0] for one in outcomes])) / instance.images
        most = max(one[2] for one in outcomes if one[0] <= budget * instance.images)
        for work in (0, 30, 300):
            monkeypatch.setattr("offramp.planner.exits.choose.WORK", work)
            choice = choose(instance.goal(cycles=1.0), instance.profiles, instance.full, costs)
            found = choice.chosen.means["cycles"] * instance.images
            assert found * (1 - choice.gap) <= best + 1e-6 and best <= found + 1e-6
            assert choice.method == ("gap" if choice.gap else "exact")
            gaps += choice.method == "gap"
            choice = choose(instance.goal(("cycles", budget)), instance.profiles, instance.full, costs)
            assert choice.chosen.correct <= most <= choice.chosen.correct + choice.gap * instance.images + 1e-6
    assert gaps >= 10


def test_a_budget_that_a_stopped_search_misses_is_not_called_infeasible(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = Instance(68, most=3)
    costs = [one for one in instance.costs if len(one.early) in (0, 3)]
    everything = choose(instance.goal(("cycles", 1e9)), instance.profiles, instance.full, costs)
    goal = instance.goal(("cycles", everything.pareto["cycles"][-1].means["cycles"] + 0.5 / instance.images))
    choose(goal, instance.profiles, instance.full, costs)
    monkeypatch.setattr("offramp.planner.exits.choose.WORK", 0)
    with pytest.raises(CheckFailed, match=r"`budget` of .* cycles; the least that was found is "):
        choose(goal, instance.profiles, instance.full, costs)


def test_thresholds_in_real_units_decide_the_same() -> None:
    for seed in range(40):
        instance = Instance(seed)
        names = [one.candidate.name for one in instance.profiles]
        for one in chosen(instance, cycles=1.0).pareto["cycles"]:
            exit_index = np.full(instance.images, len(one.measures))
            for stage in reversed(range(len(one.measures))):
                measure = one.measures[stage]
                values = instance.profiles[names.index(one.stages[stage])].confidence[instance.measures.index(measure)]
                real = one.real_thresholds[stage]
                assert real is not None
                threshold = to_threshold(measure, real, FRACTION_BITS)
                exit_index[confident(measure, values, threshold)] = stage
            assert tuple(np.bincount(exit_index, minlength=len(one.exit_counts)).tolist()) == one.exit_counts


def test_four_stages_are_exact_too() -> None:
    for seed in (1003, 1013, 1026, 1034, 1047, 1050):
        instance = Instance(seed, most=3)
        assert max(len(one.early) for one in instance.costs) == 3
        best = min(one[0] for one in instance.outcomes() if one[2] >= needed(instance))
        choice = chosen(instance, cycles=1.0)
        assert round(choice.chosen.means["cycles"] * instance.images) == best and choice.method == "exact"


def test_the_runner_up_is_another_chain_and_no_better() -> None:
    for seed in range(40):
        choice = chosen(Instance(seed), cycles=1.0)
        if choice.runner_up:
            assert choice.runner_up.stages != choice.chosen.stages
            assert choice.runner_up.means["cycles"] >= choice.chosen.means["cycles"]
            assert min(choice.runner_up.exit_counts[:-1], default=1) > 0


def test_every_chain_and_candidate_has_a_reason() -> None:
    for seed in range(40):
        instance = Instance(seed)
        choice = chosen(instance, energy=1.0)
        assert [one.reason for one in choice.verdicts].count("chosen") == 1
        assert all(one.reason for one in choice.verdicts) and len(choice.verdicts) == len(instance.costs)
        assert [name for name, _ in choice.candidates] == [one.candidate.name for one in instance.profiles]
        for name, reason in choice.candidates:
            assert reason.startswith("chosen") == (name in choice.chosen.stages)


def test_what_cannot_be_built_is_left_out_and_says_why() -> None:
    instance = Instance(3)
    costs = [
        Cost(one.early, {}, "cannot be placed: too wide") if one.early and one.early[0] == 0 else one
        for one in instance.costs
    ]
    choice = choose(instance.goal(cycles=1.0), instance.profiles, instance.full, costs)
    assert instance.profiles[0].candidate.name not in choice.chosen.stages[:1]
    assert any(one.reason == "cannot be placed: too wide" and one.best is None for one in choice.verdicts)
    with pytest.raises(Infeasible, match="too wide"):
        choose(instance.goal(cycles=1.0), instance.profiles, instance.full, [Cost((), {}, "too wide")])


def test_a_budget_below_everything_is_infeasible() -> None:
    instance = Instance(5)
    least = min(one[0] for one in instance.outcomes()) / instance.images
    with pytest.raises(Infeasible, match=r"`budget` of 0\.5 cycles; the least possible is ") as caught:
        choose(instance.goal(("cycles", 0.5)), instance.profiles, instance.full, instance.costs)
    shown = float(str(caught.value).split()[-1].replace(",", ""))
    assert least <= shown < least + 0.001
    choice = choose(instance.goal(("cycles", shown)), instance.profiles, instance.full, instance.costs)
    assert choice.chosen.means["cycles"] == pytest.approx(least)


@pytest.mark.parametrize("amount", [1e14, 1e30, 1.7e308])
def test_a_budget_beyond_everything_is_no_limit(amount: float) -> None:
    for seed in range(500, 510):
        instance = Instance(seed)
        for quantity in ("cycles", "energy"):
            choice = choose(instance.goal((quantity, amount)), instance.profiles, instance.full, instance.costs)
            assert choice.chosen.correct == max(one[2] for one in instance.outcomes())


def test_only_the_ratio_of_weights_counts() -> None:
    for weight in (1e-300, 1e308):
        one, two = (chosen(Instance(6), cycles=by, energy=by).record() for by in (1.0, weight))
        assert one == two


def test_the_same_input_gives_the_same_choice() -> None:
    for seed in (1, 2, 3):
        one, two = (chosen(Instance(seed), cycles=0.5, energy=0.5).record() for _ in range(2))
        assert one == two


def test_chains_have_fronts_first_and_one_head_at_each_cut() -> None:
    entries = [("a", None), ("b", None), ("late", 3), ("early", 1), ("other", 1)]
    candidates = [candidate(name, cut, ("margin",)) for name, cut in entries]
    names = [tuple(entries[index][0] for index in early) for early in chains_of(candidates, 3)]
    assert names[0] == () and len(set(names)) == len(names)
    assert ("a", "b") in names and ("b", "a") in names and ("a", "early", "late") in names
    assert all("late" not in one or one[-1] == "late" for one in names)
    assert not any({"early", "other"} <= set(one) for one in names)
    # 1; 5; 2 orders of fronts, 2 * 3 with a branch, 2 pairs of branches; 2 * 3 and 2 * 2 with both or one front
    assert [sum(len(one) == count for one in names) for count in range(4)] == [1, 5, 10, 10]
