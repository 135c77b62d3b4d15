"""Stream registers of devices whose layers count the padded image (UG7456 27-39..27-41, izer max7800x.py)."""

from __future__ import annotations

from collections.abc import Sequence

from offramp.simulator.config import LayerConfig, Run, Stream

CHW_CIRCLE = 12  # words of the circular buffer of CHW input


def expected_stream(layers: Sequence[LayerConfig], index: int, run: Run) -> Stream:
    """What the stream registers of a layer must be; the first of the run's layers is layer 0."""
    del run
    return _following(layers[: index + 1]) if index else _first(layers[0])


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
