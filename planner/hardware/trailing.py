"""Whether a layer may write where its own input lies: only where its write pointer trails its read pointer.

The accelerator fetches pooled pixels row by row, each once, into the row buffer, and writes an output pixel as soon as
the last pixel that its kernel covers has been fetched (UG7456 chapter 27, ai8x-synthesis latency.py).
"""

from __future__ import annotations

import numpy as np

from offramp.configs.device import Word
from offramp.planner.hardware.hw_layer import HwLayer

KERNELS = {"conv3x3": (3, 3), "conv1x1": (1, 1), "passthrough": (1, 1)}


def trails(hw: HwLayer, read: Word, write: Word) -> bool:
    """Whether no word that the layer writes from `write` on is one that it has yet to read, from `read` on.

    False for layers that read in another order: transposed and flattening ones, CHW data, passes folded into rows.
    """
    layer = hw.layer
    other_order = layer.streaming or layer.data_format == "CHW" or hw.folded or hw.surplus > 0
    kernel = (hw.taps, 1) if hw.kind == "conv1d" else KERNELS.get(hw.kind)
    if other_order or kernel is None:
        return False
    rows, cols = hw.pooled
    row, col = np.mgrid[0 : hw.out_rows, 0 : hw.out_cols].reshape(2, -1)
    # The pooled pixel that is fetched next when an output pixel is written.
    next_row = row + kernel[0] - 1 - hw.pad[0]
    next_col = np.maximum(col + kernel[1] - hw.pad[1], 0)
    wraps = next_col >= cols
    next_row, next_col = np.where(wraps, next_row + 1, next_row), np.where(wraps, 0, next_col)
    nothing = next_row < 0
    next_row, next_col = np.where(nothing, 0, next_row), np.where(nothing, 0, next_col)
    pixel = (next_row * hw.cols + next_col) * layer.pool_stride
    needed = read + pixel * hw.pixel_words
    output = np.arange(len(row))
    last = write + (((output + 1) * hw.expansion - 1) * (layer.write_gap + 1) + 1) * hw.word_factor - 1
    return bool(np.all((last < needed) | (next_row >= rows)))
