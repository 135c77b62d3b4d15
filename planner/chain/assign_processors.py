"""Processors that a network's YAML leaves open.

A tensor lies on the processors that its readers use: operands of an element-wise layer on the same ones, parts of a
concatenation on neighbouring ones. Tensors tied together like that move as one block; blocks are put one by one where
their kernels add least to the fullest processor, without waking a quadrant that is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.chain.write_gaps import interleave, with_gaps
from offramp.planner.hardware.hw_layer import (
    BYTE_BITS,
    WORD_BYTES,
    ceil_div,
    instances_of,
    map_layer,
    passes_of,
    quadrant_slice,
    quadrants_of,
    set_bits,
    whole_instances,
    with_processors,
)
from offramp.planner.ir.network import INPUT, Layer, Network, ProcessorMap
from offramp.planner.rules.check import check_network

ColumnOccupancy = npt.NDArray[np.int64]  # kernel columns in use, by processor

Tensor = int  # index of the producing layer, or INPUT


@dataclass(frozen=True)
class ProcessorAlignment:
    """A tensor's place in a block of tensors: processors from the block's first one."""

    root: Tensor
    offset: int


def no_columns_occupied(device: Device) -> ColumnOccupancy:
    return np.zeros(device.geometry.processors, np.int64)


def complete(
    network: Network,
    device: Device,
    load: ColumnOccupancy,
    input_map: ProcessorMap = 0,
    chosen: Mapping[Tensor, ProcessorMap] = MappingProxyType({}),
    head: bool = False,
) -> Network:
    """The network with every processor map and the write gaps that its element-wise layers need.

    What the YAML states is kept. `load` is updated with the network's kernels. `input_map`: where the input lies, if
    another network says so. `chosen`: maps that are chosen already. `head`: it runs behind other layers, which use
    quadrant 0. InputError where no choice can work, and for layers that the device cannot run anywhere.
    """
    network = with_gaps(network, device)
    if problems := check_network(network, device):
        raise InputError(problems)
    known = known_maps(network, device, input_map)
    maps = {**chosen, **known}
    blocks = alignment_groups(network, device)
    columns = {layer.index: _columns(layer, network, device) for layer in network.layers}
    for layer in network.layers:
        if layer.processors:
            load[list(set_bits(layer.processors))] += columns[layer.index]
    chooser = Chooser(network, device, columns, load)
    open_blocks = [block for block in blocks.values() if any(tensor not in maps for tensor in block)]
    for count, members in enumerate(sorted(open_blocks, key=chooser.size, reverse=True), 1):
        first = count == len(open_blocks) and not head and not _in_quadrant_zero(network, maps, device)
        maps |= chooser.place(members, maps, first)
    for layer in network.layers:
        if layer.op == "passthrough" and layer.index not in known:
            maps[layer.index] = _packed(layer.processors or _union(maps, layer), device)
    return replace(network, layers=tuple(_with_maps(layer, maps) for layer in network.layers))


def _with_maps(layer: Layer, maps: Mapping[Tensor, ProcessorMap]) -> Layer:
    return replace(
        layer,
        processors=layer.processors or _union(maps, layer),
        output_processors=layer.output_processors or maps[layer.index],
    )


def _union(maps: Mapping[Tensor, ProcessorMap], layer: Layer) -> ProcessorMap:
    """Processors that all inputs of a layer lie on."""
    union = 0
    for tensor in layer.inputs:
        union |= maps[tensor]
    return union


def _in_quadrant_zero(network: Network, maps: Mapping[Tensor, ProcessorMap], device: Device) -> bool:
    """Whether a layer is known to use quadrant 0, without which no run can do."""
    first = (1 << device.geometry.processors_per_quadrant) - 1
    return any(used & first for used in (*maps.values(), *(layer.processors for layer in network.layers)))


def _packed(processors: ProcessorMap, device: Device) -> ProcessorMap:
    """Where a pass-through layer writes what it reads from these: side by side in each quadrant, from the first word on
    that it reads there. The same, unless joined inputs leave processors out."""
    lanes, width = device.geometry.processors_per_instance, device.geometry.processors_per_quadrant
    packed = 0
    for quadrant in quadrants_of(processors, device):
        own = quadrant_slice(processors, quadrant, device)
        packed |= ((1 << own.bit_count()) - 1) << quadrant * width + set_bits(own)[0] // lanes * lanes
    return packed


def known_maps(network: Network, device: Device, input_map: ProcessorMap) -> dict[Tensor, ProcessorMap]:
    """Maps that the YAML states: a producer's outputs, or the processors of a layer that reads one tensor only."""
    maps = {layer.index: layer.output_processors for layer in network.layers if layer.output_processors}
    for layer in network.layers:
        if layer.op == "passthrough" and layer.source:
            maps.setdefault(layer.index, _packed(layer.processors, device))
        if layer.processors and (len(set(layer.inputs)) == 1 or layer.operands > 1 or layer.join == "pixels"):
            for tensor in layer.inputs:
                maps.setdefault(tensor, layer.processors)
    if input_map:
        maps[INPUT] = input_map
    first = network.consumers(INPUT)[0]
    if INPUT not in maps and (network.fifo or first.data_format == "CHW"):
        maps[INPUT] = _input_map(network, first, device)
    return maps


