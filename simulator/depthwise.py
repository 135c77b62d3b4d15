"""Depthwise convolution: each channel has a kernel and an output of its own, and each quadrant works for itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator import arithmetic, layer
from offramp.simulator.config import Depthwise, Kernel, LayerConfig, Quadrant
from offramp.simulator.errors import field_error
from offramp.simulator.fetch import fetch_pixels, name_undefined, quadrant_kernels
from offramp.simulator.layer import Memories
from offramp.simulator.memory import BiasMemory, DataMemory, WeightMemory
from offramp.simulator.store import Results, store_results


@dataclass(frozen=True, eq=False)
class ChannelKernels:
    """Parameters of the channels that a quadrant reads, pass by pass and processor by processor.

    `weights`: int64 (taps, channels); `bias`: int64 (channels); `causes`: by channel, what of it was never written.
    """

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    causes: tuple[str, ...]


def fetch_channel_kernels(
    weights: WeightMemory, biases: BiasMemory, config: LayerConfig, kernel: Kernel, device: Device
) -> tuple[ChannelKernels, ...]:
    """Of each quadrant that reads. AcceleratorError for a kernel or bias past the memory's end."""
    return tuple(_channel_kernels(weights, biases, config, kernel, quadrant, device) for quadrant in config.writers)


def _channel_kernels(
    weights: WeightMemory, biases: BiasMemory, config: LayerConfig, kernel: Kernel, quadrant: Quadrant, device: Device
) -> ChannelKernels:
    count = config.input.passes * len(quadrant.processors)
    values, unwritten = quadrant_kernels(weights, config, kernel, quadrant)  # (processors, 1, passes, taps)
    taken = values[:, 0].transpose(2, 1, 0).reshape(kernel.taps, count).astype(np.int64)
    bias, causes = np.zeros(count, dtype=np.int64), [unwritten.get(0, "")] * count
    if quadrant.bias_start is not None:
        places = np.array(list(_bias_places(config, kernel, quadrant, device))) + quadrant.bias_start
        if places.max() >= biases.bytes.shape[1]:
            found, size = f"byte {places.max()} is read", biases.bytes.shape[1]
            raise field_error(config.layer, "POST.bias_start", found, f"there are {size}")
        bias = biases.bytes[quadrant.quadrant, places].astype(np.int64)
        for channel in np.flatnonzero(~biases.valid[quadrant.quadrant, places]).tolist():
            found = f"bias byte {places[channel]} of quadrant {quadrant.quadrant}, which was never written"
            causes[channel] = causes[channel] or found
    return ChannelKernels(taken, bias, tuple(causes))


def _bias_places(config: LayerConfig, kernel: Kernel, quadrant: Quadrant, device: Device) -> Iterator[int]:
    """Bytes of a quadrant's channels from POST.bias_start on: a block of 16 for each pass (izer kbias.py)."""
    geometry = device.geometry
    for step in range(config.input.passes):
        for rank, processor in enumerate(quadrant.processors):
            group, lane = divmod(processor % geometry.processors_per_quadrant, geometry.processors_per_instance)
            by_lane = lane * geometry.instances_per_quadrant + group
            yield step * geometry.processors_per_quadrant + (by_lane if _stays(kernel) else rank)


def _stays(kernel: Kernel) -> bool:
    return kernel.depthwise == Depthwise.BROADCAST


def run_depthwise(
    config: LayerConfig, kernel: Kernel, memories: Memories, parameters: tuple[ChannelKernels, ...], device: Device
) -> None:
    """Execute a depthwise layer; everything is read before the first result is stored. A result that depends on a byte
    that was never written is undefined."""
    results = [
        _convolve(config, kernel, memories.source, (writer, kernels), device)
        for writer, kernels in zip(config.writers, parameters, strict=True)
    ]
    for result in results:
        store_results(memories.target, result, config, device)


def _convolve(
    config: LayerConfig, kernel: Kernel, memory: DataMemory, part: tuple[Quadrant, ChannelKernels], device: Device
) -> Results:
    writer, kernels = part
    pixels = fetch_pixels(memory, config, device, writer.processors)
    values = channels(layer.prepare(pixels.values, config), config, kernel, kernels)
    undefined = np.broadcast_to(np.array([bool(cause) for cause in kernels.causes]), values.shape)
    causes = [cause and f"depends on {cause}" for cause in kernels.causes]
    if pixels.undefined is not None:
        touched = layer.touched(pixels.undefined, config)
        undefined = undefined | (correlate_channels(touched, kernel, (kernels.weights != 0).astype(np.int64)) > 0)
        named = name_undefined(memory, config, device, writer.processors, pixels.undefined)
        causes = [cause or f"depends on what {named}" for cause in causes]
    return Results(writer, values, undefined if undefined.any() else None, causes)


def channels(pixels: NDArray[np.int8], config: LayerConfig, kernel: Kernel, kernels: ChannelKernels) -> NDArray[Any]:
    """Correlate each channel, add its bias, scale and activate: (pixels, channels), int8, or int32 if wide."""
    total = arithmetic.add_bias(correlate_channels(pixels, kernel, kernels.weights), kernels.bias)
    if config.output.wide:
        return total.astype(np.int32)
    return layer.activate(arithmetic.saturate(arithmetic.scale(total, config.output.shift)), config.output)


def correlate_channels(pixels: NDArray[np.int8], kernel: Kernel, weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cross-correlation of (rows, cols, passes, processors) with (taps, channels): int64 (output pixels, channels)."""
    image = layer.padded(pixels.reshape(*pixels.shape[:2], -1), kernel, np.dtype(np.int64))
    rows, cols = image.shape[0] - kernel.rows + 1, image.shape[1] - kernel.cols + 1
    total = np.zeros((rows, cols, image.shape[2]), dtype=np.int64)
    for tap, weight in enumerate(weights):
        row, col = divmod(tap, kernel.cols)
        total += image[row : row + rows, col : col + cols] * weight
    return total.reshape(rows * cols, -1)
