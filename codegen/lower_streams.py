"""Registers of FIFO input and of streaming layers."""

from __future__ import annotations

from collections.abc import Sequence

from offramp.codegen.lower_common import Registers
from offramp.planner.hardware.hw_layer import HwLayer
from offramp.planner.hardware.streaming import frame_words, row_buffer, stream_fields, stream_of


def stream_registers(layers: Sequence[HwLayer], index: int, fifo: bool) -> Registers:
    """STRM0, STRM1, FBUF and TPTR of layer `index` of a run, as far as FIFO or streaming set them."""
    hw = layers[index]
    if not fifo or not (hw.layer.streaming or index == 0):
        return {}
    if not hw.layer.streaming:
        return {"STRM0": {"start": frame_words(hw)}}
    fields = stream_fields(stream_of(layers, index))
    values: Registers = {
        register: {field: value for (one, field), value in fields.items() if one == register}
        for register in ("STRM0", "STRM1", "FBUF")
    }
    if index > 0:
        before = sum(row_buffer(layer) * layer.passes for layer in layers[:index])
        values["TPTR"] = {"start": before, "last": row_buffer(hw) - 1 + before}
    return values
