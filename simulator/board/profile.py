"""Where a firmware's instructions go: by function, and by what the core does for the accelerator meanwhile.

What it does is told from its accesses, whatever its functions are called: instructions up to an access belong to the
part that the access belongs to; those behind the last result read of a stage, up to another access, decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from offramp.configs.device import Device
from offramp.simulator.board.meter import OUTSIDE, Access, Meter
from offramp.simulator.board.symbols import Functions
from offramp.simulator.cycles import RunCycles

NOBODY = -1  # the stage before the first run
PARTS = (
    "power and reset",
    "loading weights",
    "checking",
    "loading the input",
    "switching",
    "starting",
    "waiting",
    "reading the result",
    "deciding",
    "the rest",
)
POWER, WEIGHTS, CHECK, INPUT, SWITCH, START, WAIT, RESULT, DECIDE, REST = PARTS


@dataclass(frozen=True)
class Part:
    """What the core does for one image, OUTSIDE for none. stage: the run within the image that it is for, from 0;
    of SWITCH the one that follows. before: of SWITCH, the run that the registers were of; NOBODY: none yet."""

    image: int
    what: str
    stage: int | None = None
    before: int | None = None


class Profiler(Meter):
    """Instructions by part and function. `finish` after the last of them."""

    def __init__(self, device: Device, functions: Functions) -> None:
        super().__init__()
        self.parts: dict[Part, Counter[str]] = {}
        self.calls: Counter[str] = Counter()
        self._device = device
        self._functions = functions
        self._names: dict[int, str] = {}
        self._recent: dict[int, int] = {}  # instructions since the last access, by address
        self._switch: Counter[str] = Counter()  # of a switch whose next run is not known yet
        self._now = REST
        self._image, self._runs, self._last = OUTSIDE, 0, NOBODY
        self._touched = False  # whether there has been an access, or an image

    def step(self, engine: Any, address: int, size: int, user: Any) -> None:
        self.instructions += 1
        self._recent[address] = self._recent.get(address, 0) + 1

    def note(self, access: Access) -> None:
        if not self._touched:  # the start-up code has done all instructions so far
            self._touched = True
            self._settle(REST)
        part = self._part(access)
        if part:
            self._settle(part)

    def given(self, image: int) -> None:
        self._settle(REST)
        self._settle_switch(0)
        self._image, self._runs, self._touched = image, 0, True

    def answered(self) -> None:
        self._settle(REST)
        self._settle_switch(0)
        self._image, self._runs = OUTSIDE, 0

    def ran(self, cycles: RunCycles) -> None:
        self._settle_switch(self._runs)
        self._last = self._runs
        self._runs += 1

    def finish(self) -> Mapping[Part, Counter[str]]:
        """All parts; their instructions are all that were done."""
        self._settle(REST)
        self._settle_switch(0)
        return self.parts

    def _part(self, access: Access) -> str | None:
        """The part of an access; None if the next access tells."""
        place = self._device.locate(access.address)
        if place is None:
            return None if self._now == START else self._now  # behind a start: the clock, for waiting
        if place.kind != "register":
            if access.write:
                return INPUT if place.kind == "data" else WEIGHTS
            return RESULT if place.kind == "data" and self._runs else CHECK
        block = self._device.registers[place.name].block
        if block == "gcfr":
            return POWER
        if place.name == "CTRL":
            return self._control_part(access)
        if block == "fifo" and place.name != "FIFO_CTRL":
            return INPUT
        return SWITCH if access.write else CHECK

    def _control_part(self, access: Access) -> str | None:
        """Looking whether a run is done, starting one, or stopping after one, which belongs to reading its result."""
        if access.write and self._device.registers["CTRL"].by_name["enable"].decode(access.value):
            return START
        if not self._runs:  # a write arms the first start, stops what was left, or configures
            return None
        if access.write:
            return RESULT if self._now in (WAIT, RESULT) else None
        return RESULT if self._now == RESULT else WAIT

    def _settle(self, part: str) -> None:
        """Give the recent instructions to a part, or to the decision that they end."""
        found: Counter[str] = Counter()
        for address, count in self._recent.items():
            name = self._names.get(address)
            if name is None:
                name = self._names[address] = self._functions.name(address)
            found[name] += count
            if address in self._functions.entries:
                self.calls[name] += count
        self._recent.clear()
        ends = DECIDE if self._now == RESULT and part != RESULT else part
        if ends == SWITCH:
            self._switch.update(found)
        else:
            self._add(Part(self._image, ends, self._stage(ends)), found)
        self._now = part

    def _stage(self, part: str) -> int | None:
        if part == START:
            return self._runs
        return self._runs - 1 if part in (WAIT, RESULT, DECIDE) else None

    def _settle_switch(self, following: int) -> None:
        if self._switch:
            self._add(Part(self._image, SWITCH, following, self._last), self._switch)
            self._switch = Counter()

    def _add(self, part: Part, found: Counter[str]) -> None:
        if found:
            self.parts.setdefault(part, Counter()).update(found)
