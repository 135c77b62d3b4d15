"""Independent tasks. Results come in the order of the tasks, and no task sees what another one did, so an answer does
not depend on where they are done, nor on how many are done at once: here one after the other; on several processes and
machines by `offramp.host.workers`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")


class Executor(Protocol):
    """Does tasks. `work` is a function of a module, everything else can be pickled; `shared` is handed on once for any
    number of calls with the same object, so it must not change.

    If tasks raise, the exception is that of the first of them in their order.
    """

    def map(self, work: Callable[[Shared, Task], Result], shared: Shared, tasks: Sequence[Task]) -> list[Result]: ...


class InProcess:
    """One task after the other."""

    def map(self, work: Callable[[Shared, Task], Result], shared: Shared, tasks: Sequence[Task]) -> list[Result]:
        return [work(shared, task) for task in tasks]


IN_PROCESS = InProcess()


def apply(work: Callable[[Task], Result], task: Task) -> Result:
    """Work for tasks that share nothing but the function that does them."""
    return work(task)
