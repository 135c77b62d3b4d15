"""Checks of the script that makes this example's sets from all of MNIST."""

from __future__ import annotations

import struct
from pathlib import Path

import digits
import numpy as np
import numpy.typing as npt
import pytest

from offramp.planner.ir.network import Shape
from offramp.planner.spec.dataset import load_data


def idx(values: npt.NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def test_sets_of_few_digits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "idx").mkdir()
    for part, count in (("train", 200), ("t10k", 30)):
        x, y = rng.integers(0, 256, (count, 28, 28), np.uint8), (np.arange(count) % 10).astype(np.uint8)
        (tmp_path / "idx" / f"{part}-images-idx3-ubyte").write_bytes(idx(x))
        (tmp_path / "idx" / f"{part}-labels-idx1-ubyte").write_bytes(idx(y))
    digits.write_sets(tmp_path / "idx", tmp_path / "sets", calibration=50)
    sizes = {}
    for name in ("training", "calibration", "test"):
        sizes[name] = len(load_data(name, tmp_path / "sets" / f"{name}.npz", Shape(1, 28, 28), 10).y)
    assert sizes == {"training": 150, "calibration": 50, "test": 30}


def test_a_folder_without_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert digits.main([str(tmp_path)]) == 2
    assert "holds no data" in capsys.readouterr().err
