"""How a layer runs on the hardware: passes, slots, kernels and the words of memory it touches.

A `HwLayer` is a layer in the form the accelerator executes. Where the hardware cannot run what the YAML says directly
(a dilated 1-D convolution, a 1x1 convolution next to a streaming layer), the rewriting happens here, so that placement,
register generation and cost all see the same thing. Formulas: UG7456 chapter 27 and izer kernels.py, max7800x.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from offramp.configs.device import Device
from offramp.planner.ir.network import Layer, Network, ProcessorMap

BYTE_BITS = 8
WORD_BYTES = 4  # of data memory; one byte for each processor of an instance
SQUARE = 9  # taps of a 3x3 kernel
CENTRE = 4  # the tap in its middle
AT_ONCE = 4  # outputs of a layer with `calcx4`
PASSES_AHEAD = 4  # passes that are read ahead at a time, with `tcalc`

Kind = Literal["conv3x3", "conv1x1", "conv1d", "flatten", "transposed", "passthrough"]


def ceil_div(value: int, by: int) -> int:
    return -(-value // by)


def window_reach(window: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns from the first to the last sample of a pooling window."""
    return (window[0] - 1) * dilation[0] + 1, (window[1] - 1) * dilation[1] + 1


def whole_instances(count: int, device: Device) -> int:
    """A number of processors, rounded up to whole data memory instances."""
    group = device.geometry.processors_per_instance
    return ceil_div(count, group) * group


@lru_cache(maxsize=1 << 12)
def set_bits(processors: ProcessorMap) -> tuple[int, ...]:
    """Processors of a map, ascending."""
    return tuple(bit for bit in range(processors.bit_length()) if processors >> bit & 1)


def passes_of(channels: int, device: Device) -> tuple[int, int]:
    """(passes, channels of a full pass) that `channels` channels need."""
    processors = device.geometry.processors
    passes = ceil_div(channels, processors)
    per_pass = ceil_div(channels, passes)
    return passes, per_pass if channels <= processors else min(whole_instances(per_pass, device), processors)


def lowest_processors(channels: int, device: Device) -> ProcessorMap:
    """The map of the first processors that a number of channels takes."""
    return (1 << passes_of(channels, device)[1]) - 1


def with_processors(layer: Layer, device: Device) -> Layer:
    """The layer with open processor maps filled from processor 0 on."""
    inputs = lowest_processors(layer.in_shape.channels, device)
    outputs = lowest_processors(layer.out_shape.channels, device)
    return replace(layer, processors=layer.processors or inputs, output_processors=layer.output_processors or outputs)


