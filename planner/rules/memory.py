"""Rules about a layer's data, weights and processors. Each rule returns what it found, or None if all is well.

Source of the rules: README of analogdevicesinc/ai8x-synthesis, "Limitations of MAX78000 Networks", "Data Memory", and
the checks in its izer/backend/max7800x.py; the numbers are in the device file.
"""

from __future__ import annotations

from offramp.configs.device import Device
from offramp.planner.hardware.hw_layer import (
    BYTE_BITS,
    WORD_BYTES,
    ceil_div,
    passes_of,
    quadrant_slice,
    runs_folded,
    set_bits,
)
from offramp.planner.ir.network import INPUT, Layer, Network, ProcessorMap


def offsets(layer: Layer, network: Network, device: Device) -> str | None:
    """Offsets in data memory are multiples of 4 below {instance_bytes:#x}."""
    given = [offset for offset in (layer.in_offset, layer.out_offset) if offset is not None]
    wrong = [offset for offset in given if offset % WORD_BYTES or offset >= device.instance_bytes]
    return f"an offset of {wrong[0]:#x}" if wrong else None


def input_memory(layer: Layer, network: Network, device: Device) -> str | None:
    """An input of a layer that does not stream fits one data memory instance of {instance_bytes} bytes from its offset
    on: 4 bytes for each pixel, pass and operand, or 1 byte for each pixel in CHW format."""
    pixels = layer.in_shape.pixels
    passes = passes_of(layer.in_shape.channels, device)[0]
    words = pixels * passes * layer.operands * (layer.read_gap + 1)
    size = pixels if layer.data_format == "CHW" else WORD_BYTES * words
    wrong = not layer.streaming and size + (layer.in_offset or 0) > device.instance_bytes
    return f"an input of {layer.in_shape} ({size} bytes) at {layer.in_offset or 0:#x}" if wrong else None


def output_memory(layer: Layer, network: Network, device: Device) -> str | None:
    """An output that does not stream into the next layer fits one data memory instance of {instance_bytes} bytes from
    its offset on: 4 bytes (32-bit: 16) for each pixel and pass, and as much for each word of `write_gap`."""
    pixels = layer.out_shape.pixels
    if runs_folded(layer, device):
        pixels = ceil_div(layer.in_shape.rows, layer.dilation) * layer.dilation
    words = (pixels * passes_of(layer.out_shape.channels, device)[0] - 1) * (layer.write_gap + 1) + 1
    size = WORD_BYTES * words * layer.output_width // BYTE_BITS
    following = network.layers[layer.index + 1 : layer.index + 2]
    streamed = layer.streaming and bool(following) and following[0].streaming
    wrong = not streamed and size + (layer.out_offset or 0) > device.instance_bytes
    return f"an output of {layer.out_shape} ({size} bytes) at {layer.out_offset or 0:#x}" if wrong else None


def folded_offset(layer: Layer, network: Network, device: Device) -> str | None:
    """A 1-D convolution with a kernel of 3 that spans more than {conv1d_kernel} samples writes 4 bytes (32-bit results:
    16) for each step of its dilation and each pass, times (`write_gap` + 1), in front of its output: `out_offset` must
    leave room for them."""
    passes = passes_of(layer.out_shape.channels, device)[0]
    words = layer.output_width // BYTE_BITS * layer.dilation * passes * (layer.write_gap + 1)
    surplus = WORD_BYTES * words
    wrong = runs_folded(layer, device) and layer.kernel[0] == 3 and layer.out_offset is not None
    return f"`out_offset` of {layer.out_offset:#x}" if wrong and (layer.out_offset or 0) < surplus else None


def write_step(layer: Layer, network: Network, device: Device) -> str | None:
    """Output passes times (`write_gap` + 1) is at most {write_step}."""
    step = passes_of(layer.out_shape.channels, device)[0] * (layer.write_gap + 1)
    return (
        f"{layer.out_shape.channels} channels with a gap of {layer.write_gap}"
        if step > device.limits["write_step"]
        else None
    )


