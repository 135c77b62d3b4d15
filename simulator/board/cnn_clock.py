"""What drives the accelerator's clock on a chip where that can be a PLL: GCR.IPLL_CTRL and GCR.PCLKDIV.

It refuses what the chip would not survive in step: a clock from a PLL that is off or not ready yet.
"""

from __future__ import annotations

from offramp.configs.device import Device
from offramp.simulator.clock import Clock

IPLL_CTRL, PCLKDIV = 0x40000010, 0x40000018  # MSDK gcr_regs.h
ENABLE, READY = 1 << 0, 1 << 1  # of IPLL_CTRL
DIVIDER_AT, SOURCE_AT, CODES = 14, 17, 7  # of PCLKDIV
LOCK_US = 100  # assumed: how long the PLL takes is not published


class CnnClock:
    """Both registers; `clock` gets the frequency that they give."""

    def __init__(self, device: Device, clock: Clock) -> None:
        pll = device.clock_tree.pll
        assert pll is not None  # devices without one have no such registers
        self._pll = pll
        self._tree = device.clock_tree
        self._clock = clock
        self._enabled_at: int | None = None
        self._divider = 0

    def write(self, address: int, value: int) -> None:
        """ValueError for a clock that there is not."""
        if address == PCLKDIV:
            self._divider = value
            self._select(value >> SOURCE_AT & CODES, value >> DIVIDER_AT & CODES)
        elif not value & ENABLE:
            self._enabled_at = None
        elif self._enabled_at is None:
            self._enabled_at = self._clock.now

    def read(self, address: int) -> int:
        if address == PCLKDIV:
            return self._divider
        self._clock.pass_cycles(1)  # it is waited for in a loop
        return (ENABLE if self._enabled_at is not None else 0) | (READY if self._ready() else 0)

    def _ready(self) -> bool:
        locked = self._clock.core_hz * LOCK_US // 10**6
        return self._enabled_at is not None and self._clock.now >= self._enabled_at + locked

    def _select(self, source: int, divider: int) -> None:
        sources = {one.code: one for one in self._tree.sources}
        dividers = {code: by for by, code in self._tree.dividers.items()}
        if source not in sources or divider not in dividers:
            raise ValueError(f"GCR.PCLKDIV: source {source}, divider {divider}: there is no such clock")
        if source == self._pll.code and not self._ready():
            raise ValueError("GCR.PCLKDIV: the accelerator's clock is to come from the PLL, which is not ready")
        frequency = sources[source].frequency(self._clock.core_hz)
        if frequency is not None:
            self._clock.run_accelerator_at(frequency // dividers[divider])
