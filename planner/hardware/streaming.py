"""Streaming layers: their rows flow from layer to layer through circular buffers instead of whole tensors.

Formulas: izer backend/max7800x.py, its branches for devices whose registers count the padded image (MAX78000) and for
those that count up to the last window (MAX78002, "new streaming"); UG7456 27-39 to 27-41. Their effect on timing is
known only from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from offramp.planner.hardware.hw_layer import PASSES_AHEAD, SQUARE, WORD_BYTES, HwLayer, ceil_div

CHW_BUFFER = 12  # words of the circular buffer of a layer that reads CHW data, where the image is counted


@dataclass(frozen=True)
class Stream:
    """How a layer runs behind the one before it, in words of its input.

    `start`: what must have arrived before it begins; `row_delta`, `multi_row_delta`: what it waits for after a column
    and after a row; `words`: of its circular buffer, in each instance. `input_volume`: input passes of all layers
    before it together.
    """

    start: int
    input_volume: int
    row_delta: int
    multi_row_delta: int
    words: int


STREAM_FIELDS = (
    ("STRM0", "start"),
    ("STRM1", "input_volume"),
    ("STRM1", "row_delta"),
    ("STRM1", "multi_row_delta"),
    ("FBUF", "words"),
)  # where a device has them, in the order of Stream


def stream_of(layers: Sequence[HwLayer], index: int) -> Stream:
    """Of the streaming layer `index` of a run."""
    if layers[index].device.layer_form == "image":
        return _image_stream(layers, index)
    return _following(layers, index) if index else _first(layers[0])


def stream_fields(stream: Stream) -> dict[tuple[str, str], int]:
    """The same by register and field."""
    return dict(zip(STREAM_FIELDS, astuple(stream), strict=True))


def frame_words(hw: HwLayer) -> int:
    """Words that a first layer waits for that reads the FIFO and does not stream."""
    if hw.device.layer_form == "window":
        return hw.input_words
    words = hw.rows * hw.cols
    return hw.layer.pool[0] * (ceil_div(words, WORD_BYTES) if hw.layer.data_format == "CHW" else words)


def row_buffer(hw: HwLayer) -> int:
    """Entries of a processor's row buffer that a layer takes for one pass."""
    if hw.kind not in ("conv3x3", "transposed"):
        return 1
    columns = 2 * hw.pooled[1] if hw.kind == "transposed" else hw.pooled[1]
    return max(0, columns + 2 * _padding(hw) - 3) + 1


def _padding(hw: HwLayer) -> int:
    """Columns of padding on each side, as the hardware counts them."""
    return 2 - hw.pad[1] if hw.kind == "transposed" else hw.pad[1]


# Where registers count the padded image


def _image_stream(layers: Sequence[HwLayer], index: int) -> Stream:
    hw = layers[index]
    (rows, cols), stride = hw.layer.pool, hw.layer.pool_stride
    if index == 0:
        start, volume = rows * ((rows - 1) * hw.cols + cols), 0
        row, several = (stride - 1) * hw.operands, (rows - 1) * hw.cols * hw.operands
    else:
        down, across = _kernel(layers[index - 1])
        width = layers[index - 1].pooled[1] + 2 * _padding(layers[index - 1])
        start = width * (down - 1 + rows - 1) + across - 1 + cols + 2
        volume = sum(one.passes for one in layers[:index])
        row, several = stride * hw.operands, (stride - 1) * width + cols * hw.operands
    step = 2 if hw.kind == "transposed" else 1
    words = start + (rows - 1) * hw.cols + max(step, stride, cols)
    words = CHW_BUFFER if hw.layer.data_format == "CHW" else ceil_div(words, hw.passes) * hw.passes
    return Stream(start, volume, row, several, words)


def _kernel(hw: HwLayer) -> tuple[int, int]:
    return (3, 3) if hw.taps == SQUARE else hw.layer.kernel


# Where registers count up to the last window


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
        return _padding(self.hw)

    @property
    def padded(self) -> int:
        return self.hw.cols + 2 * self.pad


def _ahead(steps: _Steps) -> int:
    """Words of a window's rows, and of the columns beside it, that must be there."""
    words = (steps.row * steps.padded + steps.pad + 2 * steps.col) * steps.hw.operands
    return words + steps.stride * int(steps.hw.layer.readahead)


def _first(hw: HwLayer) -> Stream:
    steps, chw = _Steps(hw), hw.layer.data_format == "CHW"
    stride, single = steps.stride, steps.stride == hw.layer.pool[0] == 1
    whole = hw.cols // stride
    whole -= whole * stride + hw.layer.pool[1] - 1 > hw.cols
    skip = max(0, hw.cols - whole * stride)
    start = steps.col if single else _ahead(steps)
    delta = stride * hw.operands - int(single)
    rows = delta + skip if stride == 1 else (stride - 1) * hw.cols + skip + hw.layer.pool[1] - 1
    words = start + steps.col + (stride - 1) * steps.padded
    if chw:
        start, delta, rows = (ceil_div(pixels, WORD_BYTES) for pixels in (start, delta, rows))
        words *= WORD_BYTES * stride
    return Stream(start, 0, delta, rows + 1 if rows > 0 else 0, words)


def _following(layers: Sequence[HwLayer], index: int) -> Stream:
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
    words = start + (passes - 1) * (steps.row * hw.cols + steps.pad + steps.col) + steps.col
    return Stream(start, volume, delta, rows, ceil_div(words, passes) * passes)


def _counted_passes(hw: HwLayer) -> int:
    return ceil_div(hw.passes, PASSES_AHEAD) * PASSES_AHEAD if hw.layer.tcalc else hw.passes
