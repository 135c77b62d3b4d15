"""Counts what the emulated core does: its instructions, and how many it had done at each of its bus accesses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Access(NamedTuple):
    """A load or store outside the core's own memories. `instructions`: done until then, this one included."""

    instructions: int
    write: bool
    address: int
    value: int


class Meter:
    """What one core did, in order. An instruction that an IT block skips counts: it takes a cycle too."""

    def __init__(self) -> None:
        self.instructions = 0
        self.accesses: list[Access] = []

    def step(self, engine: Any, address: int, size: int, user: Any) -> None:
        """Called before each instruction."""
        self.instructions += 1

    def reading(self, base: int, read: Callable[..., int]) -> Callable[..., int]:
        """The callback of loads from `base` on, with its accesses noted."""

        def callback(engine: Any, offset: int, size: int, user: Any) -> int:
            value = read(engine, offset, size, user)
            self.accesses.append(Access(self.instructions, False, base + offset, value))
            return value

        return callback

    def writing(self, base: int, write: Callable[..., None]) -> Callable[..., None]:
        """The callback of stores from `base` on, with its accesses noted."""

        def callback(engine: Any, offset: int, size: int, value: int, user: Any) -> None:
            self.accesses.append(Access(self.instructions, True, base + offset, value))
            write(engine, offset, size, value, user)

        return callback
