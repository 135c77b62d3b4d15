"""Accelerators that something is wrong with."""

from __future__ import annotations

import numpy as np

from offramp.configs.device import Device
from offramp.simulator.accelerator import Accelerator, Words
from offramp.simulator.clock import Clock


class WrongWrites(Accelerator):
    """Some bits arrive the other way round: `flips` by address, as masks."""

    def __init__(self, clock: Clock, device: Device, flips: dict[int, int]) -> None:
        super().__init__(device, clock)
        self.flips = flips
        self.flipped = 0

    def write_block(self, addresses: Words, values: Words) -> None:
        masks = np.array([self.flips.get(address, 0) for address in addresses.tolist()], np.uint32)
        self.flipped += int(np.count_nonzero(masks))
        super().write_block(addresses, values ^ masks)


class NeverDone(Accelerator):
    """Runs of more than `layers` layers do not end, as software sees it."""

    def __init__(self, clock: Clock, device: Device, layers: int) -> None:
        super().__init__(device, clock)
        self.layers = layers
        self.control = device.register_address("CTRL")

    def read(self, address: int) -> int:
        value = super().read(address)
        stuck = address == self.control and len(self.layers_run) > self.layers
        return value & ~self.device.registers["CTRL"].encode({"done": 1}) if stuck else value
