"""Rules of patience on streams of a few inputs (bench/patience.py)."""

from __future__ import annotations

import numpy as np
import pytest

from bench import patience


def stream(early: list[int], late: list[int], margin: list[int], y: list[int] | None = None) -> patience.Stream:
    sooner, later, sure, labels = (np.array(values, np.int64) for values in (early, late, margin, y or late))
    return patience.Stream(sooner, later, sure, labels, (10, 100))


def leaves(rule: str, n: int, of: patience.Stream, high: int, low: int = 0) -> list[int]:
    """Numbers of the inputs that leave early."""
    make, _ = patience.RULES[rule]
    return np.flatnonzero(make(n, of, np.array([high]), np.array([low]))[0]).tolist()


STREAM = stream(early=[3, 3, 3, 5, 3, 3], late=[3, 3, 3, 3, 3, 5], margin=[9, 2, 4, 8, 4, 1])


@pytest.mark.parametrize("rule", patience.RULES)
def test_one_input_is_the_plain_rule(rule: str) -> None:
    assert leaves(rule, 1, STREAM, high=4) == [0, 2, 3, 4]


def test_in_a_row_all_answers_are_the_same() -> None:
    assert leaves("row", 2, STREAM, high=4) == [2]
    assert leaves("row", 3, STREAM, high=0) == [2]


def test_either_lets_the_patient_leave_at_the_lower_threshold() -> None:
    assert leaves("either", 2, STREAM, high=8, low=2) == [0, 1, 2, 3]


def test_given_counts_what_the_application_answered() -> None:
    """Input 3 goes on to main, which says 3; so the stage's 3 at input 4 is the same answer again."""
    assert leaves("given", 2, STREAM, high=9, low=1) == [0, 1, 2, 4, 5]
    assert leaves("given", 4, STREAM, high=9, low=1) == [0, 4, 5]


def test_sum_adds_margins_of_the_same_answer() -> None:
    assert leaves("sum", 2, STREAM, high=6) == [0, 1, 2, 3]
    assert leaves("sum", 3, STREAM, high=15) == [2]


@pytest.mark.parametrize("two", [False, True])
def test_settings_hold_the_one_with_which_nothing_leaves(two: bool) -> None:
    high, low = patience.settings(STREAM, 2, two)
    assert high.max() == patience.UNREACHED and len(high) == len(low) > len(STREAM.y)
    assert ((high == patience.UNREACHED) & (low == patience.UNREACHED)).any()
    assert not two or (low <= high).all()


def test_the_best_setting_keeps_the_limit() -> None:
    """The stage is wrong at input 0, where it is surest; main everywhere right."""
    of = stream(early=[1, 0, 0, 0], late=[0, 0, 0, 0], margin=[9, 5, 5, 1])
    high, low = patience.settings(of, 1, False)
    tried = patience.try_rule(of, lambda *given: patience.row(1, *given), high, low)
    for kind in ("accuracy", "lost"):
        kept, quick = tried.best(kind, 0), tried.best(kind, 25)
        assert (tried.cycles[kept], tried.loss[kind][kept]) == (100, 0)
        assert (tried.cycles[quick], tried.loss[kind][quick]) == (10, 25)


def test_what_the_stage_corrects_is_no_loss() -> None:
    """Accuracy may rise while inputs are lost."""
    of = stream(early=[1, 0, 0, 0], late=[0, 1, 1, 0], margin=[9, 9, 9, 9], y=[0, 0, 0, 0])
    tried = patience.try_rule(of, lambda *given: patience.row(1, *given), np.array([0]), np.array([0]))
    assert (tried.loss["accuracy"][0], tried.loss["lost"][0]) == (-25, 25)
