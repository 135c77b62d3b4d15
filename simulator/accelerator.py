"""The MAX78000's CNN accelerator behind its bus: what software writes and reads, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device, Place
from offramp.simulator.bus import AddressMap, AddressSpan
from offramp.simulator.config import Run
from offramp.simulator.errors import AcceleratorError
from offramp.simulator.fifo import Fifos
from offramp.simulator.memory import WORD_BYTES, DataMemory
from offramp.simulator.registers import RegisterFile
from offramp.simulator.sequencer import Frame, Sequencer
from offramp.simulator.start import decode_run
from offramp.simulator.storage import Storage

Words = NDArray[np.uint32]
SELF_TESTS = ("data", "mask", "tram", "bias")  # memories in TEST's fields


class Accelerator:
    """Registers, memories and layer execution. All quadrants have power at first, registers are 0, memories undefined.

    A start runs synchronously inside the write that causes it (FIFO mode: the write that completes the frame), then
    CTRL.done is set. `layers_run` lists the layers of the last start; `on_layer(layer)` is called after each of them,
    when its results are in memory. Everything the hardware would not do is an AcceleratorError.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.registers = RegisterFile(device)
        self.layers_run: list[int] = []
        self.on_layer: Callable[[int], None] | None = None
        self._storage = Storage(device)
        self._fifos = Fifos(device, self.registers)
        self._sequencer = Sequencer(self.registers, self._storage)
        self._map = AddressMap(device)
        self._powered = set(range(device.geometry.quadrants))
        self._enabled: set[int] = set()  # quadrants with CTRL.enable
        self._waiting: Run | None = None  # started, frame not complete yet

    @property
    def done(self) -> bool:
        """The interrupt line: some quadrant's CTRL.done is set."""
        return any(self.registers.field("CTRL", "done", quadrant) for quadrant in self._powered)

    @property
    def data(self) -> DataMemory:
        """The data memory, to be inspected from outside the bus."""
        return self._storage.data

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
        if place.quadrant not in self._storage.express:
            raise AcceleratorError(
                f"8-bit write to {address:#010x}; CTRL.express of quadrant {place.quadrant} must be 1"
            )
        processor = place.quadrant * self.device.geometry.processors_per_quadrant + place.unit
        self._storage.weights.set_start(processor, place.index)

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
            self._need_access_to(stretch)
            self._storage.write(stretch, values[span])

    def read(self, address: int) -> int:
        """A 32-bit bus read."""
        place = self._place(address, "read")
        if place is None:
            raise AcceleratorError(f"read of {address:#010x}: no register or memory of the accelerator")
        if place.kind in ("data", "weights", "bias"):
            return int(self.read_block(np.array([address], dtype=np.uint32))[0])
        if place.kind != "register":
            raise AcceleratorError(f"read of {address:#010x}: the {place.kind} memory is not modelled")
        self._need_register(place)
        if place.name == "FIFO_STAT":
            return self._fifos.status()
        if place.name == "MLAT" or place.name in self._fifos.ports:
            raise AcceleratorError(f"read of {place.name}: not modelled")
        value = self.registers.read(place.name, place.quadrant, place.unit)
        return value | self._test_status(value) if place.name == "TEST" else value

    def read_block(self, addresses: Words) -> Words:
        """The same as `read` of each address in order: uint32 of the same length."""
        values = np.zeros(len(addresses), dtype=np.uint32)
        for stretch in self._map.stretches(addresses):
            span = slice(stretch.first, stretch.end)
            if stretch.kind == "other":
                values[span] = [self.read(address) for address in addresses[span].tolist()]
                continue
            self._need_access_to(stretch)
            values[span] = self._storage.read(stretch)
        return values

    def defined_block(self, addresses: Words) -> Words:
        """Which bytes of data words are defined: 0xFF for each that is, 0 for each that is not."""
        masks = np.zeros(len(addresses), dtype=np.uint32)
        for stretch in self._map.stretches(addresses):
            masks[stretch.first : stretch.end] = self._storage.defined(stretch)
        return masks

    # Power

    def power(self, quadrants: int, retain_weights: int = 0) -> None:
        """Give power to a set of quadrants (bit mask). Those that lose it lose registers, data and biases; their
        weights stay where `retain_weights` (bit mask) keeps the weight memory supplied."""
        for quadrant in range(self.device.geometry.quadrants):
            if quadrants >> quadrant & 1:
                self._powered.add(quadrant)
                continue
            if quadrant in self._powered:
                self.reset(1 << quadrant)
                self._storage.forget(quadrant)
            self._powered.discard(quadrant)
            if not retain_weights >> quadrant & 1:
                self._storage.forget_weights(quadrant)

    def reset(self, quadrants: int) -> None:
        """Clear the registers of a set of quadrants (bit mask), of all: the shared ones too. Memories stay."""
        everything = (1 << self.device.geometry.quadrants) - 1
        if quadrants & everything == everything:
            self.registers.reset_shared()
            self._fifos.reset()
        for quadrant in range(self.device.geometry.quadrants):
            if quadrants >> quadrant & 1:
                self.registers.reset(quadrant)
                self._enabled.discard(quadrant)
                self._storage.express.discard(quadrant)
        if self._waiting and not self._enabled.issuperset(self._waiting.quadrants):
            self._waiting = None

    # Who may be accessed

    def _place(self, address: int, action: str) -> Place | None:
        if address % WORD_BYTES:
            raise AcceleratorError(
                f"32-bit {action} at {address:#010x}; the address must be a multiple of {WORD_BYTES}"
            )
        return self.device.locate(address)

    def _need_access_to(self, stretch: AddressSpan) -> None:
        for quadrant in self._storage.quadrants(stretch):
            self._need_access(quadrant, stretch.kind)

    def _need_access(self, quadrant: int, kind: str) -> None:
        self._need_power(quadrant)
        if quadrant in self._enabled:
            raise AcceleratorError(
                f"{kind} memory of quadrant {quadrant} accessed while CTRL.enable is 1; clear CTRL.enable first"
            )

    def _need_power(self, quadrant: int) -> None:
        if quadrant not in self._powered:
            raise AcceleratorError(f"quadrant {quadrant} accessed without power")

    def _need_register(self, place: Place) -> None:
        block = self.device.registers[place.name].block
        if block == "gcfr":
            raise AcceleratorError(f"{place.name} is outside the accelerator")
        if block in ("quadrant", "layer"):
            self._need_power(place.quadrant)

    # Registers

    def _write_reserved(self, address: int, value: int) -> None:
        """Layer slots without stream registers take a write of 0 (izer --write-zero-registers does that)."""
        geometry = self.device.geometry
        for register in self.device.layer_registers():
            for quadrant in range(geometry.quadrants):
                layer = (address - self.device.register_address(register.name, quadrant)) // WORD_BYTES
                if not 0 <= layer < geometry.layers:
                    continue
                if value:
                    raise AcceleratorError(f"layer {layer} has no {register.name}; written with {value:#x}")
                return
        raise AcceleratorError(f"write to {address:#010x}: no register or memory of the accelerator")

    def _write_register(self, place: Place, value: int) -> None:
        self._need_register(place)
        if place.name in self._fifos.ports:
            self._fifos.push(place.name, value)
            self._run_when_fed()
        elif place.name == "CTRL":
            self._write_control(place, value)
        elif place.name in ("MLAT", "FIFO_STAT"):
            raise AcceleratorError(f"write to {place.name}, which can only be read")
        elif place.name == "LCNT_MAX" and place.quadrant in self._enabled:
            raise AcceleratorError(f"quadrant {place.quadrant}: LCNT_MAX written while CTRL.enable is 1")
        else:
            self.registers.write(place, value)
            self._react(place, value)

    def _react(self, place: Place, value: int) -> None:
        if place.name == "TEST":
            self._storage.self_test(place.quadrant, self.device.registers["TEST"].decode(value))
        elif place.name == "AON":
            down = self.device.registers["AON"].by_name["mask_power_down"].decode(value)
            for quadrant in range(self.device.geometry.quadrants):
                if down >> quadrant & 1:
                    self._storage.forget_weights(quadrant)

    def _test_status(self, value: int) -> int:
        """Status bits of TEST: a test is done as soon as it is asked for, and never fails."""
        register = self.device.registers["TEST"]
        fields = register.decode(value)
        status = {}
        for kind in ("bist", "zero"):
            for memory in SELF_TESTS:
                status[f"{memory}_{kind}_done"] = fields[f"{memory}_{kind}"]
            status[f"{kind}_done"] = int(any(fields[f"{memory}_{kind}"] for memory in SELF_TESTS))
        return register.encode(status)

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
        for chosen, name in ((self._enabled, "enable"), (self._storage.express, "express")):
            (chosen.add if control[name] else chosen.discard)(quadrant)
        waits = control["sync_enable"] and control["sync_source"] != quadrant
        if control["enable"] and not before["enable"] and control["clock_enable"] and not waits:
            self._start(decode_run(self.registers, self._enabled, quadrant))
        elif not control["enable"] and self._waiting and quadrant in self._waiting.quadrants:
            self._waiting = None

    def _start(self, run: Run) -> None:
        if run.fifo:
            self._waiting = run
            self._run_when_fed()
        else:
            self._execute(run, {})

    def _run_when_fed(self) -> None:
        if self._waiting and self._fifos.complete():
            run, self._waiting = self._waiting, None
            self._execute(run, self._fifos.take_frame())

    def _execute(self, run: Run, frame: Frame) -> None:
        self.layers_run = []
        last_layer = self.registers.field("LCNT_MAX", "last_layer", run.master)
        self._sequencer.run(run, last_layer, frame, self._finished)
        done = self.device.registers["CTRL"].encode({"done": 1})
        for quadrant in run.quadrants:
            place = Place("register", "CTRL", quadrant, -1, 0)
            self.registers.write(place, self.registers.read("CTRL", quadrant) | done)

    def _finished(self, layer: int) -> None:
        self.layers_run.append(layer)
        if self.on_layer:
            self.on_layer(layer)