def _input_map(network: Network, first: Layer, device: Device) -> ProcessorMap:
    """CHW: a data memory instance for each channel. FIFO: what each port feeds, the first instance of its quadrant."""
    geometry = device.geometry
    lanes = 1 if first.data_format == "CHW" else geometry.processors_per_instance
    spacing = geometry.processors_per_quadrant if network.fifo else geometry.processors_per_instance
    places = (divmod(channel, lanes) for channel in range(first.in_shape.channels))
    return sum(1 << spacing * port + lane for port, lane in places)


def size_of(network: Network, tensor: Tensor, device: Device) -> int:
    """Processors that a tensor takes."""
    if tensor == INPUT:
        return passes_of(network.consumers(INPUT)[0].in_shape.channels, device)[1]
    return passes_of(network.layers[tensor].out_shape.channels, device)[1]


def alignments_of(network: Network, device: Device) -> dict[Tensor, ProcessorAlignment]:
    """Every tensor's block. Passing through keeps a tensor's processors."""
    alignments = {
        tensor: ProcessorAlignment(tensor, 0) for tensor in (INPUT, *(layer.index for layer in network.layers))
    }
    for layer in network.layers:
        offset = 0
        concatenated = layer.operands == 1 and layer.join == "channels" and interleave(layer, device) == 1
        for tensor in layer.inputs:
            _align(alignments, layer.inputs[0], tensor, offset)
            offset += whole_instances(size_of(network, tensor, device), device) if concatenated else 0
        if layer.op == "passthrough" and layer.inputs:
            _align(alignments, layer.inputs[0], layer.index, 0)
    return alignments


def alignment_groups(network: Network, device: Device) -> dict[Tensor, dict[Tensor, ProcessorAlignment]]:
    """Tensors that move together, by the block's root."""
    blocks: dict[Tensor, dict[Tensor, ProcessorAlignment]] = {}
    for tensor, alignment in alignments_of(network, device).items():
        blocks.setdefault(alignment.root, {})[tensor] = alignment
    return blocks


def aligned_spans(
    network: Network, members: Mapping[Tensor, ProcessorAlignment], device: Device
) -> tuple[dict[Tensor, tuple[int, int]], int]:
    """(first processor in the block, number of processors) of each tensor; processors of the block."""
    lowest = min(alignment.offset for alignment in members.values())
    sizes = {tensor: size_of(network, tensor, device) for tensor in members}
    spans = {tensor: (alignment.offset - lowest, sizes[tensor]) for tensor, alignment in members.items()}
    return spans, max(offset + size for offset, size in spans.values())


def allowed_bases(
    spans: Mapping[Tensor, tuple[int, int]], width: int, fixed: Mapping[Tensor, ProcessorMap], device: Device
) -> range:
    """First processors that a block may have: any first one of an instance, or the one that a known tensor leaves."""
    if fixed:
        tensor, bits = next(iter(fixed.items()))
        own = set_bits(bits)[0] - spans[tensor][0]
        return range(max(0, own), min(own, device.geometry.processors - width) + 1)
    geometry = device.geometry
    return range(0, geometry.processors - whole_instances(width, device) + 1, geometry.processors_per_instance)


def _align(alignments: dict[Tensor, ProcessorAlignment], first: Tensor, second: Tensor, distance: int) -> None:
    """Put `second` at `distance` processors after `first`, with all that is tied to it."""
    one, other = alignments[first], alignments[second]
    if one.root == other.root:
        return
    shift = one.offset + distance - other.offset
    for tensor, alignment in alignments.items():
        if alignment.root == other.root:
            alignments[tensor] = ProcessorAlignment(one.root, alignment.offset + shift)


