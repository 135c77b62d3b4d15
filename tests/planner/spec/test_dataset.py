"""Data sets of a spec: what is in them fits the networks, and no image is both learned from and judged by."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.cli import main
from offramp.configs.errors import InputError
from offramp.planner.ir.network import Shape
from offramp.planner.spec.dataset import check_disjoint, load_data
from tests.helpers.specs import FRONT, write_spec

SHAPE = Shape(4, 6, 6)
X = np.zeros((5, 4, 6, 6), np.int8)
Y = np.array([0, 1, 2, 0, 1])
CALIBRATED = FRONT.replace(", threshold: 0.5", "") + "calibrate: {data: calibration, accuracy_drop: 5}\n"


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_a_data_set(tmp_path: Path) -> None:
    data = load_data("test", write(tmp_path / "a.npz", x=X, y=Y.astype(np.uint8)), SHAPE, 3)
    assert (data.name, data.x.dtype.name, data.y.dtype.name) == ("test", "int8", "int64")
    assert data.y.tolist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"x": X}, "there is no array `y`; `x` .images. and `y` .labels. are needed"),
        ({"z": Y}, "there is no array `x` and no `y`; "),
        ({"x": X.astype(np.float32), "y": Y}, r"`x` is float32 \(5, 4, 6, 6\); int8 \(N, 4x6x6\) is expected"),
        ({"x": X.astype(np.uint8), "y": Y}, r"`x` is uint8"),
        ({"x": X[:, :3], "y": Y}, r"`x` is int8 \(5, 3, 6, 6\)"),
        ({"x": X[0], "y": Y}, r"`x` is int8 \(4, 6, 6\)"),
        ({"x": X, "y": Y[:4]}, r"`y` is int64 \(4,\); one integer label for each of 5 images"),
        ({"x": X, "y": Y.astype(float)}, r"`y` is float64"),
        ({"x": X, "y": Y[:, None]}, r"`y` is int64 \(5, 1\)"),
        ({"x": X[:0], "y": Y[:0]}, r"`y` is int64 \(0,\)"),
        ({"x": X, "y": Y + 1}, r"labels run from 1 to 3; 0\.\.2 are the classes"),
        ({"x": X, "y": Y - 1}, r"labels run from -1 to 1"),
        ({"x": X, "y": np.array([0, 1, "a", 0, 1], object)}, r"is not an \.npz file with plain arrays"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, arrays: dict[str, Any], complaint: str) -> None:
    path = write(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=complaint) as caught:
        load_data("test", path, SHAPE, 3)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"plain text"])
def test_what_is_no_npz_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(path))):
        load_data("test", path, SHAPE, 3)


def test_a_single_array_is_no_data_set(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(InputError, match=r"is not an \.npz file .*: it is a single array"):
        load_data("test", tmp_path / "a.npy", SHAPE, 3)


def test_images_in_both_sets_are_counted(tmp_path: Path) -> None:
    images = np.arange(6 * 144).reshape(6, 4, 6, 6).astype(np.int8)
    one = load_data("calibration", write(tmp_path / "a.npz", x=images[:4], y=Y[:4]), SHAPE, 3)
    other = load_data("test", write(tmp_path / "b.npz", x=images[2:], y=Y[:4]), SHAPE, 3)
    with pytest.raises(InputError, match="2 images of data set `test` are also in `calibration`"):
        check_disjoint(one, other)
    apart = load_data("test", write(tmp_path / "c.npz", x=images[4:], y=Y[:2]), SHAPE, 3)
    check_disjoint(one, apart)


def test_calibrating_on_test_images_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_spec(tmp_path, CALIBRATED)
    (tmp_path / "calibration.npz").write_bytes((tmp_path / "test.npz").read_bytes())
    assert main(["plan", str(path)]) == 2
    line = next(number for number, one in enumerate(CALIBRATED.splitlines(), 1) if one.startswith("data:"))
    found = f"{path}:{line}: 40 images of data set `test` are also in `calibration`, the first is number 0"
    assert found in capsys.readouterr().err


@pytest.mark.parametrize("name", ["test", "train"])
def test_thresholds_are_not_chosen_on_test_or_training_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    text = CALIBRATED.replace("calibration: calibration.npz", "train: calibration.npz").replace(
        "calibration,", f"{name},"
    )
    path = write_spec(tmp_path, text)
    assert main(["plan", str(path)]) == 2
    line = len(text.splitlines())
    assert f"{path}:{line}: thresholds cannot be chosen on data set `{name}`" in capsys.readouterr().err


def test_training_images_are_kept_out_of_the_test_where_nothing_is_calibrated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_spec(tmp_path, FRONT.replace("calibration: calibration.npz", "train: calibration.npz"))
    assert main(["plan", str(path)]) == 0
    (tmp_path / "calibration.npz").write_bytes((tmp_path / "test.npz").read_bytes())
    assert main(["plan", str(path)]) == 2
    assert "40 images of data set `train` are also in `test`" in capsys.readouterr().err


def test_data_of_another_shape_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_spec(tmp_path, FRONT)
    np.savez(tmp_path / "test.npz", x=X[:, :, :5], y=Y)
    assert main(["plan", str(path)]) == 2
    assert "test.npz: `x` is int8 (5, 4, 5, 6); int8 (N, 4x6x6) is expected" in capsys.readouterr().err


def test_calibration_finds_the_open_thresholds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(write_spec(tmp_path, CALIBRATED))]) == 0
    assert "margin >= " in capsys.readouterr().out
