"""The device, and others like it, made by changing numbers of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from offramp.configs.device import Device, build_device, device_file, load_device
from offramp.configs.lines import LineMap, load_yaml


def with_columns(columns: int) -> Device:
    """The device with fewer kernel columns."""
    device = load_device()
    memories = dict(device.memories)
    memories["weights"] = replace(memories["weights"], words=columns)
    return replace(device, memories=memories)


def changed(changes: Mapping[str, Any]) -> Device:
    """The device with other values in its file, by path: `{"memories.data.words": 4096}`."""
    data = load_yaml(device_file("MAX78000"))
    for path, value in changes.items():
        *sections, key = path.split(".")
        place = data
        for section in sections:
            place = place[section]
        place[key] = _mapping(value, data) if isinstance(value, dict) else value
    return build_device(data)


def _mapping(values: Mapping[Any, Any], data: LineMap) -> LineMap:
    found = LineMap(data.where)
    found.update({str(key): value for key, value in values.items()})
    return found


# Where everything lies: other bases and strides, the registers of a slot side by side.
MOVED = {
    "memories.data.base": 0x50900000,
    "memories.data.quadrant_stride": 0x1000000,
    "memories.data.instance_stride": 0x40000,
    "memories.weights.base": 0x50400000,
    "memories.weights.quadrant_stride": 0x1000000,
    "memories.weights.processor_stride": 0x20000,
    "memories.bias.base": 0x50180000,
    "memories.bias.quadrant_stride": 0x1000000,
    "memories.tram.base": 0x50200000,
    "memories.tram.quadrant_stride": 0x1000000,
    "memories.tram.processor_stride": 0x10000,
    "blocks.quadrant.base": 0x50000000,
    "blocks.quadrant.quadrant_stride": 0x1000000,
    "blocks.fifo.base": 0x54000000,
    "blocks.aon.base": 0x54001000,
    "blocks.layer.base": 0x50100000,
    "blocks.layer.quadrant_stride": 0x1000000,
    "blocks.layer.register_stride": 4,
    "blocks.layer.layer_stride": 0x100,
    "core.accelerator_bytes": 0x5000000,
}
# How much there is: more slots, longer memories, write pointers with gaps between instances, four longer processors.
LONGER = {
    **MOVED,
    "geometry.layers": 128,
    "registers.quadrant.LCNT_MAX.fields.last_layer.bits": "6:0",
    "memories.data.words": 20480,
    "memories.data.pointer_stride": 0x8000,
    "memories.weights.words": 1024,
    "memories.weights.words_of": {0: 1280, 16: 1280, 32: 1280, 48: 1280},
    "memories.bias.words": 2048,
    **{
        f"registers.layer.{name}.fields.{field}.bits": "20:0"
        for name, field in (
            ("WPTR_BASE", "pointer"),
            ("WPTR_TOFF", "step"),
            ("WPTR_MOFF", "step"),
            ("WPTR_CHOFF", "step"),
            ("RPTR_BASE", "word"),
        )
    },
}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "moved": MOVED,
    "longer": LONGER,
    "half as many processors": {"geometry.processors_per_quadrant": 8},
    "two quadrants": {"geometry.quadrants": 2},
    "columns of 12 bytes": {"memories.weights.word_bytes": 12, "memories.weights.start_multiple": 2},
}
