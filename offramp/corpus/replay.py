"""`offramp replay`: corpus cases (bus programs of the vendor's tool) on the simulator, compared with their answers.

A case is a folder with `program.npz` and `meta.json`, and `expected.npz` and `outputs.npz` as far as they exist; the
format is described in the corpus's README. A bare program has no `meta.json`, or one without a list of layers: then
`expected.npz`, what the program leaves in memory, is all that it is compared with.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.configs.errors import OfframpError
from offramp.corpus import cases
from offramp.corpus.case_files import (
    CHECK,
    CLEAR_BITS,
    POLL,
    SET_BITS,
    WRITE,
    WRITE_BYTE,
    Arrays,
    read_expected,
    read_meta,
    read_outputs,
    read_program,
)
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.memory import WORD_BYTES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp replay`."""
    parser.epilog = "example:\n  offramp replay ../shared/corpus/cases --workers 2"
    cases.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Replay all cases; exit code 1 if one fails."""
    return cases.judge_cases(args, replay_case)


def replay_case(case: Path, device: Device) -> tuple[str, ...]:
    """Run a case's program on a fresh accelerator. What differs from its answers, or why it cannot run; () if right.

    Damaged if one of its files is.
    """
    meta, program, expected, outputs = read_meta(case), read_program(case), read_expected(case), read_outputs(case)
    bare = not meta.get("layers")
    missing = [] if bare else [key for key in ("phase_order", "final_layer") if key not in meta]
    if missing:
        return (f"cannot be read: meta.json has no `{'`, `'.join(missing)}`",)
    if not program or not (expected or outputs):
        return ("has no program, or neither expected.npz nor outputs.npz to compare with",)
    if bare and not expected:
        return ("meta.json has no list of `layers`, which outputs.npz is compared by, and there is no expected.npz",)
    accelerator = Accelerator(device)
    if bare:
        return _judge_bare(accelerator, meta.get("phase_order") or _phase_order(program, device), program, expected)
    return _judge(accelerator, meta, program, (expected, outputs))


def _judge(
    accelerator: Accelerator, meta: Mapping[str, Any], program: Arrays, answers: tuple[Arrays, Arrays]
) -> tuple[str, ...]:
    expected, outputs = answers
    watch = _Outputs(accelerator, meta, outputs)
    accelerator.on_layer = watch.compare
    try:
        for phase in (*meta["phase_order"], "isr"):
            play(accelerator, program, phase)
        if not accelerator.layers_run:
            return ("the program never runs the accelerator",)
        return (*watch.problems, *_compare_expected(accelerator, expected), *watch.final())
    except OfframpError as error:
        return (*watch.problems, str(error))


def _judge_bare(accelerator: Accelerator, phases: Sequence[str], program: Arrays, expected: Arrays) -> tuple[str, ...]:
    """A program without a list of its layers: what it leaves in memory. It may lack phases that it has no use for."""
    try:
        for phase in phases:
            if f"{phase}_addr" in program:
                play(accelerator, program, phase)
        if not accelerator.layers_run:
            return ("the program never runs the accelerator",)
        if len(program.get("isr_addr", ())):
            play(accelerator, program, "isr")
        else:
            _stop(accelerator)
        return _compare_expected(accelerator, expected)
    except OfframpError as error:
        return (str(error),)


def _phase_order(program: Arrays, device: Device) -> tuple[str, ...]:
    """The order in which firmware goes through its phases: a FIFO is fed after the start."""
    places = [device.locate(int(address)) for address in program.get("input_addr", np.zeros(0, np.uint32))[:2]]
    fed = any(place is not None and place.kind == "register" for place in places)
    return ("init", "weights", "bias", "configure", *(("start", "input") if fed else ("input", "start")))


def _stop(accelerator: Accelerator) -> None:
    """What the interrupt handler of generated firmware does: CTRL.enable and CTRL.done to 0 where a quadrant runs."""
    device = accelerator.device
    for quadrant in range(device.geometry.quadrants):
        fields = accelerator.registers.fields("CTRL", quadrant)
        if fields["enable"]:
            value = device.registers["CTRL"].encode({**fields, "enable": 0, "done": 0})
            accelerator.write(device.register_address("CTRL", quadrant), value)


def play(accelerator: Accelerator, program: Arrays, phase: str) -> None:
    """Send one phase of a program to the bus. OfframpError for a poll or check that does not hold."""
    names = [f"{phase}_{part}" for part in ("addr", "value", "kind")]
    missing = [name for name in names if name not in program]
    if missing:
        raise OfframpError(f"program.npz has no `{'`, `'.join(missing)}`")
    addresses, values, kinds = (program[name] for name in names)
    expect = program.get(f"{phase}_expect", values)
    edges = np.flatnonzero(np.diff(kinds)) + 1
    bounds = [0, *edges.tolist(), len(kinds)]
    for first, end in pairwise(bounds):
        if first == end:
            continue
        if kinds[first] == WRITE and end - first > 1:
            accelerator.write_block(addresses[first:end], values[first:end])
            continue
        for index in range(first, end):
            entry = (int(addresses[index]), int(values[index]), int(expect[index]))
            _play_one(accelerator, int(kinds[first]), *entry)


def _play_one(accelerator: Accelerator, kind: int, address: int, value: int, expect: int) -> None:
    if kind == WRITE:
        accelerator.write(address, value)
    elif kind == SET_BITS:
        accelerator.write(address, accelerator.read(address) | value)
    elif kind == CLEAR_BITS:
        accelerator.write(address, accelerator.read(address) & ~value & 0xFFFFFFFF)
    elif kind == WRITE_BYTE:
        accelerator.write8(address, value)
    elif kind in (POLL, CHECK):
        found = accelerator.read(address) & value
        if found != expect:
            what = "poll never ends" if kind == POLL else "check fails"
            raise OfframpError(f"{what}: {address:#010x} & {value:#x} is {found:#x}, expected {expect:#x}")
    else:
        raise OfframpError(f"program entry of kind {kind} is not supported")


def _compare_expected(accelerator: Accelerator, expected: Arrays) -> tuple[str, ...]:
    """The known-answer test: read & mask == value for every word, and no masked byte undefined."""
    if not expected:
        return ()
    addresses, masks, values = expected["addr"], expected["mask"], expected["value"]
    found = accelerator.read_block(addresses) & masks
    wrong = np.flatnonzero((found != values) | ((accelerator.defined_block(addresses) & masks) != masks))
    if not len(wrong):
        return ()
    first = wrong[0]
    return (
        f"expected.npz: {len(wrong)} of {len(values)} words differ, first {addresses[first]:#010x} & "
        f"{masks[first]:#010x} is {found[first]:#010x}, expected {values[first]:#010x}",
    )


class _Outputs:
    """Compares each layer's output in memory with outputs.npz as soon as the layer has run."""

    def __init__(self, accelerator: Accelerator, meta: Mapping[str, Any], outputs: Arrays) -> None:
        self._accelerator = accelerator
        self._outputs = outputs
        self._final_layer = meta["final_layer"]
        self._layers = {layer["index"]: layer for layer in meta["layers"]}
        self.problems: list[str] = []

    def compare(self, index: int) -> None:
        layer, following = self._layers.get(index), self._layers.get(index + 1)
        if layer is None:
            self.problems.append(f"layer {index} has run, but meta.json does not list it")
            return
        if layer["buffer_shift"] is not None or layer["buffer_insert"] is not None:
            return  # outputs.npz holds the rolling buffer, which is not where the layer writes
        streamed = following is not None and following["streaming"] and index != self._final_layer
        if f"out{index}" in self._outputs and not streamed:
            self._check(f"out{index}", index)

    def final(self) -> tuple[str, ...]:
        """The last layer's output, after the whole run."""
        self.problems = []
        if self._final_layer not in self._layers:
            return (f"meta.json does not list its final layer, {self._final_layer}",)
        if "final" in self._outputs:
            self._check("final", self._final_layer)
        return tuple(self.problems)

    def _check(self, name: str, index: int) -> None:
        expected = self._outputs[name]
        expected = expected.reshape(len(expected), -1).astype(np.int64)
        try:
            found = read_output(self._accelerator, self._layers[index], *expected.shape)
        except OfframpError as error:
            self.problems.append(f"{name}: {error}")
            return
        wrong = np.argwhere(found != expected)
        if len(wrong):
            channel, pixel = wrong[0]
            self.problems.append(
                f"{name}: {len(wrong)} of {expected.size} values differ, first channel {channel} pixel {pixel} is "
                f"{found[channel, pixel]}, expected {expected[channel, pixel]}"
            )


