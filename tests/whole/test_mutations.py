"""Damaged inputs and interrupts at random moments: a message, a documented exit code, nothing left behind.

`python -m bench.fuzz 10000` and `python -m bench.interrupts 100` do more of both.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from bench.fuzz import Target, limits, try_mutant, write_material
from bench.interrupts import end_build, write_place

MUTANTS = 200
PROCESSES = 4
INTERRUPTS = 6


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Target, ...]:
    return write_material(tmp_path_factory.mktemp("material"))


def test_mutants(targets: tuple[Target, ...]) -> None:
    with limits():
        results = [try_mutant(number, targets) for number in range(MUTANTS)]
    assert [result for result in results if result.wrong] == []
    assert {result.code for result in results} >= {0, 2}


def test_mutants_in_processes_of_their_own(targets: tuple[Target, ...]) -> None:
    def run(words: list[str]) -> int:
        ended = subprocess.run(
            [sys.executable, "-m", "offramp.cli", *words], capture_output=True, text=True, check=False
        )
        print(ended.stdout)
        print(ended.stderr, file=sys.stderr)
        return ended.returncode

    with limits():
        results = [try_mutant(number, targets, run) for number in range(MUTANTS, MUTANTS + PROCESSES)]
    assert [result for result in results if result.wrong] == []


def test_the_judge_sees_what_is_wrong(targets: tuple[Target, ...]) -> None:
    """An exit code that is not documented, no message, a warning, a file that stays."""

    def leaving(words: list[str]) -> int:
        for target in targets:
            (target.file.parent / "left").touch()
        return 0

    def warning(words: list[str]) -> int:
        print("RuntimeWarning", file=sys.stderr)
        return 0

    with limits():
        wrong = [try_mutant(0, targets, run).wrong for run in (lambda _: 70, lambda _: 2, warning, leaving)]
    for target in targets:
        (target.file.parent / "left").unlink(missing_ok=True)
    assert wrong[0].startswith("exit code 70") and wrong[1:3] == ["no message", "RuntimeWarning"]
    assert wrong[3].startswith("left ")


def test_interrupts(tmp_path: Path) -> None:
    seconds, rng = write_place(tmp_path), random.Random(0)
    ended = [end_build(tmp_path, number, rng.uniform(0, seconds)) for number in range(INTERRUPTS)]
    assert [one for one in ended if one.wrong] == []
