"""Registers of FIFO input and of streaming layers."""

from __future__ import annotations

from collections.abc import Sequence

from offramp.codegen.program import Fields
from offramp.planner.hardware.hw_layer import HwLayer
from offramp.planner.hardware.streaming import buffer_words, padded_width, row_buffer, start_words


def stream_registers(layers: Sequence[HwLayer], index: int, fifo: bool) -> dict[str, Fields]:
    """STRM0, STRM1, FBUF and TPTR of layer `index`, as far as FIFO or streaming set them."""
    hw = layers[index]
    if not fifo or not (hw.layer.streaming or index == 0):
        return {}
    values: dict[str, Fields] = {"STRM0": {"start": start_words(layers, index)}}
    if not hw.layer.streaming:
        return values
    values["STRM1"] = _deltas(layers, index)
    values["FBUF"] = {"words": buffer_words(layers, index)}
    if index > 0:
        before = sum(row_buffer(layer) * layer.passes for layer in layers[:index])
        values["TPTR"] = {"start": before, "last": row_buffer(hw) - 1 + before}
    return values


def _deltas(layers: Sequence[HwLayer], index: int) -> Fields:
    """Words that the layer waits for after each column and each row."""
    hw = layers[index]
    layer = hw.layer
    stride, operands = layer.pool_stride, hw.operands
    if index == 0:
        return {"row_delta": (stride - 1) * operands, "multi_row_delta": (layer.pool[0] - 1) * hw.cols * operands}
    return {
        "input_volume": sum(one.passes for one in layers[:index]),
        "row_delta": stride * operands,
        "multi_row_delta": (stride - 1) * padded_width(layers[index - 1]) + layer.pool[1] * operands,
    }