def read_output(accelerator: Accelerator, layer: Mapping[str, Any], channels: int, pixels: int) -> NDArray[np.int64]:
    """A layer's output from data memory: int64 (channels, pixels). `layer` is an entry of meta.json's `layers`."""
    device = accelerator.device
    group = device.geometry.processors_per_instance
    map_ = int(layer["output_processors"] or "0", 16)
    enabled = np.array([processor for processor in range(device.geometry.processors) if map_ >> processor & 1])
    expansions = math.ceil(channels / device.geometry.processors)
    threshold = channels if expansions == 1 else math.ceil(math.ceil(channels / expansions) / group) * group
    channel = np.arange(channels)
    if len(enabled) < min(channels, threshold):
        raise OfframpError(f"{channels} channels on {len(enabled)} output processors")
    processor, expansion = enabled[channel % threshold], channel // threshold
    wide = layer["output_width"] == 32
    unit = (layer["write_gap"] + 1) * (group if wide else 1)
    word = layer["out_offset"] // WORD_BYTES + (np.arange(pixels) * expansions + expansion[:, None]) * unit
    lane = (processor % group)[:, None]
    instance = (processor // group)[:, None]
    memory = accelerator.data
    if wide:
        word = word + lane
    if word.max() >= memory.size:
        raise OfframpError(f"lies past word {memory.size - 1} of an instance")
    if wide:
        if not memory.valid[instance, word].all():
            raise OfframpError("some words were never written")
        words: NDArray[np.int64] = memory.words[instance, word].view(np.int32).astype(np.int64)
        return words
    if not memory.valid[instance, word, lane].all():
        raise OfframpError("some bytes were never written")
    values: NDArray[np.int64] = memory.bytes[instance, word, lane].astype(np.int64)
    return values
