"""The kernels of networks as bundles that the joint search may move, and what the search says about their tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from offramp.configs.device import Device
from offramp.planner.chain.assign_processors import (
    ProcessorAlignment,
    Tensor,
    aligned_spans,
    alignment_groups,
    allowed_bases,
    known_maps,
)
from offramp.planner.chain.write_gaps import with_gaps
from offramp.planner.hardware.hw_layer import map_layer
from offramp.planner.ir.network import INPUT, Layer, Network, ProcessorMap
from offramp.planner.placement.joint_problem import Bundle
from offramp.planner.placement.problem import WeightBlock


@dataclass(frozen=True, eq=False)
class Movable:
    """Kernels whose layers read tensors that move together. `maps`: of those tensors, for first processor 0."""

    bundle: Bundle
    maps: Mapping[Tensor, ProcessorMap]


def fused(network: Network, heads: Sequence[tuple[Tensor, Network]]) -> Network:
    """The network with heads, each reading what layer `cut` writes, as further layers at its end."""
    layers = list(network.layers)
    for cut, head in heads:
        first = len(layers)
        for layer in head.layers:
            inputs = tuple(cut if one == INPUT else first + one for one in layer.inputs)
            layers.append(replace(layer, index=first + layer.index, inputs=inputs))
    return replace(network, layers=tuple(layers))


def forget_processors(network: Network, head: bool = False) -> Network:
    """The network as if its YAML stated no processors but those that the input is read with; a `head`'s
    input is where the network that it belongs to puts it."""
    return replace(network, layers=tuple(_forget(layer, head) for layer in network.layers))


def forget_offsets(network: Network, head: bool = False) -> Network:
    """The network as if its YAML said nothing of where its tensors lie in data memory, but for the input."""
    return replace(network, layers=tuple(_forget_offsets(layer, head) for layer in network.layers))


def _forget_offsets(layer: Layer, head: bool) -> Layer:
    in_offset = layer.in_offset if layer.inputs == (INPUT,) and not head else None
    return replace(layer, in_offset=in_offset, out_offset=None, write_gap=0)


def _forget(layer: Layer, head: bool) -> Layer:
    """Rolling buffers stay where the YAML has them."""
    keeps_input = layer.source or (set(layer.inputs) == {INPUT} and not head)
    processors = layer.processors if keeps_input else 0
    return replace(layer, processors=processors, output_processors=layer.output_processors if layer.target else 0)


def movables_of(name: str, network: Network, device: Device, input_map: ProcessorMap = 0) -> Iterator[Movable]:
    """The weight blocks of a network, by the block of tensors that their layers read.

    `name` starts the names of bundles and weight blocks. `input_map`: where the input lies, if another network says so.
    """
    network = with_gaps(network, device)
    known = known_maps(network, device, input_map)
    blocks = alignment_groups(network, device)
    places = {root: _places(network, members, known, device) for root, members in blocks.items()}
    maps = {tensor: bits for own, _ in places.values() for tensor, bits in own.items()}
    for layer in network.layers:
        weights = tuple(_weights(name, layer, network, maps, device)) if layer.source else ()
        if weights:  # rolling buffers stay where they are
            yield Movable(Bundle(f"{name}/{layer.source}/{layer.index}", (0,), weights), {})
    for root, members in blocks.items():
        layers = [layer for layer in network.layers if set(layer.inputs) & set(members)]
        weights = tuple(block for layer in layers for block in _weights(name, layer, network, maps, device))
        own, bases = places[root]
        if weights:
            yield Movable(Bundle(f"{name}/{root}", bases, weights), own)


def _places(
    network: Network, members: Mapping[Tensor, ProcessorAlignment], known: Mapping[Tensor, ProcessorMap], device: Device
) -> tuple[dict[Tensor, ProcessorMap], tuple[int, ...]]:
    """Maps of a block's tensors for first processor 0, and the first processors it may have."""
    fixed = {tensor: known[tensor] for tensor in members if tensor in known}
    if fixed and len({alignment.offset for alignment in members.values()}) == 1:
        return dict.fromkeys(members, next(iter(fixed.values()))), (0,)
    spans, width = aligned_spans(network, members, device)
    bases = tuple(allowed_bases(spans, width, fixed, device))
    maps = {tensor: ((1 << size) - 1) << offset for tensor, (offset, size) in spans.items()}
    if not fixed:
        return maps, bases
    return {tensor: bits << base for base in bases for tensor, bits in maps.items()} | fixed, (0,) if bases else ()


def _weights(
    name: str, layer: Layer, network: Network, maps: Mapping[Tensor, ProcessorMap], device: Device
) -> Iterator[WeightBlock]:
    processors = layer.processors
    for tensor in () if processors else layer.inputs:
        processors |= maps[tensor]
    outputs = layer.output_processors or maps[layer.index]
    placed = replace(layer, processors=processors, output_processors=outputs)
    columns = map_layer(placed, network, device).columns
    if columns:
        yield WeightBlock(f"{name}/{layer.index}", processors, columns, None, layer.where)
