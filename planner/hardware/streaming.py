"""Streaming layers: their rows flow from layer to layer through circular buffers instead of whole tensors.

Formulas: izer backend/max7800x.py (the branch for this device), UG7456 27-39 to 27-41. Their effect on timing is known
only from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from offramp.planner.hardware.hw_layer import SQUARE, WORD_BYTES, HwLayer, ceil_div

CHW_BUFFER = 12  # words of the circular buffer of a layer that reads CHW data


def start_words(layers: Sequence[HwLayer], index: int) -> int:
    """Words that must have arrived before layer `index` of a run starts."""
    hw = layers[index]
    rows, cols = hw.layer.pool
    if index > 0:
        down, across = _kernel(layers[index - 1])
        return padded_width(layers[index - 1]) * (down - 1 + rows - 1) + across - 1 + cols + 2
    if hw.layer.streaming:
        return rows * ((rows - 1) * hw.cols + cols)
    words = hw.rows * hw.cols
    return rows * (ceil_div(words, WORD_BYTES) if hw.layer.data_format == "CHW" else words)


def buffer_words(layers: Sequence[HwLayer], index: int) -> int:
    """Words of the circular buffer that the streaming layer `index` reads, in each instance."""
    hw = layers[index]
    if hw.layer.data_format == "CHW":
        return CHW_BUFFER
    step = 2 if hw.kind == "transposed" else 1
    ahead = (hw.layer.pool[0] - 1) * hw.cols + max(step, hw.layer.pool_stride, hw.layer.pool[1])
    return ceil_div(start_words(layers, index) + ahead, hw.passes) * hw.passes


def padded_width(hw: HwLayer) -> int:
    """Columns of a layer's pooled input with its padding, without the zeros that a transposed convolution puts in."""
    return hw.pooled[1] + 2 * _padding(hw)


def row_buffer(hw: HwLayer) -> int:
    """Entries of a processor's row buffer that a layer takes for one pass."""
    if hw.kind not in ("conv3x3", "transposed"):
        return 1
    columns = 2 * hw.pooled[1] if hw.kind == "transposed" else hw.pooled[1]
    return max(0, columns + 2 * _padding(hw) - 3) + 1


def _padding(hw: HwLayer) -> int:
    """Columns of padding on each side, as the hardware counts them."""
    return 2 - hw.pad[1] if hw.kind == "transposed" else hw.pad[1]


def _kernel(hw: HwLayer) -> tuple[int, int]:
    return (3, 3) if hw.taps == SQUARE else hw.layer.kernel
