"""Stages run on the accelerator model directly, without firmware: for the witnesses, and for tests of every cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from offramp.codegen.assemble import init_writes
from offramp.codegen.firmware import BiasRun, BusWrite, Chunk
from offramp.codegen.load_images import (
    bias_runs,
    buffer_runs,
    entry_biases,
    entry_chunks,
    reloaded_biases,
    reloaded_chunks,
    tensor_layout,
    weight_chunks,
)
from offramp.codegen.lower import Lowered, fifo_ports, lower
from offramp.codegen.lower_slots import reads_fifo
from offramp.codegen.pack import pack_input
from offramp.codegen.probe import ProbeLayer, probe_of
from offramp.codegen.program import start_writes, stop_writes
from offramp.configs.errors import OfframpError
from offramp.planner.allocation.place import Placed
from offramp.planner.hardware.hw_layer import HwLayer
from offramp.planner.ir.chain import INPUT_TENSOR, TensorId
from offramp.simulator.accelerator import Accelerator


class ModelRunner:
    """A placed chain loaded into an accelerator, and the stage, or segment of one, that its registers are in."""

    def __init__(self, placed: Placed, accelerator: Accelerator | None = None, lowered: Lowered | None = None) -> None:
        """`lowered`: its programs, where it was lowered together with other models that use the same accelerator."""
        self.lowered = lowered or lower(placed)
        self.placed = self.lowered.placed
        self.device = placed.requirements.device
        self.programs, self.switching = self.lowered.programs, self.lowered.switching
        self.accelerator = accelerator or Accelerator(self.device)
        self.stage: int | None = None  # None: registers hold anything
        self._frame: npt.NDArray[np.int8] | None = None  # input for every stage that reads the FIFO
        self._places: dict[TensorId, tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], int]] = {}

    def load(self) -> None:
        """Power-up writes, the weights and biases that are resident, and empty rolling buffers: once for all stages and
        inferences."""
        quadrants = sorted({quadrant for program in self.programs for quadrant in program.quadrants})
        self.write(init_writes(quadrants, self.device))
        self._write_memories(weight_chunks(self.placed), bias_runs(self.placed))
        for words in buffer_runs(self.placed):
            addresses = words.address + 4 * np.arange(words.words, dtype=np.uint32)
            self.accelerator.write_block(addresses, np.zeros(words.words, np.uint32))

    def _write_memories(self, chunks: Iterable[Chunk], biases: Iterable[BiasRun]) -> None:
        for chunk in chunks:
            self.accelerator.write8(chunk.address | 1, 1)
            self.accelerator.write_words(chunk.address, chunk.words)
        for run in biases:
            addresses = run.address + 4 * np.arange(len(run.values), dtype=np.uint32)
            self.accelerator.write_block(addresses, run.values.view(np.uint8).astype(np.uint32))

    def write(self, writes: Iterable[BusWrite]) -> None:
        for write in writes:
            self.accelerator.write(write.address, write.value)

    def write_input(self, x: npt.NDArray[np.int8]) -> None:
        """Load one input, int8 (channels, rows, cols), into data memory; or keep it for the FIFO."""
        hw = self._first()
        if any(reads_fifo(self.placed, segment.slots) for segment in self.placed.requirements.chain.segments):
            self._frame = x
            return
        packed = pack_input(hw, self.placed.base(INPUT_TENSOR), x, self.device)
        addresses = [
            self.device.data_address(int(instance), int(word))
            for instance, word in zip(packed.instances, packed.words, strict=True)
        ]
        self.accelerator.write_block(np.array(addresses, np.uint32), packed.values)

    def _first(self) -> HwLayer:
        return self.placed.requirements.layer(self.placed.requirements.chain.first_reader)

    def run_stage(self, index: int, part: ProbeLayer | None = None) -> None:
        """Bring the registers into the state of a stage or segment, with what differs or, from an unknown state, in
        full; run it, or the part of it that ends with a layer."""
        if self.stage is None:
            self.write(self.switching.configure(index))
            self._write_memories(entry_chunks(self.placed), entry_biases(self.placed))
        elif self.stage != index:
            self.write(self.switching.transition(self.stage, index))
        self.stage = index
        segment = self.placed.requirements.chain.segments[index]
        self._write_memories(reloaded_chunks(self.placed, segment), reloaded_biases(self.placed, segment))
        if part:
            addresses = probe_of(self.lowered).stages[index].addresses
            self.write(BusWrite(address, part.limit) for address in addresses)
            self.stage = None
        self.write(start_writes(self.programs[index], self.device))
        if reads_fifo(self.placed, self.placed.requirements.chain.segments[index].slots):
            self._push_frame()
        self.write(stop_writes(self.programs[index], self.device))

    def _push_frame(self) -> None:
        """Send the input through the FIFO: word by word, all ports in turn."""
        assert self._frame is not None
        packed = pack_input(self._first(), 0, self._frame, self.device)
        ports = fifo_ports(self.placed)
        words = packed.values.reshape(len(ports), -1).T
        addresses = [self.device.register_address(f"FIFO_DATA{port}") for port in ports]
        for row in words:
            for address, value in zip(addresses, row, strict=True):
                self.accelerator.write(address, int(value))

    def read(self, tensor: TensorId) -> npt.NDArray[np.int32]:
        """A tensor from data memory, int32 (channels, rows, cols). OfframpError if one of its bytes is undefined."""
        if tensor not in self._places:
            layout = tensor_layout(self.placed, tensor)
            addresses = layout.addresses().astype(np.uint32)
            self._places[tensor] = (addresses & ~np.uint32(3), 8 * (addresses & np.uint32(3)), layout.bits)
        addresses, shifts, width = self._places[tensor]
        words = self.accelerator.read_block(addresses).astype(np.uint32)
        defined = self.accelerator.defined_block(addresses) >> shifts & (2**width - 1)
        if (defined != 2**width - 1).any():
            raise OfframpError(f"{tensor}: {np.count_nonzero(defined != 2**width - 1)} values are undefined")
        shape = self.placed.requirements.hw[tensor].layer.out_shape
        values = words.view(np.int32) if width == 32 else (words >> shifts).astype(np.uint8).view(np.int8)
        return values.astype(np.int32).reshape(shape.channels, shape.rows, shape.cols)


def run_all(machine: ModelRunner, inputs: Sequence[npt.NDArray[np.int8]]) -> npt.NDArray[np.int32]:
    """All stages in turn for each input; the last layer's output, int32 (N, channels, rows, cols)."""
    last = machine.placed.requirements.chain.slots[-1].writes
    results = []
    for x in inputs:
        machine.write_input(x)
        for stage in range(len(machine.programs)):
            machine.run_stage(stage)
        results.append(machine.read(last))
    return np.stack(results)
