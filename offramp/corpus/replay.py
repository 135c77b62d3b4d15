"""`offramp replay`: corpus cases (bus programs of the vendor's tool) on the simulator, compared with their answers.

A case is a folder with `program.npz` and `meta.json`, and `expected.npz` and `outputs.npz` as far as they exist; the
format is described in the corpus's README. A bare program has no `meta.json`, or one without a list of layers: then
`expected.npz`, what the program leaves in memory, is all that it is compared with.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from offramp.configs.device import Device
from offramp.configs.errors import OfframpError
from offramp.corpus import cases
from offramp.corpus.case import OVERLAP
from offramp.corpus.case_files import (
    CHECK,
    CLEAR_BITS,
    POLL,
    SET_BITS,
    WRITE,
    WRITE_BYTE,
    Arrays,
    Meta,
    read_expected,
    read_meta,
    read_outputs,
    read_program,
)
from offramp.corpus.outputs import LayerOutputs, layers_by_slot
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.errors import UndecidedError
from offramp.simulator.snoop import UNITS


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
    accelerator = Accelerator(device, overlap=OVERLAP in meta.get("izer_args", ()))
    if bare:
        return _judge_bare(accelerator, meta.get("phase_order") or _phase_order(program, device), program, expected)
    return _judge(accelerator, meta, program, (expected, outputs))


def _judge(accelerator: Accelerator, meta: Meta, program: Arrays, answers: tuple[Arrays, Arrays]) -> tuple[str, ...]:
    expected, outputs = answers
    watch = LayerOutputs(accelerator, meta, outputs)
    accelerator.on_layer = watch.compare
    if "--snoop-loop" in meta.get("izer_args", ()):
        program = _without_loop(program, accelerator.device)
    try:
        for phase in meta["phase_order"]:
            play(accelerator, program, phase)
        _play_on(accelerator, program)
        play(accelerator, program, "isr")
        if not accelerator.layers_run:
            return ("the program never runs the accelerator",)
        found = (*watch.problems, *_compare_expected(accelerator, expected), *watch.final())
        return (*found, *_compare_order(accelerator, meta), *_compare_counters(accelerator, meta))
    except UndecidedError as error:
        return (*watch.problems, *_judge_undecided(accelerator, meta, program, expected, error))
    except OfframpError as error:
        return (*watch.problems, str(error))


def _play_on(accelerator: Accelerator, program: Arrays) -> None:
    """With CTRL.one_shot firmware starts again after each layer."""
    for _ in range(accelerator.device.geometry.layers):
        if not accelerator.runner.unfinished:
            return
        play(accelerator, program, "isr")
        play(accelerator, program, "start")


def _judge_undecided(
    accelerator: Accelerator, meta: Meta, program: Arrays, expected: Arrays, error: UndecidedError
) -> tuple[str, ...]:
    """A run that no source says how to go on with. If the vendor's tool stops it there, its known answers and counters
    are what is in memory now."""
    if len(accelerator.layers_run) != len(meta["executed_layers"]):
        return (str(error),)
    play(accelerator, program, "isr")
    return (*_compare_expected(accelerator, expected), *_compare_counters(accelerator, meta))


def _without_loop(program: Arrays, device: Device) -> Arrays:
    """A program of izer's `--snoop-loop`, which measures power, without the writes that make it start again and again:
    no source says what they mean, and the known answers are those of one round."""
    places = [device.locate(address) for address in program["start_addr"].tolist()]
    kept = [place is None or not place.name.startswith(UNITS) for place in places]
    return {name: values[kept] if name.startswith("start_") else values for name, values in program.items()}


def _compare_order(accelerator: Accelerator, meta: Meta) -> tuple[str, ...]:
    """The layers that have run, in their order."""
    by_slot = layers_by_slot(meta["layers"])
    found = [by_slot[slot]["index"] for slot in accelerator.layers_run if slot in by_slot]
    expected = meta.get("executed_layers", found)
    return () if found == expected else (f"layers {found} have run, {expected} are expected",)


def _compare_counters(accelerator: Accelerator, meta: Meta) -> tuple[str, ...]:
    """Registers of snoop units that the vendor's test reads after the run."""
    problems = []
    for address, expected in meta.get("snoop_checks", ()):
        if (found := accelerator.read(address)) != expected:
            place = accelerator.device.locate(address)
            problems.append(f"{place.name if place else hex(address)} is {found:#x}, expected {expected:#x}")
    return tuple(problems)


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
