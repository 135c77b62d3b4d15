"""Clocks that a spec assumes. Layers keep their cycles; their time changes, and how long the core's work takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from offramp.configs.device import Device


def with_clocks(device: Device, clocks: Mapping[str, int]) -> Device:
    """The device at other clocks; those that are not given stay as they are."""
    return replace(device, clocks={**device.clocks, **clocks}) if clocks else device
