"""One layer: fetch, element-wise and pooling, then convolution or pass-through, then store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator import arithmetic
from offramp.simulator.config import Kernel, LayerConfig, Output, Pooling, Quadrant
from offramp.simulator.errors import AcceleratorError
from offramp.simulator.fetch import Kernels, fetch_pixels, name_undefined
from offramp.simulator.memory import DataMemory
from offramp.simulator.store import Results, store_results

Bytes = NDArray[np.int8]


@dataclass(frozen=True)
class Memories:
    """Where a layer reads and writes: the data memory, or a stream between two streaming layers."""

    source: DataMemory
    target: DataMemory


def run_layer(config: LayerConfig, memories: Memories, kernels: Kernels | None, device: Device) -> None:
    """Execute one layer that is not depthwise; everything is read before the first result is stored.

    A result that depends on a byte that was never written is undefined; a kernel of 0 depends on nothing. Raises
    AcceleratorError where a convolution's result that is used depends on one.
    """
    if config.kernel and kernels:
        results = [_convolve(config, config.kernel, kernels, memories.source, device)]
    else:
        results = [_copy(config, quadrant, memories.source, device) for quadrant in config.writers]
    for result in results:
        store_results(memories.target, result, config, device)


def _convolve(config: LayerConfig, kernel: Kernel, kernels: Kernels, memory: DataMemory, device: Device) -> Results:
    pixels = fetch_pixels(memory, config, device)
    values = convolution(prepare(pixels.values, config), config, kernel, kernels)
    undefined, causes = ~kernels.defined, [cause and f"depends on {cause}" for cause in kernels.causes]
    if pixels.undefined is not None:
        used = pixels.undefined & _channels_used(config, kernels)
        _check_ahead(used, config, kernel, kernels, memory, device)
        reached = _reached(pixels.undefined, config, kernel, kernels)
        if reached.any():
            named = name_undefined(memory, config, device, config.processors, used if used.any() else pixels.undefined)
            causes = [cause or f"depends on what {named}" for cause in causes]
            undefined = undefined | reached
    return Results(
        config.quadrants[0], values, np.broadcast_to(undefined, values.shape) if undefined.any() else None, causes
    )


def _check_ahead(
    undefined: NDArray[np.bool_],
    config: LayerConfig,
    kernel: Kernel,
    kernels: Kernels,
    memory: DataMemory,
    device: Device,
) -> None:
    """AcceleratorError if a result of a slot with a kernel depends on an undefined value. The end of the last row may
    be undefined: a one-dimensional signal folded into rows (dilation) ends within it."""
    ahead = undefined.copy()
    ahead[-1, 1:] = False
    if ahead.any() and (_reached(ahead, config, kernel, kernels) & kernels.defined).any():
        found = name_undefined(memory, config, device, config.processors, ahead)
        raise AcceleratorError(f"layer {config.layer}: {found}")


def _reached(undefined: NDArray[np.bool_], config: LayerConfig, kernel: Kernel, kernels: Kernels) -> NDArray[np.bool_]:
    """Results that depend on undefined values: bool (pixels, slots)."""
    inputs = touched(undefined, config)
    inputs = inputs.reshape(*inputs.shape[:2], -1)
    reached: NDArray[np.bool_] = correlate(inputs, kernel, (kernels.matrices != 0).astype(np.float32)) > 0
    return reached


def touched(undefined: NDArray[np.bool_], config: LayerConfig) -> Bytes:
    """Which values are undefined after element-wise operation and pooling: 0 or 1, (rows, cols, passes, processors)."""
    either = np.asarray(undefined.any(axis=3)).view(np.int8)
    return pool(either, replace(config.pooling, average=False))


def _channels_used(config: LayerConfig, kernels: Kernels) -> NDArray[np.bool_]:
    """Channels that a slot with a kernel of its own takes in, bool (passes, 1, processors): any operand of them."""
    used: NDArray[np.bool_] = np.asarray((kernels.matrices[:, :, kernels.defined] != 0).any(axis=(0, 2)))
    return used.reshape(config.input.passes, 1, -1)


def _copy(config: LayerConfig, writer: Quadrant, memory: DataMemory, device: Device) -> Results:
    pixels = fetch_pixels(memory, config, device, writer.processors)
    values = prepare(pixels.values, config).reshape(-1, pixels.values.shape[-1])
    if pixels.undefined is None:
        return Results(writer, values, None, [""] * len(writer.processors))
    undefined = touched(pixels.undefined, config).reshape(values.shape) > 0
    named = name_undefined(memory, config, device, writer.processors, pixels.undefined)
    return Results(writer, values, undefined, [f"depends on what {named}"] * len(writer.processors))


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
    (rows, cols), (down, across), stride = pooling.windows, pooling.dilation, pooling.stride
    taps = [
        pixels[row : row + (rows - 1) * stride + 1 : stride, col : col + (cols - 1) * stride + 1 : stride]
        for row in range(0, pooling.rows * down, down)
        for col in range(0, pooling.cols * across, across)
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
    image = padded(pixels, kernel, matrices.dtype)
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


def padded(pixels: Bytes, kernel: Kernel, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The image the kernel moves over; a transposed convolution has a zero after every sample and every row."""
    rows, cols, inputs = pixels.shape
    step = 2 if kernel.transposed else 1
    top, left = kernel.pad_rows, kernel.pad_cols
    image = np.zeros((rows * step + 2 * top, cols * step + 2 * left, inputs), dtype=dtype)
    image[top : top + rows * step : step, left : left + cols * step : step] = pixels
    return image
