"""`offramp devices`: the devices that there are, their memories and what else sets them apart."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass

from rich.table import Table

from offramp.configs.device import DEFAULT, Device, device_names, load_device
from offramp.configs.records import json_text
from offramp.host import console as terminal

EPILOG = """\
examples:
  offramp devices
  offramp devices --json
A spec says `device: NAME`; commands that read a network take --device NAME.
"""
FORMAT = 1
MEBI, KIBI = 1 << 20, 1 << 10


@dataclass(frozen=True)
class DeviceFacts:
    """What the table says of a device. Memories in bytes, clocks in Hz.

    `columns`: kernel columns of a processor, and of those that have more of them. `cycles`: whose cycle model it is;
    `abilities`: names for what not every device can do and Offramp can plan.
    """

    name: str
    default: bool
    quadrants: int
    processors: int
    layer_slots: int
    streaming_slots: int
    data_bytes: int
    instance_bytes: int
    weight_bytes: int
    columns: tuple[int, ...]
    bias_bytes_per_quadrant: int
    flash_bytes: int
    ram_bytes: int
    core_hz: int
    accelerator_hz: int
    cycles: str
    energy_model: bool
    abilities: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    terminal.add_arguments(parser, json="the devices")


def run(args: argparse.Namespace) -> int:
    """Print a column for each device; exit code 0."""
    devices = [facts(load_device(name)) for name in device_names()]
    table = Table("", *(f"{one.name}{' (default)' if one.default else ''}" for one in devices), box=None)
    for row in zip(*(rows(one) for one in devices), strict=True):
        table.add_row(row[0][0], *(value for _, value in row))
    terminal.make_console(args).print(table)
    terminal.print_json(json_text({"format": FORMAT, "devices": [asdict(one) for one in devices]}), args)
    return 0


def facts(device: Device) -> DeviceFacts:
    geometry = device.geometry
    return DeviceFacts(
        name=device.name,
        default=device.name == DEFAULT,
        quadrants=geometry.quadrants,
        processors=geometry.processors,
        layer_slots=geometry.layers,
        streaming_slots=geometry.stream_layers,
        data_bytes=geometry.instances * device.instance_bytes,
        instance_bytes=device.instance_bytes,
        weight_bytes=device.weight_memory_bytes,
        columns=tuple(sorted({device.columns(one) for one in range(geometry.processors)})),
        bias_bytes_per_quadrant=device.memories["bias"].words,
        flash_bytes=device.core["flash_bytes"],
        ram_bytes=device.core["sram_bytes"],
        core_hz=device.clocks["core_hz"],
        accelerator_hz=device.clocks["cnn_hz"],
        cycles=device.cycles,
        energy_model=bool(device.energy),
        abilities=tuple(sorted(device.features)),
    )


def rows(one: DeviceFacts) -> tuple[tuple[str, str], ...]:
    """Label and value of each row of the table."""
    return (
        ("processors", f"{one.processors} in {one.quadrants} quadrants"),
        ("layer slots", f"{one.layer_slots}, {one.streaming_slots} of them can stream"),
        ("data memory", f"{_bytes(one.data_bytes)}, {_bytes(one.instance_bytes)} for four processors"),
        ("weights", f"{_bytes(one.weight_bytes)}, {' or '.join(map(str, one.columns))} kernel columns a processor"),
        ("biases", f"{one.bias_bytes_per_quadrant:,} bytes a quadrant"),
        ("flash, RAM", f"{_bytes(one.flash_bytes)}, {_bytes(one.ram_bytes)}"),
        ("clocks, highest", f"core {one.core_hz // 10**6} MHz, accelerator {one.accelerator_hz // 10**6} MHz"),
        ("cycles", "vendor's model" if one.cycles == "vendor" else "unverified: the MAX78000's model"),
        ("energy", "fitted to published figures" if one.energy_model else "no figures"),
        ("abilities", ", ".join(one.abilities) or "those that all devices have"),
    )


def _bytes(count: int) -> str:
    return f"{count / MEBI:g} MiB" if count % (MEBI // 8) == 0 and count >= MEBI else f"{count // KIBI:,} KiB"
