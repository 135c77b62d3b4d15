"""What holds for abilities that only some devices have. Each rule returns what it found, or None if all is well.

Source of the rules: README of analogdevicesinc/ai8x-synthesis, "Limitations of MAX78002 Networks" and the notes on its
keys, and the checks in its izer/izer.py and izer/backend/max7800x.py; the numbers are in the device file.
"""

from __future__ import annotations

from offramp.configs.device import Device
from offramp.planner.hardware.hw_layer import (
    AT_ONCE,
    BYTE_BITS,
    WORD_BYTES,
    passes_of,
    quadrant_slice,
    quadrants_of,
    set_bits,
    whole_instances,
    window_reach,
)
from offramp.planner.ir.network import INPUT, Layer, Network


def depthwise_groups(layer: Layer, network: Network, device: Device) -> str | None:
    """Convolutions have one group or, depthwise, as many as input channels; then they have as many output channels, and
    do not flatten."""
    alike = layer.groups == layer.in_shape.channels == layer.out_shape.channels and not layer.flatten
    found = f"{layer.groups} groups, {layer.in_shape.channels} input and {layer.out_shape.channels} output channels"
    return found if layer.depthwise and not alike else None


def depthwise_processors(layer: Layer, network: Network, device: Device) -> str | None:
    """The processors of a depthwise convolution are adjacent in each quadrant, and so are its output processors, which
    begin with one whose number is a multiple of {lanes}; so do its processors, if those are others and lie in several
    quadrants."""
    lanes = device.geometry.processors_per_instance
    own, others = layer.processors, layer.output_processors
    if not layer.depthwise or not own or not others:
        return None
    several = own != others and len(list(quadrants_of(own, device))) > 1
    wrong = set_bits(others)[0] % lanes or (several and set_bits(own)[0] % lanes)
    parts = [set_bits(quadrant_slice(one, q, device)) for one in (own, others) for q in quadrants_of(one, device)]
    wrong = wrong or any(bits[-1] - bits[0] + 1 != len(bits) for bits in parts)
    return f"processors {own:#018x}, output processors {others:#018x}" if wrong else None


def depthwise_wide(layer: Layer, network: Network, device: Device) -> str | None:
    """A depthwise convolution with 32-bit output that writes for other processors than its own has at most {lanes} of
    them in a quadrant."""
    moves = layer.depthwise and layer.output_width > BYTE_BITS and layer.processors != layer.output_processors
    most = max((quadrant_slice(layer.processors, q, device).bit_count() for q in _quadrants(device)), default=0)
    return f"{most} processors in a quadrant" if moves and most > device.geometry.processors_per_instance else None


def depthwise_bias(layer: Layer, network: Network, device: Device) -> str | None:
    """Not known, and so not supported: the biases of a depthwise convolution of several passes that writes for other
    processors than its own, where its last quadrant is not full."""
    biased = layer.bias is not None and layer.bias.any()
    moves = layer.depthwise and layer.processors != layer.output_processors
    several = passes_of(layer.in_shape.channels, device)[0] > 1
    full = device.geometry.processors_per_quadrant
    last = max(quadrants_of(layer.processors, device), default=0)
    count = quadrant_slice(layer.processors, last, device).bit_count()
    return f"{count} processors in quadrant {last}" if biased and moves and several and count < full else None


def four_outputs(layer: Layer, network: Network, device: Device) -> str | None:
    """`calcx4` takes a multiple of 4 output channels, from a processor on whose number is a multiple of {lanes}. Not
    known, and so not supported, is what it does in depthwise and flattening layers and with `bypass`."""
    if not layer.calcx4:
        return None
    if layer.op == "passthrough" or layer.depthwise or layer.bypass or (layer.flatten and layer.pooled != (1, 1)):
        return "`calcx4`"
    wrong = layer.out_shape.channels % AT_ONCE
    processors = set_bits(layer.output_processors)
    wrong = wrong or (bool(processors) and (processors[0] % AT_ONCE or (processors[-1] + 1) % AT_ONCE))
    found = f"{layer.out_shape.channels} output channels on processors {layer.output_processors:#018x}"
    return found if wrong else None


