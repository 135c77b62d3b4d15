"""An accelerator on whose bus faults happen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from offramp.simulator.board.external import Change, External
from offramp.simulator.board.faults import AtAccess, AtStart, ByHost, Fault
from offramp.simulator.board.interrupts import Interrupts
from offramp.simulator.clock import Clock
from offramp.simulator.lenient import LenientAccelerator

Words = NDArray[np.uint32]


@dataclass
class _Line:
    """How the interrupt of a run differs from CTRL.done: never, from a time on, once more when done is cleared."""

    lost: bool = False
    late: int = 0
    due: int = 0
    again: bool = False


class FaultyBus:
    """The bus of `accelerator`, which has the same clock, with faults; some of them happen at the same time.
    `external`: the memory outside flash, which faults change too.

    `accesses` and `starts` count what faults are timed by: `accesses` of the core to the accelerator, words written
    or read and bytes written. A run without faults tells how many there are.
    """

    def __init__(
        self,
        accelerator: LenientAccelerator,
        clock: Clock,
        interrupts: Interrupts,
        faults: Iterable[Fault] = (),
        external: External | None = None,
    ) -> None:
        self.accelerator = accelerator
        self.accesses = self.starts = 0
        self._clock, self._interrupts, self._external = clock, interrupts, external
        self._interrupt = accelerator.device.core["interrupt"]
        self._faults = list(faults)
        self._absent: int | None = None
        self._hung: set[int] = set()  # quadrants that hang until they are reset
        self._stuck: set[int] = set()  # the same for the interrupt
        self._changes: list[tuple[int, Callable[[int | None], int | None]]] = []  # runs it is for, what it does
        self._lines: list[tuple[int, _Line]] = []
        self._line = _Line()
        accelerator.runner.on_start = self._on_start
        accelerator.runner.completion = self._completion

    def strike(self) -> None:
        """The host says that the faults that wait for it happen."""
        self._strike([fault for fault in self._faults if isinstance(fault.when, ByHost)])

    # The bus

    @property
    def done(self) -> bool:
        if self._absent is not None:
            return False
        line = self._line
        return bool(self._stuck) or (self.accelerator.done and not line.lost and self._clock.now >= line.due)

    def write8(self, address: int, value: int) -> None:
        self._count(1)
        if self._absent is None:
            self.accelerator.write8(address, value)

    def write_block(self, addresses: Words, values: Words) -> None:
        first = 0
        while first < len(addresses):
            count = min(len(addresses) - first, self._until_next())
            self._count(count)
            part = slice(first, first + count)
            if self._absent is None:
                self._write(addresses[part], values[part])
            first += count

    def read(self, address: int) -> int:
        self._count(1)
        return self.accelerator.read(address) if self._absent is None else self._absent

    def power(self, quadrants: int, retain_weights: int = 0) -> None:
        self._free(~quadrants)
        self.accelerator.power(quadrants, retain_weights)

    def reset(self, quadrants: int) -> None:
        self._free(quadrants)
        self.accelerator.reset(quadrants)

    # What faults do

    def alter_completion(self, runs: int, change: Callable[[int | None], int | None]) -> None:
        """The next runs are done after other cycles, None for never; a run that has begun is not altered."""
        self._changes.append((runs, change))

    def alter_line(self, runs: int, lost: bool = False, late: int = 0, again: bool = False) -> None:
        """The interrupts of the next runs differ from CTRL.done."""
        self._lines.append((runs, _Line(lost, late, 0, again)))

    def spoil_results(self) -> None:
        self.accelerator.runner.spoil()

    def hang(self) -> None:
        self._hung = set(self.accelerator.powered)

    def stick_line(self) -> None:
        self._stuck = set(self.accelerator.powered)

    def lose_power(self, retain_weights: bool, restored: bool) -> None:
        powered = sum(1 << quadrant for quadrant in self.accelerator.powered)
        self.power(0, powered if retain_weights else 0)
        if restored:
            self.power(powered)

    def disappear(self, value: int) -> None:
        self._absent = value

    def flip_register(self, name: str, bit: int, quadrant: int, layer: int) -> None:
        self.accelerator.registers.flip(name, bit, quadrant, layer)

    def overwrite_weights(self, processor: int, column: int, data: bytes) -> None:
        self.accelerator.storage.weights.overwrite(processor, column, data)

    def overwrite_bias(self, quadrant: int, index: int, value: int) -> None:
        self.accelerator.storage.biases.write(quadrant, np.array([index]), np.array([value], dtype=np.uint32))

    def overwrite_data(self, instance: int, word: int, value: int) -> None:
        self.accelerator.data.write(np.array([instance]), np.array([word]), np.array([value], dtype=np.uint32))

    def raise_interrupt(self, number: int) -> None:
        self._interrupts.raise_interrupt(number)

    def alter_external(self, readings: int, change: Change) -> None:
        """ValueError if there is nothing outside."""
        if self._external is None:
            raise ValueError("the board has no memory outside flash")
        self._external.alter(readings, change)

    # When they happen

    def _strike(self, faults: list[Fault]) -> None:
        self._faults = [fault for fault in self._faults if fault not in faults]
        for fault in faults:
            fault.strike(self)

    def _until_next(self) -> int:
        """How many accesses may be made before one that a fault waits for, the next one apart."""
        numbers = (fault.when.number for fault in self._faults if isinstance(fault.when, AtAccess))
        return min((n - 1 - self.accesses for n in numbers if n > self.accesses + 1), default=1 << 62)

    def _count(self, count: int) -> None:
        """Some accesses follow; faults that wait for the first of them happen before it."""
        self.accesses += count
        due = [one for one in self._faults if isinstance(one.when, AtAccess) and one.when.number <= self.accesses]
        self._strike(due)

    def _on_start(self) -> None:
        self.starts += 1
        self._line = _Line()
        for fault in self._faults.copy():
            if not isinstance(fault.when, AtStart) or fault.when.number != self.starts:
                continue
            if not fault.when.cycles:
                self._strike([fault])
            else:
                self._clock.call_at(self._clock.now + fault.when.cycles, partial(self._strike, [fault]))

    def _completion(self, cycles: int) -> int | None:
        """Cycles until the run that has just begun is done."""
        after: int | None = cycles
        for _, change in self._changes:
            after = change(after)
        self._changes = [(runs - 1, change) for runs, change in self._changes if runs > 1]
        for _, line in self._lines:
            self._line = _Line(
                self._line.lost or line.lost, max(self._line.late, line.late), 0, self._line.again or line.again
            )
        self._lines = [(runs - 1, line) for runs, line in self._lines if runs > 1]
        if self._hung:
            return None
        if after is not None and self._line.late:
            self._line.due = self._clock.now + after + self._line.late
            self._clock.call_at(self._line.due, lambda: None)  # so that a sleeping core gets there
        return after

    def _write(self, addresses: Words, values: Words) -> None:
        before = self._line.again and self.accelerator.done
        self.accelerator.write_block(addresses, values)
        if before and not self.accelerator.done:
            self._line.again = False
            self._interrupts.raise_interrupt(self._interrupt)

    def _free(self, quadrants: int) -> None:
        """Some quadrants (bit mask) are reset: they hang no longer."""
        for waiting in (self._hung, self._stuck):
            waiting -= {quadrant for quadrant in waiting if quadrants >> quadrant & 1}
