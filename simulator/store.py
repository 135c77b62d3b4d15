"""A layer's results into data memory words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator.config import Depthwise, LayerConfig, Quadrant
from offramp.simulator.errors import field_error
from offramp.simulator.memory import ALL_VALID, WORD_BYTES, DataMemory


@dataclass(frozen=True)
class Placement:
    """Where up to four slots of an output pass go: from `word` of `instance` on, one step per pixel."""

    instance: int
    word: int
    first: int  # slots first .. end - 1, in the byte lanes (wide: words) from `lane` on
    end: int
    lane: int = 0


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
    if config.kernel and config.kernel.depthwise == Depthwise.BROADCAST:
        yield from _broadcast(config, writer, device)
        return
    for step, slots in enumerate(_slots_by_pass(config, writer)):
        for group, first in enumerate(range(slots.start, slots.stop, WORD_BYTES)):
            pointer = writer.write_base + group * config.output.group_step
            instance, word = device.split_pointer(pointer)
            if instance >= device.geometry.instances:
                found = f"{pointer:#x} for slot {first}"
                raise field_error(config.layer, "WPTR_BASE.pointer", found, "past the last word")
            end = min(first + WORD_BYTES, slots.stop)
            yield Placement(instance, word + step * config.output.pass_step, first, end)


def _slots_by_pass(config: LayerConfig, writer: Quadrant) -> Iterator[range]:
    """Slots of each output pass. A depthwise layer has one for each processor that reads, in each pass."""
    kernel, count = config.kernel, len(writer.processors)
    if kernel is None or kernel.depthwise:
        for step in range(config.input.passes if kernel else 1):
            yield range(step * count, (step + 1) * count)
        return
    for first in range(0, kernel.slots, kernel.slots_per_pass):
        yield range(first, min(first + kernel.slots_per_pass, kernel.slots))


def _broadcast(config: LayerConfig, writer: Quadrant, device: Device) -> Iterator[Placement]:
    """A depthwise layer whose channels stay in their lanes: WPTR_BASE's instance does not matter."""
    group = device.geometry.processors_per_instance
    _, word = device.split_pointer(writer.write_base)
    for step, slots in enumerate(_slots_by_pass(config, writer)):
        lanes: dict[int, list[int]] = {}
        for processor in writer.processors:
            lanes.setdefault(device.instance_of(processor), []).append(processor % group)
        first = slots.start
        for instance, used in lanes.items():
            if used != list(range(used[0], used[0] + len(used))):
                raise field_error(config.layer, "EN.processors", f"gaps in instance {instance}", "not modelled")
            place = word + step * config.output.pass_step
            yield Placement(instance, place, first, first + len(used), used[0])
            first += len(used)


def store_results(memory: DataMemory, results: Results, config: LayerConfig, device: Device) -> None:
    """Write results, four slots a word. Bytes of a word that belong to no slot stay as they are.

    Raises AcceleratorError if a word lies past the instance.
    """
    output = config.output
    for place in placements(config, results.writer, device):
        end = place.word + (len(results.values) - 1) * output.pixel_step + 1
        last = end + (WORD_BYTES - 2 if output.wide else -1)  # a wide group's words are all written
        if last >= memory.size:
            found = f"word {last} of instance {place.instance} written"
            raise field_error(config.layer, "WPTR_BASE.pointer", found, f"the last word is {memory.size - 1}")
        write = _write_wide if output.wide else _write_bytes
        write(memory, place, slice(place.word, end, output.pixel_step), results)


def places_written(config: LayerConfig, device: Device) -> Iterator[tuple[Placement, range]]:
    """Everywhere that a layer writes, with the words of the first lane: a wide group has the next three, too."""
    step = config.output.pixel_step
    for writer in config.writers:
        for place in placements(config, writer, device):
            yield place, range(place.word, place.word + (config.out_pixels - 1) * step + 1, step)


def forget_results(memory: DataMemory, config: LayerConfig, device: Device) -> None:
    """Everything that a layer writes becomes undefined: its run has not come to its end."""
    wide = config.output.wide
    for place, first in places_written(config, device):
        lanes = place.end - place.first
        for lane in range(lanes if wide else 1):
            offset = place.lane + lane if wide else 0
            words = slice(first.start + offset, first.stop + offset, first.step)
            spoiled = slice(0, WORD_BYTES) if wide else slice(place.lane, place.lane + lanes)
            memory.spoil(place.instance, words, spoiled)
            memory.explain(place.instance, words, "a run writes that was stopped before its end")


def _write_bytes(memory: DataMemory, place: Placement, words: slice, results: Results) -> None:
    lanes = slice(place.lane, place.lane + place.end - place.first)
    memory.bytes[place.instance, words, lanes] = results.values[:, place.first : place.end]
    memory.valid[place.instance, words, lanes] = True
    if results.undefined is not None and results.undefined[:, place.first : place.end].any():
        memory.valid[place.instance, words, lanes] = ~results.undefined[:, place.first : place.end]
        memory.explain(place.instance, words, next(filter(None, results.causes[place.first : place.end])))


def _write_wide(memory: DataMemory, place: Placement, words: slice, results: Results) -> None:
    for lane, slot in enumerate(range(place.first, place.end), place.lane):
        span = slice(words.start + lane, words.stop + lane, words.step)
        memory.words[place.instance, span] = results.values[:, slot].view(np.uint32)
        memory.word_valid[place.instance, span] = ALL_VALID
        if results.undefined is not None and results.undefined[:, slot].any():
            memory.word_valid[place.instance, span] = np.where(results.undefined[:, slot], 0, ALL_VALID)
            memory.explain(place.instance, span, results.causes[slot])
