"""Rules about how a layer's inputs lie in memory. Each rule returns what it found, or None if all is well.

The network's input is left out where it is one of the inputs: the firmware loads it; so are rolling data buffers, which
several layers may write. Source of the rules: README of analogdevicesinc/ai8x-synthesis, "Data Memory" and
`in_sequences`, and the warnings in its izer/backend/max7800x.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

from offramp.configs.device import Device
from offramp.planner.hardware.hw_layer import WORD_BYTES, passes_of, runs_folded, set_bits
from offramp.planner.ir.network import INPUT, Layer, Network, ProcessorMap


def operand_processors(layer: Layer, network: Network, device: Device) -> str | None:
    """Operands of an element-wise operation lie on the same processors."""
    maps = {producer.output_processors for producer in _producers(layer, network)}
    return "operands on different processors" if layer.operands > 1 and len(maps - {0}) > 1 else None


def input_operand(layer: Layer, network: Network, device: Device) -> str | None:
    """Operands lie in alternating words, so the network's input cannot be one operand among others; a pass-through
    layer makes a copy of it that can."""
    mixed = layer.operands > 1 and len(layer.inputs) > 1 and INPUT in layer.inputs
    return "the network's input as an operand" if mixed else None


def distinct_inputs(layer: Layer, network: Network, device: Device) -> str | None:
    """Operands, and inputs that are joined, are different tensors: each has words of its own, and none is read twice. A
    pass-through layer makes a copy."""
    twice = _repeated(layer)
    return f"{_name(twice[0])} twice" if twice else None


def joined_sizes(layer: Layer, network: Network, device: Device) -> str | None:
    """Inputs that are joined along the channels have the same rows and columns; those that are joined one behind the
    other along the pixels, as `in_dim` asks, the same channels."""
    shapes = [network.shape_of(index) for index in layer.inputs]
    along = layer.join == "pixels"
    sizes = {shape.channels if along else (shape.rows, shape.cols) for shape in shapes}
    listed = ", ".join(map(str, shapes))
    return f"inputs of {listed}" if layer.operands == 1 and len(sizes) > 1 else None


def joined_pixels(layer: Layer, network: Network, device: Device) -> str | None:
    """Inputs that are joined along the pixels lie on the same processors, one behind the other. The network's input,
    and what a dilated 1-D convolution writes that spans more than {conv1d_kernel} samples (it writes words in front and
    behind, too), cannot be one of them."""
    if layer.join != "pixels":
        return None
    producers = _producers(layer, network)
    maps = {producer.output_processors for producer in producers} | {layer.processors}
    folded = next((one for one in producers if runs_folded(one, device)), None)
    if INPUT in layer.inputs:
        return "the network's input as one of several"
    if folded:
        return f"the output of layer {folded.index}, with a dilation of {folded.dilation}"
    return "inputs on different processors" if len(maps - {0}) > 1 else None


def cropped_input(layer: Layer, network: Network, device: Device) -> str | None:
    """`in_crop` leaves out words in front of those that are read: it takes HWC data that do not stream."""
    wrong = (
        not layer.source
        and any(layer.crop)
        and (layer.streaming or layer.data_format == "CHW" or _of_fifo(layer, network))
    )
    return "`in_crop`" if wrong else None


def _of_fifo(layer: Layer, network: Network) -> bool:
    return network.fifo and INPUT in layer.inputs


def concatenation(layer: Layer, network: Network, device: Device) -> str | None:
    """Inputs that are joined along the channels leave each other's bytes alone. A layer writes whole words, of four
    processors each, up to its last output processor: an input that is written later starts in a word of its own, or
    the one in front of it has a multiple of 4 channels."""
    parts = [index for index in sorted(set(layer.inputs)) if _map_of(index, network)]
    if not _side_by_side(layer, network):
        return None
    for position, later in enumerate(parts):
        own = _map_of(later, network)
        lanes = device.geometry.processors_per_instance
        written = (1 << own.bit_length()) - (1 << set_bits(own)[0] // lanes * lanes)
        for earlier in parts[:position]:
            if later != INPUT and written & _map_of(earlier, network):
                return f"what layer {later} writes covers bytes of {_name(earlier)}"
    return None


def joined_order(layer: Layer, network: Network, device: Device) -> str | None:
    """Inputs that are joined along the channels lie on processors in the order of `in_sequences`."""
    maps = [_map_of(index, network) for index in layer.inputs]
    if not _side_by_side(layer, network) or not all(maps):
        return None
    places = list(zip(layer.inputs, maps, strict=True))
    found = [index for (index, one), (_, other) in pairwise(places) if set_bits(other)[0] < one.bit_length()]
    return f"{_name(found[0])} does not lie in front of the input after it" if found else None


def joined_passes(layer: Layer, network: Network, device: Device) -> str | None:
    """Inputs that have more than {processors} channels together are read in passes: each of them is one pass, and all
    but the last have as many channels as a full pass. The network's input cannot be one of them."""
    passes, per_pass = passes_of(layer.in_shape.channels, device)
    if layer.operands > 1 or len(layer.inputs) <= 1 or passes == 1 or layer.join == "pixels":
        return None
    counts = [network.shape_of(index).channels for index in layer.inputs]
    fits = len(counts) == passes and set(counts[:-1]) == {per_pass}
    if fits and INPUT in layer.inputs:
        return "the network's input as one of several passes"
    return None if fits else f"inputs of {', '.join(map(str, counts))} channels in {passes} passes of {per_pass}"


