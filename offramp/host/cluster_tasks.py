"""Tasks on the workers of a dask.distributed scheduler.

What tasks share is a task of its own: it goes over the wire once for each worker, which keeps it, and is made again
where a worker has died with the only copy. Tasks are pure, so one that is lost is done again; the scheduler counts how
often workers die with it (its setting `allowed-failures`). All is pickled before it is sent, for the scheduler to pass
on as it is. What takes less time than the way there is done here; results do not depend on it.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from uuid import uuid4

import cloudpickle
from distributed import Client, Future
from distributed.scheduler import KilledWorker

from offramp.configs.errors import InputError
from offramp.host.cluster_worker import Done, Missing, Packed, forget, keep, run_task, unpacked
from offramp.host.stopping import stop_since, stops
from offramp.host.versions import Versions, differences, versions
from offramp.planner.tasks.executor import IN_PROCESS

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 4  # tasks under way for each thread: what bounds the memory of the scheduler
LOOK = 5.0  # seconds between two looks at how many workers there are
HERE = 0.1  # seconds for all tasks of a call, as far as is known from calls before, up to which they are done here
ALONE = 60.0  # seconds without any worker after which none is waited for


@dataclass(frozen=True)
class _Shared:
    """What tasks share: its name, itself, where workers get it, and by address which of them were told to keep it."""

    name: str
    value: object
    future: Future[Any]
    keepers: dict[str, Future[Any]] = field(default_factory=dict)


@dataclass
class _Call:
    """One call of `map`. `name`: of the function. By number of a task: those that wait; those that wait `again`, for
    the worker that lacked what is shared, and all that ever did (`repeated`); those under way; those that have `ended`,
    to be collected; results and errors."""

    name: str
    count: int
    waiting: Iterator[int]
    again: dict[int, str] = field(default_factory=dict)
    repeated: set[int] = field(default_factory=set)
    running: dict[int, Future[Any]] = field(default_factory=dict)
    ended: SimpleQueue[int] = field(default_factory=SimpleQueue)
    results: dict[int, Done] = field(default_factory=dict)
    errors: dict[int, BaseException] = field(default_factory=dict)

    def title(self, number: int) -> str:
        return f"task {number + 1} of {self.count} of {self.name}"

    def unsettled(self) -> bool:
        """Can a task that has not ended change what the call gives?"""
        if self.errors:
            return min([*self.running, *self.again], default=self.count) < min(self.errors)
        return len(self.results) < self.count


class ClusterTasks:
    """An executor. `option` names it in messages. `packages` are compared in every task, too: workers may join at any
    time."""

    def __init__(self, client: Client, option: str, packages: tuple[str, ...]) -> None:
        self.client, self.option, self.packages = client, option, packages
        self.own = versions(packages)
        self.shared: _Shared | None = None
        self.pace: dict[Callable[..., Any], float] = {}  # seconds that a task of a function takes
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
        if self.pace.get(work, HERE) * len(tasks) < HERE:
            return self._here(work, shared, tasks)
        call = _Call(work.__name__.strip("_"), len(tasks), iter(range(len(tasks))))
        handed, key = self._handed(shared), f"{call.name}-{uuid4().hex}"

        def submit(number: int, address: str | None = None) -> Future[Any]:
            pickled = cloudpickle.dumps((work, tasks[number]), pickle.HIGHEST_PROTOCOL)
            packed = pickle.dumps(Packed(pickled, handed.name, self.own, self.packages))
            if address is None:
                return self.client.submit(run_task, packed, key=f"{key}-{number}")
            return self._submit_at(address, run_task, packed, self._keeper(handed, address))

        before = stops()
        try:
            while call.unsettled():
                stop_since(before)
                self._look()
                self._send(call, submit)
                self._collect(call)
        except (CancelledError, OSError) as error:  # of the connection; those of tasks are collected
            raise self._lost() from error
        finally:
            for future in call.running.values():
                future.release()  # what nobody waits for is not begun
        if call.errors:
            raise call.errors[min(call.errors)]
        if tasks:
            self.pace[work] = sum(one.seconds for one in call.results.values()) / len(tasks)
        return [call.results[number].result for number in range(len(tasks))]

    def _here(self, work: Callable[[Shared, Task], Result], shared: Shared, tasks: Sequence[Task]) -> list[Result]:
        begin = time.perf_counter()
        results = IN_PROCESS.map(work, shared, tasks)
        if tasks:
            self.pace[work] = (time.perf_counter() - begin) / len(tasks)
        return results

    def close(self) -> None:
        """Workers forget what was shared."""
        if self.shared is not None:
            with suppress(Exception):  # who cannot be reached keeps nothing
                self.client.run(forget, self.shared.name, on_error="ignore")
            self.shared = None

    def _handed(self, value: object) -> _Shared:
        """What tasks share; what was shared before is forgotten where it is kept."""
        if self.shared is None or self.shared.value is not value:
            self.close()
            pickled, name = cloudpickle.dumps(value, pickle.HIGHEST_PROTOCOL), f"shared-{uuid4().hex}"
            self.shared = _Shared(name, value, self.client.submit(unpacked, pickled, key=name))
        return self.shared

    def _look(self) -> None:
        """How many tasks may be under way. InputError if there has been no worker for long."""
        if time.monotonic() < self.looked + LOOK:
            return
        threads = sum(self.client.nthreads().values())
        self.looked = time.monotonic()
        if threads:
            self.room, self.seen = AHEAD * threads, self.looked
        elif self.looked > self.seen + ALONE:
            raise InputError(f"{self.option}: all workers have gone, and none has come for {ALONE:g} s")

    def _keeper(self, shared: _Shared, address: str) -> Future[Any]:
        """Done when a worker has what is shared."""
        if address not in shared.keepers:
            shared.keepers[address] = self._submit_at(address, keep, shared.name, shared.future)
        return shared.keepers[address]

    def _submit_at(self, address: str, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """On a worker, or on another if it is no more."""
        key, there = f"{work.__name__}-{uuid4().hex}", [address]
        return self.client.submit(work, *arguments, key=key, workers=there, allow_other_workers=True)

    def _send(self, call: _Call, submit: Callable[[int, str | None], Future[Any]]) -> None:
        """Begin tasks until enough are under way; new ones only while none has failed."""
        while len(call.running) < self.room:
            if call.again:
                number, address = call.again.popitem()
                future = submit(number, address)
            elif not call.errors and (following := next(call.waiting, None)) is not None:
                number, future = following, submit(following, None)
            else:
                return
            call.running[number] = future
            future.add_done_callback(lambda _, number=number: call.ended.put(number))

    def _collect(self, call: _Call) -> None:
        """Wait until a task has ended, and take what all have given that did."""
        try:
            numbers = {call.ended.get(timeout=LOOK)}
        except Empty:
            return
        while not call.ended.empty():
            numbers.add(call.ended.get())
        ended = {number: call.running.pop(number) for number in sorted(numbers)}
        good = {number: future for number, future in ended.items() if future.status == "finished"}
        for number in ended.keys() - good.keys():
            call.errors[number] = self._error(ended[number], call.title(number))
        found = self._gathered(good, call.name) if good else {}
        for number, result in found.items():
            if isinstance(result, Missing):
                self._lacked(call, number, result.address)
            else:
                call.results[number] = result

    def _lacked(self, call: _Call, number: int, address: str) -> None:
        """A task is begun again after its worker was told to keep what is shared, or told again if it forgot it."""
        keepers = self.shared.keepers if self.shared else {}
        if number in call.repeated and address in keepers and keepers[address].status != "pending":
            del keepers[address]
        call.repeated.add(number)
        call.again[number] = address

    def _gathered(self, futures: dict[int, Future[Any]], name: str) -> dict[int, Done | Missing]:
        try:
            found: dict[int, Done | Missing] = self.client.gather(futures)
            return found
        except KilledWorker as error:  # the result was lost with its worker, and so was who did it again
            raise self._killed(error, f"a task of {name}") from error

    def _error(self, future: Future[Any], title: str) -> BaseException:
        if future.status != "error":  # cancelled
            return self._lost()
        error: BaseException = future.exception()
        return self._killed(error, title) if isinstance(error, KilledWorker) else error

    def _killed(self, error: KilledWorker, title: str) -> InputError:
        deaths, last = error.allowed_failures + 1, error.last_worker.address
        hint = "a worker that takes too much memory is killed by the system, for example"
        return InputError(
            f"{self.option}: {title}: {deaths} workers have died with it, the last one was {last}; {hint}"
        )

    def _lost(self) -> InputError:
        self.shared = None  # nobody can be told to forget it
        return InputError(f"{self.option}: the connection to the scheduler is lost")
