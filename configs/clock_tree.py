"""Clocks that the core and the accelerator can have, and the register fields that give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ClockSource:
    """What can drive the accelerator's clock. `code`: its value in the source field of the clock register.

    Either `hz`, a frequency that does not follow the core's, or `core_divider`: the core's clock divided by it.
    `idle_divider`: of a PLL, which has to be switched on and waited for, what its clock is divided by at least while
    the accelerator does not run; 0 of other sources.
    """

    name: str
    code: int
    hz: int
    core_divider: int
    idle_divider: int = 0

    def frequency(self, core_hz: int) -> int | None:
        """Hz at a core clock; None if that is no whole number."""
        if self.hz:
            return self.hz
        return None if core_hz % self.core_divider else core_hz // self.core_divider


@dataclass(frozen=True)
class ClockSetting:
    """Values of the clock register's fields: source and divider. `idle`: the divider's while nothing runs."""

    source: int
    divider: int
    idle: int


@dataclass(frozen=True)
class ClockTree:
    """`oscillators`: Hz by name, each of which the core divides by a power of two up to `most_divider`.

    `sources` of the accelerator's clock, each divided by one of `dividers`, which gives the value of the field.
    """

    oscillators: Mapping[str, int]
    most_divider: int
    sources: tuple[ClockSource, ...]
    dividers: Mapping[int, int]

    @property
    def pll(self) -> ClockSource | None:
        """The source that is a PLL, if the device has one."""
        return next((source for source in self.sources if source.idle_divider), None)

    def core_frequencies(self) -> tuple[int, ...]:
        """All core clocks in whole Hz, the highest first."""
        powers = [1 << power for power in range(self.most_divider.bit_length())]
        found = {hz // power for hz in self.oscillators.values() for power in powers if hz % power == 0}
        return tuple(sorted(found, reverse=True))

    def cnn_settings(self, core_hz: int) -> dict[int, ClockSetting]:
        """The accelerator's clocks at a core clock, the highest first, each with the first setting that gives it."""
        found: dict[int, ClockSetting] = {}
        for source in self.sources:
            hz = source.frequency(core_hz)
            for divider, code in sorted(self.dividers.items()):
                if hz is not None and hz % divider == 0:
                    idle = self.dividers[max(divider, source.idle_divider)]
                    found.setdefault(hz // divider, ClockSetting(source.code, code, idle))
        return dict(sorted(found.items(), reverse=True))
