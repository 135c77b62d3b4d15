"""The CNN accelerator behind its bus: what software writes and reads, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device, Place
from offramp.simulator.bus import AddressMap, AddressSpan
from offramp.simulator.clock import Clock
from offramp.simulator.cycles import RunCycles
from offramp.simulator.errors import AcceleratorError
from offramp.simulator.fifo import Fifos
from offramp.simulator.memory import WORD_BYTES, DataMemory
from offramp.simulator.noise import Noise
from offramp.simulator.registers import RegisterFile
from offramp.simulator.runner import Runner
from offramp.simulator.self_tests import SPARED, check_clear, test_status
from offramp.simulator.sequencer import Sequencer
from offramp.simulator.start import decode_run
from offramp.simulator.storage import Storage

Words = NDArray[np.uint32]


class Accelerator:
    """Registers, memories and layer execution. All quadrants have power at first, registers are 0, memories undefined.

    A start computes its results inside the write that causes it (FIFO mode: the write that completes the frame).
    CTRL.done is set at once or, with a `clock`, when the cycles of the run are over. `runner` has what is known of the
    last run. Everything the hardware would not do is an AcceleratorError.
    """

    def __init__(
        self, device: Device, clock: Clock | None = None, noise: Noise | None = None, *, overlap: bool = False
    ) -> None:
        """`overlap`: circular buffers of streaming layers may share words, as if nothing in them were overwritten too
        soon (the vendor tool's --overlap-data)."""
        self.device = device
        self.registers = RegisterFile(device)
        self.storage = Storage(device, noise)
        self._fifos = Fifos(device, self.registers)
        self.runner = Runner(self.registers, Sequencer(self.registers, self.storage, overlap), self._fifos, clock)
        self._map = AddressMap(device)
        self.powered = set(range(device.geometry.quadrants))
        self._enabled: set[int] = set()  # quadrants with CTRL.enable

    @property
    def done(self) -> bool:
        """The interrupt line: some quadrant's CTRL.done is set."""
        return any(self.registers.field("CTRL", "done", quadrant) for quadrant in self.powered)

    @property
    def data(self) -> DataMemory:
        """The data memory, to be inspected from outside the bus."""
        return self.storage.data

    @property
    def layers_run(self) -> list[int]:
        """The layers of the last start."""
        return self.runner.layers_run

    @property
    def cycles(self) -> RunCycles:
        """What the last start takes."""
        return self.runner.cycles

    @property
    def on_layer(self) -> Callable[[int], None] | None:
        """Called after each layer, when its results are in memory."""
        return self.runner.on_layer

    @on_layer.setter
    def on_layer(self, call: Callable[[int], None] | None) -> None:
        self.runner.on_layer = call

    # Bus

    def write(self, address: int, value: int) -> None:
        """A 32-bit bus write."""
        place = self._place(address, "write")
        if place is None:
            self._write_reserved(address, value)
        elif place.kind == "register":
            self._write_register(place, value)
        elif place.kind in ("data", "weights", "bias"):
            self.write_block(np.array([address], dtype=np.uint32), np.array([value], dtype=np.uint32))
        else:
            raise AcceleratorError(f"write to {address:#010x}: the {place.kind} memory is not modelled")

    def write8(self, address: int, value: int) -> None:
        """An 8-bit bus write: sets the start column of express weight loading; the value has no meaning."""
        del value
        place = self.device.locate(address)
        if place is None or place.kind != "weights":
            raise AcceleratorError(f"8-bit write to {address:#010x}; only the weight memory takes 8-bit writes")
        self._need_access(place.quadrant, "weights")
        if place.quadrant not in self.storage.express:
            raise AcceleratorError(
                f"8-bit write to {address:#010x}; CTRL.express of quadrant {place.quadrant} must be 1"
            )
        processor = place.quadrant * self.device.geometry.processors_per_quadrant + place.unit
        self.storage.weights.set_start(processor, place.index)

    def write_words(self, address: int, words: Words) -> None:
        """32-bit writes to `address`, `address` + 4, ...: how a weights loader streams a chunk."""
        step = np.arange(len(words), dtype=np.uint32) * np.uint32(WORD_BYTES)
        self.write_block(np.uint32(address) + step, words)

    def write_block(self, addresses: Words, values: Words) -> None:
        """The same as `write` of each pair in order: uint32 arrays of the same length."""
        for stretch in self._map.stretches(addresses):
            span = slice(stretch.first, stretch.end)
            if stretch.kind == "other":
                for address, value in zip(addresses[span].tolist(), values[span].tolist(), strict=True):
                    self.write(address, value)
                continue
            self._write_memory(stretch, values[span])

    def read(self, address: int) -> int:
        """A 32-bit bus read."""
        place = self._place(address, "read")
        if place is None:
            raise AcceleratorError(f"read of {address:#010x}: no register or memory of the accelerator")
        if place.kind in ("data", "weights", "bias"):
            return int(self._read_memory(self._map.word(address))[0])
        if place.kind != "register":
            raise AcceleratorError(f"read of {address:#010x}: the {place.kind} memory is not modelled")
        self._need_register(place)
        if place.name == "FIFO_STAT":
            return self._fifos.status()
        if place.name == "MLAT" or place.name in self._fifos.ports:
            raise AcceleratorError(f"read of {place.name}: not modelled")
        if place.name == "CTRL":
            self.runner.look()
        value = self.registers.read(place.name, place.quadrant, place.unit)
        return value | test_status(self.device.registers["TEST"], value) if place.name == "TEST" else value

    def read_block(self, addresses: Words) -> Words:
        """The same as `read` of each address in order: uint32 of the same length."""
        values = np.zeros(len(addresses), dtype=np.uint32)
        for stretch in self._map.stretches(addresses):
            span = slice(stretch.first, stretch.end)
            if stretch.kind == "other":
                values[span] = [self.read(address) for address in addresses[span].tolist()]
                continue
            values[span] = self._read_memory(stretch)
        return values

    def _write_memory(self, stretch: AddressSpan, values: Words) -> None:
        self._need_access_to(stretch)
        self.storage.write(stretch, values)

    def _read_memory(self, stretch: AddressSpan) -> Words:
        self._need_access_to(stretch)
        return self.storage.read(stretch)

    def defined_block(self, addresses: Words) -> Words:
        """Which bytes of data words are defined: 0xFF for each that is, 0 for each that is not."""
        masks = np.zeros(len(addresses), dtype=np.uint32)
        for stretch in self._map.stretches(addresses):
            masks[stretch.first : stretch.end] = self.storage.defined(stretch)
        return masks

    # Power

    def power(self, quadrants: int, retain_weights: int = 0) -> None:
        """Give power to a set of quadrants (bit mask). Those that lose it lose registers, data and biases; their
        weights stay where `retain_weights` (bit mask) keeps the weight memory supplied."""
        for quadrant in range(self.device.geometry.quadrants):
            if quadrants >> quadrant & 1:
                self.powered.add(quadrant)
                continue
            if quadrant in self.powered:
                self.reset(1 << quadrant)
                self.storage.forget(quadrant)
            self.powered.discard(quadrant)
            if not retain_weights >> quadrant & 1:
                self.storage.forget_weights(quadrant)

    def reset(self, quadrants: int) -> None:
        """Clear the registers of a set of quadrants (bit mask), of all: the shared ones too. Memories stay."""
        everything = (1 << self.device.geometry.quadrants) - 1
        if quadrants:
            self.runner.forget()
        if quadrants & everything == everything:
            self.registers.reset_shared()
            self._fifos.reset()
        for quadrant in range(self.device.geometry.quadrants):
            if quadrants >> quadrant & 1:
                self.registers.reset(quadrant)
                self._enabled.discard(quadrant)
                self.storage.express.discard(quadrant)
        self.runner.stop(quadrant for quadrant in range(self.device.geometry.quadrants) if quadrants >> quadrant & 1)

    # Who may be accessed

    def _place(self, address: int, action: str) -> Place | None:
        if address % WORD_BYTES:
            raise AcceleratorError(
                f"32-bit {action} at {address:#010x}; the address must be a multiple of {WORD_BYTES}"
            )
        return self.device.locate(address)

    def _need_access_to(self, stretch: AddressSpan) -> None:
        for quadrant in self.storage.quadrants(stretch):
            self._need_access(quadrant, stretch.kind)

    def _need_access(self, quadrant: int, kind: str) -> None:
        self._need_power(quadrant)
        if quadrant in self._enabled:
            raise AcceleratorError(
                f"{kind} memory of quadrant {quadrant} accessed while CTRL.enable is 1; clear CTRL.enable first"
            )

    def _need_power(self, quadrant: int) -> None:
        if quadrant not in self.powered:
            raise AcceleratorError(f"quadrant {quadrant} accessed without power")

    def _need_register(self, place: Place) -> None:
        block = self.device.registers[place.name].block
        if block == "gcfr":
            raise AcceleratorError(f"{place.name} is outside the accelerator")
        if "quadrant_stride" in self.device.blocks[block]:
            self._need_power(place.quadrant)

    # Registers

    def _write_reserved(self, address: int, value: int) -> None:
        """Layer slots without stream registers take a write of 0 (izer --write-zero-registers does that)."""
        geometry = self.device.geometry
        for register in self.device.layer_registers():
            stride = self.device.blocks[register.block]["layer_stride"]
            for quadrant in range(geometry.quadrants):
                layer, inside = divmod(address - self.device.register_address(register.name, quadrant), stride)
                if inside or not register.layers <= layer < geometry.layers:
                    continue
                if value:
                    raise AcceleratorError(f"layer {layer} has no {register.name}; written with {value:#x}")
                return
        raise AcceleratorError(f"write to {address:#010x}: no register or memory of the accelerator")

    def _write_register(self, place: Place, value: int) -> None:
        self._need_register(place)
        if place.name in self._fifos.ports:
            self._fifos.push(place.name, value)
            self.runner.feed()
        elif place.name == "CTRL":
            self._write_control(place, value)
        elif place.name in ("MLAT", "FIFO_STAT"):
            raise AcceleratorError(f"write to {place.name}, which can only be read")
        elif place.name == "LCNT_MAX" and place.quadrant in self._enabled:
            raise AcceleratorError(f"quadrant {place.quadrant}: LCNT_MAX written while CTRL.enable is 1")
        elif place.unit >= 0 and self.runner.runs_on(place.quadrant):
            raise AcceleratorError(
                f"quadrant {place.quadrant}: {place.name} of layer {place.unit} written during a run"
            )
        else:
            self.registers.write(place, value)
            self._react(place, value)

    def _react(self, place: Place, value: int) -> None:
        if place.name == "TEST":
            fields = self.device.registers["TEST"].decode(value)
            self.storage.self_test(place.quadrant, fields)
            if fields.get("clear"):
                self._clear(place.quadrant, fields["select"])
        elif place.name == "AON":
            down = self.device.registers["AON"].by_name["mask_power_down"].decode(value)
            for quadrant in range(self.device.geometry.quadrants):
                if down >> quadrant & 1:
                    self.storage.forget_weights(quadrant)

    def _clear(self, quadrant: int, select: int) -> None:
        """TEST.clear: layer, stream and snoop registers, IFRM and LCNT_MAX become 0. Whether it spares the memories is
        not known: their content is undefined then."""
        check_clear(quadrant, select)
        self.registers.reset(quadrant, SPARED)
        self.runner.forget()
        self.storage.forget(quadrant)
        self.storage.forget_weights(quadrant)

    # Start

    def _write_control(self, place: Place, value: int) -> None:
        """CTRL: done can only be cleared; a rising enable on a quadrant that waits for no other starts the array."""
        register = self.device.registers["CTRL"]
        quadrant = place.quadrant
        before = self.registers.fields("CTRL", quadrant)
        if not before["done"]:
            value &= ~register.by_name["done"].encode(1)
        self.registers.write(place, value)
        control = register.decode(value)
        if control["mlat_load"]:
            raise AcceleratorError(f"quadrant {quadrant}: CTRL.mlat_load is 1; not modelled, must be 0")
        for chosen, name in ((self._enabled, "enable"), (self.storage.express, "express")):
            (chosen.add if control[name] else chosen.discard)(quadrant)
        waits = control["sync_enable"] and control["sync_source"] != quadrant
        if control["enable"] and not before["enable"] and control["clock_enable"] and not waits:
            self.runner.start(decode_run(self.registers, self._enabled, quadrant))
        elif not control["enable"]:
            self.runner.stop({quadrant})
