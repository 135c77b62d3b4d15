"""The order in which layers run: that of the file, unless `next_sequence` or a start layer say otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.ai8x.description import Description, LayerDescription, find_layer

STOP = (-1, "stop")


def in_order(description: Description, start: int, device: Device) -> Description:
    """The layers that run, in their order, `start` being the number of the first one. InputError if it is not there, if
    a layer names one that is not, or runs twice. Without links, or anything stated, all of them run as they stand."""
    links = any("next_sequence" in layer.entry for layer in description.layers)
    if start >= len(description.layers):
        message = f"the first layer is to be {start}; the network has {len(description.layers)}"
        raise InputError(Diagnostic(description.where, message))
    if "links" not in device.features or (not links and not start):
        return description
    order = [start]
    while (following := _after(description.layers[order[-1]], description)) is not None:
        if following in order:
            layer = description.layers[order[-1]]
            message = f"{layer.label}: after it layer {following} runs again; each layer runs once"
            raise InputError(Diagnostic(layer.entry.at("next_sequence"), message))
        order.append(following)
    return replace(description, layers=tuple(_moved(description.layers, order)))


def _after(layer: LayerDescription, description: Description) -> int | None:
    """Number of the layer that runs after one; None after the last."""
    stated = layer.entry["next_sequence"]
    if stated is None:
        return layer.number + 1 if layer.number + 1 < len(description.layers) else None
    if stated in STOP or str(stated).lower() == "stop":
        return None
    found = find_layer(description, stated)
    if found is None:
        message = f"{layer.label}: `next_sequence: {stated}`; there is no such layer"
        raise InputError(Diagnostic(layer.entry.at("next_sequence"), message))
    return found


def _moved(layers: Sequence[LayerDescription], order: Sequence[int]) -> list[LayerDescription]:
    return [replace(layers[number], index=index) for index, number in enumerate(order)]
