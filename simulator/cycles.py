"""Cycles that the accelerator works for a layer, from its decoded registers.

The array steps through the input: it fetches a pixel pass by pass, an addition of one cycle for each sample of a
pooling window, writes it to the row buffer, and once a window is complete it produces the output channels one after
the other. Processors work in parallel and cost nothing. The counts are those of the vendor's latency model
(ai8x-synthesis izer/latency.py at ab4f4c0), derived here from register contents alone, without the planner.

Where registers and the vendor's model differ: layers that stream (LayerCycles.streaming) cost here what they cost in
turn, the vendor's tool estimates half as much again; a flattening layer with a single output and one pass over its
channels costs the vendor one cycle more for each row, which registers do not tell.
"""

from __future__ import annotations

from dataclasses import dataclass

from offramp.configs.device import Device
from offramp.simulator.config import Kernel, LayerConfig
from offramp.simulator.form import LOW_PASSES

START_CYCLES = 1  # of a run, whatever its layers


@dataclass(frozen=True)
class LayerCycles:
    """Cycles of the accelerator's clock of one layer. `streaming`: it runs in turn with its neighbours, an estimate;
    `tail`: of those, the cycles that are left when the last word of the input has come (FIFO)."""

    layer: int
    cycles: int
    streaming: bool
    tail: int


@dataclass(frozen=True)
class RunCycles:
    """Cycles of a whole run of the accelerator."""

    layers: tuple[LayerCycles, ...]

    @property
    def total(self) -> int:
        return START_CYCLES + sum(layer.cycles for layer in self.layers)

    def finished(self, started: int, fed: int) -> int:
        """When a run is done, in cycles, whose input comes through the FIFO from `started` to `fed`: the streaming
        layers work while it comes and have their last rows left when it has come (published times of cats-dogs and
        FaceID, AN7417 table 5, agree within 2.3 %)."""
        streaming = [layer for layer in self.layers if layer.streaming]
        work, tail = sum(layer.cycles for layer in streaming), sum(layer.tail for layer in streaming)
        return max(started + work, fed + tail) + self.total - work


def layer_cycles(config: LayerConfig, device: Device) -> LayerCycles:
    """Cycles of one layer."""
    kernel = config.kernel
    cycles = _convolution(config, kernel, device) if kernel else _pass_through(config, device)
    pad = kernel.pad_rows if kernel else 0
    tail = -(-cycles * (pad + 1) // max(config.pooled_rows, 1)) if config.streaming else 0
    return LayerCycles(config.layer, cycles, config.streaming, tail)


def _pools_last(config: LayerConfig) -> bool:
    window = config.pooling.rows * config.pooling.cols
    return config.input.op is not None and window > 1 and not config.input.pool_first


def _pixel(config: LayerConfig, passes: int) -> tuple[int, int]:
    """(cycles to fetch a pixel of padding, cycles to fetch a pooled pixel of data), one write each included."""
    operands, window = config.input.operands, config.pooling.rows * config.pooling.cols
    if _pools_last(config):
        return 2 * passes, passes * (operands * window + 1)
    return 2 * passes * operands, passes * operands * (window + 1)


def _pass_through(config: LayerConfig, device: Device) -> int:
    passes = config.input.passes
    if passes > 1 and config.pooling.rows * config.pooling.cols > 1:
        passes = 2 * passes - 1
    _, data = _pixel(config, passes)
    group = device.geometry.processors_per_instance
    time_slots = max(-(-len(quadrant.processors) // group) for quadrant in config.quadrants)
    return config.pooled_rows * config.pooled_cols * (data + passes * time_slots)


def _convolution(config: LayerConfig, kernel: Kernel, device: Device) -> int:
    """Rows of padding above, rows that only fill the kernel's window, rows with output, rows of padding below."""
    passes = config.input.passes
    stuffed = 2 if kernel.transposed else 1
    rows, cols = stuffed * config.pooled_rows, stuffed * config.pooled_cols
    padding, data = _pixel(config, passes)
    repeats = passes if _pools_last(config) else 1
    filling = kernel.rows - 1 - kernel.pad_rows
    output = passes * config.out_cols * kernel.slots + (kernel.slots == 1 and passes == 1)
    sides = 2 * kernel.pad_cols * (padding + 1)

    def row(pixel: int) -> int:
        """A row with output whose pixels take so long each."""
        ends = kernel.pad_cols * (2 * padding + 1)
        first = repeats * (kernel.cols - 1 - kernel.pad_cols) * (pixel + 1)
        return ends + first + repeats * (config.out_cols - kernel.pad_cols) * pixel + output

    above = kernel.pad_rows * (sides + repeats * cols * (padding + 1))
    filled = filling * (sides + repeats * cols * (data + 1))
    below = kernel.pad_rows * row(padding)
    total = above + filled + (rows - filling) * row(data) + below
    total += _late_kernels(config, kernel, device)
    return total + (passes > LOW_PASSES)  # flattening on


def _late_kernels(config: LayerConfig, kernel: Kernel, device: Device) -> int:
    """With pooling after an element-wise operation, padding counts through the columns in front of the kernels."""
    if not _pools_last(config) or (config.input.passes == 1 and config.input.operands == 1):
        return 0
    first = config.quadrants[0]
    column = ((first.counter >> 3) * kernel.taps + first.start_byte) // device.memories["weights"].word_bytes
    down = config.pooled_rows + 2 * kernel.pad_rows - kernel.cols + 1
    across = config.pooled_cols + 2 * kernel.pad_cols - kernel.rows + 1
    return column * (down * kernel.pad_cols + across * kernel.pad_rows - kernel.pad_rows * kernel.pad_cols)