def _columns(layer: Layer, network: Network, device: Device) -> int:
    """Kernel columns of a layer in each of its processors, which do not depend on where they are."""
    return map_layer(with_processors(layer, device), network, device).columns


@dataclass(frozen=True, eq=False)
class Chooser:
    """Puts blocks of tensors on processors. `columns`: of each layer's kernels; `load` is updated as they are put."""

    network: Network
    device: Device
    columns: Mapping[int, int]
    load: ColumnOccupancy

    def size(self, members: Mapping[Tensor, ProcessorAlignment]) -> tuple[int, int]:
        """Processors, and kernel columns of each: the largest blocks are placed first."""
        return aligned_spans(self.network, members, self.device)[1], sum(
            self.columns[layer.index] for layer in self._readers(members)
        )

    def place(
        self, members: Mapping[Tensor, ProcessorAlignment], maps: Mapping[Tensor, ProcessorMap], first: bool = False
    ) -> dict[Tensor, ProcessorMap]:
        """Maps for all tensors of a block. Those that are known decide where the block lies. `first`: it begins in
        quadrant 0 if it can."""
        fixed = {tensor: maps[tensor] for tensor in members if tensor in maps}
        if fixed and len({alignment.offset for alignment in members.values()}) == 1:
            return dict.fromkeys(members, next(iter(fixed.values())))
        spans, width = aligned_spans(self.network, members, self.device)
        bases = allowed_bases(spans, width, fixed, self.device)

        def moved(base: int) -> dict[Tensor, ProcessorMap]:
            return {tensor: ((1 << size) - 1) << base + offset for tensor, (offset, size) in spans.items()} | fixed

        inside = [base for base in bases if base < self.device.geometry.processors_per_quadrant] if first else []
        base = min(
            inside or bases, key=lambda one: self._cost(one, width, members, {**maps, **moved(one)}), default=None
        )
        if base is None:
            layer = self.network.layers[max(members)]
            message = f"what layer {layer.index} reads or writes takes {width} processors in a row, of {len(self.load)}"
            raise InputError(Diagnostic(layer.where, message))
        self.load[base : base + width] += sum(self.columns[layer.index] for layer in self._readers(members))
        return moved(base)

    def _readers(self, members: Mapping[Tensor, ProcessorAlignment]) -> list[Layer]:
        return [layer for layer in self.network.layers if not layer.processors and set(layer.inputs) & set(members)]

    def _cost(
        self, base: int, width: int, members: Mapping[Tensor, ProcessorAlignment], maps: Mapping[Tensor, ProcessorMap]
    ) -> tuple[int, int, int, int, int]:
        """What to avoid, in this order: tensors that do not fit side by side, waking a quadrant, results in several
        quadrants, of which a snoop unit sees one, filling the fullest processor, high processors.
        """
        per_quadrant = self.device.geometry.processors_per_quadrant
        last_used = int(np.flatnonzero(self.load)[-1]) // per_quadrant if self.load.any() else 0
        woken = max(0, (base + width - 1) // per_quadrant - last_used)
        results = [one for one in members if one != INPUT and not self.network.consumers(one)]
        split = sum(len(tuple(quadrants_of(maps[one], self.device))) for one in results)
        return self._crowded(members, maps), woken, split, int(self.load[base : base + width].max()), base

    def _crowded(self, members: Mapping[Tensor, ProcessorAlignment], maps: Mapping[Tensor, ProcessorMap]) -> int:
        """Layers whose input and output share a data memory instance in which they do not both fit."""
        crowded = 0
        for layer in self.network.layers:
            tensors = {*layer.inputs, layer.index}
            if not tensors & set(members) or not tensors <= set(maps):
                continue
            read = {instance for one in layer.inputs for instance in instances_of(maps[one], self.device)}
            written = set(instances_of(maps[layer.index], self.device))
            words = sum(self._words(tensor) for tensor in tensors)
            crowded += bool(read & written) and words > self.device.memories["data"].words
        return crowded

    def _words(self, tensor: Tensor) -> int:
        """Words that a tensor takes in each of its instances."""
        shape = self.network.shape_of(tensor)
        if tensor == INPUT and self.network.consumers(INPUT)[0].data_format == "CHW":
            return ceil_div(shape.pixels, WORD_BYTES)
        width = BYTE_BITS if tensor == INPUT else self.network.layers[tensor].output_width
        return shape.pixels * passes_of(shape.channels, self.device)[0] * (width // BYTE_BITS)
