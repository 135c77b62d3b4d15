"""Tasks on the workers of a dask.distributed scheduler.

What tasks share is a task of its own that the others depend on: it goes over the wire once for each worker, and is made
again where a worker has died with the only copy. Tasks are pure, so one that is lost is done again; the scheduler
counts how often workers die of it (its setting `allowed-failures`). All is packed before it is sent, for the scheduler
to pass on as it is.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from uuid import uuid4

import cloudpickle
from distributed import Client, Future
from distributed.scheduler import KilledWorker

from offramp.configs.errors import InputError
from offramp.host.versions import Versions, differences, versions

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 4  # tasks under way for each thread: what bounds the memory of the scheduler
LOOK = 5.0  # seconds between two looks at how many workers there are
ALONE = 60.0  # seconds without any worker after which none is waited for


@dataclass
class _Call:
    """One call of `map`: a function for messages, tasks that wait, those under way, numbers of those that have ended,
    results and errors by number."""

    name: str
    count: int
    waiting: Iterator[int]
    running: dict[int, Future[Any]] = field(default_factory=dict)
    ended: SimpleQueue[int] = field(default_factory=SimpleQueue)
    results: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, BaseException] = field(default_factory=dict)

    def title(self, number: int) -> str:
        return f"task {number + 1} of {self.count} of {self.name}"


class ClusterTasks:
    """An executor. `option` names it in messages. `packages` are compared in every task, too: workers may join at any
    time."""

    def __init__(self, client: Client, option: str, packages: tuple[str, ...]) -> None:
        self.client, self.option, self.packages = client, option, packages
        self.own = versions(packages)
        self.shared: tuple[object, Future[Any]] | None = None
        self.room, self.looked, self.seen = 0, -LOOK, time.monotonic()

    def compare_versions(self) -> None:
        """InputError that lists what differs between us, the scheduler and the workers."""
        found: dict[str, Versions | BaseException] = self.client.run(versions, self.packages, on_error="return")
        try:
            found["the scheduler"] = self.client.run_on_scheduler(versions, self.packages)
        except Exception as error:  # whatever comes from another program
            found["the scheduler"] = error
        problems = [
            f"no Offramp like this one is on {where} ({type(error).__name__}: {error})"
            for where, error in sorted(found.items())
            if isinstance(error, BaseException)
        ]
        others = {where: there for where, there in found.items() if not isinstance(there, BaseException)}
        problems += differences(self.own, others)
        if problems:
            raise InputError(f"{self.option}: both ends must have the same versions: {'; '.join(problems)}")

    def map(self, work: Callable[[Shared, Task], Result], shared: Shared, tasks: Sequence[Task]) -> list[Result]:
        call = _Call(work.__name__.strip("_"), len(tasks), iter(range(len(tasks))))
        key, handed = f"{call.name}-{uuid4().hex}", self._handed(shared)

        def submit(number: int) -> Future[Any]:
            packed = cloudpickle.dumps((work, tasks[number]), pickle.HIGHEST_PROTOCOL)
            return self.client.submit(_do, packed, handed, self.own, self.packages, key=f"{key}-{number}")

        try:
            while self._under_way(call, submit):
                self._collect(call)
        finally:
            call.running.clear()  # what nobody waits for is cancelled
        if call.errors:
            raise call.errors[min(call.errors)]
        return [call.results[number] for number in range(len(tasks))]

    def _handed(self, shared: object) -> Future[Any]:
        """What tasks share; what was shared before is forgotten everywhere."""
        if self.shared is None or self.shared[0] is not shared:
            self.shared = None
            packed = cloudpickle.dumps(shared, pickle.HIGHEST_PROTOCOL)
            self.shared = (shared, self.client.submit(_unpacked, packed, key=f"shared-{uuid4().hex}"))
        return self.shared[1]

    def _under_way(self, call: _Call, submit: Callable[[int], Future[Any]]) -> bool:
        """Are results to be waited for? Sends tasks until enough are under way; none behind one that has failed."""
        if call.errors:
            return min(call.running, default=call.count) < min(call.errors)
        self._look()
        while len(call.running) < self.room and (number := next(call.waiting, None)) is not None:
            future = call.running[number] = submit(number)
            future.add_done_callback(lambda _, number=number: call.ended.put(number))
        return len(call.results) < call.count

    def _look(self) -> None:
        """How many tasks may be under way. InputError if there has been no worker for long."""
        if time.monotonic() < self.looked + LOOK:
            return
        try:
            threads = sum(self.client.nthreads().values())
        except (OSError, ValueError) as error:
            raise self._lost() from error
        self.looked = time.monotonic()
        if threads:
            self.room, self.seen = AHEAD * threads, self.looked
        elif self.looked > self.seen + ALONE:
            raise InputError(f"{self.option}: all workers have gone, and none has come for {ALONE:g} s")

    def _collect(self, call: _Call) -> None:
        """Wait until a task has ended, and take what all have given that did."""
        try:
            numbers = {call.ended.get(timeout=LOOK)}
        except Empty:
            return
        while not call.ended.empty():
            numbers.add(call.ended.get())
        ended = {number: call.running.pop(number) for number in numbers}
        good = {number: future for number, future in ended.items() if future.status == "finished"}
        for number in sorted(ended.keys() - good.keys()):
            call.errors[number] = self._error(ended[number], call.title(number))
        try:
            call.results |= self.client.gather(good)
        except CancelledError as error:
            raise self._lost() from error
        except KilledWorker as error:  # a result was lost with its worker, and so was the worker that did it again
            raise self._killed(error, f"a task of {call.name}") from error

    def _error(self, future: Future[Any], title: str) -> BaseException:
        try:
            error: BaseException = future.exception()
        except CancelledError:
            return self._lost()
        if isinstance(error, CancelledError):
            return self._lost()
        return self._killed(error, title) if isinstance(error, KilledWorker) else error

    def _killed(self, error: KilledWorker, title: str) -> InputError:
        deaths, last = error.allowed_failures + 1, error.last_worker.address
        hint = "a worker that takes too much memory is killed by the system, for example"
        return InputError(f"{self.option}: {title}: {deaths} workers have died of it, the last one was {last}; {hint}")

    def _lost(self) -> InputError:
        return InputError(f"{self.option}: the connection to the scheduler is lost")


def _unpacked(packed: bytes) -> Any:
    return pickle.loads(packed)


def _do(packed: bytes, shared: Any, own: Mapping[str, str], packages: tuple[str, ...]) -> Any:
    """A task on a worker."""
    there = versions(packages)
    if there != own:
        found = "; ".join(differences(own, {"a worker that has joined": there}))
        raise InputError(f"both ends must have the same versions: {found}")
    work, task = pickle.loads(packed)
    return work(shared, task)
