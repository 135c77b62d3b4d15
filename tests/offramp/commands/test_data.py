"""`offramp data`: sets that a spec can name, the same bytes each time, and a record of how they were made."""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.cli import main
from offramp.planner.ir.network import Shape
from offramp.planner.spec.dataset import load_data
from tests.helpers.paths import ROOT

COUNT = 200


def arrays(path: Path, **more: Any) -> Path:
    """200 pictures of three classes: four are copies of others, one of these with another label."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (COUNT, 1, 4, 4), np.uint8), np.arange(COUNT) % 3
    x[-4:] = x[:4]
    y[-4:] = y[:4]
    y[-1] = (y[3] + 1) % 3
    np.savez(path, **{"x": x, "y": y, **more})
    return path


def idx_files(folder: Path) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part, count in (("train", 100), ("t10k", 20)):
        x, y = rng.integers(0, 256, (count, 4, 4), np.uint8), (np.arange(count) % 5).astype(np.uint8)
        for name, array in (("images-idx3", x), ("labels-idx1", y)):
            header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))
    return folder


def data(*words: str | Path) -> int:
    return main(["data", *map(str, words)])


def test_sets_of_arrays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = arrays(tmp_path / "a.npz")
    out = tmp_path / "sets"
    assert data(source, "-o", out, "--calibration", "25%", "--test", "40", "--classes", "cat,dog,ox") == 0
    printed = capsys.readouterr().out
    assert f"{source}: an .npz file, 200 samples" in printed
    assert "values: whole numbers from 0 to 255 (recognised; 0 to 255)" in printed
    assert "normalization: ai8x, clip(round((p / 255 - 0.5) * 256)); minus-128 would give" in printed
    assert "equal samples: 4 equal an earlier one (1 with another label); in one part each" in printed
    sets = {
        name: load_data(name, out / f"{name}.npz", Shape(1, 4, 4), 3) for name in ("training", "calibration", "test")
    }
    assert [len(one.x) for one in sets.values()] == [110, 50, 40]
    record = json.loads((out / "data.json").read_text())
    assert record["source"] == "a.npz" and record["copies"] == 4 and record["classes"] == ["cat", "dog", "ox"]
    for part in record["parts"]:
        assert hashlib.sha256((out / part["file"]).read_bytes()).hexdigest() == part["sha256"]
        assert part["per_class"] == np.bincount(sets[part["name"]].y).tolist()


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    """In another process and from another folder, too; another seed gives others."""
    source = arrays(tmp_path / "a.npz")
    assert data(source, "-o", tmp_path / "one") == data(source, "-o", tmp_path / "three", "--seed", "2") == 0
    words = [sys.executable, "-m", "offramp.cli", "data", "a.npz", "-o", "two", "-q"]
    subprocess.run(words, cwd=tmp_path, check=True, env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"})
    for name in ("training.npz", "calibration.npz", "test.npz", "data.json", "manifest.json"):
        first, second, third = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two", "three"))
        assert first == second and first != third


def test_an_official_test_split_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = idx_files(tmp_path / "mnist"), tmp_path / "sets"
    assert data(source, "-o", out, "--calibration", "20", "--training", "70", "--normalize", "minus-128") == 0
    printed = capsys.readouterr().out
    assert "100 samples, and 20 of the official test split" in printed and "not used: 10 of 100" in printed
    assert "normalization: minus-128, p - 128; ai8x would give" in printed
    raw = gzip.decompress((source / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    with np.load(out / "test.npz") as test:
        assert (test["x"].astype(np.int16) + 128).astype(np.uint8).tobytes() == raw
        assert test["y"].tolist() == [number % 5 for number in range(20)]
    assert data(source, "-o", tmp_path / "other", "--test", "10") == 2
    assert "has an official test split, which stays as it is" in capsys.readouterr().err


def test_our_own_sets_can_be_split_again(tmp_path: Path) -> None:
    source = arrays(tmp_path / "a.npz", classes=np.array(["cat", "dog", "ox"]))
    assert data(source, "-o", tmp_path / "sets", "--fold", "2") == 0
    assert data(tmp_path / "sets" / "training.npz", "-o", tmp_path / "again") == 0
    record = json.loads((tmp_path / "again" / "data.json").read_text())
    assert record["shape"] == [4, 2, 2] and record["classes"] == ["cat", "dog", "ox"]
    assert record["normalization"]["range"] == "int8"


def test_the_record_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = arrays(tmp_path / "a.npz")
    assert data(source, "-o", tmp_path / "sets", "--json", "--duplicates", "drop") == 0
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "sets" / "data.json").read_text()
    assert json.loads(printed)["unused"] == 4
    assert data(tmp_path / "gone.npz", "-o", tmp_path / "other", "--json") == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem == {
        "file": str(tmp_path / "gone.npz"),
        "line": None,
        "message": "cannot be read: No such file or directory",
    }


@pytest.mark.parametrize(
    ("more", "words", "complaint"),
    [
        ({}, ["--calibration", "150", "--test", "60"], "150 for calibration, 60 for test are asked for; there are 200"),
        ({}, ["--fold", "3"], "images of 4 x 4 pixels cannot be folded by 3"),
        ({}, ["--classes", "a,b"], "labels run to 2; there are 2 names of classes (--classes)"),
        ({}, ["--classes", "a,b,a"], "two classes have the same name"),
        (
            {},
            ["--normalize", "none"],
            "normalization `none` (--normalize) of whole numbers from 0 to 255: ai8x or minus-128",
        ),
        ({}, ["--range", "signed"], "fractions from -1 to 1 are stated (--range)"),
        ({}, ["--resize", "2x2"], "only pictures are resized (--resize)"),
        ({"x": np.zeros((200, 4, 4, 1), np.uint8)}, [], "its axes may mean several things: say which"),
        ({"x": np.arange(200).reshape(200, 1, 1, 1) % 100}, [], "which may be: pixels"),
        ({"y": np.zeros((200, 2), int)}, [], "one integer for each of 200 samples"),
    ],
)
def test_mistakes(
    more: dict[str, Any], words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, the file named, and nothing left behind."""
    source = arrays(tmp_path / "a.npz", **more)
    assert data(source, "-o", tmp_path / "sets", *words) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"offramp data: {source}: ") and complaint in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz"]


