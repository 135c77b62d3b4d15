"""Checks of the motion example's data; run with `pytest examples/motion`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import motion_data
import numpy as np
import pytest

from offramp.planner.ir.network import Shape
from offramp.planner.spec.dataset import check_disjoint, load_data

SHAPE = Shape(6, motion_data.WINDOW, 1)
RATE = 50  # readings per second


def recordings() -> dict[str, Any]:
    """Ten people, two exercises, five seconds each; a reading tells who and when."""
    people = [person for person in range(10, 0, -1) for _ in range(2)]
    times = np.arange(5 * RATE)
    values = [np.stack([np.full(len(times), person / 8), *[times / 100] * 5], axis=1) for person in people]
    return {"X": values, "y": np.arange(20) % 2, "subject": np.array(people)}


@pytest.mark.parametrize("name", motion_data.SETS)
def test_the_sets_that_lie_here(name: str) -> None:
    """What a spec takes, of the right people, all exercises, recordings in one piece."""
    path = motion_data.FOLDER / f"{name}.npz"
    data = load_data(name, path, SHAPE, len(motion_data.CLASSES))
    assert np.bincount(data.y).min() >= 80
    with np.load(path) as arrays:
        assert set(arrays["groups"].tolist()) == set(motion_data.SETS[name][0])
        assert tuple(arrays["classes"].tolist()) == motion_data.CLASSES
        changes = np.count_nonzero(np.diff(arrays["recording"]))
        assert changes + 1 == len(set(arrays["recording"].tolist())) == 14 * len(motion_data.SETS[name][0])


def test_no_window_is_in_two_sets() -> None:
    sets = [
        load_data(name, motion_data.FOLDER / f"{name}.npz", SHAPE, len(motion_data.CLASSES))
        for name in motion_data.SETS
    ]
    for number, one in enumerate(sets):
        for other in sets[:number]:
            check_disjoint(other, one)


def test_windows_follow_one_another() -> None:
    """Half of each is in the next; the last one is full."""
    readings = np.arange(300 * 6).reshape(300, 6) / 1000
    found = motion_data.windows(readings, 64)
    assert found.shape == (3, 6, 128, 1) and np.array_equal(found[0, :, 64:], found[1, :, :64])
    assert np.array_equal(found[2, :, :, 0], motion_data.to_samples(readings)[128:256].T)


def test_values_are_scaled_and_clipped() -> None:
    assert motion_data.to_samples(np.array([[1.0, -4.0, 4.0, 1.0, -8.0, 9.0]])).tolist() == [
        [32, -128, 127, 16, -128, 127]
    ]


def test_sets_are_made_by_person(tmp_path: Path) -> None:
    motion_data.write_sets(recordings(), tmp_path)
    for name, (people, step) in motion_data.SETS.items():
        with np.load(tmp_path / f"{name}.npz") as arrays:
            count = (5 * RATE - motion_data.WINDOW) // step + 1
            assert arrays["groups"].tolist() == [person for person in people for _ in range(2 * count)]
            assert np.array_equal(arrays["x"][:, 0, 0, 0], arrays["groups"] * 4)


def test_another_file_is_not_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would be a pickle, which can run anything."""
    other = tmp_path / "watch_dataset.npy"
    np.save(other, np.array([{}], object))
    assert motion_data.main([str(other), "-o", str(tmp_path)]) == 2
    assert motion_data.main([str(tmp_path / "gone.npy")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "its SHA-256 differs" in errors[0] and "cannot be read: No such file" in errors[1]
