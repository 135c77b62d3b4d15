"""From a placed chain to register programs, one for each run of the accelerator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from offramp.codegen.hardware_exits import in_runs
from offramp.codegen.lower_common import Registers
from offramp.codegen.lower_slots import network_of, reads_fifo, slot_registers
from offramp.codegen.lower_window import reset_registers
from offramp.codegen.program import Fields, Key, RegisterProgram, Switching, switching
from offramp.codegen.segments import in_segments
from offramp.configs.device import Device
from offramp.planner.allocation.place import Placed
from offramp.planner.hardware.hw_layer import quadrants_of
from offramp.planner.ir.chain import Segment, Slot


@dataclass(frozen=True, eq=False)
class Lowered:
    """A placed chain with the register program of every segment, and what switching between them writes."""

    placed: Placed
    programs: tuple[RegisterProgram, ...]
    switching: Switching


def lower(placed: Placed) -> Lowered:
    """Register programs of all segments. Called once per chain; what needs them is given the result.

    Stages with more layers than a run can have are cut here, unless they are already.
    """
    return lower_together([placed])[0]


def with_thresholds(lowered: Lowered, placed: Placed) -> Lowered:
    """The chain as it was lowered, now that its thresholds are known; those of hardware exits are in registers."""
    return lower(placed) if placed.requirements.chain.hardware else replace(lowered, placed=placed)


def lower_together(models: Sequence[Placed]) -> tuple[Lowered, ...]:
    """The same for the models of an image. What does not belong to a layer slot - the FIFO, its frames, snoop units -
    is zero in the stages of a model that does not use it, if another one does. Where models have slots of their own,
    the length of frames stays: with the FIFO off it is not read, and the vendor's demonstration of three networks
    (MSDK, MAX78002 facial_recognition) leaves it, too."""
    models = [in_segments(placed) for placed in models]
    firsts = first_slots(models)
    programs = [
        [lower_segment(placed, one, first) for one, first in zip(placed.requirements.chain.segments, own, strict=True)]
        for placed, own in zip(models, firsts, strict=True)
    ]
    programs = [in_runs(placed, own) for placed, own in zip(models, programs, strict=True)]
    common = sorted({key for own in programs for program in own for key in program.settings if key.layer < 0})
    kept = ("IFRM",) if "start_slot" in models[0].requirements.device.features else ()
    zero: dict[Key, Fields] = {key: {} for key in common if key.name not in kept} if len(models) > 1 else {}
    found = []
    for placed, own in zip(models, programs, strict=True):
        whole = tuple(replace(program, settings=zero | dict(program.settings)) for program in own)
        found.append(Lowered(placed, whole, switching(whole, placed.requirements.device)))
    return with_kept(found)


def with_kept(models: Sequence[Lowered]) -> tuple[Lowered, ...]:
    """The models with the registers that are written once: where runs can begin with any slot, those that hold the
    same in all stages of a model and that no other model states."""
    if len(models) == 1 or "start_slot" not in models[0].placed.requirements.device.features:
        return tuple(models)
    stated = Counter(key for model in models for key in model.switching.states[0])
    found = []
    for model in models:
        states = model.switching.states
        kept = frozenset(key for key in states[0] if stated[key] == 1 and len({state[key] for state in states}) == 1)
        found.append(replace(model, switching=replace(model.switching, kept=kept)))
    return tuple(found)


def first_slots(models: Sequence[Placed]) -> list[list[int]]:
    """The first layer slot of every segment of the models. Where a run can begin with any, each has slots of its own as
    long as there are some, so that a switch writes next to nothing; then the first slots are taken again. Segments that
    run together have slots one behind the other; runs that read the FIFO begin with slot 0."""
    device = models[0].requirements.device
    runs = [(placed, run) for placed in models for run in placed.requirements.chain.runs]
    lengths = [_slot_counts(placed, run) for placed, run in runs]
    fifo = [reads_fifo(placed, placed.requirements.chain.segments[run[0]].slots) for placed, run in runs]
    free = max((sum(counts) for counts, first in zip(lengths, fifo, strict=True) if first), default=0)
    begins: list[list[int]] = [[] for _ in models]
    owners = [own for placed, own in zip(models, begins, strict=True) for _ in placed.requirements.chain.runs]
    for counts, first, own in zip(lengths, fifo, owners, strict=True):
        begin = 0
        if not first and "start_slot" in device.features:
            begin = free if free + sum(counts) <= device.geometry.layers else 0
            free = begin + sum(counts)
        own += accumulate(counts[:-1], initial=begin)
    return begins


def _slot_counts(placed: Placed, run: Sequence[int]) -> list[int]:
    """The layer slots of the segments of a run; behind the last one of several there is one to leave by."""
    segments = placed.requirements.chain.segments
    counts = [placed.requirements.slot_count(segments[one].slots) for one in run]
    return [*counts[:-1], counts[-1] + int(len(run) > 1)]


def lower_segment(placed: Placed, segment: Segment, first: int = 0) -> RegisterProgram:
    """The registers of one run that begins with slot `first`: every register of every slot it uses, in every quadrant
    that its stage uses, and LCNT_MAX."""
    device = placed.requirements.device
    quadrants = placed.requirements.quadrants(segment.stage)
    slots = segment.slots
    positions = tuple(first + one for one in placed.requirements.positions(slots))
    settings: dict[Key, Fields] = {}
    for position, slot in zip(positions, slots, strict=True):
        for quadrant in quadrants:
            values = slot_registers(placed, slots, slot, quadrant)
            settings |= _slot_settings(values, quadrant, position, device)
            if slot.writes in placed.requirements.resets:
                reset = reset_registers(values) if quadrant == quadrants[0] else {}
                settings |= _slot_settings(reset, quadrant, position - 1, device)
    for quadrant in quadrants:
        settings[Key(quadrant, -1, "LCNT_MAX")] = {"last_layer": positions[-1]} | (
            {"first_layer": first} if first else {}
        )
    if reads_fifo(placed, slots):
        settings |= _fifo_settings(placed, slots, quadrants)
    return RegisterProgram(segment.name, quadrants, positions, settings, _control(placed, slots))


def _slot_settings(values: Registers, quadrant: int, position: int, device: Device) -> dict[Key, Fields]:
    return {
        Key(quadrant, position, register.name): values.get(register.name, {})
        for register in device.layer_registers()
        if position < register.layers
    }


def _control(placed: Placed, slots: Sequence[Slot]) -> Fields:
    """CTRL during a run. Only one that reads the FIFO has streaming layers."""
    fifo = reads_fifo(placed, slots)
    streams = any(slot.layer.streaming for slot in slots)
    return {
        **_more_control(placed, slots),
        "clock_enable": 1,
        "express": 1,
        "pool_round": int(network_of(placed, slots).avg_pool_rounding),
        "fifo": int(fifo),
        "stream": int(streams),
        "circular": int(streams),
    }


def _more_control(placed: Placed, slots: Sequence[Slot]) -> Fields:
    """Fields that only some devices have: binary weights, and CHW data for a streaming layer."""
    first = slots[0].layer
    wanted = {
        "binary_weights": any(slot.layer.binary for slot in slots),
        "stream_chw": first.streaming and first.data_format == "CHW",
    }
    known = placed.requirements.device.registers["CTRL"].by_name
    return {name: int(value) for name, value in wanted.items() if name in known}


def fifo_ports(placed: Placed) -> tuple[int, ...]:
    """FIFO ports that the input goes through: one for each quadrant that the first layer reads."""
    return tuple(quadrants_of(placed.requirements.chain.first_reader.layer.processors, placed.requirements.device))


def _fifo_settings(placed: Placed, slots: Sequence[Slot], quadrants: tuple[int, ...]) -> dict[Key, Fields]:
    """Length of a frame, and the FIFO itself: thresholds as the vendor's generated code sets them (izer)."""
    hw = placed.requirements.layer(slots[0])
    words = {"words": hw.input_words}
    enable = sum(1 << port for port in fifo_ports(placed))
    couple = int(placed.requirements.device.layer_form == "image")
    fifo = {"almost_full": 2, "almost_empty": 2, "couple": couple, "enable": enable}
    frames: dict[Key, Fields] = {Key(quadrant, -1, "IFRM"): words for quadrant in quadrants}
    return {**frames, Key(0, -1, "FIFO_CTRL"): fifo}
