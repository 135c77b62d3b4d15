"""Checks of the digits example: its data, its networks and its tables; run with `pytest examples/mnist`."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import digits
import numpy as np
import numpy.typing as npt
import pytest
import train_digits

from offramp.cli import main
from offramp.planner.ir.network import Shape
from offramp.planner.spec.dataset import check_disjoint, load_data

FOLDER = Path(__file__).parent
SHAPE = Shape(1, 28, 28)
LARGEST = 10**6  # bytes of a checkpoint
FEW = {"training": 640, "calibration": 900, "test": 200}


def idx(values: npt.NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def test_the_sets_that_lie_here() -> None:
    sets = [load_data(name, FOLDER / f"{name}.npz", SHAPE, 10) for name in ("calibration", "test")]
    assert [len(one.y) for one in sets] == [5000, 2000]
    assert all(np.bincount(one.y).min() > 0.07 * len(one.y) for one in sets)
    check_disjoint(sets[0], sets[1])


def test_sets_of_few_digits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "idx").mkdir()
    for part, count in (("train", 200), ("t10k", 30)):
        x, y = rng.integers(0, 256, (count, 28, 28), np.uint8), (np.arange(count) % 10).astype(np.uint8)
        (tmp_path / "idx" / f"{part}-images-idx3-ubyte").write_bytes(idx(x))
        (tmp_path / "idx" / f"{part}-labels-idx1-ubyte").write_bytes(idx(y))
    digits.write_sets(digits.make_sets(tmp_path / "idx", calibration=50), tmp_path, tmp_path / "whole")
    paths = {"calibration": tmp_path, "test": tmp_path} | {f"whole/{name}": tmp_path for name in ("training", "test")}
    sizes = {name: len(load_data(name, path / f"{name}.npz", SHAPE, 10).y) for name, path in paths.items()}
    assert sizes == {"calibration": 50, "test": 6, "whole/training": 150, "whole/test": 30}


def test_a_folder_without_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert digits.main([str(tmp_path)]) == 2
    assert "holds no data" in capsys.readouterr().err


def test_checkpoints_are_small() -> None:
    sizes = [path.stat().st_size for path in FOLDER.glob("*.pth.tar")]
    assert len(sizes) >= 4 and max(sizes) < LARGEST


@pytest.mark.slow
def test_training_main_with_few_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_few(tmp_path)
    monkeypatch.setattr(train_digits, "EPOCHS", 3)
    assert train_digits.main([str(tmp_path), "-o", str(tmp_path / "main.pth.tar")]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"{tmp_path / 'main.pth.tar'}: ") and float(last.split()[3].rstrip("%")) > 30


@pytest.mark.slow
def test_training_exits_with_few_digits(tmp_path: Path) -> None:
    """The example's own training spec, with a budget and data for a test: what comes out can be built."""
    write_few(tmp_path)
    text = (FOLDER / "train.yaml").read_text(encoding="utf-8")
    text = text.replace("../../build/mnist-data/training.npz", "training.npz").replace("budget: 6 min", "budget: 2 s")
    text = text.replace("accuracy_drop: 0.2, risk: {delta: 0.05}", "accuracy_drop: 20").replace("single: true", "")
    (tmp_path / "train.yaml").write_text(text)
    for name in ("main.yaml", "main.pth.tar"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    assert main(["train", str(tmp_path / "train.yaml"), "-o", str(tmp_path / "exits")]) == 0
    built = tmp_path / "built"
    assert main(["build", str(tmp_path / "exits/spec.yaml"), "-o", str(built), "--images", "2"]) == 0
    report = json.loads((built / "report.json").read_text())
    assert report["verified"]["answers"] == 2 and report["verified"]["mismatches"] == 0


def write_few(folder: Path) -> None:
    """Sets of a few digits, all from the example's calibration set."""
    with np.load(FOLDER / "calibration.npz", allow_pickle=False) as arrays:
        x, y = arrays["x"], arrays["y"]
    start = 0
    for name, count in FEW.items():
        np.savez(folder / f"{name}.npz", x=x[start : start + count], y=y[start : start + count])
        start += count