def source_processors(layer: Layer, network: Network, device: Device) -> str | None:
    """The processors of a layer are those that its inputs were written for (`output_processors`)."""
    maps = [_map_of(index, network) for index in layer.inputs]
    if layer.source or set(layer.inputs) <= {INPUT} or not layer.processors or not all(maps):
        return None
    written = 0
    for one in maps:
        written |= one
    return None if written == layer.processors else f"processors {layer.processors:#018x}, inputs on {written:#018x}"


def source_offsets(layer: Layer, network: Network, device: Device) -> str | None:
    """A layer reads at `in_offset`, and its inputs were written there (`out_offset`), with `in_crop` so many rows in
    front: operands 4 bytes apart, inputs joined on the same processors 4 bytes for each pass apart (along the pixels:
    for each pixel and pass), other joined inputs at the same offset. With `offsets: free` in a spec the planner chooses
    all of them."""
    producers = _producers(layer, network)
    offsets = [producer.out_offset for producer in producers]
    mixed = layer.operands > 1 and INPUT in layer.inputs  # refused as such
    if not producers or mixed or layer.in_offset is None or None in offsets or _repeated(layer):
        return None
    expected = [_start(layer, device) + step for step in _steps(layer, producers, device)]
    if offsets == expected:
        return None
    listed = ", ".join(f"{offset:#x}" for offset in offsets if offset is not None)
    return f"`in_offset` {layer.in_offset:#x}, inputs at {listed}"


def input_offset(layer: Layer, network: Network, device: Device) -> str | None:
    """All layers that read the network's input find it at the same place: they have the same `in_offset`, or, with
    `in_crop`, one so many rows behind it."""
    first = next((one for one in network.layers if one.inputs == (INPUT,)), None)
    if first is None or first is layer or layer.inputs != (INPUT,) or None in (first.in_offset, layer.in_offset):
        return None
    start, found = (_start(one, device) for one in (first, layer))
    return f"the input at {found:#x}, layer {first.index} reads it at {start:#x}" if start != found else None


def _start(layer: Layer, device: Device) -> int:
    """Byte offset of what a layer reads, with what it crops in front."""
    step = WORD_BYTES * passes_of(layer.in_shape.channels, device)[0] * layer.operands
    return (layer.in_offset or 0) - step * layer.crop[0]


def source_gaps(layer: Layer, network: Network, device: Device) -> str | None:
    """Inputs that lie in alternating words were written with gaps: `write_gap` is the number of operands, or of inputs
    joined on the same processors, less one, and 0 for other inputs. The planner chooses it where the YAML does not
    give all their offsets."""
    producers = _producers(layer, network)
    if _repeated(layer) or (layer.operands > 1 and INPUT in layer.inputs):  # refused as such
        return None
    in_turn = layer.join == "channels" and (
        layer.operands > 1 or _share_processors(producers) or passes_of(layer.in_shape.channels, device)[0] > 1
    )
    parts = len(producers) if len(producers) > 1 and in_turn else 1
    expected = parts * (layer.read_gap + 1) - 1
    gaps = sorted({producer.write_gap for producer in producers})
    placed = all(producer.out_offset is not None for producer in producers)
    wrong = [gap for gap in gaps if gap != expected and (gap or placed or layer.read_gap)]
    return f"inputs with a `write_gap` of {', '.join(map(str, gaps))}" if wrong else None


def _side_by_side(layer: Layer, network: Network) -> bool:
    """Does the layer read several inputs that lie next to each other, joined along the channels?"""
    maps = [_map_of(index, network) for index in layer.inputs]
    along = layer.operands == 1 and layer.join == "channels"
    return along and len(maps) > 1 and not any(one & other for one, other in combinations(maps, 2))


def _map_of(index: int, network: Network) -> ProcessorMap:
    """Processors that a tensor lies on; 0 if they are open. The network's input lies where a layer reads it alone."""
    if index != INPUT:
        return network.layers[index].output_processors
    return next((layer.processors for layer in network.layers if layer.inputs == (INPUT,)), 0)


def _name(index: int) -> str:
    return "the network's input" if index == INPUT else f"the output of layer {index}"


def _repeated(layer: Layer) -> list[int]:
    return [index for index in layer.inputs if layer.inputs.count(index) > 1]


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
        pixels = producer.out_shape.pixels if layer.join == "pixels" else 1
        steps.append(steps[-1] + WORD_BYTES * passes * pixels)
    return steps[:-1]


INPUT_RULES = (
    operand_processors,
    input_operand,
    distinct_inputs,
    joined_sizes,
    joined_pixels,
    cropped_input,
    concatenation,
    joined_order,
    joined_passes,
    source_processors,
    source_offsets,
    input_offset,
    source_gaps,
)
