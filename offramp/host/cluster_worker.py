"""What a worker does. It keeps what the tasks of a call share for the calls that follow: dask alone would drop copies
between two calls, and send them again."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

from offramp.configs.errors import InputError
from offramp.host.versions import Versions, differences, versions

_kept: tuple[str, Any] = ("", None)  # what was shared last, with its name


@dataclass(frozen=True)
class Packed:
    """A function and its task, pickled; the name of what its tasks share; the versions of who asks, and of which
    packages."""

    pickled: bytes
    shared: str
    asking: Versions
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Missing:
    """Instead of a result: the worker does not have what is shared."""


def run_task(packed: bytes, *shared: Any) -> Any:
    """Does a task (`Packed`, pickled), with what is shared or what was kept of it; Missing if there is neither.

    InputError if versions differ here: workers may join at any time.
    """
    global _kept
    task: Packed = pickle.loads(packed)
    if (here := versions(task.packages)) != task.asking:
        found = "; ".join(differences(task.asking, {"a worker that has joined": here}))
        raise InputError(f"both ends must have the same versions: {found}")
    if shared:
        _kept = (task.shared, shared[0])
    name, kept = _kept
    if name != task.shared:
        return Missing()
    work, own = pickle.loads(task.pickled)
    return work(kept, own)


def unpacked(pickled: bytes) -> Any:
    """What tasks share."""
    return pickle.loads(pickled)


def forget(name: str) -> None:
    """What was shared is not used again."""
    global _kept
    if _kept[0] == name:
        _kept = ("", None)
