"""Registers of FIFO input and of streaming layers where registers count up to the last window (MAX78002).

Formulas: izer backend/max7800x.py, the branch of the newer streaming. Their effect on timing is known only from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from offramp.codegen.lower_common import PASSES_AHEAD, Registers
from offramp.planner.hardware.hw_layer import WORD_BYTES, HwLayer, ceil_div
from offramp.planner.hardware.streaming import row_buffer


@dataclass(frozen=True)
class _Steps:
    """Of a layer: `row`, `col`: rows and columns that a window or a step takes, whichever is more; `pad`: columns."""

    hw: HwLayer

    @property
    def stride(self) -> int:
        return 1 if self.hw.kind == "transposed" else self.hw.layer.pool_stride

    @property
    def row(self) -> int:
        return max(self.hw.layer.pool[0] * self.hw.layer.pool_dilation[0], self.stride)

    @property
    def col(self) -> int:
        return max(self.hw.layer.pool[1] * self.hw.layer.pool_dilation[1], self.stride)

    @property
    def pad(self) -> int:
        return self.hw.pad[1]

    @property
    def padded(self) -> int:
        return self.hw.cols + 2 * self.pad


def stream_registers(layers: Sequence[HwLayer], index: int, fifo: bool) -> Registers:
    """STRM0, STRM1, FBUF and TPTR of layer `index`, as far as FIFO or streaming set them."""
    hw = layers[index]
    if not fifo or not (hw.layer.streaming or index == 0):
        return {}
    if not hw.layer.streaming:
        words = hw.rows * hw.cols
        return {"STRM0": {"start": ceil_div(words, WORD_BYTES) if hw.layer.data_format == "CHW" else words}}
    return _first(hw) if index == 0 else _later(layers, index)


def _ahead(steps: _Steps) -> int:
    """Words of a window's rows, and of the columns beside it, that must be there."""
    words = (steps.row * steps.padded + steps.pad + 2 * steps.col) * steps.hw.operands
    return words + steps.stride * int(steps.hw.layer.readahead)


def _first(hw: HwLayer) -> Registers:
    steps, chw = _Steps(hw), hw.layer.data_format == "CHW"
    stride, single = steps.stride, steps.stride == hw.layer.pool[0] == 1
    whole = hw.cols // stride
    whole -= whole * stride + hw.layer.pool[1] - 1 > hw.cols
    skip = max(0, hw.cols - whole * stride)
    start = steps.col if single else _ahead(steps)
    delta = stride * hw.operands - int(single)
    rows = delta + skip if stride == 1 else (stride - 1) * hw.cols + skip + hw.layer.pool[1] - 1
    buffer = start + steps.col + (stride - 1) * steps.padded
    if chw:
        start, delta, rows = (ceil_div(words, WORD_BYTES) for words in (start, delta, rows))
        buffer *= WORD_BYTES * stride
    return {
        "STRM0": {"start": start},
        "STRM1": {"row_delta": delta, "multi_row_delta": rows + 1 if rows > 0 else 0},
        "FBUF": {"words": buffer},
    }


def _later(layers: Sequence[HwLayer], index: int) -> Registers:
    hw, steps = layers[index], _Steps(layers[index])
    stride, passes = steps.stride, hw.passes
    whole = hw.cols // steps.col
    whole -= whole * stride + hw.layer.pool[1] > hw.cols
    rest = 0 if steps.col == 1 else hw.cols - whole * steps.col
    last = not any(layer.layer.streaming for layer in layers[index + 1 :])
    start = (steps.pad or stride) * steps.padded + _ahead(steps) + (rest * stride if last else 0)
    delta = stride * hw.operands
    rows = delta + rest if stride == 1 else (stride - 1) * hw.cols + rest
    volume = sum(_counted_passes(one) for one in layers[:index])
    buffer = start + (passes - 1) * (steps.row * hw.cols + steps.pad + steps.col) + steps.col
    rows_before = sum(row_buffer(layer) * layer.passes for layer in layers[:index])
    return {
        "STRM0": {"start": start},
        "STRM1": {"input_volume": volume, "row_delta": delta, "multi_row_delta": rows},
        "FBUF": {"words": ceil_div(buffer, passes) * passes},
        "TPTR": {"start": rows_before, "last": row_buffer(hw) - 1 + rows_before},
    }


def _counted_passes(hw: HwLayer) -> int:
    return ceil_div(hw.passes, PASSES_AHEAD) * PASSES_AHEAD if hw.layer.tcalc else hw.passes
