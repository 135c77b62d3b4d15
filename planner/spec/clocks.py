"""Clocks that a spec assumes. Layers keep their cycles; what changes is their time, and how long the core's work is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from offramp.configs.device import Device
from offramp.configs.lines import LineMap
from offramp.planner.spec.reader import Reader


def read_clocks(reader: Reader, data: LineMap, device: Device) -> Mapping[str, int]:
    """A spec's `clocks`, Hz by name; empty if it says nothing. Problems go to the reader.

    The device's clocks are the highest that are allowed.
    """
    highest = device.clocks
    section = reader.section(data, "clocks")
    reader.keys(section, (), tuple(highest))
    for name, value in section.items():
        limit = highest.get(name, 0)
        if limit and (type(value) is not int or not 1 <= value <= limit):
            reader.wrong(section.at(name), f"`{name}` is {value!r}; a whole number of Hz, 1..{limit}, is expected")
    return dict(section)


def with_clocks(device: Device, clocks: Mapping[str, int]) -> Device:
    """The device at other clocks; those that are not given stay as they are."""
    return replace(device, clocks={**device.clocks, **clocks}) if clocks else device
