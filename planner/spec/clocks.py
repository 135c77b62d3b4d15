"""Clocks that a spec assumes. Layers keep their cycles; their time changes, and how long the core's work takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from offramp.configs.clock_tree import ClockSetting
from offramp.configs.device import Device


def with_clocks(device: Device, clocks: Mapping[str, int]) -> Device:
    """The device at other clocks; those that are not given stay as they are."""
    return replace(device, clocks={**device.clocks, **clocks}) if clocks else device


def clock_setting(device: Device) -> ClockSetting:
    """What the clock register holds at the device's clocks. ValueError if no setting gives them."""
    core_hz, cnn_hz = device.clocks["core_hz"], device.clocks["cnn_hz"]
    settings = device.clock_tree.cnn_settings(core_hz)
    if cnn_hz not in settings:
        raise ValueError(f"no setting of the clock register gives {cnn_hz} Hz from a core at {core_hz} Hz")
    return settings[cnn_hz]


def impossible_clocks(device: Device, clocks: Mapping[str, int]) -> dict[str, str]:
    """What is wrong with the clocks of a spec, by key: frequencies that no setting of the device gives."""
    tree, wanted = device.clock_tree, {**device.clocks, **clocks}
    core_hz, cnn_hz = wanted["core_hz"], wanted["cnn_hz"]
    if core_hz not in tree.core_frequencies():
        return {"core_hz": f"no setting gives it; allowed: {_listed(tree.core_frequencies())}"}
    possible = [hz for hz in tree.cnn_settings(core_hz) if hz <= device.clocks["cnn_hz"]]
    if cnn_hz in possible:
        return {}
    key = "cnn_hz" if "cnn_hz" in clocks else "core_hz"
    given = "" if key == "cnn_hz" else f"`cnn_hz` has to be given too, since {cnn_hz} is not possible then: "
    return {key: f"{given}no setting gives it with the core at {core_hz} Hz; allowed: {_listed(possible)}"}


def _listed(frequencies: tuple[int, ...] | list[int]) -> str:
    return ", ".join(str(hz) for hz in frequencies)
