"""Soaking a firmware: answers are right however they are asked for, and what is wrong is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.soak_life import SoakSubject, soak, soak_subject
from tests.helpers.specs import STAGED, THREE, TINY, write_spec

TWICE = """stages:
  - {network: front, exit: {confidence: margin, threshold: 0.02}}
  - {network: streaming}
"""
SPECS = {
    "memory": (THREE, TINY),
    "fifo": (STAGED.spec(TWICE, front="fifo: true", streaming="fifo: true"), STAGED),
}


def subject(name: str, folder: Path) -> SoakSubject:
    text, family = SPECS[name]
    return soak_subject(write_spec(folder, text, family), folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_all_answers_are_right_and_statistics_add_up(name: str, tmp_path: Path) -> None:
    found = soak(subject(name, tmp_path), 300, seed=3)
    assert found.problems == []
    assert found.inferences == 300
    assert {"blocking", "polled", "in pieces", "cancelled", "self tests", "opened again"} <= found.ways.keys()


def test_a_wrong_answer_is_found(tmp_path: Path) -> None:
    """Here it is the reference that is made wrong, in one value of the last stage."""
    right = subject("memory", tmp_path)
    last = right.known.results[-1].copy()
    last[:, 0] -= 1
    changed = replace(right, known=replace(right.known, results=(*right.known.results[:-1], last)))
    problems = soak(changed, 20, seed=3).problems
    assert problems and all("other values" in one for one in problems)
