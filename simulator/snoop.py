"""Snoop units: they watch what a layer writes, count matches, and may stop or divert the run.

Everything here is what the vendor's tests show (izer tests/test-snoop*.yaml); what they leave open is refused, with the
field's name. A unit acts when its layer has run: whether the hardware acts at once is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device, Place
from offramp.simulator.config import LayerConfig, Run
from offramp.simulator.errors import AcceleratorError, UndecidedError
from offramp.simulator.memory import WORD_BYTES, DataMemory
from offramp.simulator.registers import RegisterFile
from offramp.simulator.store import placements

UNITS = ("SNOOP1", "SNOOP2")
EQUAL, WITHIN = 2, 5  # codes of compares
WHOLE_WORD, LAST_BYTE = 4, 3  # codes of C1.width
ON_MATCH, ON_COUNT = 3, 4  # codes of C2.condition
KNOWN: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("C1", "address_compare"): (EQUAL, WITHIN),
    ("C1", "data_compare"): (EQUAL, WITHIN),
    ("C1", "count_compare"): (0, WITHIN),
    ("C1", "mode_low"): (1,),
    ("C1", "mode_high"): (0,),
    ("C1", "width"): (LAST_BYTE, WHOLE_WORD),
    ("C2", "condition"): (ON_MATCH, ON_COUNT),
    ("A1", "data_memory"): (1,),
}


@dataclass(frozen=True)
class Action:
    """What units do when a layer has run."""

    stop: bool = False
    link: bool = False


@dataclass(frozen=True)
class Unit:
    """A unit that is enabled. `fields`: of its registers, by the end of their names."""

    name: str
    fields: Mapping[str, Mapping[str, int]]

    @property
    def layer(self) -> int:
        return self.fields["C2"]["layer"]

    def does(self, what: str) -> bool:
        return bool(self.fields["C1"][what])

    def bounds(self, compare: str, low: int, high: int) -> tuple[int, int]:
        """What a compare of addresses or data lets through."""
        return (low, low if self.fields["C1"][compare] == EQUAL else high)


def read_units(registers: RegisterFile, run: Run) -> tuple[Unit, ...]:
    """The enabled units. AcceleratorError where quadrants differ, or for a setting of which nothing is known."""
    if f"{UNITS[0]}_C1" not in registers.device.registers:
        return ()
    units = []
    for name in UNITS:
        by_quadrant = [_unit_fields(registers, name, quadrant) for quadrant in run.quadrants]
        if not any(fields["C1"]["enable"] for fields in by_quadrant):
            continue  # whatever its other registers hold
        fields = by_quadrant[run.quadrants.index(run.master)]
        if any(other != fields for other in by_quadrant):
            raise AcceleratorError(f"{name}: quadrants have different values; which one acts is not known")
        units.append(Unit(name, fields))
        _check(units[-1], run, registers.device)
    return tuple(units)


def _unit_fields(registers: RegisterFile, name: str, quadrant: int) -> dict[str, dict[str, int]]:
    names = ("A1", "A2", "D1", "D2", "X1", "X2", "C1", "C2")
    return {end: registers.fields(f"{name}_{end}", quadrant) for end in names}


def _check(unit: Unit, run: Run, device: Device) -> None:
    fields = unit.fields
    for (register, field), allowed in KNOWN.items():
        if fields[register][field] not in allowed:
            known = " and ".join(map(str, allowed))
            raise AcceleratorError(
                f"{unit.name}_{register}.{field} is {fields[register][field]}; only {known} of it is known"
            )
    if (fields["C2"]["condition"] == ON_COUNT) != (fields["C1"]["count_compare"] == WITHIN):
        raise AcceleratorError(f"{unit.name}_C1.count_compare and C2.condition say different things; not known")
    if not run.bus_clock:
        raise AcceleratorError(f"CTRL.bus_clock_enable is 0; whether {unit.name} works without it is not known")
    ends = [fields["A1"]["word"]] + ([fields["A2"]["word"]] if fields["C1"]["address_compare"] == WITHIN else [])
    for end in ends:
        quadrant = device.quadrant(device.split_pointer(end)[0])
        if quadrant != fields["C2"]["quadrant"]:
            found = f"{fields['C2']['quadrant']}; its addresses are in quadrant {quadrant}"
            raise AcceleratorError(f"{unit.name}_C2.quadrant is {found}; what that does is not known")


def watch(unit: Unit, config: LayerConfig, memory: DataMemory, registers: RegisterFile, run: Run) -> Action:
    """A layer that the unit watches has written its results: count what matches, and decide."""
    pointers, data = _matches(unit, config, memory, registers.device)
    before = registers.fields(f"{unit.name}_HIT", run.master)["count"]
    for quadrant in run.quadrants:
        _count(unit, pointers, data, registers, quadrant)
    acts = len(data) > 0
    if unit.fields["C2"]["condition"] == ON_COUNT:
        acts = _acts_on_count(unit, before, len(data))
    return Action(stop=acts and unit.does("stop"), link=acts and unit.does("link"))


def _acts_on_count(unit: Unit, before: int, hits: int) -> bool:
    """The vendor's tests allow two readings. UndecidedError where they differ and it matters."""
    low, high = unit.fields["X1"]["count"], unit.fields["X2"]["count"]
    readings = {low <= before + hits <= high, not low <= hits <= high}
    if len(readings) > 1 and (unit.does("stop") or unit.does("link")):
        raise UndecidedError(
            f"{unit.name}_C1.count_compare: {hits} matches, {before + hits} in HIT, X1 {low}, X2 {high}; whether the "
            "unit acts is not known"
        )
    return readings == {True}


