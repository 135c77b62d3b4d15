"""What a layer reads: pixels from the data memory, kernels and biases. Bytes never written are errors, or poison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator import arithmetic
from offramp.simulator.config import Kernel, LayerConfig, Quadrant
from offramp.simulator.errors import AcceleratorError, field_error
from offramp.simulator.memory import WORD_BYTES, BiasMemory, DataMemory, WeightMemory

FLOAT32_EXACT = 1 << 24  # integers up to here are exact in float32
LARGEST_INPUT = 128


@dataclass(frozen=True, eq=False)
class Kernels:
    """A layer's parameters as matrices, ready to multiply.

    `matrices`: float (taps, passes * processors, slots), taps row-major; float32 where every partial sum is exact in
    it, else float64. `bias`: int32 (slots). `defined`: bool (slots), false where a kernel or bias byte was never
    written; `cause` says which.
    """

    matrices: NDArray[np.floating[Any]]
    bias: NDArray[np.int32]
    defined: NDArray[np.bool_]
    cause: str


@dataclass(frozen=True, eq=False)
class Pixels:
    """What processors read: int8 (rows, cols, passes, operands, processors).

    `undefined`: bool (rows, cols), pixels of the last row's end that hold a byte that was never written; None if there
    are none. `cause` says which byte.
    """

    values: NDArray[np.int8]
    undefined: NDArray[np.bool_] | None
    cause: str


def fetch_pixels(
    memory: DataMemory, config: LayerConfig, device: Device, processors: tuple[int, ...] | None = None
) -> Pixels:
    """Pixels that `processors` (ascending; all of the layer if None) read.

    Raises AcceleratorError for a read past the instance, and for a byte in use that was never written. The end of the
    last row may be undefined: a one-dimensional signal folded into rows (dilation) ends within it.
    """
    source = config.input
    processors = config.processors if processors is None else processors
    end = source.word + source.words
    if end > memory.size:
        raise field_error(
            config.layer,
            "RPTR_BASE.word",
            source.word,
            f"{source.words} words are read, the instance has {memory.size}",
        )
    instances = sorted({device.instance_of(processor) for processor in processors})
    span = slice(source.word, end)
    undefined, cause = _undefined(memory, config, device, processors)
    if source.parallel:
        pixels = memory.bytes[instances, span].reshape(len(instances), -1)[:, : source.rows * source.cols]
        return Pixels(pixels.T.reshape(source.rows, source.cols, 1, 1, len(instances)), undefined, cause)
    group = device.geometry.processors_per_instance
    words = np.ascontiguousarray(memory.words[instances, span].T)
    lanes = words.view(np.int8)
    column = {instance: index * group for index, instance in enumerate(instances)}
    wanted = [column[device.instance_of(processor)] + processor % group for processor in processors]
    if len(wanted) < lanes.shape[1]:
        lanes = lanes[:, wanted]
    shape = (source.rows, source.cols, source.passes, source.operands, len(processors))
    return Pixels(lanes.reshape(shape), undefined, cause)


def _undefined(
    memory: DataMemory, config: LayerConfig, device: Device, processors: tuple[int, ...]
) -> tuple[NDArray[np.bool_] | None, str]:
    """`undefined` and `cause` of Pixels: a quick look at whole words, then an exact one if some byte is undefined."""
    source = config.input
    group = device.geometry.processors_per_instance
    span = slice(source.word, source.word + source.words)
    lanes: dict[int, int] = {}
    for processor in processors:
        lanes.setdefault(device.instance_of(processor), 0)
        lanes[device.instance_of(processor)] |= 0xFFFFFFFF if source.parallel else 1 << 8 * (processor % group)
    masks = np.array(list(lanes.values()), dtype=np.uint32)[:, None]
    if source.parallel:
        masks &= np.uint32(0x01010101)
    found = memory.word_valid[list(lanes), span]
    if ((found & masks) == masks).all():
        return None, ""
    undefined = np.zeros((source.rows, source.cols), dtype=np.bool_)
    cause = ""
    for processor in processors:
        bad, first = _undefined_of(memory, config, device, processor)
        cause = cause or first
        undefined |= bad
        if bad[:-1].any() or bad[-1, 0]:
            raise AcceleratorError(f"layer {config.layer}: {first}")
    return (undefined, f"depends on what {cause}") if cause else (None, "")


def _undefined_of(
    memory: DataMemory, config: LayerConfig, device: Device, processor: int
) -> tuple[NDArray[np.bool_], str]:
    """Undefined pixels in use, bool (rows, cols), and a text naming the first; only what a window covers counts."""
    source, pooling = config.input, config.pooling
    instance = device.instance_of(processor)
    span = slice(source.word, source.word + source.words)
    rows = _covered(source.rows, pooling.rows, pooling.stride)
    cols = _covered(source.cols, pooling.cols, pooling.stride)
    used = rows[:, None] & cols
    if source.parallel:
        valid = memory.valid[instance, span].reshape(-1)[: used.size]
    else:
        valid = memory.valid[instance, span, processor % device.geometry.processors_per_instance]
    bad = used[:, :, None] & ~valid.reshape(*used.shape, -1)
    where = np.flatnonzero(bad)
    pixels: NDArray[np.bool_] = np.asarray(bad.any(axis=2))
    if not len(where):
        return pixels, ""
    word, lane = divmod(int(where[0]), WORD_BYTES) if source.parallel else (int(where[0]), processor % WORD_BYTES)
    word += source.word
    return pixels, (
        f"processor {processor} reads byte {lane} of data word {word} of instance {instance} "
        f"(address {device.data_address(instance, word):#010x}), which {memory.why_undefined(instance, word)}"
    )


def _covered(size: int, window: int, stride: int) -> NDArray[np.bool_]:
    """Which samples of a row or column some pooling window contains."""
    used = np.zeros(size, dtype=np.bool_)
    for start in range(0, size - window + 1, stride):
        used[start : start + window] = True
    return used


def fetch_kernels(weights: WeightMemory, biases: BiasMemory, config: LayerConfig, kernel: Kernel) -> Kernels:
    """Kernels and biases of a convolution, summed biases of all enabled quadrants.

    Raises AcceleratorError for a kernel or bias past the memory's end, or if the last slot of the first output pass,
    which always has a channel, was never written.
    """
    parts, defined, causes = [], np.ones(kernel.slots, dtype=np.bool_), []
    for quadrant in config.quadrants:
        if quadrant.processors:
            values, written, cause = _quadrant_kernels(weights, config, kernel, quadrant)
            parts.append(values)
            defined &= written
            causes += cause
    stacked = np.concatenate(parts)  # (processors, slots, passes, taps)
    bias = np.zeros(kernel.slots, dtype=np.int32)
    for quadrant in config.quadrants:
        if quadrant.bias_start is not None:
            values, written, cause = _quadrant_bias(biases, config, kernel, quadrant)
            bias += values
            defined &= written
            causes += cause
    if not defined[min(kernel.slots, kernel.slots_per_pass) - 1]:
        raise AcceleratorError(f"layer {config.layer}: {causes[0]}")
    matrices = stacked.transpose(3, 2, 0, 1).reshape(kernel.taps, -1, kernel.slots)
    largest = LARGEST_INPUT * int(np.abs(matrices.astype(np.int32)).sum(axis=(0, 1)).max())
    exact = np.float32 if largest < FLOAT32_EXACT else np.float64
    return Kernels(matrices.astype(exact), bias, defined, f"depends on {causes[0]}" if causes else "")


def _quadrant_kernels(
    weights: WeightMemory, config: LayerConfig, kernel: Kernel, quadrant: Quadrant
) -> tuple[NDArray[np.int8], NDArray[np.bool_], list[str]]:
    """int8 (processors, slots, passes, taps); bool (slots); what was never written."""
    count, taps = kernel.slots * config.input.passes, kernel.taps
    counter = quadrant.counter + np.arange(count) * kernel.bits
    bit = counter & 7
    if bit.max() + kernel.bits > 8:
        raise field_error(config.layer, "MCNT.start", quadrant.counter, f"a multiple of the {kernel.bits} weight bits")
    start = (counter >> 3) * taps + quadrant.start_byte
    index = start[:, None] + np.arange(taps)[::-1]
    column = index // (weights.stream.shape[1] // weights.columns)
    if column.max() >= weights.columns:
        raise field_error(
            config.layer,
            f"MCNT.last of quadrant {quadrant.quadrant}",
            f"beyond column {column.max()}",
            f"the last one is {weights.columns - 1}",
        )
    processors = np.array(quadrant.processors)
    packed = weights.stream[processors[:, None, None], index] >> bit[:, None].astype(np.uint8)
    values = arithmetic.sign_extend(packed, kernel.bits).reshape(
        len(processors), kernel.slots, config.input.passes, taps
    )
    valid = weights.valid[processors[:, None, None], column]
    written = valid.reshape(len(processors), kernel.slots, -1).all(axis=(0, 2))
    return values, written, _unwritten_kernel(quadrant, valid, column)


def _unwritten_kernel(quadrant: Quadrant, valid: NDArray[np.bool_], column: NDArray[np.intp]) -> list[str]:
    """Text naming the last kernel column that was never written (dummy slots stand in front), if any."""
    bad = np.argwhere(~valid)
    if not len(bad):
        return []
    position, kernel, tap = (int(value) for value in bad[-1])
    return [
        f"kernel column {column[kernel, tap]} of processor {quadrant.processors[position]}, which was never written"
    ]


def _quadrant_bias(
    biases: BiasMemory, config: LayerConfig, kernel: Kernel, quadrant: Quadrant
) -> tuple[NDArray[np.int8], NDArray[np.bool_], list[str]]:
    """int8 (slots); bool (slots); what was never written."""
    start = quadrant.bias_start or 0
    end = start + kernel.slots
    size = biases.bytes.shape[1]
    if end > size:
        raise field_error(config.layer, "POST.bias_start", start, f"{kernel.slots} bytes are read, there are {size}")
    valid = biases.valid[quadrant.quadrant, start:end]
    cause = [
        f"bias byte {start + int(slot)} of quadrant {quadrant.quadrant}, which was never written"
        for slot in np.flatnonzero(~valid)[:1]
    ]
    return biases.bytes[quadrant.quadrant, start:end], valid, cause
