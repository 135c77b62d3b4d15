"""Runs that leave by themselves: a snoop unit watches the logits of a stage, or its gate, and a match ends the run.

The unit compares every word that the stage's last layer writes. With a match the layer's link is taken, to a slot that
changes nothing and stops; without one the next stage follows (izer tests/test-snoop*.yaml, cases skip and noskip). All
stages of a run have the same registers; which one it ended with, the units' counts of matches say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from offramp.codegen.firmware import BusWrite
from offramp.codegen.load_images import tensor_layout
from offramp.codegen.lower_window import reset_registers
from offramp.codegen.program import Fields, Key, RegisterProgram
from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.allocation.place import Placed
from offramp.planner.allocation.requirements import EXIT_WORD
from offramp.planner.ir.chain import Segment
from offramp.planner.ir.measure import LARGEST_LOGIT

UNITS = ("SNOOP1", "SNOOP2")
LARGEST = (1 << 31) - 1  # of logits, whether they are compared with a sign or not
WITHIN, WHOLE_WORD, ON_MATCH, USUAL = 5, 4, 3, 1  # codes of C1 and C2; `USUAL`: as in all of izer's tests


def unit_of(placed: Placed, segment: Segment) -> str:
    """The snoop unit of a hardware exit: each has one of its own."""
    found = [one.name for one in placed.requirements.chain.segments if one.hardware]
    return UNITS[found.index(segment.name)]


def hit_address(placed: Placed, segment: Segment) -> int:
    """Where the unit counts its matches, in the quadrant that starts the others."""
    device, stage = placed.requirements.device, segment.stage
    return device.register_address(f"{unit_of(placed, segment)}_HIT", placed.requirements.quadrants(stage)[0])


def clear_writes(placed: Placed, segments: Sequence[Segment]) -> tuple[BusWrite, ...]:
    """Counts of matches back to 0, before a run."""
    device = placed.requirements.device
    return tuple(
        BusWrite(device.register_address(f"{unit_of(placed, one)}_HIT", quadrant), 0)
        for one in segments
        if one.hardware
        for quadrant in placed.requirements.quadrants(one.stage)
    )


def in_runs(placed: Placed, programs: Sequence[RegisterProgram]) -> list[RegisterProgram]:
    """The programs of all segments; those of one run with the registers of all of it. Units of other runs are off."""
    segments, runs = placed.requirements.chain.segments, placed.requirements.chain.runs
    own = [{unit_of(placed, segments[one]) for one in run if segments[one].hardware} for run in runs]
    used = set().union(*own)
    found = list(programs)
    for run, units in zip(runs, own, strict=True):
        joined = programs[run[0]]
        if len(run) > 1:
            joined = _joined(placed, [segments[one] for one in run], [programs[one] for one in run])
        others = sorted(used - units)
        off: dict[Key, Fields] = {Key(quadrant, -1, f"{one}_C1"): {} for one in others for quadrant in joined.quadrants}
        for one in run:
            found[one] = replace(programs[one], settings={**joined.settings, **off}, control=joined.control)
    return found


def _joined(placed: Placed, segments: Sequence[Segment], programs: Sequence[RegisterProgram]) -> RegisterProgram:
    """The first program, with what all of them write, their exits, and the slot behind them that stops. InputError if
    there are not as many slots."""
    first, last = programs[0], programs[-1]
    device, stop = placed.requirements.device, last.positions[-1] + 1
    if stop >= device.geometry.layers:
        names = ", ".join(one.stage.name for one in segments)
        begin = first.settings[Key(first.quadrants[0], -1, "LCNT_MAX")].get("first_layer", 0)
        found = f"stages {names} run together, with hardware exits between them: they take {stop - begin} layer slots"
        message = f"{found} and one to leave by; there are {device.geometry.layers}"
        raise InputError(Diagnostic(segments[0].slots[0].layer.where, message))
    settings: dict[Key, Fields] = {key: value for program in programs for key, value in program.settings.items()}
    for quadrant in first.quadrants:
        begin = first.settings[Key(quadrant, -1, "LCNT_MAX")].get("first_layer", 0)
        settings[Key(quadrant, -1, "LCNT_MAX")] = {"last_layer": stop - 1, "first_layer": begin}
        own = _stop_registers(placed) if quadrant == first.quadrants[0] else {}
        for register in device.layer_registers():
            if stop < register.layers:
                settings[Key(quadrant, stop, register.name)] = own.get(register.name, {})
        settings[Key(quadrant, stop, "NXTLYR")] = {"stop": 1}
        for segment, program in zip(segments[:-1], programs, strict=False):
            settings[Key(quadrant, program.positions[-1], "NXTLYR")] = {"next": stop, "link": 1}
            for name, fields in _unit(placed, segment, program.positions[-1]).items():
                settings[Key(quadrant, -1, f"{unit_of(placed, segment)}_{name}")] = fields
    control = {**first.control, "bus_clock_enable": 1}
    return replace(first, settings=settings, control=control)


def _stop_registers(placed: Placed) -> dict[str, Fields]:
    """One pixel of the first processor passes through, to the word where it came from."""
    word = placed.placement.data[EXIT_WORD]
    place = {"RPTR_BASE": {"word": word}, "WPTR_BASE": {"pointer": placed.requirements.device.pointer(0, word)}}
    return dict(reset_registers({**place, "WPTR_TOFF": {"step": 1}}))


def _unit(placed: Placed, segment: Segment, position: int) -> dict[str, Fields]:
    """Registers of the unit that watches the segment's logits, or its gate only. InputError if it cannot see them
    all."""
    device, rule = placed.requirements.device, segment.exit
    assert rule is not None
    places = tensor_layout(placed, segment.result).places
    pointers = []
    for address in places if rule.measure == LARGEST_LOGIT else places[-1:]:
        place = device.locate(address)
        assert place is not None
        instance = place.quadrant * device.geometry.instances_per_quadrant + place.unit
        pointers.append(device.pointer(instance, place.index))
    low, high = min(pointers), max(pointers)
    quadrants = {device.quadrant(device.split_pointer(one)[0]) for one in pointers}
    if len(quadrants) > 1:
        layer, most = segment.slots[-1].layer, device.geometry.processors_per_quadrant
        found = f"layer `{layer.label}`: logits of stage `{segment.stage.name}` lie in quadrants {sorted(quadrants)}"
        cure = f"which has room for {most}; a gate would be one word (`hardware: {{gate: true}}`)"
        cure = cure if len(pointers) > most else "as `output_processors` can say"
        raise InputError(Diagnostic(layer.where, f"{found}; a hardware exit sees those of one, {cure}"))
    control = {"enable": 1, "link": 1, "count": 1, "record_maximum": 1, "mode_low": USUAL, "width": WHOLE_WORD}
    compares = {"address_compare": WITHIN, "data_compare": WITHIN}
    return {
        "A1": {"word": low, "data_memory": 1},
        "A2": {"word": high, "data_memory": 1},
        "D1": {"data": LARGEST if rule.threshold is None else min(rule.threshold, LARGEST)},
        "D2": {"data": LARGEST},
        "X1": {},
        "X2": {},
        "C1": {**control, **compares},
        "C2": {"layer": position, "quadrant": quadrants.pop(), "condition": ON_MATCH},
    }