def bypass_once(layer: Layer, network: Network, device: Device) -> str | None:
    """`bypass` takes at most {processors} input and {processors} output channels, and neighbouring output processors
    from one on whose number is a multiple of {lanes}. Not known, and so not supported, is what it does elsewhere."""
    several = max(passes_of(shape.channels, device)[0] for shape in (layer.in_shape, layer.out_shape)) > 1
    bits = set_bits(layer.output_processors)
    lanes = device.geometry.processors_per_instance
    apart = bool(bits) and (bits[0] % lanes != 0 or bits[-1] - bits[0] + 1 != len(bits))
    counts = f"{layer.in_shape.channels} input and {layer.out_shape.channels} output channels"
    found = f"{counts}, output processors {layer.output_processors:#018x}"
    return found if layer.bypass and (several or apart) else None


def binary_passes(layer: Layer, network: Network, device: Device) -> str | None:
    """Binary weights are never 0. Where channels do not fill the last of several passes, 0 must lie in place of the
    others: it does behind convolutions with other weights, and in the network's input where each four processors have
    a channel in the last pass."""
    passes, per_pass = passes_of(layer.in_shape.channels, device)
    rest = layer.in_shape.channels - (passes - 1) * per_pass
    if not layer.binary or layer.depthwise or rest == per_pass:
        return None
    producers = [network.layers[index] for index in layer.inputs if index != INPUT]
    zero = all(one.has_weights and not (one.binary or one.bypass or one.depthwise) for one in producers)
    zero = zero and (INPUT not in layer.inputs or whole_instances(rest, device) == per_pass)
    return None if zero else f"{layer.in_shape.channels} channels in {passes} passes of {per_pass}"


def zeros_between(layer: Layer, network: Network, device: Device) -> str | None:
    """A dilated 1-D convolution, and a 1x1 kernel in or right behind streaming layers, run with zeros between their
    weights: not with binary weights or `bypass`, where no weight is 0."""
    if not (layer.binary or layer.bypass):
        return None
    beside = layer.streaming or any(index != INPUT and network.layers[index].streaming for index in layer.inputs)
    if layer.op == "conv1d" and layer.dilation > 1:
        return f"a dilation of {layer.dilation}"
    return "a 1x1 kernel" if layer.op == "conv2d" and layer.kernel == (1, 1) and beside else None


def pool_dilation_reach(layer: Layer, network: Network, device: Device) -> str | None:
    """The dilation of a pooling window is at most {pool_dilation}, and (window - 1) * dilation at most {pool_reach}."""
    reach = max(window_reach(layer.pool, layer.pool_dilation)) - 1
    wrong = reach > device.limits["pool_reach"] or max(layer.pool_dilation) > device.limits["pool_dilation"]
    return _dilated(layer) if wrong and layer.pool_dilation != (1, 1) else None


def pool_dilation_windows(layer: Layer, network: Network, device: Device) -> str | None:
    """A dilated pooling window of 3 or more samples is supported where the vendor's tool, which takes rows + dilation -
    1 for its extent, finds as many windows in the input as there are."""
    counted = tuple(
        (size - window - dilation + 1) // layer.pool_stride + 1
        for size, window, dilation in zip(
            (layer.in_shape.rows, layer.in_shape.cols), layer.pool, layer.pool_dilation, strict=True
        )
    )
    return _dilated(layer) if layer.pool_dilation != (1, 1) and counted != layer.pooled else None


def _dilated(layer: Layer) -> str:
    rows, cols = layer.pool_dilation
    return f"a window of {layer.pool[0]}x{layer.pool[1]} with a dilation of {rows}x{cols} in {layer.in_shape}"


