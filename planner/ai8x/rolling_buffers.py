"""Rolling data buffers of a network YAML: data memory that keeps its content from one inference to the next.

Keys as in the README of analogdevicesinc/ai8x-synthesis, "Rolling Buffers", and its izer/yamlcfg.py.
"""

from __future__ import annotations

from offramp.configs.errors import Diagnostic
from offramp.configs.lines import LineMap
from offramp.configs.schema import Entry, Items, Section, read_value
from offramp.planner.ai8x.yaml_keys import BUFFER_KEYS, RESERVED_NAMES
from offramp.planner.ir.network import RollingBuffer, Shape


def read_buffers(data: LineMap, problems: list[Diagnostic]) -> tuple[RollingBuffer, ...]:
    """The buffers that a network YAML declares, in its order; what is wrong with them is added to `problems`."""
    if "data_buffer" not in data:
        return ()
    place = data.at("data_buffer")
    entries = read_value(Items(Section(BUFFER_KEYS)), "data_buffer", data["data_buffer"], place, problems)
    buffers = [_buffer(entry, problems) for entry in entries or () if entry]
    return tuple(buffer for buffer in buffers if buffer)


def _buffer(entry: Entry, problems: list[Diagnostic]) -> RollingBuffer | None:
    """The buffer, None if something about it is wrong."""
    name = entry["name"]
    if name and name.lower() in RESERVED_NAMES:
        found = f"`{name}` has a meaning of its own and cannot name a data buffer"
        problems.append(Diagnostic(entry.at("name"), found))
        return None
    if any(value is None for value in entry.values.values()):
        return None
    shape = Shape(entry["channels"], *entry["dim"])
    return RollingBuffer(name, entry.at("name"), shape, entry["processors"], entry["offset"])
