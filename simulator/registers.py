"""The registers of the accelerator: one value per register, quadrant and layer slot."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device, Place
from offramp.simulator.errors import AcceleratorError


class RegisterFile:
    """Values of all registers behind the bus, 0 after a reset. Bits that belong to no field cannot be set."""

    def __init__(self, device: Device) -> None:
        self.device = device
        geometry = device.geometry
        self._slot = {register.name: index for index, register in enumerate(device.layer_registers())}
        # Layer first, so that one layer's registers of all quadrants are one run of bytes (see `layer_key`).
        self._layers: NDArray[np.uint32] = np.zeros(
            (geometry.layers, geometry.quadrants, len(self._slot)), dtype=np.uint32
        )
        self._globals: dict[tuple[str, int], int] = {}

    def write(self, place: Place, value: int) -> None:
        """Store a 32-bit value. AcceleratorError if it sets a bit outside every field."""
        register = self.device.registers[place.name]
        extra = value & ~register.mask
        if extra:
            layer = f"layer {place.unit}: " if place.unit >= 0 else ""
            raise AcceleratorError(
                f"{layer}quadrant {place.quadrant}: {place.name} written with {value:#010x}: bits {extra:#x} belong to "
                f"no field; allowed are the bits of {register.mask:#010x}"
            )
        if place.unit >= 0:
            self._layers[place.unit, place.quadrant, self._slot[place.name]] = value
        else:
            self._globals[place.name, place.quadrant] = value

    def flip(self, name: str, bit: int, quadrant: int = 0, layer: int = -1) -> None:
        """Invert a bit from outside the bus. ValueError for one that belongs to no field."""
        register = self.device.registers[name]
        if not register.mask >> bit & 1:
            raise ValueError(f"{name} has no bit {bit}; it has those of {register.mask:#010x}")
        value = self.read(name, quadrant, layer) ^ 1 << bit
        self.write(Place("register", name, quadrant, layer, 0), value)

    def read(self, name: str, quadrant: int = 0, layer: int = -1) -> int:
        """The 32-bit value of a register; `layer` -1 for one that is not per layer."""
        if layer >= 0:
            return int(self._layers[layer, quadrant, self._slot[name]])
        return self._globals.get((name, quadrant), 0)

    def fields(self, name: str, quadrant: int = 0, layer: int = -1) -> dict[str, int]:
        """The named fields of a register."""
        return self.device.registers[name].decode(self.read(name, quadrant, layer))

    def field(self, name: str, field: str, quadrant: int = 0) -> int:
        """One field of a register that is not per layer."""
        return self.device.registers[name].by_name[field].decode(self._globals.get((name, quadrant), 0))

    def layer_key(self, layer: int) -> bytes:
        """All quadrants' registers of one layer slot as bytes: equal keys, equal layers."""
        return bytes(self._layers[layer])

    def reset(self, quadrant: int, spared: Collection[str] = ()) -> None:
        """Back to 0: the registers of one quadrant, without some that are not per layer."""
        self._layers[:, quadrant] = 0
        for key in [key for key in self._globals if key[1] == quadrant and self._replicated(key[0])]:
            if key[0] not in spared:
                del self._globals[key]

    def reset_shared(self) -> None:
        """Back to 0: the registers that exist once for all quadrants."""
        self._globals = {key: value for key, value in self._globals.items() if self._replicated(key[0])}

    def _replicated(self, name: str) -> bool:
        return "quadrant_stride" in self.device.blocks[self.device.registers[name].block]
