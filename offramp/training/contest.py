"""A contest: candidates of one kind that are trained in rungs, on whatever does tasks, and judged after each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.configs.device import Device
from offramp.host.progress import Progress
from offramp.planner.tasks.executor import Executor
from offramp.training.design import Design, network_of
from offramp.training.fit import fit, weights_of
from offramp.training.halving import Entrant, Job, full_work, halve, rungs_of, work_until
from offramp.training.material import flat_logits
from offramp.training.objective import Logits, Worth
from offramp.training.saved import Result, Store
from offramp.training.task import FitState, FitTask, Recipe, TrainingData
from offramp.training.work import BATCH, seconds_of, step_work


@dataclass(frozen=True, eq=False)
class Course:
    """What the trainings of a contest share: `designs` by name, as they are trained; `data` and inputs to be judged on,
    `judged`, by name of what they are; which of them each candidate takes, by its name, is `takes`."""

    designs: Mapping[str, Design]
    takes: Mapping[str, str]
    data: Mapping[str, TrainingData]
    judged: Mapping[str, npt.NDArray[np.int8]]
    recipe: Recipe
    seed: int
    device: Device


@dataclass(frozen=True, eq=False)
class Contest:
    """`name`: of its file; `kept`: how many are wanted in the end; `budget`: work; `judge`: what a candidate's logits
    are worth. `costs`: cycles of a whole answer of each candidate."""

    name: str
    course: Course
    kept: int
    budget: int
    judge: Callable[[str, Logits], Worth]
    costs: Mapping[str, int]


def hold(contest: Contest, store: Store, tasks: Executor, progress: Progress) -> Result:
    """All candidates, the best first; on from what the store knows."""
    entrants = [Entrant(name, step_work(design)) for name, design in contest.course.designs.items()]
    rungs = rungs_of(len(entrants), contest.kept)
    full = full_work(rungs, contest.budget)
    clock = _Clock(contest, progress, work_until(rungs, full, len(rungs)))

    def train(jobs: Sequence[Job[FitState]]) -> list[FitState]:
        clock.tell(jobs)
        return tasks.map(_train, contest.course, jobs)

    def judge(states: Sequence[tuple[str, FitState]]) -> list[Worth]:
        found = tasks.map(logits_of, contest.course, states)
        return [contest.judge(name, logits) for (name, _), logits in zip(states, found, strict=True)]

    def keep(found: Result) -> None:
        store.save(contest.name, found)
        clock.done(work_until(rungs, full, found.rungs_done))

    begun = store.load(contest.name)
    clock.start(work_until(rungs, full, begun.rungs_done if begun else 0))
    return halve(entrants, rungs, full, train, judge, begun=begun, keep=keep)


def epochs_of(designs: Sequence[Design], kept: int, budget: int, examples: int) -> int:
    """How often the candidate with the shortest steps would see every example."""
    full = full_work(rungs_of(len(designs), kept), budget)
    steps = max(full // step_work(one) for one in designs)
    return max(1, steps * BATCH // max(1, examples))


def _train(course: Course, job: Job[FitState]) -> FitState:
    task = FitTask(course.designs[job.name], course.recipe, course.seed, job.total, job.last, job.state)
    return fit(course.data[course.takes[job.name]], task)


def logits_of(course: Course, trained: tuple[str, FitState]) -> Logits:
    """Logits of a candidate on what it is judged on."""
    name, state = trained
    design = course.designs[name]
    network = network_of(design, course.device, weights_of(design, state))
    return flat_logits(network, course.judged[course.takes[name]])


class _Clock:
    """Tells how far a contest is, and how long it still takes at the pace so far; first at that of the reference
    machine. Nothing but what is shown depends on it."""

    def __init__(self, contest: Contest, progress: Progress, total: int) -> None:
        self.contest, self.progress, self.total = contest, progress, total
        self.work, self.began, self.begun = 0, 0.0, 0

    def start(self, work: int) -> None:
        self.work, self.begun, self.began = work, work, time.monotonic()

    def tell(self, jobs: Sequence[Job[FitState]]) -> None:
        new = self.work - self.begun
        left = self.total - self.work
        seconds = (time.monotonic() - self.began) * left / new if new else seconds_of(left)
        self.progress.step(f"training {len(jobs)} {self.contest.name}, {_shown(seconds)} left")

    def done(self, work: int) -> None:
        self.work = work


def _shown(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"
