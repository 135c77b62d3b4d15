"""`offramp replay` of the vendor's programs for the MAX78002."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.corpus import replay
from offramp.corpus.cases import find_cases
from offramp.corpus.outputs import layers_by_slot, reset_slots
from tests.helpers.paths import SHARED

DEVICE = load_device("MAX78002")
# Dilated windows of three samples or more that reach past the image: what the hardware reads there is not known.
REFUSED = {"rand-pool-4006": "which was never written", "rand-pool-5001": "and windows of 7 columns; the row ends"}
SAMPLE = 5  # every one of so many cases


@pytest.fixture(scope="session")
def cases() -> tuple[Path, ...]:
    folder = SHARED / "corpus78002" / "cases"
    if not folder.is_dir():
        pytest.skip("no ../shared/corpus78002 beside this checkout")
    return find_cases([folder])


def test_a_sample_of_the_vendors_programs(cases: tuple[Path, ...]) -> None:
    chosen = [case for case in cases[::SAMPLE] if case.name not in REFUSED]
    assert {case.name: found for case in chosen if (found := replay.replay_case(case, DEVICE))} == {}


def test_snoop_units_count_what_the_vendors_tests_expect(cases: tuple[Path, ...]) -> None:
    """Registers after the run; a run that the count compare leaves undecided is compared as far as it has come."""
    snooping = [case for case in cases if case.name.startswith("test-snoop")]
    assert len(snooping) == 13
    assert {case.name: found for case in snooping if (found := replay.replay_case(case, DEVICE))} == {}


@pytest.mark.parametrize("register", ["SNOOP1_HIT", "SNOOP1_MAX"])
def test_a_counter_that_differs_is_told(cases: tuple[Path, ...], tmp_path: Path, register: str) -> None:
    case = next(case for case in cases if case.name == "test-snoop-count")
    meta = json.loads((case / "meta.json").read_text())
    for name in ("program.npz", "expected.npz", "outputs.npz"):
        (tmp_path / name).symlink_to(case / name)
    address = DEVICE.register_address(register, 3)
    meta["snoop_checks"] = [[at, value + (at == address)] for at, value in meta["snoop_checks"]]
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    (found,) = replay.replay_case(tmp_path, DEVICE)
    assert found.startswith(f"{register} is ")


def test_layers_in_another_order_are_told(cases: tuple[Path, ...], tmp_path: Path) -> None:
    case = next(case for case in cases if case.name == "test-linklayer-hoparound")
    meta = json.loads((case / "meta.json").read_text())
    for name in ("expected.npz", "outputs.npz"):
        (tmp_path / name).symlink_to(case / name)
    (tmp_path / "meta.json").write_text(json.dumps(meta | {"executed_layers": [0, 1, 2, 3]}))
    with np.load(case / "program.npz") as program:
        np.savez(tmp_path / "program.npz", allow_pickle=False, **program)
    assert "layers [1, 0, 3, 2] have run, [0, 1, 2, 3] are expected" in replay.replay_case(tmp_path, DEVICE)


def test_layers_behind_a_slot_that_resets_pooling_move_up() -> None:
    layers: list[Mapping[str, Any]] = [
        {"index": 0},
        {"index": 1, "avgpool_reset": True},
        {"index": 2, "avgpool_reset": False},
    ]
    assert {slot: layer["index"] for slot, layer in layers_by_slot(layers).items()} == {0: 0, 2: 1, 3: 2}
    assert reset_slots(layers) == {1}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_windows_that_reach_past_the_image_are_refused(cases: tuple[Path, ...], name: str) -> None:
    (found,) = replay.replay_case(next(case for case in cases if case.name == name), DEVICE)
    assert REFUSED[name] in found