@pytest.mark.parametrize(
    "words",
    [["--test", "101%"], ["--test", "x"], ["--seed", "-1"], ["--fold", "0"], ["--resize", "4"], ["--range", "x"]],
)
def test_wrong_arguments(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        data(tmp_path, "-o", tmp_path / "sets", *words)
    assert ended.value.code == 2 and "usage: offramp data" in capsys.readouterr().err


def test_what_is_in_the_way_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = arrays(tmp_path / "a.npz"), tmp_path / "sets"
    assert data(source, "-o", out) == data(source, "-o", out, "--seed", "2") == 0
    assert json.loads((out / "data.json").read_text())["seed"] == 2
    (out / "spec.yaml").write_text("mine")
    assert data(source, "-o", out) == 2
    assert "is not replaced: it holds `spec.yaml`" in capsys.readouterr().err.replace("spec.yaml,", "`spec.yaml`,")


def test_data_without_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(160).reshape(40, 1, 2, 2))
    assert data(tmp_path / "a.npz", "-o", tmp_path / "sets", "--classes", "a,b") == 0
    assert "no labels" in capsys.readouterr().out
    record = json.loads((tmp_path / "sets" / "data.json").read_text())
    assert [(part["samples"], part["per_class"]) for part in record["parts"]] == [(28, []), (4, []), (8, [])]
    with np.load(tmp_path / "sets" / "test.npz") as made:
        assert sorted(made.files) == ["classes", "x"]


def test_groups_are_not_divided(tmp_path: Path) -> None:
    """Recordings of ten people: nobody is in two sets."""
    people = np.arange(COUNT) // 20
    source = arrays(tmp_path / "a.npz", groups=people)
    assert data(source, "-o", tmp_path / "sets", "--calibration", "20%") == 0
    found = []
    for name in ("training", "calibration", "test"):
        with np.load(tmp_path / "sets" / f"{name}.npz") as made:
            found.append(set(made["groups"].tolist()))
    assert [len(one) for one in found] == [6, 2, 2] and len(set.union(*found)) == 10


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("dear", encoding="utf-8")
    assert main(["data", str(tmp_path / "x.npz"), "-o", str(tmp_path / "letters")]) == 2
    assert "exists and is not the folder of earlier sets of `offramp data`" in capsys.readouterr().err