def read_gap_once(layer: Layer, network: Network, device: Device) -> str | None:
    """`in_skip`/`read_gap` takes at most {processors} input channels, in HWC format, that another layer has written."""
    passes = passes_of(layer.in_shape.channels, device)[0]
    wrong = passes > 1 or INPUT in layer.inputs or layer.data_format == "CHW"
    return f"a gap of {layer.read_gap} in an input of {layer.in_shape}" if layer.read_gap and wrong else None


def readahead_memories(layer: Layer, network: Network, device: Device) -> str | None:
    """With `readahead` the YAML says where input and output lie, and that is in different physical memories, of
    {data_bank_bytes:#x} bytes each; if the layer streams, the inputs of the layers before it lie in others, too."""
    if not layer.readahead:
        return None
    if layer.out_offset is None or (layer.in_offset is None and layer.inputs != (INPUT,)):
        return "`readahead` without offsets"
    bank = device.memories["data"].bank_words * WORD_BYTES
    read = WORD_BYTES * layer.in_shape.pixels * passes_of(layer.in_shape.channels, device)[0] * layer.operands
    written = WORD_BYTES * layer.out_shape.pixels * passes_of(layer.out_shape.channels, device)[0]
    written *= layer.output_width // BYTE_BITS * (layer.write_gap + 1)
    if layer.streaming:
        read = written = 1  # circular buffers, of which only the place is stated
    start = layer.in_offset or 0
    inputs = range(start // bank, (start + read - 1) // bank + 1)
    outputs = range(layer.out_offset // bank, (layer.out_offset + written - 1) // bank + 1)
    if set(inputs) & set(outputs):
        return f"an input at {start:#x} and an output at {layer.out_offset:#x}"
    for earlier in network.layers[: layer.index] if layer.streaming else ():
        other = _input_offset(earlier, network)
        if other is None:
            return f"`readahead` while layer {earlier.label} streams, whose input has no offset"
        if other // bank == start // bank:
            return f"an input at {start:#x}, and that of layer {earlier.label} at {other:#x}"
    return None


def _input_offset(layer: Layer, network: Network) -> int | None:
    """Where a layer's input lies by the YAML, in bytes, the network's at 0 by default; None if nothing says so."""
    written = 0 if INPUT in layer.inputs else network.layers[layer.inputs[0]].out_offset
    return written if layer.in_offset is None else layer.in_offset


def eltwise_bias(layer: Layer, network: Network, device: Device) -> str | None:
    """A convolution of the result of an element-wise operation in the same layer has no bias."""
    biased = layer.bias is not None and layer.bias.any()
    return f"`{layer.eltwise}` and biases" if layer.operands > 1 and biased else None


def transposed_pooling(layer: Layer, network: Network, device: Device) -> str | None:
    """Not known, and so not supported: pooling in front of a transposed convolution in the same layer."""
    pooled = layer.pool != (1, 1) or layer.pool_stride > 1
    return f"pooling of {layer.pool[0]}x{layer.pool[1]}" if layer.op == "convtranspose2d" and pooled else None


def streamed_passthrough(layer: Layer, network: Network, device: Device) -> str | None:
    """Pass-through layers do not stream."""
    return "a pass-through layer with `streaming: true`" if layer.streaming and layer.op == "passthrough" else None


def conv1d_padding(layer: Layer, network: Network, device: Device) -> str | None:
    """A 1-D convolution with padding has at most {conv1d_pad_channels} input channels."""
    wrong = layer.op == "conv1d" and layer.pad[0] and layer.in_shape.channels > device.limits["conv1d_pad_channels"]
    return f"padding of {layer.pad[0]} with {layer.in_shape.channels} channels" if wrong else None


def _quadrants(device: Device) -> range:
    return range(device.geometry.quadrants)


ABILITY_RULES = (
    depthwise_groups,
    depthwise_processors,
    depthwise_wide,
    depthwise_bias,
    four_outputs,
    bypass_once,
    binary_passes,
    zeros_between,
    pool_dilation_reach,
    pool_dilation_windows,
    read_gap_once,
    readahead_memories,
    eltwise_bias,
    transposed_pooling,
    streamed_passthrough,
    conv1d_padding,
)
