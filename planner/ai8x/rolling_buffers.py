"""Rolling data buffers of a network YAML: data memory that keeps its content from one inference to the next.

Only what the shapes of the layers that read them follow from. Keys as in the README of analogdevicesinc/ai8x-synthesis,
"Rolling Buffers", and its izer/yamlcfg.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from offramp.configs.errors import Diagnostic, Where
from offramp.configs.lines import LineList, LineMap
from offramp.planner.ai8x.yaml_keys import BUFFER_KEYS, RESERVED_NAMES, read_keys
from offramp.planner.ir.network import Shape

NEEDED = ("name", "processors", "dim", "channels", "offset")


@dataclass(frozen=True)
class RollingBuffer:
    """A buffer and the byte at which it starts in each of its data memory instances."""

    name: str
    where: Where
    shape: Shape
    offset: int


def read_buffers(data: LineMap, problems: list[Diagnostic]) -> tuple[RollingBuffer, ...]:
    """The buffers that a network YAML declares, in its order; what is wrong with them is added to `problems`."""
    if "data_buffer" not in data:
        return ()
    entries = data["data_buffer"]
    if not isinstance(entries, LineList) or not entries:
        problems.append(Diagnostic(data.at("data_buffer"), "`data_buffer` must be a list with at least one buffer"))
        return ()
    found = []
    for index, entry in enumerate(entries):
        if isinstance(entry, LineMap):
            found += _read_buffer(index, entry, problems)
        else:
            problems.append(Diagnostic(entries.at(index), f"data buffer {index}: keys and values are expected"))
    return tuple(found)


def _read_buffer(index: int, data: LineMap, problems: list[Diagnostic]) -> list[RollingBuffer]:
    """The buffer, nothing if something about it is wrong."""
    wrong: list[Diagnostic] = []
    values, _ = read_keys(data, BUFFER_KEYS, wrong)
    missing = [key for key in NEEDED if key not in data]
    if missing:
        listed = ", ".join(f"`{key}`" for key in missing)
        wrong.append(Diagnostic(data.where, f"data buffer {index}: {listed} missing; it needs {', '.join(NEEDED)}"))
    elif values["name"] and values["name"].lower() in RESERVED_NAMES:
        name = values["name"]
        wrong.append(Diagnostic(data.at("name"), f"`{name}` has a meaning of its own and cannot name a data buffer"))
    problems += wrong
    if wrong:
        return []
    return [RollingBuffer(values["name"], data.at("name"), Shape(values["channels"], *values["dim"]), values["offset"])]
