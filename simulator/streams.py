"""Stream registers: how far a streaming layer runs behind the one before it (UG7456 27-39..27-41, izer max7800x.py).

The model computes a layer at a time, so these registers do not change its results; wrong ones would make the hardware
read words that are not there yet or gone. They follow from the geometry and are checked against it.
"""

from __future__ import annotations

from collections.abc import Sequence

from offramp.simulator.config import LayerConfig, Stream
from offramp.simulator.errors import field_error

NAMES = {
    "start": "STRM0.start",
    "input_volume": "STRM1.input_volume",
    "row_delta": "STRM1.row_delta",
    "multi_row_delta": "STRM1.multi_row_delta",
    "words": "FBUF.words",
    "row_buffer": "TPTR.start",
}
CHW_CIRCLE = 12  # words of the circular buffer of CHW input


def check_streams(layers: Sequence[LayerConfig]) -> None:
    """Stream registers of layer 0, which the FIFO feeds, and of the streaming layers after it.

    Raises AcceleratorError for the first field that does not fit, and for a streaming layer after one that is not.
    """
    for index, config in enumerate(layers):
        if config.streaming and index and not layers[index - 1].streaming:
            raise field_error(index, "FBUF.words", "not 0", f"layer {index - 1} does not stream")
        if config.stream is None or (index and not config.streaming):
            continue
        expected = _first(config) if index == 0 else _following(layers[: index + 1])
        for field, name in NAMES.items():
            found, wanted = getattr(config.stream, field), getattr(expected, field)
            if found != wanted:
                raise field_error(index, name, found, f"the geometry needs {wanted}")


def _first(config: LayerConfig) -> Stream:
    source, pooling = config.input, config.pooling
    if not config.streaming:
        words = source.words if source.parallel else source.rows * source.cols
        return Stream(pooling.rows * words, 0, 0, 0, 0, 0)
    start = pooling.rows * ((pooling.rows - 1) * source.cols + pooling.cols)
    return Stream(
        start=start,
        input_volume=0,
        row_delta=(pooling.stride - 1) * source.operands,
        multi_row_delta=(pooling.rows - 1) * source.cols * source.operands,
        words=_circle(config, start),
        row_buffer=0,
    )


def _following(layers: Sequence[LayerConfig]) -> Stream:
    *earlier, config = layers
    previous, pooling, operands = earlier[-1], config.pooling, config.input.operands
    kernel = previous.kernel
    width = previous.pooled_cols + (2 * kernel.pad_cols if kernel else 0)
    kernel_rows, kernel_cols = (kernel.rows, kernel.cols) if kernel else (1, 1)
    start = width * (kernel_rows + pooling.rows - 2) + kernel_cols + pooling.cols + 1
    return Stream(
        start=start,
        input_volume=sum(layer.input.passes for layer in earlier),
        row_delta=pooling.stride * operands,
        multi_row_delta=(pooling.stride - 1) * width + pooling.cols * operands,
        words=_circle(config, start),
        row_buffer=sum((layer.row_buffer + 1) * layer.input.passes for layer in earlier),
    )


def _circle(config: LayerConfig, start: int) -> int:
    """Words of the circular buffer; 0 if the layer does not stream."""
    if not config.streaming:
        return 0
    if config.input.parallel:
        return CHW_CIRCLE
    pooling, passes = config.pooling, config.input.passes
    step = 2 if config.kernel and config.kernel.transposed else 1
    words = start + (pooling.rows - 1) * config.input.cols + max(step, pooling.stride, pooling.cols)
    return -(-words // passes) * passes
