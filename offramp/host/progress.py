"""Progress of a long run; its caller decides how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`step(what)`: a new piece of work has begun. `count(what, done, total)`: so much of it is done.
    `warn(what)`: something is doubtful."""

    step: Callable[[str], None]
    count: Callable[[str, int, int], None]
    warn: Callable[[str], None] = lambda what: None


SILENT = Progress(lambda what: None, lambda what, done, total: None)
