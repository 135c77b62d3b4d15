"""The bus traffic of a firmware as text, a line for each entry of a trace, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from offramp.configs.device import Device, Place
from offramp.simulator.board.meter import OUTSIDE
from offramp.simulator.board.trace import FIFO, MEMORY, OTHER, REGISTER, RUN, Entry

KINDS = {"registers": (REGISTER,), "memories": (MEMORY, FIFO), "runs": (RUN,), "others": (OTHER,)}
_UNITS = {"data": "instance", "weights": "processor", "tram": "processor", "bias": ""}
_HEAD = "instructions     us (est.)  access address     what"


def chosen(entries: Sequence[Entry], only: Sequence[str]) -> list[Entry]:
    """The entries of some of KINDS; of all if none is named."""
    kinds = {kind for name in only for kind in KINDS[name]}
    return [entry for entry in entries if not only or entry.kind in kinds]


def trace_lines(entries: Sequence[Entry], device: Device, stages: Sequence[str]) -> Iterator[str]:
    """The text, image by image. `stages`: the names of an image's runs, in order."""
    yield _HEAD
    image, before = OUTSIDE, "start-up"
    for number, entry in enumerate(entries):
        if entry.image != image or not number:
            image = entry.image
            title = before if image == OUTSIDE else f"image {image}"
            before = f"after image {image}" if image != OUTSIDE else before
            yield f"--- {title}"
        yield _line(entry, device, stages)


def _line(entry: Entry, device: Device, stages: Sequence[str]) -> str:
    if entry.kind == RUN:
        return f"{_when(entry)}  run                {_run_text(entry, stages)}"
    access = "both" if entry.reads and entry.writes else "write" if entry.writes else "read"
    return f"{_when(entry)}  {access:<5}  {entry.addresses[0]:#010x}  {_text(entry, device)}"


def _when(entry: Entry) -> str:
    return f"{entry.instructions:>12,}  {entry.microseconds:>12,.2f}"


def _text(entry: Entry, device: Device) -> str:
    count = entry.reads + entry.writes
    times = f"  ({count} times)" if count > 1 else ""
    place = entry.place
    if place is None:
        return f"outside the accelerator  {entry.value:#010x}{times}"
    if entry.kind == FIFO:
        return f"FIFO: {entry.writes:,} words written, its state read {entry.reads:,} times"
    if entry.kind == MEMORY:
        words = "1 word" if count == 1 else f"{count:,} words"
        return f"{place.kind} {_where(place, device)}: {words} up to {entry.addresses[1]:#010x}"
    fields = " ".join(f"{name}={_number(value)}" for name, value in entry.fields.items())
    name = f"{place.name} {_where(place, device)}"
    return f"{name:<22} {entry.value:#010x}  {fields}".rstrip() + times


def _where(place: Place, device: Device) -> str:
    if place.kind != "register":
        unit = _UNITS[place.kind]
        return f"q{place.quadrant}" + (f" {unit} {place.unit}" if unit else "")
    if "quadrant_stride" not in device.blocks[device.registers[place.name].block]:
        return ""
    return f"q{place.quadrant}" + (f" layer {place.unit}" if place.unit >= 0 else "")


def _number(value: int) -> str:
    """Small numbers as they are, masks and pointers by digits that show their bits."""
    return str(value) if value < 1024 else f"{value:#x}"


def _run_text(entry: Entry, stages: Sequence[str]) -> str:
    layers = ", ".join(f"layer {layer.layer}: {layer.cycles:,}" for layer in entry.cycles.layers)
    return f"{run_name(entry.run, stages)}: {entry.cycles.total:,} cycles (simulated); {layers}"


def run_name(run: int, stages: Sequence[str]) -> str:
    """The stage that an image's n-th run is of."""
    return stages[run] if run < len(stages) else f"run {run}"


def trace_json(entries: Sequence[Entry], stages: Sequence[str]) -> list[dict[str, Any]]:
    return [_entry_json(entry, stages) for entry in entries]


def _entry_json(entry: Entry, stages: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "image": None if entry.image == OUTSIDE else entry.image,
        "instructions": entry.instructions,
        "microseconds": round(entry.microseconds, 3),
        "kind": entry.kind,
    }
    if entry.kind == RUN:
        layers = [{"layer": layer.layer, "cycles": layer.cycles} for layer in entry.cycles.layers]
        return {**found, "stage": run_name(entry.run, stages), "cycles": entry.cycles.total, "layers": layers}
    found |= {"reads": entry.reads, "writes": entry.writes, "first": entry.addresses[0], "last": entry.addresses[1]}
    place = entry.place
    if place:
        found |= {"name": place.name, "quadrant": place.quadrant, "unit": place.unit}
    if entry.kind in (REGISTER, OTHER):
        found["value"] = entry.value
    return {**found, "fields": dict(entry.fields)} if entry.kind == REGISTER else found