def _matches(
    unit: Unit, config: LayerConfig, memory: DataMemory, device: Device
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Write pointers and data (unsigned) of what matches, in the order of pixels."""
    low, high = unit.bounds("address_compare", unit.fields["A1"]["word"], unit.fields["A2"]["word"])
    least, most = unit.bounds("data_compare", unit.fields["D1"]["data"], unit.fields["D2"]["data"])
    sign = 1 << 31 if unit.fields["C1"]["width"] == WHOLE_WORD else 1 << 7
    if unit.fields["C1"]["data_compare"] == WITHIN and (least | most) & sign:
        raise UndecidedError(f"{unit.name}_D1, D2: whether values are compared with a sign is not known")
    found: list[tuple[int, int, int]] = []  # pixel, pointer, data
    for instance, words in _written(config, device):
        pointers = device.pointer(instance, 0) + words
        for pixel in np.flatnonzero((pointers >= low) & (pointers <= high)).tolist():
            value = _value(unit, config, memory, instance, int(words[pixel]))
            if least <= value <= most:
                found.append((pixel, int(pointers[pixel]), value))
    found.sort(key=lambda match: match[0])
    columns = np.array(found, dtype=np.int64).reshape(-1, 3)
    return columns[:, 1], columns[:, 2]


def _written(config: LayerConfig, device: Device) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Instances and words that the layer writes, by pixel."""
    pixels = np.arange(config.out_pixels, dtype=np.int64) * config.output.pixel_step
    for writer in config.writers:
        for place in placements(config, writer, device):
            lanes = range(place.lane, place.lane + place.end - place.first) if config.output.wide else (0,)
            for lane in lanes:
                yield place.instance, place.word + lane + pixels


def _value(unit: Unit, config: LayerConfig, memory: DataMemory, instance: int, word: int) -> int:
    last_byte = unit.fields["C1"]["width"] == LAST_BYTE
    needed = memory.valid[instance, word, WORD_BYTES - 1 :] if last_byte else memory.valid[instance, word]
    if not needed.all():
        raise AcceleratorError(
            f"layer {config.layer}: {unit.name} compares word {word} of instance {instance}, and part of it was never "
            "written"
        )
    value = int(memory.words[instance, word])
    return value >> 24 if last_byte else value


def _count(
    unit: Unit, pointers: NDArray[np.int64], data: NDArray[np.int64], registers: RegisterFile, quadrant: int
) -> None:
    """ACC, HIT, MAX and AM of one quadrant go on from what they hold."""
    sign = 1 << 31 if unit.fields["C1"]["width"] == WHOLE_WORD else 1 << 7
    negative = bool((data & sign).any())
    if negative and (unit.does("record_maximum") or (unit.does("accumulate") and sign == 1 << 7)):
        raise UndecidedError(f"{unit.name}: whether negative values are added and compared with a sign is not known")
    if unit.does("accumulate"):
        _add(registers, f"{unit.name}_ACC", quadrant, int(data.sum()))
    if unit.does("count"):
        _add(registers, f"{unit.name}_HIT", quadrant, len(data))
    if not unit.does("record_maximum") or not len(data):
        return
    largest = int(data.argmax())
    if data[largest] > registers.read(f"{unit.name}_MAX", quadrant):
        _set(registers, f"{unit.name}_MAX", quadrant, int(data[largest]))
        address = {"word": int(pointers[largest]), "data_memory": 1}
        _set(registers, f"{unit.name}_AM", quadrant, registers.device.registers[f"{unit.name}_AM"].encode(address))


def _add(registers: RegisterFile, name: str, quadrant: int, value: int) -> None:
    _set(registers, name, quadrant, registers.read(name, quadrant) + value & 0xFFFFFFFF)


def _set(registers: RegisterFile, name: str, quadrant: int, value: int) -> None:
    registers.write(Place("register", name, quadrant, -1, 0), value)
