"""Rules about how a layer's inputs lie in memory. Each rule returns what it found, or None if all is well.

The network's input is left out where it is one of the inputs: the firmware loads it; so are rolling data buffers, which
several layers may write. Source of the rules: README of analogdevicesinc/ai8x-synthesis, "Data Memory" and
`in_sequences`, and the warnings in its izer/backend/max7800x.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from offramp.configs.device import Device
from offramp.planner.hardware.hw_layer import WORD_BYTES, passes_of
from offramp.planner.ir.network import INPUT, Layer, Network


def operand_processors(layer: Layer, network: Network, device: Device) -> str | None:
    """Operands of an element-wise operation lie on the same processors."""
    maps = {producer.output_processors for producer in _producers(layer, network)}
    return "operands on different processors" if layer.operands > 1 and len(maps - {0}) > 1 else None


def input_operand(layer: Layer, network: Network, device: Device) -> str | None:
    """Operands lie in alternating words, so the network's input cannot be one operand among others; a pass-through
    layer makes a copy of it that can."""
    mixed = layer.operands > 1 and len(layer.inputs) > 1 and INPUT in layer.inputs
    return "the network's input as an operand" if mixed else None


def concatenation(layer: Layer, network: Network, device: Device) -> str | None:
    """All inputs but the last that are joined along the channels have a multiple of {lanes} channels."""
    odd = [
        index
        for index in layer.inputs[:-1]
        if network.shape_of(index).channels % device.geometry.processors_per_instance
    ]
    if layer.operands > 1 or not odd:
        return None
    return f"an input of {network.shape_of(odd[0]).channels} channels"


def joined_passes(layer: Layer, network: Network, device: Device) -> str | None:
    """Inputs that have more than {processors} channels together are read in passes: each of them is one pass, and all
    but the last have as many channels as a full pass."""
    passes, per_pass = passes_of(layer.in_shape.channels, device)
    if layer.operands > 1 or len(layer.inputs) <= 1 or passes == 1:
        return None
    counts = [network.shape_of(index).channels for index in layer.inputs]
    fits = len(counts) == passes and set(counts[:-1]) == {per_pass}
    return None if fits else f"inputs of {', '.join(map(str, counts))} channels in {passes} passes of {per_pass}"


def source_processors(layer: Layer, network: Network, device: Device) -> str | None:
    """The processors of a layer are those that its inputs were written for (`output_processors`)."""
    producers = _producers(layer, network)
    maps = [producer.output_processors for producer in producers]
    if not _by_layers_alone(layer) or not layer.processors or not all(maps):
        return None
    written = 0
    for one in maps:
        written |= one
    return None if written == layer.processors else f"processors {layer.processors:#018x}, inputs on {written:#018x}"


def source_offsets(layer: Layer, network: Network, device: Device) -> str | None:
    """A layer reads at `in_offset`, and its inputs were written there (`out_offset`): operands 4 bytes apart, inputs
    joined on the same processors 4 bytes for each pass apart, other joined inputs at the same offset."""
    producers = _producers(layer, network)
    offsets = [producer.out_offset for producer in producers]
    if not _by_layers_alone(layer) or layer.in_offset is None or None in offsets:
        return None
    expected = [layer.in_offset + step for step in _steps(layer, producers, device)]
    if offsets == expected:
        return None
    listed = ", ".join(f"{offset:#x}" for offset in offsets if offset is not None)
    return f"`in_offset` {layer.in_offset:#x}, inputs at {listed}"


def source_gaps(layer: Layer, network: Network, device: Device) -> str | None:
    """Inputs that lie in alternating words were written with gaps: `write_gap` is the number of operands, or of inputs
    joined on the same processors, less one, and 0 for other inputs."""
    producers = _producers(layer, network)
    if not _by_layers_alone(layer) or any(producer.out_offset is None for producer in producers):
        return None
    alternating = len(producers) > 1 and (layer.operands > 1 or _share_processors(producers))
    expected = len(producers) - 1 if alternating else 0
    gaps = sorted({producer.write_gap for producer in producers})
    return None if gaps == [expected] else f"inputs with a `write_gap` of {', '.join(map(str, gaps))}"


def _by_layers_alone(layer: Layer) -> bool:
    """Does the layer read nothing but what layers have written, neither the network's input nor a data buffer?"""
    return bool(layer.inputs) and INPUT not in layer.inputs


def _producers(layer: Layer, network: Network) -> list[Layer]:
    return [network.layers[index] for index in layer.inputs if index != INPUT]


def _share_processors(producers: Sequence[Layer]) -> bool:
    return len(producers) > 1 and any(
        producers[0].output_processors & other.output_processors for other in producers[1:]
    )


def _steps(layer: Layer, producers: Sequence[Layer], device: Device) -> list[int]:
    """Bytes from `in_offset` to each input."""
    if layer.operands > 1:
        return [WORD_BYTES * position for position in range(len(producers))]
    steps = [0]
    for producer in producers:
        passes = passes_of(producer.out_shape.channels, device)[0] if _share_processors(producers) else 0
        steps.append(steps[-1] + WORD_BYTES * passes)
    return steps[:-1]


INPUT_RULES = (
    operand_processors,
    input_operand,
    concatenation,
    joined_passes,
    source_processors,
    source_offsets,
    source_gaps,
)
