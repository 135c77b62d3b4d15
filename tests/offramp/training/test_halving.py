"""Successive halving: who goes on, how much work it takes, and that it can stop and go on between rungs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from offramp.training.halving import Entrant, Job, Rank, Ranking, Rung, full_work, halve, rungs_of, work_until

Trained = tuple[str, int]  # name and steps
RUNGS = (Rung(6, 0.25), Rung(3, 0.5), Rung(2, 1.0))
ENTRANTS = tuple(Entrant(name, 10 * (number + 1)) for number, name in enumerate("abcdef"))
QUALITY = {"a": 3, "b": 1, "c": 2, "d": 0, "e": 2, "f": 5}


class Trainer:
    """Remembers its jobs; the state is what has been trained."""

    def __init__(self) -> None:
        self.jobs: list[list[Job[Trained]]] = []

    def __call__(self, jobs: Sequence[Job[Trained]]) -> list[Trained]:
        self.jobs.append(list(jobs))
        for job in jobs:
            assert (job.state or (job.name, 0)) == (job.name, job.first)  # it goes on where it stopped
        return [(job.name, job.last) for job in jobs]


@dataclass(frozen=True)
class Quality:
    rank: Rank


def judge(states: Sequence[tuple[str, Trained]]) -> list[Quality]:
    return [Quality((QUALITY.get(name, 9),)) for name, _ in states]


def run(trainer: Trainer, **more: object) -> Ranking[Trained, Quality]:
    return halve(ENTRANTS, RUNGS, 1200, trainer, judge, **more)  # type: ignore[arg-type]


def test_the_better_ones_go_on() -> None:
    trainer = Trainer()
    found = run(trainer)
    assert [[job.name for job in jobs] for jobs in trainer.jobs] == [list("abcdef"), ["d", "b", "c"], ["d", "b"]]
    assert [one.name for one in found.standings] == ["d", "b", "c", "e", "a", "f"]
    assert [one.rung for one in found.standings] == [2, 2, 1, 0, 0, 0]
    assert [one.state is None for one in found.standings] == [False, False, True, True, True, True]


def test_equal_ones_are_told_apart_by_their_order() -> None:
    reverse = halve(ENTRANTS[::-1], RUNGS, 1200, Trainer(), judge)
    assert [one.name for one in reverse.standings][:3] == ["d", "b", "e"]


def test_all_of_a_rung_get_the_same_work() -> None:
    trainer = Trainer()
    run(trainer)
    work = {one.name: one.step_work for one in ENTRANTS}
    for jobs, part in zip(trainer.jobs, (0.25, 0.5, 1.0), strict=True):
        for job in jobs:
            assert job.total == 1200 // work[job.name]
            assert job.last * work[job.name] == pytest.approx(1200 * part, abs=work[job.name])
    assert [job.last for job in trainer.jobs[-1]] == [job.total for job in trainer.jobs[-1]]


def test_the_budget_is_kept() -> None:
    for entries, kept, budget in ((16, 3, 100_000), (6, 2, 5_000), (1, 1, 1_000), (3, 8, 7_777)):
        rungs = rungs_of(entries, kept)
        full = full_work(rungs, budget)
        trainer = Trainer()
        entrants = [Entrant(name, 1) for name in "abcdefghijklmnop"[:entries]]
        halve(entrants, rungs, full, trainer, judge)
        done = sum(job.last - job.first for jobs in trainer.jobs for job in jobs)
        assert budget - 3 * entries <= done <= budget
        assert [work_until(rungs, full, number) for number in (0, 3)] == [0, pytest.approx(budget, abs=entries)]


def test_rungs_keep_enough() -> None:
    assert [rung.entries for rung in rungs_of(16, 3)] == [16, 6, 4]
    assert [rung.entries for rung in rungs_of(2, 3)] == [2, 2, 2]


@pytest.mark.parametrize("stop", [1, 2])
def test_a_search_that_stopped_ends_like_one_that_did_not(stop: int) -> None:
    kept: list[Ranking[Trained, Quality]] = []
    whole = run(Trainer(), keep=kept.append)
    assert [one.rungs_done for one in kept] == [1, 2, 3]
    rest = Trainer()
    again = run(rest, begun=kept[stop - 1])
    assert [vars(one) for one in again.standings] == [vars(one) for one in whole.standings]
    assert len(rest.jobs) == len(RUNGS) - stop
