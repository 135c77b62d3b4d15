"""A layer's results into data memory words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator.config import LayerConfig, Quadrant
from offramp.simulator.errors import field_error
from offramp.simulator.memory import ALL_VALID, WORD_BYTES, DataMemory


@dataclass(frozen=True)
class Placement:
    """Where up to four slots of an output pass go: from `word` of `instance` on, one step per pixel."""

    instance: int
    word: int
    first: int  # slots first .. end - 1, in the byte lanes (wide: words) 0 ..
    end: int


@dataclass(frozen=True, eq=False)
class Results:
    """Values of one writing quadrant: int8 or (wide) int32 (pixels, slots).

    `undefined`: bool (pixels, slots), None if all are defined; `causes` says by slot what they depend on.
    """

    writer: Quadrant
    values: NDArray[Any]
    undefined: NDArray[np.bool_] | None
    causes: Sequence[str]


def placements(config: LayerConfig, writer: Quadrant, device: Device) -> Iterator[Placement]:
    """Groups of four slots of every output pass. AcceleratorError for a pointer past the last instance."""
    slots = config.kernel.slots if config.kernel else len(writer.processors)
    slots_per_pass = config.kernel.slots_per_pass if config.kernel else slots
    for step, first in enumerate(range(0, slots, slots_per_pass or 1)):
        end = min(first + slots_per_pass, slots)
        for group, lane in enumerate(range(first, end, WORD_BYTES)):
            pointer = writer.write_base + group * config.output.group_step
            instance, word = device.split_pointer(pointer)
            if instance >= device.geometry.instances:
                raise field_error(
                    config.layer, "WPTR_BASE.pointer", f"{pointer:#x} for slot {lane}", "past the last word"
                )
            yield Placement(instance, word + step * config.output.pass_step, lane, min(lane + WORD_BYTES, end))


def store_results(memory: DataMemory, results: Results, config: LayerConfig, device: Device) -> None:
    """Write results, four slots a word. Bytes of a word that belong to no slot stay as they are.

    Raises AcceleratorError if a word lies past the instance.
    """
    output = config.output
    for place in placements(config, results.writer, device):
        end = place.word + (len(results.values) - 1) * output.pixel_step + 1
        last = end + (WORD_BYTES - 2 if output.wide else -1)
        if last >= memory.size:
            found = f"word {last} of instance {place.instance} written"
            raise field_error(config.layer, "WPTR_BASE.pointer", found, f"the last word is {memory.size - 1}")
        write = _write_wide if output.wide else _write_bytes
        write(memory, place, slice(place.word, end, output.pixel_step), results)


def forget_results(memory: DataMemory, config: LayerConfig, device: Device) -> None:
    """Everything that a layer writes becomes undefined: its run has not come to its end."""
    output = config.output
    writers = config.quadrants[:1] if config.kernel else [one for one in config.quadrants if one.processors]
    for place in (place for writer in writers for place in placements(config, writer, device)):
        end = place.word + (config.out_pixels - 1) * output.pixel_step + 1
        lanes = place.end - place.first
        for lane in range(lanes if output.wide else 1):
            words = slice(place.word + lane, end + lane, output.pixel_step)
            memory.spoil(place.instance, words, WORD_BYTES if output.wide else lanes)
            memory.explain(place.instance, words, "a run writes that was stopped before its end")


def _write_bytes(memory: DataMemory, place: Placement, words: slice, results: Results) -> None:
    width = place.end - place.first
    memory.bytes[place.instance, words, :width] = results.values[:, place.first : place.end]
    memory.valid[place.instance, words, :width] = True
    if results.undefined is not None and results.undefined[:, place.first : place.end].any():
        memory.valid[place.instance, words, :width] = ~results.undefined[:, place.first : place.end]
        memory.explain(place.instance, words, next(filter(None, results.causes[place.first : place.end])))


def _write_wide(memory: DataMemory, place: Placement, words: slice, results: Results) -> None:
    for lane, slot in enumerate(range(place.first, place.end)):
        span = slice(words.start + lane, words.stop + lane, words.step)
        memory.words[place.instance, span] = results.values[:, slot].view(np.uint32)
        memory.word_valid[place.instance, span] = ALL_VALID
        if results.undefined is not None and results.undefined[:, slot].any():
            memory.word_valid[place.instance, span] = np.where(results.undefined[:, slot], 0, ALL_VALID)
            memory.explain(place.instance, span, results.causes[slot])
