"""The accelerator's model as the questions need it: what it refuses is an answer and not the end of the run."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.clock import Clock
from offramp.simulator.errors import AcceleratorError

Words = NDArray[np.uint32]


def refused_address(device: Device) -> int:
    """Where the firmware reads how many accesses were refused: the last word of the accelerator's window."""
    return device.core["accelerator"] + device.core["accelerator_bytes"] - 4


class AskedAccelerator(Accelerator):
    """An accelerator with a clock that counts what it refuses. A refused write does nothing, a refused read gives 0."""

    def __init__(self, device: Device) -> None:
        self.clock = Clock(device)
        super().__init__(device, self.clock)
        self.refusals: list[str] = []
        self._counted = 0
        self._refused_address = refused_address(device)
        self._register_addresses = {address for address, _ in device.register_places()}

    def write_block(self, addresses: Words, values: Words) -> None:
        """Writes in order: each to a register alone, each run to memories in one piece."""
        single = [address in self._register_addresses for address in addresses.tolist()]
        runs = groupby(range(len(single)), key=lambda index: -1 if not single[index] else index)
        for _, indices in runs:
            first, *rest = indices
            span = slice(first, rest[-1] + 1 if rest else first + 1)
            try:
                super().write_block(addresses[span], values[span])
            except AcceleratorError as error:
                self.refusals.append(str(error))

    def write8(self, address: int, value: int) -> None:
        try:
            super().write8(address, value)
        except AcceleratorError as error:
            self.refusals.append(str(error))

    def read(self, address: int) -> int:
        if address == self._refused_address:
            new = len(self.refusals) - self._counted
            self._counted = len(self.refusals)
            return new
        try:
            return super().read(address)
        except AcceleratorError as error:
            self.refusals.append(str(error))
            return 0
