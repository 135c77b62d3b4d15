"""Successive halving: many candidates are trained a little, the better ones further, the best to the end.

Rungs are synchronous: a rung ends when all its candidates have had their training, and only then it is decided who goes
on. In a rung every candidate gets the same work, so larger networks see fewer examples. Nothing depends on time or on
how many are trained at once. Jamieson, Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization", 2016, arXiv:1502.07943.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

Rank = tuple[float, ...]  # the smaller the better


class Ranked(Protocol):
    """What a candidate is found to be worth."""

    @property
    def rank(self) -> Rank: ...


State = TypeVar("State")
Found = TypeVar("Found", bound=Ranked)

PARTS = (1 / 8, 3 / 8, 1.0)  # of a full training, at the end of each rung
_LEFT = (1.0, 0.4)  # of the candidates of the first rung, those in the first and second one
_SPARE = 1  # candidates that are trained to the end besides those that are kept


@dataclass(frozen=True)
class Rung:
    """`entries`: how many are trained, until they have had `part` of a full training."""

    entries: int
    part: float


@dataclass(frozen=True)
class Entrant:
    """A candidate in a search. `step_work`: work of one of its training steps, in units of training/work.py."""

    name: str
    step_work: int


@dataclass(frozen=True, eq=False)
class Job(Generic[State]):
    """One candidate's training in a rung: from step `first` to step `last` of `total`, on from `state`."""

    name: str
    first: int
    last: int
    total: int
    state: State | None


@dataclass(frozen=True, eq=False)
class Standing(Generic[State, Found]):
    """A candidate after a rung. `rung`: the last one that it was in, from 0; `steps` of `total` are done. `found`: what
    it was worth then."""

    name: str
    rung: int
    steps: int
    total: int
    found: Found | None
    state: State | None


@dataclass(frozen=True, eq=False)
class Ranking(Generic[State, Found]):
    """All candidates after some rungs, the best first; those that are out have no state any more."""

    rungs_done: int
    standings: tuple[Standing[State, Found], ...]


Train = Callable[[Sequence[Job[State]]], Sequence[State]]
Judge = Callable[[Sequence[tuple[str, State]]], Sequence[Found]]


def rungs_of(entries: int, kept: int) -> tuple[Rung, ...]:
    """So many candidates, of which `kept` are wanted in the end."""
    final = min(entries, kept + _SPARE)
    counts = [*(max(final, round(entries * left)) for left in _LEFT), final]
    return tuple(Rung(count, part) for count, part in zip(counts, PARTS, strict=True))


def full_work(rungs: Sequence[Rung], budget: int) -> int:
    """Work of a full training of one candidate with which all rungs together take `budget`."""
    trainings = sum(
        rung.entries * (rung.part - before)
        for rung, before in zip(rungs, [0.0, *(one.part for one in rungs)], strict=False)
    )
    return int(budget / trainings)


def work_until(rungs: Sequence[Rung], full: int, done: int) -> int:
    """Work of the first `done` rungs."""
    parts = [0.0, *(one.part for one in rungs)]
    return int(sum(rung.entries * (rung.part - parts[at]) for at, rung in enumerate(rungs[:done])) * full)


def halve(
    entrants: Sequence[Entrant],
    rungs: Sequence[Rung],
    full: int,
    train: Train[State],
    judge: Judge[State, Found],
    *,
    begun: Ranking[State, Found] | None = None,
    keep: Callable[[Ranking[State, Found]], None] = lambda progress: None,
) -> Ranking[State, Found]:
    """All candidates, the best first. `full`: work of a full training; `begun`: rungs that are done already; `keep`
    gets what is known after every rung. Equal ranks are told apart by the order of the entrants."""
    order = {one.name: number for number, one in enumerate(entrants)}
    found = begun or Ranking(0, tuple(_start(one, full) for one in entrants))
    for number in range(found.rungs_done, len(rungs)):
        found = _climb(found, number, rungs[number], train, judge, order)
        keep(found)
    return found


def _start(entrant: Entrant, full: int) -> Standing[State, Found]:
    return Standing(entrant.name, 0, 0, max(len(PARTS), full // entrant.step_work), None, None)


def _climb(
    found: Ranking[State, Found],
    number: int,
    rung: Rung,
    train: Train[State],
    judge: Judge[State, Found],
    order: Mapping[str, int],
) -> Ranking[State, Found]:
    """One rung."""
    taking, out = found.standings[: rung.entries], found.standings[rung.entries :]
    lasts = [one.total if rung.part == 1 else max(1, int(one.total * rung.part)) for one in taking]
    jobs = [Job(one.name, one.steps, last, one.total, one.state) for one, last in zip(taking, lasts, strict=True)]
    states = train(jobs)
    worths = judge([(one.name, state) for one, state in zip(taking, states, strict=True)])
    risen = sorted(zip(jobs, worths, states, strict=True), key=lambda one: (one[1].rank, order[one[0].name]))
    kept = [Standing(job.name, number, job.last, job.total, found, state) for job, found, state in risen]
    dropped = [replace(one, state=None) for one in out]
    return Ranking(number + 1, (*kept, *dropped))
