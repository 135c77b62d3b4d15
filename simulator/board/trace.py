"""What a firmware does on the bus, as a list: registers by field, stretches of memory, runs with their cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from offramp.configs.device import Device, Place
from offramp.simulator.board.meter import OUTSIDE, Access, Meter
from offramp.simulator.board.timing import CoreTime
from offramp.simulator.cycles import RunCycles

REGISTER, MEMORY, FIFO, OTHER, RUN = "register", "memory", "fifo", "other", "run"
_NO_RUN = RunCycles(())


@dataclass(frozen=True)
class Entry:
    """Accesses that follow each other and are alike, or a run of the accelerator.

    kind: REGISTER; MEMORY, accesses to one unit of a memory; FIFO, the input FIFO's ports and their state; OTHER,
    outside the accelerator; RUN. instructions: of the core until the first access, or the run. microseconds: since
    power-up, estimated (timing.py). addresses: lowest and highest. value: of the first access. fields: of a register,
    those that are not 0. run: its number within the image, from 0. image: OUTSIDE before the first one and between two.
    """

    image: int
    kind: str
    instructions: int
    microseconds: float
    reads: int = 0
    writes: int = 0
    addresses: tuple[int, int] = (0, 0)
    place: Place | None = None
    value: int = 0
    fields: Mapping[str, int] = field(default_factory=dict)
    run: int = 0
    cycles: RunCycles = _NO_RUN


class Tracer(Meter):
    """Notes entries in the order of the core's accesses; a run stands behind the write that caused it."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.entries: list[Entry] = []
        self._device = device
        self._image = OUTSIDE
        self._runs = 0  # of the image
        self._time = CoreTime(device)

    def given(self, image: int) -> None:
        self._image, self._runs = image, 0

    def answered(self) -> None:
        self._image, self._runs = OUTSIDE, 0

    def ran(self, cycles: RunCycles) -> None:
        self._time.ran(cycles)
        time = self._time.microseconds
        self.entries.append(Entry(self._image, RUN, self.instructions, time, run=self._runs, cycles=cycles))
        self._runs += 1

    def note(self, access: Access) -> None:
        entry = self._entry(access)
        last = self.entries[-1] if self.entries else None
        if last is not None and _alike(last, entry):
            low, high = last.addresses
            addresses = min(low, access.address), max(high, access.address)
            reads, writes = last.reads + entry.reads, last.writes + entry.writes
            self.entries[-1] = replace(last, addresses=addresses, reads=reads, writes=writes)
        else:
            self.entries.append(entry)

    def _entry(self, access: Access) -> Entry:
        place = self._device.locate(access.address)
        self._time.access(access, place)
        entry = Entry(
            self._image,
            OTHER,
            access.instructions,
            self._time.microseconds,
            reads=int(not access.write),
            writes=int(access.write),
            addresses=(access.address, access.address),
            place=place,
            value=access.value,
        )
        if place is None:
            return entry
        if place.kind != "register":
            return replace(entry, kind=MEMORY)
        if place.name == "FIFO_STAT" or place.name.startswith("FIFO_DATA"):
            return replace(entry, kind=FIFO)
        fields = self._device.registers[place.name].decode(access.value)
        return replace(entry, kind=REGISTER, fields={name: value for name, value in fields.items() if value})


def _alike(last: Entry, entry: Entry) -> bool:
    """Whether an access is told with those before it: in the same unit of a memory, in the FIFO, or a register that is
    read again with the same value."""
    if (last.kind, last.image) != (entry.kind, entry.image):
        return False
    if entry.kind == FIFO:
        return True
    if bool(last.writes) != bool(entry.writes):
        return False
    if entry.kind == MEMORY:
        assert last.place and entry.place
        return _unit(last.place) == _unit(entry.place)
    return not entry.writes and (last.addresses[0], last.value) == (entry.addresses[0], entry.value)


def _unit(place: Place) -> tuple[str, int, int]:
    return place.kind, place.quadrant, place.unit
