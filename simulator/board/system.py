"""The core's own registers on its private bus: interrupt controller, tick, cycle counter, vector table (Arm DDI 0403).

Registers that are not named here keep what is written.
"""

from __future__ import annotations

from collections.abc import Callable

from offramp.simulator.board.interrupts import FIRST_INTERRUPT, SYSTICK, CycleCounter, Interrupts, SysTick
from offramp.simulator.clock import Clock

BASE, BYTES = 0xE0000000, 0x10000
DWT_CTRL, DWT_CYCCNT = 0xE0001000, 0xE0001004
SYSTICK_CTRL, SYSTICK_END = 0xE000E010, 0xE000E020
NVIC_ENABLE, NVIC_DISABLE, NVIC_PEND, NVIC_UNPEND = 0xE000E100, 0xE000E180, 0xE000E200, 0xE000E280
NVIC_BYTES = 4 * 8  # of each of the four
ICSR, VTOR, DEMCR = 0xE000ED04, 0xE000ED08, 0xE000EDFC
TICK_SET, TICK_CLEAR = 1 << 26, 1 << 25  # of ICSR
TRACE_ENABLED, COUNTER_ENABLED = 1 << 24, 1 << 0


class SystemControl:
    """`settle` is called before each access: it hands over what is on its way to the accelerator."""

    def __init__(self, clock: Clock, interrupts: Interrupts, vectors: int, settle: Callable[[], None]) -> None:
        self.interrupts = interrupts
        self.tick = SysTick(clock)
        self._clock = clock
        self._counter = CycleCounter(clock)
        self._settle = settle
        self._words = {VTOR: vectors}

    def write(self, address: int, size: int, value: int) -> None:
        del size
        self._pass()
        interrupts = self.interrupts
        for first, change in (
            (NVIC_ENABLE, interrupts.enabled.update),
            (NVIC_DISABLE, interrupts.enabled.difference_update),
            (NVIC_PEND, interrupts.latched.update),
            (NVIC_UNPEND, interrupts.latched.difference_update),
        ):
            if first <= address < first + NVIC_BYTES:
                change({8 * (address - first) + bit for bit in range(32) if value >> bit & 1})
                return
        if SYSTICK_CTRL <= address < SYSTICK_END:
            self.tick.write((address - SYSTICK_CTRL) // 4, value)
        elif address == ICSR:
            self._pend_tick(value)
        elif address == DWT_CYCCNT:
            self._counter.set(value, self._counts())
        else:
            self._words[address] = value
            if address in (DWT_CTRL, DEMCR):
                self._counter.set(self._counter.value(), self._counts())

    def read(self, address: int, size: int) -> int:
        del size
        self._pass()
        interrupts = self.interrupts
        for first, numbers in (
            (NVIC_ENABLE, interrupts.enabled),
            (NVIC_DISABLE, interrupts.enabled),
            (NVIC_PEND, interrupts.pending()),
            (NVIC_UNPEND, interrupts.pending()),
        ):
            if first <= address < first + NVIC_BYTES:
                return sum(1 << bit for bit in range(32) if 8 * (address - first) + bit in numbers)
        if SYSTICK_CTRL <= address < SYSTICK_END:
            return self.tick.read((address - SYSTICK_CTRL) // 4)
        if address == ICSR:
            self.tick.update()
            return (TICK_SET if self.tick.pending else 0) | (interrupts.active or 0)
        return self._counter.value() if address == DWT_CYCCNT else self._words.get(address, 0)

    @property
    def vectors(self) -> int:
        """Address of the vector table."""
        return self._words[VTOR]

    def deliverable(self) -> int | None:
        """Number of the exception that is due: pending and enabled."""
        self.tick.update()
        if self.tick.pending:
            return SYSTICK
        number = self.interrupts.deliverable()
        return None if number is None else FIRST_INTERRUPT + number

    def begin(self, exception: int) -> None:
        """A handler begins."""
        if exception == SYSTICK:
            self.tick.pending = False
        self.interrupts.begin(exception)

    def next_time(self) -> int | None:
        """When something happens next that a sleeping core may wait for."""
        times = [time for time in (self._clock.next_event(), self.tick.next_tick()) if time is not None]
        return min(times, default=None)

    def _pass(self) -> None:
        """An access takes a cycle."""
        self._settle()
        self._clock.pass_cycles(1)

    def _pend_tick(self, value: int) -> None:
        self.tick.update()
        if value & (TICK_SET | TICK_CLEAR):
            self.tick.pending = bool(value & TICK_SET)

    def _counts(self) -> bool:
        trace, control = self._words.get(DEMCR, 0), self._words.get(DWT_CTRL, 0)
        return bool(trace & TRACE_ENABLED and control & COUNTER_ENABLED)
