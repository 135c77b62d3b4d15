"""Stream registers of devices whose layers count up to the last pooling window (izer max7800x.py, new streaming)."""

from __future__ import annotations

from collections.abc import Sequence

from offramp.simulator.config import LayerConfig, Run, Stream

PIXELS_PER_WORD = 4  # CHW
PASSES_AHEAD = 4  # passes that are read ahead at a time, with POST.tcalc


def expected_stream(layers: Sequence[LayerConfig], index: int, run: Run) -> Stream:
    """What the stream registers of a layer must be; the first of the run's layers is layer 0."""
    if index:
        return _following(layers, index)
    return _first(layers[0], run)


def _first(config: LayerConfig, run: Run) -> Stream:
    source, pooling = config.input, config.pooling
    if not config.streaming:
        start = config.stream.start if config.stream else 0  # compared with the frame, whose rows are not known here
        return Stream(start, 0, 0, 0, 0, 0)
    stride, alone = pooling.stride, pooling.stride == pooling.rows == 1
    _, across = _steps(config)
    whole = source.cols // stride
    whole -= whole * stride + pooling.cols - 1 > source.cols
    skipped = max(0, source.cols - whole * stride)
    start = across if alone else _window(config)
    row = stride * source.operands - alone
    rows = row + skipped if stride == 1 else (stride - 1) * source.cols + skipped + pooling.cols - 1
    words = start + across + (stride - 1) * _width(config)
    if source.parallel:
        words *= PIXELS_PER_WORD * stride
        start, row, rows = (-(-value // PIXELS_PER_WORD) for value in (start, row, rows))
    return Stream(start, 0, row, rows + (run.pipeline and rows > 0), words, 0)


def _following(layers: Sequence[LayerConfig], index: int) -> Stream:
    config, earlier = layers[index], layers[:index]
    source, pooling, kernel = config.input, config.pooling, config.kernel
    stride, pad = pooling.stride, kernel.pad_cols if kernel else 0
    down, across = _steps(config)
    whole = source.cols // across
    whole -= whole * stride + pooling.cols > source.cols
    rest = source.cols - whole * across if across > 1 else 0
    last = index + 1 == len(layers) or not layers[index + 1].streaming
    start = (pad or stride) * _width(config) + _window(config) + (rest * stride if last else 0)
    words = start + (source.passes - 1) * (down * source.cols + pad + across) + across
    row = stride * source.operands
    return Stream(
        start=start,
        input_volume=sum(_passes(layer) for layer in earlier),
        row_delta=row,
        multi_row_delta=row + rest if stride == 1 else (stride - 1) * source.cols + rest,
        words=-(-words // source.passes) * source.passes if config.streaming else 0,
        row_buffer=sum((layer.row_buffer + 1) * layer.input.passes for layer in earlier),
    )


def _steps(config: LayerConfig) -> tuple[int, int]:
    """Rows and columns that a pooling window takes."""
    pooling = config.pooling
    sizes = (pooling.rows * pooling.dilation[0], pooling.cols * pooling.dilation[1])
    return max(sizes[0], pooling.stride), max(sizes[1], pooling.stride)


def _width(config: LayerConfig) -> int:
    """Columns of the padded image."""
    return config.input.cols + (2 * config.kernel.pad_cols if config.kernel else 0)


def _window(config: LayerConfig) -> int:
    """Words until the first window is there."""
    down, across = _steps(config)
    pad = config.kernel.pad_cols if config.kernel else 0
    ahead = config.pooling.stride if config.input.ahead else 0
    return (down * _width(config) + pad + 2 * across) * config.input.operands + ahead


def _passes(layer: LayerConfig) -> int:
    passes = layer.input.passes
    return -(-passes // PASSES_AHEAD) * PASSES_AHEAD if layer.input.ahead_in_passes else passes
