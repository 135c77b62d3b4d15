"""Every rule of the placement checker: one placement that keeps it and at least one that breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from offramp.configs.errors import Where
from offramp.planner.placement.check import RULES, check
from offramp.planner.placement.problem import (
    CYCLES,
    HIGHEST,
    BiasBlock,
    BiasPlace,
    Buffer,
    Objective,
    Placement,
    Problem,
    WeightBlock,
)

PROBLEM = Problem(
    weights=(
        WeightBlock("front", 0b0011, 6, where=Where("front.yaml", 9)),
        WeightBlock("main", 0b0110, 5, start=8, penalty=3),
        WeightBlock("head", 0b1000, 16),
    ),
    biases=(BiasBlock("front", 5, (0,)), BiasBlock("main", 4, (0, 1), at_zero=True), BiasBlock("head", 8, (1, 0))),
    data=(
        Buffer("input", (0, 1), 10, 0, 1, offset=4),
        Buffer("middle", (1, 2), 6, 1, 2),
        Buffer("output", (0, 1), 8, 2, 3),
    ),
    columns=16,
    start_multiple=4,
    bias_bytes=12,
    data_words=20,
)
GOOD = Placement(
    weights={"front": 0, "main": 8, "head": 0},
    biases={"front": BiasPlace(0, 4), "main": BiasPlace(0, 0), "head": BiasPlace(1, 0)},
    data={"input": 4, "middle": 14, "output": 0},
    objectives=(Objective(CYCLES, 24, 24), Objective(HIGHEST, 16, 16)),
)


def weights(**starts: int) -> Placement:
    return replace(GOOD, weights={**GOOD.weights, **starts})


def biases(**places: BiasPlace) -> Placement:
    return replace(GOOD, biases={**GOOD.biases, **places})


def data(**offsets: int) -> Placement:
    return replace(GOOD, data={**GOOD.data, **offsets})


def objective(index: int, changed: Objective) -> Placement:
    return replace(GOOD, objectives=(*GOOD.objectives[:index], changed, *GOOD.objectives[index + 1 :]))


def broken(placement: Placement, problem: Problem = PROBLEM) -> set[str]:
    return {violation.rule for violation in check(problem, placement)}


def test_a_right_placement_breaks_no_rule() -> None:
    assert check(PROBLEM, GOOD) == ()


@pytest.mark.parametrize(
    ("placement", "rule", "words"),
    [
        (replace(GOOD, weights={"front": 0, "main": 8}), "every_block_placed", "head"),
        (replace(GOOD, biases={}), "every_block_placed", "biases front"),
        (replace(GOOD, data={}), "every_block_placed", "data middle"),
        (weights(tail=0), "only_known_blocks", "tail"),
        (weights(head=4), "weights_inside", "columns 4..19; a processor has columns 0..15"),
        (weights(front=-4), "weights_inside", "front (front.yaml:9)"),
        (weights(front=2), "weight_start_multiple", "column 2"),
        (weights(main=4), "weight_start_fixed", "fixed is 8"),
        (weights(front=4), "weights_disjoint", "both occupy column 8 of processor 1"),
        (biases(head=BiasPlace(1, 8)), "bias_inside", "bytes 8..15"),
        (biases(head=BiasPlace(2, 0)), "bias_quadrant_allowed", "allowed: 1, 0"),
        (biases(front=BiasPlace(0, 0), main=BiasPlace(0, 5)), "bias_at_zero", "main start at byte 5"),
        (biases(front=BiasPlace(0, 3)), "biases_disjoint", "byte 3 of quadrant 0"),
        (data(middle=15), "data_inside", "words 15..20"),
        (data(input=2), "data_offset_fixed", "fixed is 4"),
        (data(middle=13), "data_disjoint", "instance 1 word 13 at step 1"),
        (data(output=7), "data_disjoint", "instance 1 word 14 at step 2"),
        (objective(0, Objective(CYCLES, 21, 0)), "objectives_true", "lost to late starts: 21 is stated, 24 is true"),
        (objective(1, Objective(HIGHEST, 17, 16)), "objectives_true", "highest column: 17 is stated, 16 is true"),
        (objective(1, Objective(HIGHEST, 16, 17)), "objectives_true", "17 is claimed as a lower bound of 16"),
        (replace(GOOD, objectives=GOOD.objectives[1:]), "objectives_true", "in this order"),
    ],
)
def test_a_broken_rule_is_named(placement: Placement, rule: str, words: str) -> None:
    found = [violation for violation in check(PROBLEM, placement) if violation.rule == rule]
    assert found
    assert any(words in violation.message for violation in found)


def test_every_rule_has_a_name_of_its_own_and_a_docstring() -> None:
    assert len({rule.__name__ for rule in RULES}) == len(RULES)
    assert all(rule.__doc__ for rule in RULES)


def test_blocks_of_one_processor_may_lie_beside_those_of_another() -> None:
    assert broken(weights(head=0)) == set()  # head has processor 3 for itself


def test_data_that_do_not_live_together_may_share_words() -> None:
    assert "data_disjoint" not in broken(data(output=4))  # input ends at step 1, output begins at step 2


def test_data_of_different_instances_may_share_words() -> None:
    problem = replace(PROBLEM, data=(*PROBLEM.data[:1], replace(PROBLEM.data[1], instances=(2,)), PROBLEM.data[2]))
    assert broken(data(middle=4), problem) == set()


def test_data_may_share_words_where_the_user_allows_it() -> None:
    problem = replace(PROBLEM, overlaps=frozenset({frozenset({"input", "middle"})}))
    assert broken(data(middle=8), problem) == set()
    assert broken(data(middle=7), problem) == {"data_disjoint"}  # of output, which is not allowed
