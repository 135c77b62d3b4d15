"""The device, and others like it that are smaller."""

from __future__ import annotations

from dataclasses import replace

from offramp.configs.device import Device, load_device


def with_columns(columns: int) -> Device:
    """The device with fewer kernel columns."""
    device = load_device()
    memories = dict(device.memories)
    memories["weights"] = replace(memories["weights"], words=columns)
    return replace(device, memories=memories)
