"""What a layer reads: pixels from the data memory, kernels and biases, and which bytes of them were never written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator import arithmetic
from offramp.simulator.config import Input, Kernel, LayerConfig, Pooling, Quadrant
from offramp.simulator.errors import AcceleratorError, field_error
from offramp.simulator.memory import WORD_BYTES, BiasMemory, DataMemory, WeightMemory

FLOAT32_EXACT = 1 << 24  # integers up to here are exact in float32
LARGEST_INPUT = 128


@dataclass(frozen=True, eq=False)
class Kernels:
    """A layer's parameters as matrices, ready to multiply.

    `matrices`: float (taps, passes * processors, slots), taps row-major; float32 where every partial sum is exact in
    it, else float64. `bias`: int32 (slots). `causes`: by slot, the kernel column or bias byte of it that was never
    written; "" if all of them were.
    """

    matrices: NDArray[np.floating[Any]]
    bias: NDArray[np.int32]
    causes: tuple[str, ...]

    @cached_property
    def defined(self) -> NDArray[np.bool_]:
        """bool (slots): kernels and biases were written."""
        return np.array([not cause for cause in self.causes])


@dataclass(frozen=True, eq=False)
class Pixels:
    """What processors read: int8 (rows, cols, passes, operands, processors).

    `undefined`: bool of the same shape, values in use whose byte was never written; None if there are none.
    """

    values: NDArray[np.int8]
    undefined: NDArray[np.bool_] | None


def fetch_pixels(
    memory: DataMemory, config: LayerConfig, device: Device, processors: tuple[int, ...] | None = None
) -> Pixels:
    """Pixels that `processors` (ascending; all of the layer if None) read. AcceleratorError for a read past the
    instance."""
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
    undefined = _undefined(memory, config, device, processors)
    if source.parallel:
        return Pixels(_planes(memory.bytes, config, device, processors), undefined)
    words = np.ascontiguousarray(_taken(memory.words, instances, source).T)
    lanes = words.view(np.int8)
    group = device.geometry.processors_per_instance
    column = {instance: index * group for index, instance in enumerate(instances)}
    wanted = [column[device.instance_of(processor)] + processor % group for processor in processors]
    if len(wanted) < lanes.shape[1]:
        lanes = lanes[:, wanted]
    shape = (source.rows, source.cols, source.passes, source.operands, len(processors))
    return Pixels(lanes.reshape(shape), undefined)


def _taken(words: NDArray[np.uint32], instances: list[int], source: Input) -> NDArray[np.uint32]:
    """The words of a layer's input in some instances: (instances, words)."""
    index = source.index
    return words[instances, index] if isinstance(index, slice) else words[np.ix_(np.array(instances), index)]


def _planes(lanes: NDArray[Any], config: LayerConfig, device: Device, processors: tuple[int, ...]) -> NDArray[Any]:
    """What processors read out of `lanes`, (instances, words, 4): (rows, cols, passes, operands, processors)."""
    source, group = config.input, device.geometry.processors_per_instance
    instances = [device.instance_of(processor) for processor in processors]
    if source.parallel:
        planes = lanes[instances, source.index].reshape(len(processors), -1)[:, : source.rows * source.cols]
    else:
        places = np.arange(lanes.shape[1])[source.index]
        lane = np.array([processor % group for processor in processors])
        planes = lanes[np.array(instances)[:, None], places, lane[:, None]]
    return planes.T.reshape(source.rows, source.cols, source.passes, source.operands, len(processors))


def _undefined(
    memory: DataMemory, config: LayerConfig, device: Device, processors: tuple[int, ...]
) -> NDArray[np.bool_] | None:
    """`undefined` of Pixels: first whole words are checked, then bytes if any is undefined."""
    source = config.input
    group = device.geometry.processors_per_instance
    lanes: dict[int, int] = {}
    for processor in processors:
        lanes.setdefault(device.instance_of(processor), 0)
        lanes[device.instance_of(processor)] |= 0xFFFFFFFF if source.parallel else 1 << 8 * (processor % group)
    masks = np.array(list(lanes.values()), dtype=np.uint32)[:, None]
    if source.parallel:
        masks &= np.uint32(0x01010101)
    found = _taken(memory.word_valid, list(lanes), source)
    if ((found & masks) == masks).all():
        return None
    rows, cols = _covered(config.pooling, 0, source.rows), _covered(config.pooling, 1, source.cols)
    used = (rows[:, None] & cols)[:, :, None, None, None]
    undefined: NDArray[np.bool_] = used & ~_planes(memory.valid, config, device, processors)
    return undefined if undefined.any() else None


def name_undefined(
    memory: DataMemory,
    config: LayerConfig,
    device: Device,
    processors: tuple[int, ...],
    undefined: NDArray[np.bool_],
) -> str:
    """A text for the first undefined value, processor by processor. `undefined`: as in Pixels, with one at least."""
    source, group = config.input, device.geometry.processors_per_instance
    at = int(np.flatnonzero(undefined.any(axis=(0, 1, 2, 3)))[0])
    where = int(np.flatnonzero(undefined[..., at])[0])
    pixel, lane = divmod(where, WORD_BYTES) if source.parallel else (where, processors[at] % group)
    word = int(np.arange(memory.size)[source.index][pixel])
    instance = device.instance_of(processors[at])
    return (
        f"processor {processors[at]} reads byte {lane} of data word {word} of instance {instance} "
        f"(address {device.data_address(instance, word):#010x}), which {memory.why_undefined(instance, word)}"
    )


