"""The interrupt controller, the core's tick and its cycle counter (Armv7-M Architecture Reference Manual, Arm DDI 0403,
B3.2 to B3.4 and C1.8).

One exception at a time: nothing interrupts a handler, so priorities and BASEPRI have no meaning here; of several that
are pending, the lowest number comes first.
"""

from __future__ import annotations

from collections.abc import Callable

from offramp.simulator.clock import Clock

SYSTICK = 15  # its exception number
FIRST_INTERRUPT = 16  # exception number of interrupt 0
FREE_INTERRUPT = 24  # an interrupt that nothing on the board raises but a host: GPIO 0 (MSDK max78000.h)
TICK_ENABLED, TICK_INTERRUPT, TICK_COUNTED = 1 << 0, 1 << 1, 1 << 16
_RELOAD = 0xFFFFFF


class Interrupts:
    """Which interrupts are enabled and pending. `lines`: interrupts that are pending again as long as a function says
    so (the accelerator's, while CTRL.done is set)."""

    def __init__(self) -> None:
        self.lines: dict[int, Callable[[], bool]] = {}
        self.enabled: set[int] = set()
        self.latched: set[int] = set()
        self.active: int | None = None  # exception number of the handler that runs

    def raise_interrupt(self, number: int) -> None:
        """A device, or a host in its place, raises an interrupt; it stays pending until its handler begins."""
        self.latched.add(number)

    def pending(self) -> set[int]:
        """Interrupts that are pending, enabled or not."""
        return self.latched | {number for number, line in self.lines.items() if line()}

    def deliverable(self) -> int | None:
        """The lowest interrupt that is pending and enabled."""
        if not self.enabled:
            return None
        return min(self.enabled & self.pending(), default=None)

    def begin(self, exception: int) -> None:
        self.active = exception
        self.latched.discard(exception - FIRST_INTERRUPT)


class SysTick:
    """The core's tick, from the clock. With an instant clock a look at COUNTFLAG waits for the next tick."""

    def __init__(self, clock: Clock) -> None:
        self.pending = False
        self._clock = clock
        self._control, self._reload = 0, 0
        self._counted = False
        self._since, self._known = 0, 0  # when the counter was reloaded, ticks since then that were taken note of

    def next_tick(self) -> int | None:
        """When the tick's exception is due next."""
        wanted = TICK_ENABLED | TICK_INTERRUPT
        self.update()
        return self._due() if self._control & wanted == wanted else None

    def update(self) -> None:
        """Take note of the ticks until now."""
        if not self._control & TICK_ENABLED:
            return
        ticks = (self._clock.now - self._since) // (self._reload + 1)
        if ticks > self._known:
            self._known, self._counted = ticks, True
            self.pending |= bool(self._control & TICK_INTERRUPT)

    def read(self, register: int) -> int:
        """CTRL, LOAD, VAL or CALIB (0 to 3)."""
        self.update()
        if register == 0:
            return self._read_control()
        if register == 2 and self._control & TICK_ENABLED:
            return self._reload - (self._clock.now - self._since) % (self._reload + 1)
        return self._reload if register == 1 else 0

    def write(self, register: int, value: int) -> None:
        self.update()
        if register == 0:
            if value & ~self._control & TICK_ENABLED:
                self._restart()
            self._control = value & (TICK_ENABLED | TICK_INTERRUPT | 1 << 2)
        elif register == 1:
            self._reload = value & _RELOAD
            self._restart()
        elif register == 2:
            self._restart()
            self._counted = False

    def _read_control(self) -> int:
        if self._control & TICK_ENABLED and not self._counted and self._clock.instant:
            self._clock.jump(self._due())
            self.update()
        counted, self._counted = self._counted, False
        return self._control | (TICK_COUNTED if counted else 0)

    def _due(self) -> int:
        return self._since + (self._known + 1) * (self._reload + 1)

    def _restart(self) -> None:
        self._since, self._known = self._clock.now, 0


class CycleCounter:
    """DWT.CYCCNT: 32 bits of the clock, once the counter is enabled and tracing (DEMCR.TRCENA) is on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._enabled = False
        self._value, self._since = 0, 0

    def value(self) -> int:
        passed = self._clock.now - self._since if self._enabled else 0
        return (self._value + passed) & 0xFFFFFFFF

    def set(self, value: int, enabled: bool) -> None:
        self._value, self._since, self._enabled = value, self._clock.now, enabled
