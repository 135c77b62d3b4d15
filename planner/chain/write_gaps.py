"""Write gaps that a network's YAML leaves open."""

from __future__ import annotations

from dataclasses import replace

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.hardware.hw_layer import passes_of
from offramp.planner.ir.network import INPUT, Layer, Network


def with_gaps(network: Network, device: Device) -> Network:
    """Producers of operands, and of the passes of a wide concatenation, leave room for the others."""
    gaps: dict[int, int] = {}
    for layer in network.layers:
        step = interleave(layer, device)
        for tensor in layer.inputs if step > 1 else ():
            if tensor != INPUT and not network.layers[tensor].write_gap:
                gaps[tensor] = step - 1
    layers = tuple(replace(layer, write_gap=gaps.get(layer.index, layer.write_gap)) for layer in network.layers)
    for layer in layers:
        for reader in network.consumers(layer.index) if layer.index in gaps else ():
            if interleave(reader, device) != layer.write_gap + 1:
                message = f"layer {reader.index} reads what layer {layer.index} writes, and so does an element-wise one"
                raise InputError(
                    Diagnostic(reader.where, f"{message}: only one of them finds it where it looks; copy it")
                )
    return replace(network, layers=layers)


def interleave(layer: Layer, device: Device) -> int:
    """How many tensors lie in turn, word by word, in what a layer reads."""
    if len(layer.inputs) < 2 or layer.join == "pixels":
        return 1
    return layer.operands if layer.operands > 1 else passes_of(layer.in_shape.channels, device)[0]
