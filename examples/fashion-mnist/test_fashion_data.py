"""Checks of the Fashion-MNIST example's data; run with `pytest examples/fashion-mnist`."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import fashion_data
import numpy as np
import numpy.typing as npt
import pytest

from offramp.planner.ir.network import Shape
from offramp.planner.spec.dataset import check_disjoint, load_data

SHAPE = Shape(1, 28, 28)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def idx(values: npt.NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def test_the_sets_that_lie_here() -> None:
    sets = [load_data(name, fashion_data.FOLDER / f"{name}.npz", SHAPE, 10) for name in ("calibration", "test")]
    assert np.bincount(sets[0].y).tolist() == [400] * 10
    assert len(sets[1].y) == 4000 and np.bincount(sets[1].y).min() > 350
    check_disjoint(sets[0], sets[1])


def test_sets_of_few_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From idx files to the sets, with 200 pictures and 30 for the test."""
    rng = np.random.default_rng(0)
    (tmp_path / "idx").mkdir()
    for part, count in (("train", 200), ("t10k", 30)):
        x, y = rng.integers(0, 256, (count, 28, 28), np.uint8), (np.arange(count) % 10).astype(np.uint8)
        for name, array in (("images-idx3", x), ("labels-idx1", y)):
            (tmp_path / "idx" / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
    monkeypatch.setattr(fashion_data, "KEPT", 20)
    fashion_data.write_sets(fashion_data.make_sets(tmp_path / "idx", 40), tmp_path, tmp_path / "whole")
    found = {name: load_data(name, tmp_path / f"{name}.npz", SHAPE, 10) for name in ("calibration", "test")}
    whole = load_data("test", tmp_path / "whole" / "test.npz", SHAPE, 10)
    assert np.bincount(found["calibration"].y).tolist() == [4] * 10
    assert np.array_equal(found["test"].x, whole.x[:20]) and len(whole.x) == 30
    assert len(load_data("training", tmp_path / "whole" / "training.npz", SHAPE, 10).y) == 160


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_sets_are_what_the_script_makes() -> None:
    for name, made in fashion_data.kept_sets(fashion_data.make_sets(DEBIAN)).items():
        kept = load_data(name, fashion_data.FOLDER / f"{name}.npz", SHAPE, 10)
        assert np.array_equal(made.x, kept.x) and made.y is not None and np.array_equal(made.y, kept.y)


def test_a_folder_without_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fashion_data.main([str(tmp_path)]) == 2
    assert "holds no data" in capsys.readouterr().err
