"""`offramp devices`: what there is to choose from."""

from __future__ import annotations

import json

import pytest

from offramp.cli import main
from offramp.configs.device import DEFAULT, device_names


def test_a_column_for_each_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in device_names()) and f"{DEFAULT} (default)" in shown
    lines = {line.split("  ")[0].strip(): line for line in shown.splitlines()}
    assert "432 KiB, 768 kernel columns" in lines["weights"] and "2,340 KiB, 4096 or 5120" in lines["weights"]
    assert "1.25 MiB, 80 KiB for four processors" in lines["data memory"]
    assert "2.5 MiB, 384 KiB" in lines["flash, RAM"]
    assert "vendor's model" in lines["cycles"] and "unverified" in lines["cycles"]


def test_json_has_the_same_in_units(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    devices = {one["name"]: one for one in found["devices"]}
    assert found["format"] == 1 and devices.keys() == set(device_names())
    assert devices["MAX78002"]["weight_bytes"] == 2340 * 1024 and not devices["MAX78002"]["energy_model"]
    assert devices["MAX78000"]["layer_slots"] == 32 and devices["MAX78000"]["default"]
