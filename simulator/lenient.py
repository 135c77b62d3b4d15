"""The accelerator for programs that meet faults: it raises nothing, as silicon raises nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from offramp.configs.device import Device, Place
from offramp.simulator.accelerator import Accelerator, Words
from offramp.simulator.bus import AddressSpan
from offramp.simulator.clock import Clock
from offramp.simulator.errors import AcceleratorError
from offramp.simulator.noise import Noise

MOST_NOTES = 100


class LenientAccelerator(Accelerator):
    """Memories begin as noise and become noise where their content is lost; runs compute on it.

    What the strict model refuses is noted in `refused` (the first hundred): a read of that kind gives `floating`, a
    write of that kind vanishes, and a start that the model cannot run is never done. That silicon does the same is
    assumed; a right program is not refused anything, so a note without a fault before it is a mistake of the program.
    """

    def __init__(self, device: Device, clock: Clock | None = None, *, seed: int, floating: int = 0) -> None:
        super().__init__(device, clock, Noise(seed))
        self.floating = floating
        self.refused: list[str] = []

    def write(self, address: int, value: int) -> None:
        with self._noting():
            super().write(address, value)

    def write8(self, address: int, value: int) -> None:
        with self._noting():
            super().write8(address, value)

    def read(self, address: int) -> int:
        with self._noting():
            return super().read(address)
        return self.floating

    def _write_register(self, place: Place, value: int) -> None:
        super()._write_register(place, value & self.device.registers[place.name].mask)

    def _write_memory(self, stretch: AddressSpan, values: Words) -> None:
        """What is refused of a stretch vanishes; memories refuse a write before they take any of it."""
        with self._noting():
            if len(values) > 1 and not self._accessible(stretch):
                for index, single in enumerate(_singles(stretch)):
                    self._write_memory(single, values[index : index + 1])
            else:
                super()._write_memory(stretch, values)

    def _read_memory(self, stretch: AddressSpan) -> Words:
        if len(stretch.units) > 1 and not self._accessible(stretch):
            return np.concatenate([self._read_memory(single) for single in _singles(stretch)])
        with self._noting():
            return super()._read_memory(stretch)
        return np.full(len(stretch.units), self.floating, dtype=np.uint32)

    def _accessible(self, stretch: AddressSpan) -> bool:
        return self._enabled.isdisjoint(quadrants := self.storage.quadrants(stretch)) and self.powered >= {*quadrants}

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note what is refused, and go on."""
        try:
            yield
        except AcceleratorError as error:
            if len(self.refused) < MOST_NOTES:
                self.refused.append(str(error))


def _singles(stretch: AddressSpan) -> Iterator[AddressSpan]:
    """The elements of a stretch, each by itself."""
    for index in range(len(stretch.units)):
        one = slice(index, index + 1)
        yield AddressSpan(stretch.kind, 0, 1, stretch.units[one], stretch.offsets[one])
