"""A layer's results into data memory words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.device import Device
from simulator.config import LayerConfig
from simulator.errors import field_error
from simulator.memory import ALL_VALID, WORD_BYTES, DataMemory


@dataclass(frozen=True, eq=False)
class Results:
    """Values to write from pointer `base` on: int8 or (wide) int32 (pixels, slots), in passes of `slots_per_pass`.

    `undefined`: bool (pixels, slots), None if all are defined; `cause` says what they depend on.
    """

    base: int
    values: NDArray[Any]
    slots_per_pass: int
    undefined: NDArray[np.bool_] | None
    cause: str


def store_results(memory: DataMemory, results: Results, config: LayerConfig, device: Device) -> None:
    """Write results, four slots a word. Bytes of a word that belong to no slot stay as they are.

    Raises AcceleratorError if a pointer leaves its instance.
    """
    pixels, slots = results.values.shape
    for first in range(0, slots, results.slots_per_pass):
        end = min(first + results.slots_per_pass, slots)
        for group in range(first, end, WORD_BYTES):
            pointer = results.base + (group - first) // WORD_BYTES * config.output.group_step
            offset = first // results.slots_per_pass * config.output.pass_step
            instance, word = _locate(memory, config, device, (pointer, offset, pixels))
            lanes = slice(group, min(group + WORD_BYTES, end))
            write = _write_wide if config.output.wide else _write_bytes
            write(memory, instance, slice(word, None, config.output.pixel_step), (results, lanes))


def _locate(memory: DataMemory, config: LayerConfig, device: Device, run: tuple[int, int, int]) -> tuple[int, int]:
    """Instance and first word of one group of slots: pointer, offset in words, number of pixels."""
    pointer, offset, pixels = run
    instance, word = device.split_pointer(pointer)
    word += offset
    last = word + (pixels - 1) * config.output.pixel_step + (WORD_BYTES - 1 if config.output.wide else 0)
    if instance >= device.geometry.instances:
        raise field_error(config.layer, "WPTR_BASE.pointer", f"{pointer:#x}", "past the last instance")
    if last >= memory.size:
        found = f"word {last} of instance {instance} written"
        raise field_error(config.layer, "WPTR_BASE.pointer", found, f"the last word is {memory.size - 1}")
    return instance, word


def _write_bytes(memory: DataMemory, instance: int, words: slice, part: tuple[Results, slice]) -> None:
    results, lanes = part
    values = results.values[:, lanes]
    count, width = values.shape
    span = slice(words.start, words.start + (count - 1) * words.step + 1, words.step)
    memory.bytes[instance, span, :width] = values
    memory.valid[instance, span, :width] = True
    if results.undefined is not None and results.undefined[:, lanes].any():
        memory.valid[instance, span, :width] = ~results.undefined[:, lanes]
        memory.explain(instance, span, results.cause)


def _write_wide(memory: DataMemory, instance: int, words: slice, part: tuple[Results, slice]) -> None:
    results, lanes = part
    values = results.values[:, lanes]
    for lane, column in enumerate(values.T):
        start = words.start + lane
        span = slice(start, start + (len(column) - 1) * words.step + 1, words.step)
        memory.words[instance, span] = column.view(np.uint32)
        memory.word_valid[instance, span] = ALL_VALID
        if results.undefined is not None:
            memory.word_valid[instance, span] = np.where(results.undefined[:, lanes.start + lane], 0, ALL_VALID)
            memory.explain(instance, span, results.cause)
