"""A tiny network, placed and lowered by the planner and the generator, with the words that it must give."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from offramp.codegen.load_images import tensor_layout
from offramp.codegen.lower import lower_segment
from offramp.codegen.program import Key, RegisterProgram
from offramp.configs.device import Column, Device
from offramp.configs.errors import CheckFailed
from offramp.planner.allocation.budget import stage_cycles
from offramp.planner.allocation.place import Placed, place
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.hardware.hw_layer import WORD_BYTES
from offramp.planner.ir.chain import whole
from offramp.planner.placement.problem import BiasPlace
from offramp.planner.reference.layers import run_network
from offramp.planner.rules.check import check_network
from offramp.silicon.networks import Tiny

Words = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Specimen:
    """A placed network of one stage with its register program."""

    tiny: Tiny
    placed: Placed
    program: RegisterProgram

    @property
    def name(self) -> str:
        return self.tiny.name

    @property
    def device(self) -> Device:
        return self.placed.requirements.device

    @property
    def master(self) -> int:
        return self.program.quadrants[0]

    @property
    def fifo(self) -> bool:
        return self.tiny.network.fifo

    @cached_property
    def cycles(self) -> int:
        """Cycles of the accelerator, by the model."""
        return stage_cycles(self.placed, self.placed.requirements.chain.stages[0]).cycles

    def result(self, layer: int = -1) -> dict[int, int]:
        """Bus addresses and values of the words that a layer leaves, by the integer reference."""
        layers = self.tiny.network.layers
        return self.words_of(run_network(self.tiny.network, self.tiny.x[None], range(len(layers)))[layer % len(layers)])

    def words_of(self, tensor: npt.NDArray[np.int8 | np.int32], layer: int = -1) -> dict[int, int]:
        """The same for any values of that layer's result, (1, channels, rows, cols)."""
        slot = self.placed.requirements.chain.slots[layer]
        words: dict[int, int] = {}
        layout = tensor_layout(self.placed, slot.writes)
        mask = (1 << layout.bits) - 1
        for address, value in zip(layout.addresses().tolist(), tensor.reshape(-1).tolist(), strict=True):
            lane = address % WORD_BYTES
            words[address - lane] = words.get(address - lane, 0) | (value & mask) << 8 * lane
        return dict(sorted(words.items()))

    def with_fields(self, changes: dict[Key, dict[str, int]], control: dict[str, int] | None = None) -> Specimen:
        """The same with fields of some registers overwritten, and of CTRL."""
        settings = {**self.program.settings}
        for key, fields in changes.items():
            settings[key] = {**settings[key], **fields}
        program = replace(self.program, settings=settings, control={**self.program.control, **(control or {})})
        return replace(self, program=program)

    def moved(self, column: Column | None = None, bias: int | None = None) -> Specimen:
        """The same with kernels from another column on, biases from another byte on: no placement the planner makes."""
        placement = self.placed.placement
        if column is not None:
            placement = replace(placement, weights=dict.fromkeys(placement.weights, column))
        if bias is not None:
            biases = {name: BiasPlace(old.quadrant, bias) for name, old in placement.biases.items()}
            placement = replace(placement, biases=biases)
        placed = replace(self.placed, placement=placement)
        return replace(self, placed=placed, program=lower_segment(placed, placed.requirements.chain.segments[0]))


def make_specimen(tiny: Tiny, device: Device) -> Specimen:
    """Place and lower a network. CheckFailed if the device cannot run it: ours are made so that it can."""
    network = complete(tiny.network, device, no_columns_occupied(device))
    if problems := check_network(network, device):
        raise CheckFailed(problems)
    placed = place(whole(tiny.name, network), device)
    program = lower_segment(placed, placed.requirements.chain.segments[0])
    return Specimen(replace(tiny, network=network), placed, program)


def checksum(words: Sequence[int]) -> int:
    """CRC-32 of words, each as four bytes, the lowest first."""
    return zlib.crc32(np.array(words, "<u4").tobytes())
