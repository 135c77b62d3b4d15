"""Counts what the emulated core does: its instructions, and how many it had done at each of its bus accesses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from offramp.simulator.cycles import RunCycles

OUTSIDE = -1  # in place of an image's number: start-up, between two images, and after the last


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

    def note(self, access: Access) -> None:
        """Called at each access: after a load, before a store."""
        self.accesses.append(access)

    def given(self, image: int) -> None:
        """Called when the program has got an image, counted from 0."""

    def answered(self) -> None:
        """Called when the program has answered an image."""

    def ran(self, cycles: RunCycles) -> None:
        """Called after a run of the accelerator, behind the store that has caused it and before the next load. The
        board's user has to call it: the bus that it gives to the board knows of runs."""

    def reading(self, base: int, read: Callable[..., int]) -> Callable[..., int]:
        """The callback of loads from `base` on, with its accesses noted."""

        def callback(engine: Any, offset: int, size: int, user: Any) -> int:
            value = read(engine, offset, size, user)
            self.note(Access(self.instructions, False, base + offset, value))
            return value

        return callback

    def writing(self, base: int, write: Callable[..., None]) -> Callable[..., None]:
        """The callback of stores from `base` on, with its accesses noted."""

        def callback(engine: Any, offset: int, size: int, value: int, user: Any) -> None:
            self.note(Access(self.instructions, True, base + offset, value))
            write(engine, offset, size, value, user)

        return callback
