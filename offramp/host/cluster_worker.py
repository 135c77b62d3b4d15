"""What a worker does. It keeps what the tasks of a call share for the calls that follow: dask alone would drop copies
between two calls, and send them again."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass
from typing import Any

from distributed import get_worker

from offramp.configs.errors import InputError
from offramp.host.versions import Versions, differences, versions

MOST = 4  # that are kept, of as many commands that use a worker at once
_kept: dict[str, Any] = {}  # what is shared, by name, the newest last


@dataclass(frozen=True)
class Packed:
    """A function and its task, pickled; the name of what its tasks share; the versions of who asks, and of which
    packages."""

    pickled: bytes
    shared: str
    asking: Versions
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """What a task gives, and how long it took."""

    result: Any
    seconds: float


@dataclass(frozen=True)
class Missing:
    """Instead of a result: the worker with this address does not have what is shared."""

    address: str


def run_task(packed: bytes, *after: Any) -> Done | Missing:
    """Does a task (`Packed`, pickled) with what was kept for it; Missing if it was not. `after`: is waited for.

    InputError if versions differ here: workers may join at any time.
    """
    task: Packed = pickle.loads(packed)
    if (here := versions(task.packages)) != task.asking:
        found = "; ".join(differences(task.asking, {"a worker that has joined": here}))
        raise InputError(f"both ends must have the same versions: {found}")
    try:
        shared = _kept[task.shared]
    except KeyError:
        return Missing(get_worker().address)
    work, own = pickle.loads(task.pickled)
    begin = time.perf_counter()
    result = work(shared, own)
    return Done(result, time.perf_counter() - begin)


def unpacked(pickled: bytes) -> Any:
    """What tasks share."""
    return pickle.loads(pickled)


def keep(name: str, shared: Any) -> None:
    """Have what is shared for all tasks that follow."""
    _kept[name] = shared
    for old in list(_kept)[:-MOST]:
        forget(old)


def forget(name: str) -> None:
    """What was shared is not used again."""
    _kept.pop(name, None)
