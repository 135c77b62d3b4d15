"""One layer: fetch, element-wise and pooling, then convolution or pass-through, then store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator import arithmetic
from offramp.simulator.config import Kernel, LayerConfig, Output, Pooling, Quadrant
from offramp.simulator.fetch import Kernels, Pixels, fetch_pixels
from offramp.simulator.memory import DataMemory
from offramp.simulator.store import Results, store_results

Bytes = NDArray[np.int8]


@dataclass(frozen=True)
class Memories:
    """Where a layer reads and writes: the data memory, or a stream between two streaming layers."""

    source: DataMemory
    target: DataMemory


def run_layer(config: LayerConfig, memories: Memories, kernels: Kernels | None, device: Device) -> None:
    """Execute one layer; everything is read before the first result is stored."""
    if config.kernel and kernels:
        results = [_convolve(config, config.kernel, kernels, fetch_pixels(memories.source, config, device))]
    else:
        results = [
            _copy(config, quadrant, fetch_pixels(memories.source, config, device, quadrant.processors))
            for quadrant in config.quadrants
            if quadrant.processors
        ]
    for result in results:
        store_results(memories.target, result, config, device)


def _convolve(config: LayerConfig, kernel: Kernel, kernels: Kernels, pixels: Pixels) -> Results:
    values = convolution(prepare(pixels.values, config), config, kernel, kernels)
    undefined = None
    if not kernels.defined.all():
        undefined = np.broadcast_to(~kernels.defined, values.shape)
    if pixels.undefined is not None:
        touched = pool(pixels.undefined.view(np.int8), replace(config.pooling, average=False))
        used = np.asarray(kernels.matrices.any(axis=(1, 2)), dtype=np.float32)  # a weight of 0 takes no part
        reached = correlate(touched[:, :, None], kernel, used[:, None, None]) > 0
        undefined = np.broadcast_to(reached, values.shape) if undefined is None else undefined | reached
    cause = pixels.cause or kernels.cause
    return Results(config.quadrants[0], values, undefined, cause)


def _copy(config: LayerConfig, writer: Quadrant, pixels: Pixels) -> Results:
    values = prepare(pixels.values, config).reshape(-1, pixels.values.shape[-1])
    undefined = None
    if pixels.undefined is not None:
        touched = pool(pixels.undefined.view(np.int8), replace(config.pooling, average=False)) > 0
        undefined = np.broadcast_to(np.repeat(touched.reshape(-1), config.input.passes)[:, None], values.shape)
    return Results(writer, values, undefined, pixels.cause)


def prepare(pixels: Bytes, config: LayerConfig) -> Bytes:
    """Element-wise and pooling, in the layer's order: int8 (rows, cols, passes, processors)."""
    op = config.input.op
    if op is None:
        return pool(pixels, config.pooling)[:, :, :, 0]
    if config.input.pool_first:
        return arithmetic.combine(op, pool(pixels, config.pooling), axis=3)
    return pool(arithmetic.combine(op, pixels, axis=3), config.pooling)


def pool(pixels: Bytes, pooling: Pooling) -> Bytes:
    """Pool the first two axes; windows that do not fit are dropped."""
    rows = pooling.pooled(pixels.shape[0], pooling.rows)
    cols = pooling.pooled(pixels.shape[1], pooling.cols)
    stride = pooling.stride
    taps = [
        pixels[row : row + (rows - 1) * stride + 1 : stride, col : col + (cols - 1) * stride + 1 : stride]
        for row in range(pooling.rows)
        for col in range(pooling.cols)
    ]
    if len(taps) == 1:
        return taps[0]
    if not pooling.average:
        largest: Bytes = np.maximum.reduce(taps)
        return largest
    total = np.zeros(taps[0].shape, dtype=np.int32)
    for tap in taps:
        total += tap
    average = arithmetic.average_rounded if pooling.round else arithmetic.average_truncated
    return average(total, len(taps))


def convolution(pixels: Bytes, config: LayerConfig, kernel: Kernel, kernels: Kernels) -> NDArray[Any]:
    """Correlate, add the bias, scale and activate: (pixels, slots), int8, or int32 if the output is wide."""
    total = correlate(pixels.reshape(*pixels.shape[:2], -1), kernel, kernels.matrices)
    total = arithmetic.add_bias(total, kernels.bias)
    if config.output.wide:
        return total.astype(np.int32)
    return activate(arithmetic.saturate(arithmetic.scale(total, config.output.shift)), config.output)


def activate(values: Bytes, output: Output) -> Bytes:
    """POST.absolute wins over LCTRL0.relu."""
    if output.absolute:
        return arithmetic.absolute(values)
    return arithmetic.relu(values) if output.relu else values


def correlate(pixels: Bytes, kernel: Kernel, matrices: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """Cross-correlation of (rows, cols, inputs) with (taps, inputs, slots): int64 (output pixels, slots).

    The padded image is one long row of pixels; a tap is the same row shifted, so every tap is one product of matrices
    without a copy. Columns that wrap around a row's end are cut off.
    """
    image = _padded(pixels, kernel, matrices.dtype)
    height, width, inputs = image.shape
    rows, cols = height - kernel.rows + 1, width - kernel.cols + 1
    flat = image.reshape(-1, inputs)
    count = (rows - 1) * width + cols
    total = np.empty((rows * width, matrices.shape[2]), dtype=matrices.dtype)
    used = total[:count]
    for tap, matrix in enumerate(matrices):
        start = tap // kernel.cols * width + tap % kernel.cols
        if tap == 0:
            np.matmul(flat[:count], matrix, out=used)
        else:
            used += flat[start : start + count] @ matrix
    inside = total.reshape(rows, width, -1)[:, :cols]
    return inside.astype(np.int64).reshape(rows * cols, -1)


def _padded(pixels: Bytes, kernel: Kernel, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The image the kernel moves over; a transposed convolution has a zero after every sample and every row."""
    rows, cols, inputs = pixels.shape
    step = 2 if kernel.transposed else 1
    top, left = kernel.pad_rows, kernel.pad_cols
    image = np.zeros((rows * step + 2 * top, cols * step + 2 * left, inputs), dtype=dtype)
    image[top : top + rows * step : step, left : left + cols * step : step] = pixels
    return image