@dataclass(frozen=True, eq=False)
class HwLayer:
    """One layer slot. `weights`: int8 (out, in, taps), taps in the order the kernel is stored in; None without any."""

    layer: Layer
    device: Device
    kind: Kind
    rows: int  # of the input in data memory, before pooling
    cols: int
    pad: tuple[int, int]
    pooled: tuple[int, int]
    taps: int  # bytes of an 8-bit kernel; 0 without weights
    weights: npt.NDArray[np.int8] | None
    processors: ProcessorMap
    output_processors: ProcessorMap
    passes: int  # input passes, IE
    per_pass: int  # input channels of a full pass, IT
    expansion: int  # output passes, OE
    out_per_pass: int  # output channels of a full pass, OT
    out_rows: int  # as written, surplus rows included
    out_cols: int
    surplus: int = 0  # words written in front of the output proper (dilated 1-D convolution as a 2-D one)
    folded: bool = False  # element-wise passes folded into rows

    @property
    def operands(self) -> int:
        return self.layer.operands

    @property
    def first_slot(self) -> int:
        """Processor of output slot 0: the first output processor rounded down to a whole word, b4."""
        group = self.device.geometry.processors_per_instance
        return set_bits(self.output_processors)[0] // group * group

    @property
    def slots_per_pass(self) -> int:
        return self.output_processors.bit_length() - self.first_slot

    @property
    def slots(self) -> int:
        """Output slots including those without a channel; a flattening layer stops after its last channel."""
        if self.layer.flatten:
            return self.slot_of(self.layer.out_shape.channels - 1) + 1
        return self.slots_per_pass * self.expansion

    @property
    def pixels(self) -> int:
        """Pixels that a flattening layer takes as passes; 1 otherwise."""
        return self.pooled[0] * self.pooled[1] if self.kind == "flatten" else 1

    @property
    def kernel_passes(self) -> int:
        return self.passes * self.pixels

    @property
    def kernels(self) -> int:
        """Kernels of each enabled processor. A depthwise layer has one for each channel."""
        slots = 1 if self.layer.depthwise else self.slots
        return slots * self.kernel_passes if self.weights is not None else 0

    @property
    def at_once(self) -> int:
        """Outputs that are computed at once, each with kernels from a physical memory of its own."""
        return AT_ONCE if self.layer.calcx4 else 1

    @property
    def columns(self) -> int:
        """Kernel columns of each enabled processor, in each physical memory that outputs at once take kernels from."""
        return columns_of(self.kernels // self.at_once, self.taps, self.layer.weight_bits, self.device)

    @property
    def all_columns(self) -> int:
        """Kernel columns of each enabled processor, in all physical memories."""
        return self.columns * self.at_once

    @property
    def broadcast(self) -> bool:
        """A depthwise layer that writes each channel for the processor that reads it."""
        return self.layer.depthwise and self.processors == self.output_processors

    @property
    def weight_bytes(self) -> int:
        """Bytes of weight memory, in all enabled processors together."""
        return self.all_columns * self.processors.bit_count() * self.device.memories["weights"].word_bytes

    @property
    def bias_bytes(self) -> int:
        """Bytes of bias memory: one for each output slot; of a depthwise layer, in each of its quadrants, one for each
        processor of a quadrant and pass. A layer whose biases are all zero has none."""
        bias = self.layer.bias
        if bias is None or not bool(np.any(bias)):
            return 0
        depthwise = self.device.geometry.processors_per_quadrant * self.passes
        return depthwise if self.layer.depthwise else self.slots

    @property
    def word_factor(self) -> int:
        """Words per output pixel, pass and channels of an instance."""
        return self.layer.output_width // BYTE_BITS

    def slot_of(self, channel: int) -> int:
        """Output slot of an output channel."""
        output_pass, position = divmod(channel, self.out_per_pass)
        return output_pass * self.slots_per_pass + set_bits(self.output_processors)[position] - self.first_slot

    @property
    def result_words(self) -> int:
        """Words that hold all values of the output: four bytes of one instance share one, 32-bit values do not."""
        shape = self.layer.out_shape
        if self.layer.output_width > BYTE_BITS:
            return shape.channels * shape.pixels
        processors = set_bits(self.output_processors)
        places = (divmod(channel, self.out_per_pass) for channel in range(shape.channels))
        return shape.pixels * len({(self.device.instance_of(processors[at]), turn) for turn, at in places})

    @property
    def input_words(self) -> int:
        """Words of each instance that the layer reads, from RPTR_BASE on."""
        pixels = self.layer.in_shape.pixels
        if self.layer.data_format == "CHW":
            return ceil_div(pixels, WORD_BYTES)
        return pixels * self.pixel_words - self.operands * self.layer.read_gap

    @property
    def pixel_words(self) -> int:
        """Words from a pixel to the next one that the layer reads, in HWC format."""
        return self.passes * self.operands * (self.layer.read_gap + 1)

    @property
    def cropped_words(self) -> tuple[int, int]:
        """Words of each instance that lie in front of and behind those, of the same tensor or rolling buffer."""
        front, behind = self.layer.crop
        return front * self.pixel_words, behind * self.pixel_words

    @property
    def output_words(self) -> int:
        """Words of each instance from the first to the last one written, those skipped by a write gap included."""
        pixels = self.out_rows * self.out_cols
        return ((pixels * self.expansion - 1) * (self.layer.write_gap + 1) + 1) * self.word_factor


def columns_of(kernels: int, taps: int, weight_bits: int, device: Device) -> int:
    """Kernel columns that a number of kernels takes in a processor; kernels of less than 8 bits share bytes."""
    return ceil_div(ceil_div(kernels * weight_bits, BYTE_BITS) * taps, device.memories["weights"].word_bytes)


def map_layer(layer: Layer, network: Network, device: Device) -> HwLayer:
    """The form in which the hardware runs `layer`. Both processor maps must be known."""
    passes, per_pass = passes_of(layer.in_shape.channels, device)
    expansion, out_per_pass = passes_of(layer.out_shape.channels, device)
    kind = _kind(layer)
    plain = HwLayer(
        layer=layer,
        device=device,
        kind=kind,
        rows=layer.in_shape.rows,
        cols=layer.in_shape.cols,
        pad=layer.pad,
        pooled=layer.pooled,
        taps=_taps(layer, kind),
        weights=_flat_weights(layer, kind),
        processors=layer.processors,
        output_processors=layer.output_processors,
        passes=passes,
        per_pass=per_pass,
        expansion=expansion,
        out_per_pass=out_per_pass,
        out_rows=layer.out_shape.rows,
        out_cols=layer.out_shape.cols,
    )
    if layer.op == "conv1d" and layer.dilation > 1:
        return _stretch(plain) if fits_stretched(layer, device) else _fold_dilation(plain)
    if kind == "conv1x1" and layer.op == "conv2d" and _next_to_streaming(layer, network):
        return _centre(plain)
    several = kind == "passthrough" and layer.operands > 1 and passes > 1 and not passes == layer.operands == 2
    return replace(plain, folded=several and "eltwise_passes" not in device.features)


def fits_stretched(layer: Layer, device: Device) -> bool:
    """Whether a dilated 1-D kernel is short enough to run with zeros between its taps."""
    return (layer.kernel[0] - 1) * layer.dilation < device.limits["conv1d_kernel"]


def runs_folded(layer: Layer, device: Device) -> bool:
    """Whether the layer is a dilated 1-D convolution that runs as a 2-D one, which writes more words than it has."""
    return layer.op == "conv1d" and layer.dilation > 1 and not fits_stretched(layer, device)


def _kind(layer: Layer) -> Kind:
    if layer.op == "passthrough":
        return "passthrough"
    if layer.op == "convtranspose2d":
        return "transposed"
    if layer.flatten and layer.pooled != (1, 1):
        return "flatten"
    if layer.op == "conv1d":
        return "conv1d"
    return "conv1x1" if layer.kernel == (1, 1) else "conv3x3"


def _taps(layer: Layer, kind: Kind) -> int:
    if kind == "passthrough":
        return 0
    return 1 if kind == "flatten" else layer.kernel[0] * layer.kernel[1]


def _flat_weights(layer: Layer, kind: Kind) -> npt.NDArray[np.int8] | None:
    """Weights as (out, in, taps); a flattening layer's as (out, channel * pixels + pixel, 1), as PyTorch has them."""
    if layer.weights is None or kind == "passthrough" or layer.bypass:
        return None
    return layer.weights.reshape(layer.weights.shape[0], layer.weights.shape[1], -1)


def _stretch(plain: HwLayer) -> HwLayer:
    """A dilated 1-D convolution of at most nine steps: the same kernel with zeros between its taps."""
    length, step = plain.layer.kernel[0], plain.layer.dilation
    taps = (length - 1) * step + 1
    weights = None
    if plain.weights is not None:
        weights = np.zeros((*plain.weights.shape[:2], taps), np.int8)
        weights[:, :, ::step] = plain.weights
    return replace(plain, taps=taps, weights=weights)


def _fold_dilation(plain: HwLayer) -> HwLayer:
    """A widely dilated 1-D convolution: a 3x3 one on rows of `dilation` samples, its taps in the middle column."""
    layer, step = plain.layer, plain.layer.dilation
    length = layer.kernel[0]
    rows = ceil_div(layer.in_shape.rows, step)
    weights = None
    if plain.weights is not None:
        weights = np.zeros((*plain.weights.shape[:2], SQUARE), np.int8)
        first = 3 - length if length > 1 else 1
        weights[:, :, [1 + 3 * (first + tap) for tap in range(length)]] = plain.weights
    return replace(
        plain,
        kind="conv3x3",
        rows=rows,
        cols=step,
        pad=(1, 1),
        pooled=(rows, step),
        taps=SQUARE,
        weights=weights,
        out_rows=rows,
        out_cols=step,
        surplus=step * plain.expansion * (layer.write_gap + 1) * plain.word_factor if length == 3 else 0,
    )


def _next_to_streaming(layer: Layer, network: Network) -> bool:
    return layer.streaming or any(index >= 0 and network.layers[index].streaming for index in layer.inputs)


def _centre(plain: HwLayer) -> HwLayer:
    """A 1x1 convolution in or right after streaming: a padded 3x3 one with only the centre tap."""
    weights = None
    if plain.weights is not None:
        weights = np.zeros((*plain.weights.shape[:2], SQUARE), np.int8)
        weights[:, :, CENTRE : CENTRE + 1] = plain.weights
    return replace(plain, kind="conv3x3", pad=(1, 1), taps=SQUARE, weights=weights)


def quadrant_slice(processors: ProcessorMap, quadrant: int, device: Device) -> int:
    """The part of a map that lies in one quadrant, as a map of that quadrant's processors."""
    width = device.geometry.processors_per_quadrant
    return processors >> (quadrant * width) & ((1 << width) - 1)


def quadrants_of(processors: ProcessorMap, device: Device) -> Iterator[int]:
    """Quadrants that a map has processors in, ascending."""
    for quadrant in range(device.geometry.quadrants):
        if quadrant_slice(processors, quadrant, device):
            yield quadrant


def instances_of(processors: ProcessorMap, device: Device) -> tuple[int, ...]:
    """Data memory instances that a map's processors read, ascending."""
    return tuple(sorted({device.instance_of(processor) for processor in set_bits(processors)}))
