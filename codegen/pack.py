"""Packing of weights, biases, input and output as the memories hold them.

A processor's weight memory is a stream of bytes in which the bytes of each column run backwards: with columns of 72
bits, stream byte B is column B // 9, byte 8 - B % 9. Kernel K of a layer with Q-bit weights and `taps` bytes a kernel
starts at stream byte (K * Q // 8) * taps, its bits at (K * Q) % 8 of each byte, its taps in reverse order (izer
kernels.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.configs.device import Column, Device, Processor
from offramp.planner.hardware.hw_layer import BYTE_BITS, WORD_BYTES, HwLayer, ceil_div, set_bits

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class WeightRun:
    """Consecutive kernel columns of one processor. `data`: uint8 (columns, bytes of a column), byte 0 is sent first."""

    processor: Processor
    start: Column
    data: Bytes


def pack_weights(hw: HwLayer, bank: int = 0) -> dict[Processor, Bytes]:
    """Kernel columns of a layer for each of its processors: uint8 (columns, bytes of a column). `bank`: of a layer that
    computes several outputs at once, the number of the physical memory that they are for.

    Slots without an output channel, and channels that a ragged last pass lacks, get zeros: what lies there must not
    depend on another network's weights.
    """
    assert hw.weights is not None
    kernels = _kernels(hw, bank)
    bits = hw.layer.weight_bits
    width = hw.device.memories["weights"].word_bytes
    stream = np.zeros((len(kernels), hw.columns * width), np.uint8)
    positions = np.arange(kernels.shape[1])
    base = positions * bits // BYTE_BITS * hw.taps
    shift = (positions * bits % BYTE_BITS).astype(np.uint8)
    codes = (kernels < 0).astype(np.uint8) if hw.layer.binary else kernels.view(np.uint8) & np.uint8((1 << bits) - 1)
    values = codes << shift[None, :, None]
    for tap in range(hw.taps):
        index = base + hw.taps - 1 - tap
        for part in range(BYTE_BITS // bits):
            stream[:, index[part :: BYTE_BITS // bits]] |= values[:, part :: 8 // bits, tap]
    columns = stream.reshape(len(kernels), hw.columns, width)[:, :, ::-1]
    return {processor: columns[place] for place, processor in enumerate(set_bits(hw.processors))}


def _kernels(hw: HwLayer, bank: int) -> npt.NDArray[np.int8]:
    """Kernels by processor in the order of the kernel counter: int8 (processors, kernels, taps). Of outputs at once
    each physical memory has every fourth."""
    assert hw.weights is not None
    if hw.layer.depthwise:
        own_kernels = np.zeros((hw.passes * hw.per_pass, hw.taps), np.int8)
        own_kernels[: len(hw.weights)] = hw.weights[:, 0]
        return np.ascontiguousarray(own_kernels.reshape(hw.passes, hw.per_pass, hw.taps).swapaxes(0, 1))
    outputs = np.array([hw.slot_of(channel) for channel in range(hw.weights.shape[0])])
    kernels = np.zeros((hw.per_pass, hw.slots, hw.pixels, hw.passes, hw.taps), np.int8)
    for channel in range(hw.layer.in_shape.channels):
        input_pass, place = divmod(channel, hw.per_pass)
        if hw.kind == "flatten":
            own = hw.weights[:, channel * hw.pixels : (channel + 1) * hw.pixels]  # (out, pixels, 1)
        else:
            own = hw.weights[:, channel : channel + 1]  # (out, 1, taps)
        kernels[place, outputs, :, input_pass] = own
    return np.ascontiguousarray(kernels[:, bank :: hw.at_once]).reshape(hw.per_pass, -1, hw.taps)


def merge_runs(runs: Mapping[Processor, Mapping[Column, Bytes]]) -> Iterator[WeightRun]:
    """All columns of all processors as the longest runs of neighbouring columns, in ascending order."""
    for processor in sorted(runs):
        pending: list[Bytes] = []
        start = end = -1
        for column in sorted(runs[processor]):
            data = runs[processor][column]
            if column != end and pending:
                yield WeightRun(processor, start, np.concatenate(pending))
                pending = []
            if not pending:
                start = column
            pending.append(data)
            end = column + len(data)
        if pending:
            yield WeightRun(processor, start, np.concatenate(pending))


def express_words(data: Bytes) -> npt.NDArray[np.uint32]:
    """The word stream that loads kernel columns in express mode: all bytes of a column, the first most significant."""
    flat = data.reshape(-1)
    padded = np.zeros(ceil_div(len(flat), WORD_BYTES) * WORD_BYTES, np.uint8)
    padded[: len(flat)] = flat
    return padded.view(">u4").astype(np.uint32)


def pack_bias(hw: HwLayer, lead: int = 0, quadrant: int = 0) -> Bytes:
    """Bias bytes of a layer, one for each output slot, after `lead` dummies; zeros where a slot has no channel. Of a
    depthwise layer those of one quadrant."""
    assert hw.layer.bias is not None
    if hw.layer.depthwise:
        return _depthwise_bias(hw, quadrant)
    data = np.zeros(hw.slots, np.int8)
    data[[hw.slot_of(channel) for channel in range(len(hw.layer.bias))]] = hw.layer.bias
    return np.concatenate([np.zeros(lead, np.int8), data]).view(np.uint8)


def _depthwise_bias(hw: HwLayer, quadrant: int) -> Bytes:
    """A byte for each processor of a quadrant and pass: in the order of the places in a word, then of the instances,
    where each processor writes for itself; else in the order of the processors, from the first one of the first
    quadrant on (izer kbias.py)."""
    assert hw.layer.bias is not None
    width, lanes = hw.device.geometry.processors_per_quadrant, hw.device.geometry.processors_per_instance
    processors = set_bits(hw.processors)
    first = processors[0] % width if processors[0] // width == quadrant else 0
    data = np.zeros((hw.passes, width), np.int8)
    for channel, bias in enumerate(hw.layer.bias):
        input_pass, place = divmod(channel, hw.per_pass)
        own, unit = divmod(processors[place], width)
        at = unit % lanes * lanes + unit // lanes if hw.broadcast else unit - first
        if own == quadrant:
            data[input_pass, at] = bias
    return data.reshape(-1).view(np.uint8)


@dataclass(frozen=True, eq=False)
class InputWords:
    """The input in data memory: `values[i]` goes to word `words[i]` of instance `instances[i]` (all uint32 / int)."""

    instances: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]
    values: npt.NDArray[np.uint32]


def pack_input(hw: HwLayer, base: int, x: npt.NDArray[np.int8], device: Device) -> InputWords:
    """Words that hold an input, int8 (operands * channels, rows, cols), at word `base` of its instances.

    CHW: four pixels a word, one channel an instance. HWC: one pixel of up to four channels a word.
    """
    channels = hw.layer.in_shape.channels
    pixels = x.reshape(hw.operands, channels, -1)
    processors = set_bits(hw.processors)
    if hw.layer.data_format == "CHW":
        padded = np.zeros((channels, ceil_div(pixels.shape[2], WORD_BYTES) * WORD_BYTES), np.int8)
        padded[:, : pixels.shape[2]] = pixels[0]
        values = padded.view("<u4").astype(np.uint32)
        instances = np.array([device.instance_of(processors[channel]) for channel in range(channels)])
        count = values.shape[1]
        return InputWords(np.repeat(instances, count), np.tile(base + np.arange(count), channels), values.reshape(-1))
    return _pack_hwc(hw, base, pixels, device)


def _pack_hwc(hw: HwLayer, base: int, pixels: npt.NDArray[np.int8], device: Device) -> InputWords:
    operands, channels, count = pixels.shape
    processors = set_bits(hw.processors)
    lanes = device.geometry.processors_per_instance
    image = np.zeros((device.geometry.instances, count * hw.passes * operands, lanes), np.uint8)
    used = np.zeros(device.geometry.instances, bool)
    for channel in range(channels):
        input_pass, place = divmod(channel, hw.per_pass)
        instance, lane = divmod(processors[place], lanes)
        used[instance] = True
        for operand in range(operands):
            image[instance, input_pass * operands + operand :: hw.passes * operands, lane] = pixels[
                operand, channel
            ].view(np.uint8)
    chosen = np.flatnonzero(used)
    values = image[chosen].reshape(len(chosen), -1).view("<u4").astype(np.uint32)
    words = base + np.arange(values.shape[1])
    return InputWords(np.repeat(chosen, len(words)), np.tile(words, len(chosen)), values.reshape(-1))
