"""Data, weight and bias memory of all quadrants, as the bus and the power switches see them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator.bus import AddressSpan
from offramp.simulator.errors import AcceleratorError
from offramp.simulator.memory import WORD_BYTES, BiasMemory, DataMemory, WeightMemory
from offramp.simulator.noise import Noise

Words = NDArray[np.uint32]


class Storage:
    """The memories. `express`: quadrants whose weights are loaded in express mode (CTRL.express). `noise`: what
    undefined content is instead, if anything."""

    def __init__(self, device: Device, noise: Noise | None = None) -> None:
        geometry = device.geometry
        self.device = device
        self.data = DataMemory(geometry.instances, device.memories["data"].words, noise)
        self.weights = WeightMemory(device, noise)
        self.biases = BiasMemory(geometry.quadrants, device.memories["bias"].words, noise)
        self.noise = noise
        self.express: set[int] = set()
        self._per_quadrant = {
            "data": geometry.instances_per_quadrant,
            "weights": geometry.processors_per_quadrant,
            "bias": 1,
        }

    def quadrants(self, stretch: AddressSpan) -> list[int]:
        """Quadrants that a stretch of addresses reaches."""
        return sorted(set((stretch.units // self._per_quadrant[stretch.kind]).tolist()))

    def write(self, stretch: AddressSpan, values: Words) -> None:
        """Bus writes of 32-bit words, in order."""
        if stretch.kind == "data":
            self.data.write(stretch.units, stretch.offsets // WORD_BYTES, values)
        elif stretch.kind == "bias":
            for quadrant in self.quadrants(stretch):
                chosen = stretch.units == quadrant
                self.biases.write(quadrant, stretch.offsets[chosen] // WORD_BYTES, values[chosen])
        else:
            self._write_weights(int(stretch.units[0]), stretch.offsets, values)

    def read(self, stretch: AddressSpan) -> Words:
        """Bus reads of 32-bit words. AcceleratorError for a data word without a defined byte, or a kernel column or a
        bias that was never written."""
        index = stretch.offsets // WORD_BYTES
        if stretch.kind == "data":
            undefined = np.flatnonzero(self.data.word_valid[stretch.units, index] == 0)
            if len(undefined):
                instance, word = int(stretch.units[undefined[0]]), int(index[undefined[0]])
                why = self.data.why_undefined(instance, word)
                raise AcceleratorError(
                    f"read of data word {word} of instance {instance} "
                    f"(address {self.device.data_address(instance, word):#010x}), which {why}"
                )
            words: Words = self.data.words[stretch.units, index]
            return words
        if stretch.kind == "bias":
            return self._read_biases(stretch.units, index)
        return self.weights.read(int(stretch.units[0]), stretch.offsets)

    def _read_biases(self, quadrants: NDArray[np.intp], index: NDArray[np.intp]) -> Words:
        undefined = np.flatnonzero(~self.biases.valid[quadrants, index])
        if len(undefined):
            quadrant, byte = int(quadrants[undefined[0]]), int(index[undefined[0]])
            raise AcceleratorError(f"read of bias byte {byte} of quadrant {quadrant}, which was never written")
        return self.biases.bytes[quadrants, index].view(np.uint8).astype(np.uint32)

    def defined(self, stretch: AddressSpan) -> Words:
        """0xFF for every byte of a data word that is defined."""
        if stretch.kind != "data":
            raise AcceleratorError("defined bytes are known for data memory addresses only")
        return self.data.word_valid[stretch.units, stretch.offsets // WORD_BYTES] * np.uint32(0xFF)

    def forget(self, quadrant: int) -> None:
        """A quadrant's data and biases are lost."""
        self.data.forget(self._units("data", quadrant))
        self.biases.forget(quadrant)

    def forget_weights(self, quadrant: int) -> None:
        self.weights.forget(self._units("weights", quadrant))

    def self_test(self, quadrant: int, fields: dict[str, int]) -> None:
        """TEST: the self test and the zeroing of a memory both leave 0 (izer --zero-sram relies on it)."""
        if fields["data_bist"] or fields.get("data_zero"):
            self.data.clear(self._units("data", quadrant))
        if fields["mask_bist"] or fields.get("mask_zero"):
            self.weights.clear(self._units("weights", quadrant))
        if fields["bias_bist"] or fields.get("bias_zero"):
            self.biases.clear(quadrant)

    def _units(self, kind: str, quadrant: int) -> slice:
        count = self._per_quadrant[kind]
        return slice(quadrant * count, (quadrant + 1) * count)

    def _write_weights(self, processor: int, offsets: NDArray[np.intp], values: Words) -> None:
        if processor // self._per_quadrant["weights"] in self.express:
            self.weights.append(processor, values)
            return
        stride = self.device.memories["weights"].word_stride
        whole = offsets[0] % stride == 0 and len(offsets) % (stride // WORD_BYTES) == 0
        if whole and (np.diff(offsets) == WORD_BYTES).all():
            self.weights.write_plain_columns(processor, int(offsets[0]) // stride, values)
            return
        for offset, value in zip(offsets.tolist(), values.tolist(), strict=True):
            self.weights.write_plain(processor, offset, value)