def kernel_columns(layer: Layer, network: Network, device: Device) -> str | None:
    """The kernels of a layer fit the {columns} columns of {column_bytes} bytes that each processor has: one kernel for
    each output channel and input pass (flattening: and pixel)."""
    if not layer.has_weights or layer.bypass:
        return None
    taps = layer.kernel[0] * layer.kernel[1]
    if layer.dilation > 1:
        taps = min((taps - 1) * layer.dilation + 1, device.limits["conv1d_kernel"])
    passes, per_pass = passes_of(layer.out_shape.channels, device)
    kernels = passes * per_pass * passes_of(layer.in_shape.channels, device)[0]
    kernels *= layer.in_shape.pixels if layer.flatten else 1
    kernels = passes if layer.depthwise else kernels
    columns = ceil_div(kernels * taps * layer.weight_bits, BYTE_BITS * device.memories["weights"].word_bytes)
    return f"{kernels} kernels ({columns} columns)" if columns > device.common_columns(layer.processors) else None


def input_processors(layer: Layer, network: Network, device: Device) -> str | None:
    """A layer has as many processors as input channels in a pass (up to {processors}; beyond that, the channels of a
    pass rounded up to a multiple of {lanes})."""
    return _count(layer.processors, layer.in_shape.channels, "input", device)


def output_processors(layer: Layer, network: Network, device: Device) -> str | None:
    """A layer has as many output processors as output channels in a pass (up to {processors}; beyond that, the channels
    of a pass rounded up to a multiple of {lanes}). Without `output_processors` they are the next layer's
    `processors`."""
    return _count(layer.output_processors, layer.out_shape.channels, "output", device)


def _count(processors: ProcessorMap, channels: int, side: str, device: Device) -> str | None:
    wanted = passes_of(channels, device)[1]
    if not processors or processors.bit_count() == wanted:
        return None
    return f"{side} processors {processors:#018x} are {processors.bit_count()}, but {channels} channels take {wanted}"


def passthrough_processors(layer: Layer, network: Network, device: Device) -> str | None:
    """In a pass-through layer the output processors of each quadrant are adjacent, from one whose number is a multiple
    of {lanes} on, and as many as its processors."""
    if layer.op != "passthrough" or not layer.processors or not layer.output_processors:
        return None
    for quadrant in range(device.geometry.quadrants):
        count = quadrant_slice(layer.processors, quadrant, device).bit_count()
        bits = set_bits(quadrant_slice(layer.output_processors, quadrant, device))
        lanes = device.geometry.processors_per_instance
        if len(bits) != count or (bits and (bits[0] % lanes or bits[-1] - bits[0] + 1 != count)):
            return f"processors {layer.processors:#018x}, output processors {layer.output_processors:#018x}"
    return None


def chw_input(layer: Layer, network: Network, device: Device) -> str | None:
    """CHW is for the network's input in the first layer only, in one pass (flattening takes one for each pixel) and
    with one operand."""
    plain = (
        layer.index == 0
        and layer.inputs == (INPUT,)
        and layer.operands == 1
        and layer.in_shape.channels <= device.geometry.instances
    )
    plain = plain and not (layer.flatten and layer.pooled != (1, 1))
    return f"`data_format: CHW` for {layer.in_shape}" if layer.data_format == "CHW" and not plain else None


def chw_processors(layer: Layer, network: Network, device: Device) -> str | None:
    """Channels of an input in CHW format lie in data memory instances of their own: of each four processors only the
    first is used."""
    wrong = [bit for bit in set_bits(layer.processors) if bit % device.geometry.processors_per_instance]
    return f"processors {layer.processors:#018x}" if layer.data_format == "CHW" and wrong else None


MEMORY_RULES = (
    offsets,
    input_memory,
    output_memory,
    folded_offset,
    write_step,
    kernel_columns,
    input_processors,
    output_processors,
    passthrough_processors,
    chw_input,
    chw_processors,
)
