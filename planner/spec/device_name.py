"""The device that a spec is for: `device: NAME`, which may be left out."""

from __future__ import annotations

from pathlib import Path

from offramp.configs.device import Device
from offramp.configs.errors import Where
from offramp.configs.lines import LineMap, load_yaml
from offramp.planner.spec.reader import Reader

KEY = "device"


def spec_device(path: Path) -> tuple[str | None, Where]:
    """The name that a spec gives, None without one, and its place. InputError if the file is no YAML mapping."""
    data = load_yaml(path)
    return (str(data[KEY]) if KEY in data else None), data.at(KEY)


def check_device(reader: Reader, data: LineMap, device: Device) -> None:
    """A spec that names a device is read for no other one."""
    if KEY in data and data[KEY] != device.name:
        reader.wrong(data.at(KEY), f"`{KEY}: {data[KEY]}`, but the spec is used for a {device.name}")
