"""Independent tasks, one after the other or on several processes. Results come in the order of the tasks, and no task
sees what another one did, so an answer does not depend on how many are done at once."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

from offramp.configs.errors import InputError

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")


class Executor(Protocol):
    """Does tasks. `work` is a function of a module, everything else can be pickled; `shared` is handed on once for any
    number of calls with the same object, so it must not change."""

    def map(self, work: Callable[[Shared, Task], Result], shared: Shared, tasks: Sequence[Task]) -> list[Result]: ...


class InProcess:
    """One task after the other."""

    def map(self, work: Callable[[Shared, Task], Result], shared: Shared, tasks: Sequence[Task]) -> list[Result]:
        return [work(shared, task) for task in tasks]


IN_PROCESS = InProcess()


class Processes:
    """Several processes of this machine. What tasks share goes to them through a file."""

    def __init__(self, jobs: int, folder: Path) -> None:
        self.jobs, self.folder = jobs, folder
        self.pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
        self.shared: object = None
        self.number = 0

    def map(self, work: Callable[[Shared, Task], Result], shared: Shared, tasks: Sequence[Task]) -> list[Result]:
        if len(tasks) < 2:
            return [work(shared, task) for task in tasks]
        if self.shared is not shared:
            self.file(self.number).unlink(missing_ok=True)
            self.number += 1
            self.file(self.number).write_bytes(pickle.dumps(shared, pickle.HIGHEST_PROTOCOL))
            self.shared = shared
        path, count = self.file(self.number), len(tasks)
        return list(
            self.pool.map(_work, [work] * count, [path] * count, tasks, chunksize=max(1, count // (4 * self.jobs)))
        )

    def file(self, number: int) -> Path:
        return self.folder / f"shared-{number}"


_known: tuple[Path | None, Any] = (None, None)  # what this process read last


def _work(work: Callable[[Any, Task], Result], path: Path, task: Task) -> Result:
    global _known
    if _known[0] != path:
        _known = (None, None)
        _known = (path, pickle.loads(path.read_bytes()))
    return work(_known[1], task)


@contextmanager
def executor(jobs: int) -> Iterator[Executor]:
    """What does tasks `jobs` at a time. InputError for fewer than 1."""
    if jobs < 1:
        raise InputError(f"--jobs {jobs}: at least 1")
    if jobs == 1:
        yield IN_PROCESS
        return
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
        processes = Processes(jobs, Path(folder))
        try:
            yield processes
        finally:
            processes.pool.shutdown(cancel_futures=True)
