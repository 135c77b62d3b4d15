"""Time on the virtual board, in cycles of the core's clock, without a real clock: the same program, the same times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from offramp.configs.device import Device


@dataclass(order=True)
class Event:
    """Something that happens at a time. `sequence` orders what happens at the same time."""

    time: int
    sequence: int
    action: Callable[[], None] = field(compare=False)
    pending: bool = field(default=True, compare=False)


class Clock:
    """What passes time: accesses to the accelerator (the device file's `bus_wait_ns` and the instruction), other
    cycles that are told, and jumps to what is waited for. Instructions that reach no bus take none, so times are lower
    bounds.

    `instant`: who looks whether something is done that has a time of its own finds it done; without it a look finds
    what has happened so far. `core_hz`, `cnn_hz`: the device's clocks if 0.
    """

    def __init__(self, device: Device, *, instant: bool = True, core_hz: int = 0, cnn_hz: int = 0) -> None:
        self.instant = instant
        self._core_hz, self._cnn_hz = core_hz or device.clocks["core_hz"], cnn_hz or device.clocks["cnn_hz"]
        costs = device.costs  # waits are in cycles of the core: they scale with its clock
        self._access, self._unit = costs["bus_wait_ns"] * costs["core_hz"] + 10**9, 10**9
        self._now, self._rest = 0, 0  # whole cycles, and parts of one in units of 1 / _unit
        self._events: list[Event] = []
        self._made = 0

    @property
    def now(self) -> int:
        """Cycles of the core since power-up."""
        return self._now

    @property
    def core_hz(self) -> int:
        return self._core_hz

    def run_accelerator_at(self, hz: int) -> None:
        """Change the accelerator's clock; what runs already ends when it would have."""
        self._cnn_hz = hz

    def core_cycles(self, cnn_cycles: int) -> int:
        """Cycles of the core in which the accelerator does some of its own."""
        return -(-cnn_cycles * self._core_hz // self._cnn_hz)

    def cnn_cycles(self, core_cycles: int) -> int:
        """Whole cycles of the accelerator in some of the core's."""
        return core_cycles * self._cnn_hz // self._core_hz

    def pass_accesses(self, count: int) -> None:
        """Time of some accesses to the accelerator."""
        cycles, self._rest = divmod(self._rest + count * self._access, self._unit)
        self.pass_cycles(cycles)

    def pass_cycles(self, cycles: int) -> None:
        self.jump(self._now + cycles)

    def jump(self, time: int) -> None:
        """Pass time until a time, with what happens on the way."""
        while self._events and self._events[0].time <= time:
            event = heappop(self._events)
            if event.pending:
                self._now = max(self._now, event.time)
                event.pending = False
                event.action()
        self._now = max(self._now, time)

    def call_at(self, time: int, action: Callable[[], None]) -> Event:
        """Have something happen at a time, at once if it is over."""
        event = Event(max(time, self._now), self._made, action)
        self._made += 1
        heappush(self._events, event)
        return event

    def cancel(self, event: Event) -> None:
        event.pending = False

    def wait_for(self, event: Event) -> None:
        """Pass time until an event has happened, or is cancelled by one before it."""
        while event.pending:
            self.jump(self._next())

    def next_event(self) -> int | None:
        """When something happens next."""
        return self._next() if any(event.pending for event in self._events) else None

    def _next(self) -> int:
        return next(event.time for event in sorted(self._events) if event.pending)
