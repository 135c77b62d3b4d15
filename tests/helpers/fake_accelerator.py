"""A stand-in for the accelerator that computes nothing: it answers prepared logits and remembers what was written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from offramp.codegen.firmware import Firmware, Tensor
from offramp.codegen.firmware_check import input_words
from offramp.configs.device import Device
from offramp.simulator.errors import AcceleratorError

Words = NDArray[np.uint32]


class FakeAccelerator:
    """At its n-th start it writes `answers[n]`, logits or None for a start that never gets done, where the n-th
    stage in line has its logits: `stages[n]`. Accesses that silicon forbids while it is enabled are errors."""

    def __init__(
        self,
        firmware: Firmware,
        device: Device,
        stages: Sequence[int] = (),
        answers: Sequence[Sequence[int] | None] = (),
    ) -> None:
        self._firmware, self._device = firmware, device
        self._pending = list(zip(stages, answers, strict=True))
        self._control = {device.register_address("CTRL", quadrant): 0 for quadrant in range(device.geometry.quadrants)}
        self.memory: dict[int, int] = {}
        self.registers: list[tuple[int, int]] = []  # writes to registers, CTRL apart
        self._running: tuple[int, int, Sequence[int] | None] = (0, 0, None)  # master's CTRL, stage, its answer
        self._awaited = 0  # words of the input that have to come through the FIFO
        self._held: dict[int, int] = {}  # what registers were last written
        self.starts = 0
        self.reads_of_control = 0
        self.bytes_written: list[int] = []
        self.powered = 0

    @property
    def done(self) -> bool:
        done = self._device.registers["CTRL"].by_name["done"]
        return any(done.decode(word) for word in self._control.values())

    def power(self, quadrants: int, retain_weights: int = 0) -> None:
        self.powered = quadrants & retain_weights

    def reset(self, quadrants: int) -> None:
        for quadrant in range(self._device.geometry.quadrants):
            if quadrants >> quadrant & 1:
                self._control[self._device.register_address("CTRL", quadrant)] = 0

    def write8(self, address: int, value: int) -> None:
        self.bytes_written.append(address)

    def write_block(self, addresses: Words, values: Words) -> None:
        for address, value in zip(addresses.tolist(), values.tolist(), strict=True):
            if address in self._control:
                self._write_control(address, value)
            else:
                self._write(address, value)

    def read(self, address: int) -> int:
        if address in self._control:
            self.reads_of_control += 1
            return self._control[address]
        self._need_idle(address)
        return self._held[address] if address in self._held else self.memory[address]

    def _write(self, address: int, value: int) -> None:
        place = self._device.locate(address)
        assert place is not None, hex(address)
        if place.kind != "register":
            self._need_idle(address)
            self.memory[address] = value
            return
        if place.name == "LCNT_MAX":
            self._need_idle(address)
        self.registers.append((address, value))
        self._held[address] = value
        if place.name.startswith("FIFO_DATA"):
            self._awaited -= 1
            self._finish()

    def _write_control(self, address: int, value: int) -> None:
        """A start is a rising enable of a quadrant that waits for no other."""
        fields = self._device.registers["CTRL"].decode(value)
        before = self._device.registers["CTRL"].decode(self._control[address])
        self._control[address] = value
        if fields["enable"] and not before["enable"] and not fields["sync_enable"]:
            self.starts += 1
            self._running = address, *self._pending.pop(0)
            model = self._firmware.models[0]
            reads = self._firmware.stages[self._running[1]].reads_fifo
            self._awaited = input_words(model.input) * len(model.input.runs) if reads else 0
            self._finish()

    def _finish(self) -> None:
        """The answer, once the FIFO has taken the whole input."""
        address, stage, answer = self._running
        if answer is not None and not self._awaited:
            self._answer(self._firmware.stages[stage].result, answer)
            self._control[address] |= self._device.registers["CTRL"].encode({"done": 1})

    def _answer(self, result: Tensor, values: Sequence[int]) -> None:
        for place, value in zip(result.addresses().tolist(), values, strict=True):
            shift, mask = 8 * (place % 4), (1 << result.bits) - 1
            word = self.memory.get(place - place % 4, 0) & ~(mask << shift)
            self.memory[place - place % 4] = word | (value & mask) << shift

    def _need_idle(self, address: int) -> None:
        enable = self._device.registers["CTRL"].by_name["enable"]
        if any(enable.decode(word) for word in self._control.values()):
            raise AcceleratorError(f"access to {address:#x} while enabled")