def _covered(pooling: Pooling, axis: int, size: int) -> NDArray[np.bool_]:
    """Which samples of a column (axis 0) or row (1) some pooling window contains."""
    used = np.zeros(size, dtype=np.bool_)
    for window in range(pooling.windows[axis]):
        start = window * pooling.stride
        used[start : start + pooling.reach[axis] : pooling.dilation[axis]] = True
    return used


def fetch_kernels(weights: WeightMemory, biases: BiasMemory, config: LayerConfig, kernel: Kernel) -> Kernels:
    """Kernels and biases of a convolution, summed biases of all enabled quadrants.

    Raises AcceleratorError for a kernel or bias past the memory's end, or if the last slot of the first output pass,
    which always has a channel, was never written.
    """
    parts: list[NDArray[np.int8]] = []
    causes: dict[int, str] = {}
    for quadrant in config.quadrants:
        if quadrant.processors:
            values, unwritten = quadrant_kernels(weights, config, kernel, quadrant)
            parts.append(values)
            causes = unwritten | causes
    stacked = np.concatenate(parts)  # (processors, slots, passes, taps)
    bias = np.zeros(kernel.slots, dtype=np.int32)
    for quadrant in config.quadrants:
        if quadrant.bias_start is not None:
            values, unwritten = _quadrant_bias(biases, config, kernel, quadrant)
            bias += values
            causes = unwritten | causes
    needed = min(kernel.slots, kernel.slots_per_pass) - 1
    if needed in causes:
        raise AcceleratorError(f"layer {config.layer}: {causes[needed]}")
    matrices = stacked.transpose(3, 2, 0, 1).reshape(kernel.taps, -1, kernel.slots)
    largest = LARGEST_INPUT * int(np.abs(matrices.astype(np.int32)).sum(axis=(0, 1)).max())
    exact = np.float32 if largest < FLOAT32_EXACT else np.float64
    return Kernels(matrices.astype(exact), bias, tuple(causes.get(slot, "") for slot in range(kernel.slots)))


def quadrant_kernels(
    weights: WeightMemory, config: LayerConfig, kernel: Kernel, quadrant: Quadrant
) -> tuple[NDArray[np.int8], dict[int, str]]:
    """int8 (processors, slots, passes, taps); by slot, what of it was never written."""
    taps, processors = kernel.taps, np.array(quadrant.processors)
    shape = (len(processors), kernel.slots, config.input.passes, taps)
    if kernel.bypass:
        return np.ones(shape, dtype=np.int8), {}
    column, byte, bit = _places(weights, config, kernel, quadrant)
    packed = weights.columns_of(processors[:, None, None], column, byte) >> bit[:, None].astype(np.uint8)
    values = arithmetic.sign_extend(packed, kernel.bits).reshape(shape)
    if kernel.binary:
        values = arithmetic.plus_or_minus_one(values)
    valid = weights.valid[processors[:, None, None], column].reshape(len(processors), kernel.slots, -1)
    columns = column.reshape(kernel.slots, -1)
    causes = {}
    for slot in np.flatnonzero(~valid.all(axis=(0, 2))).tolist():
        position, tap = np.argwhere(~valid[:, slot])[0].tolist()
        causes[slot] = (
            f"kernel column {columns[slot, tap]} of processor {processors[position]}, which was never written"
        )
    return values, causes


def _places(
    weights: WeightMemory, config: LayerConfig, kernel: Kernel, quadrant: Quadrant
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Where kernels lie, in the order of slots and passes: column and byte of each tap (kernels, taps), bit of each
    kernel. With four outputs at a time, slot s is in physical memory s % 4, next to slot s + 4."""
    passes = config.input.passes
    slot, step = np.divmod(np.arange(kernel.slots * passes), passes)
    bank = slot % weights.banks if kernel.four_outputs else np.zeros_like(slot)
    number = (slot // weights.banks if kernel.four_outputs else slot) * passes + step
    counter = quadrant.counter + number * kernel.bits
    bit = counter & 7
    if bit.max() + kernel.bits > 8:
        raise field_error(config.layer, "MCNT.start", quadrant.counter, f"a multiple of the {kernel.bits} weight bits")
    start = (counter >> 3) * kernel.taps + quadrant.start_byte
    column, byte = np.divmod(start[:, None] + np.arange(kernel.taps)[::-1], weights.column_bytes)
    available = weights.columns(quadrant.processors)
    limit = weights.bank_columns(available) if kernel.four_outputs else available
    if column.max() >= limit:
        raise field_error(
            config.layer,
            f"MCNT.last of quadrant {quadrant.quadrant}",
            f"beyond column {column.max()}",
            f"the last one is {limit - 1}",
        )
    return (weights.in_bank(bank[:, None], column) if kernel.four_outputs else column), byte, bit


def _quadrant_bias(
    biases: BiasMemory, config: LayerConfig, kernel: Kernel, quadrant: Quadrant
) -> tuple[NDArray[np.int8], dict[int, str]]:
    """int8 (slots); by slot, the bias byte that was never written."""
    start = quadrant.bias_start or 0
    end = start + kernel.slots
    size = biases.bytes.shape[1]
    if end > size:
        raise field_error(config.layer, "POST.bias_start", start, f"{kernel.slots} bytes are read, there are {size}")
    unwritten = np.flatnonzero(~biases.valid[quadrant.quadrant, start:end]).tolist()
    causes = {
        slot: f"bias byte {start + slot} of quadrant {quadrant.quadrant}, which was never written" for slot in unwritten
    }
    return biases.bytes[quadrant.quadrant, start:end], causes
