"""Rules about rolling data buffers. Each rule returns what it found, or None if all is well.

Source of the rules: README of analogdevicesinc/ai8x-synthesis, "Rolling Buffers", and izer/backend/max7800x.py. What
part of a buffer a layer reads or writes is decided where its YAML is read (planner/ai8x/buffer_windows.py).
"""

from __future__ import annotations

from offramp.configs.device import Device
from offramp.planner.hardware.hw_layer import runs_folded
from offramp.planner.ir.network import Layer, Network


def buffer_processors(layer: Layer, network: Network, device: Device) -> str | None:
    """What reads a data buffer has its processors, and what writes to it writes for them."""
    if layer.source and layer.processors != network.buffer(layer.source).processors:
        return f"processors {layer.processors:#x}, data buffer on {network.buffer(layer.source).processors:#x}"
    into = network.buffer(layer.target.buffer) if layer.target else None
    wrong = into and layer.output_processors != into.processors
    return (
        f"output processors {layer.output_processors:#x}, data buffer on {into.processors:#x}"
        if into and wrong
        else None
    )


def buffer_rows(layer: Layer, network: Network, device: Device) -> str | None:
    """`buffer_shift` is a pass-through layer without pooling that moves all rows of a data buffer but the first ones to
    its start; `buffer_insert` writes whole rows of 8 bits to its end, and nothing else, which a dilated 1-D convolution
    that spans more than {conv1d_kernel} samples cannot. Other layers read neighbouring pixels of it, all channels of
    them."""
    wrong = layer.target and runs_folded(layer, device)
    return f"`buffer_insert` with a dilation of {layer.dilation}" if wrong else None


BUFFER_RULES = (buffer_processors, buffer_rows)
