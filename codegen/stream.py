"""Registers of FIFO input and of streaming layers, whose rows flow from layer to layer through circular buffers.

Formulas: izer backend/max7800x.py (the branch for this device), UG7456 27-39 to 27-41. Their effect on timing is known
only from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.program import Fields
from planner.mapping import HwLayer, ceil_div

CHW_BUFFER = 12  # words of the circular buffer of a layer that reads CHW data


def stream_registers(layers: Sequence[HwLayer], index: int, fifo: bool) -> dict[str, Fields]:
    """STRM0, STRM1, FBUF and TPTR of layer `index`, as far as FIFO or streaming set them."""
    hw = layers[index]
    layer = hw.layer
    if not fifo or not (layer.streaming or index == 0):
        return {}
    start = _start(layers, index)
    values: dict[str, Fields] = {"STRM0": {"start": start}}
    if not layer.streaming:
        return values
    values["STRM1"] = _deltas(layers, index)
    buffer = ceil_div(start + (layer.pool[0] - 1) * hw.cols + max(1, layer.pool_stride, layer.pool[1]), hw.passes)
    values["FBUF"] = {"words": CHW_BUFFER if layer.data_format == "CHW" else buffer * hw.passes}
    if index > 0:
        before = sum(_row_buffer(one) * one.passes for one in layers[:index])
        values["TPTR"] = {"start": before, "last": _row_buffer(hw) - 1 + before}
    return values


def _start(layers: Sequence[HwLayer], index: int) -> int:
    """Words that must have arrived before the layer starts."""
    hw = layers[index]
    layer = hw.layer
    rows, cols = layer.pool
    if index > 0:
        width, before = _padded_width(layers[index - 1]), _kernel(layers[index - 1])
        return width * (before[0] - 1 + rows - 1) + before[1] - 1 + cols + 2
    if layer.streaming:
        return rows * ((rows - 1) * hw.cols + cols)
    words = hw.rows * hw.cols
    return rows * (ceil_div(words, 4) if layer.data_format == "CHW" else words)


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
        "multi_row_delta": (stride - 1) * _padded_width(layers[index - 1]) + layer.pool[1] * operands,
    }


def _padded_width(hw: HwLayer) -> int:
    return hw.pooled[1] + 2 * hw.pad[1]


def _kernel(hw: HwLayer) -> tuple[int, int]:
    return (3, 3) if hw.taps == 9 else hw.layer.kernel


def _row_buffer(hw: HwLayer) -> int:
    """Entries of a processor's row buffer that a layer takes for one pass."""
    return max(0, _padded_width(hw) - 2)
