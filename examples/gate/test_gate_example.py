"""Checks of the wake-up example: its data, its figures, and its firmware on the virtual board, with fewer pictures."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pictures
import pytest
import shares
import train

from offramp.cli import main
from offramp.planner.ir.network import Shape
from offramp.planner.spec.dataset import check_disjoint, load_data

FOLDER = shares.FOLDER
SHAPE = Shape(1, 28, 28)
IMAGES = 16  # items and digits take turns


def idx(values: npt.NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def write_idx(folder: Path, seed: int) -> Path:
    """Four idx files of random pictures: 200, and 50 for the test."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for part, count in (("train", 200), ("t10k", 50)):
        x, y = rng.integers(0, 256, (count, 28, 28), np.uint8), (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(x))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(y))
    return folder


def test_sets_are_half_nothing_and_share_no_picture() -> None:
    sets = [load_data(name, FOLDER / f"{name}.npz", SHAPE, 11) for name in ("calibration", "test")]
    assert [len(one.y) for one in sets] == [600, 800]
    assert all((one.y == pictures.NOTHING).mean() == 0.5 and set(one.y.tolist()) == set(range(11)) for one in sets)
    check_disjoint(sets[0], sets[1])


def test_sets_of_few_pictures(tmp_path: Path) -> None:
    """Items are nothing, digits are one more than they say; both come in turns from the first pictures of the files."""
    mnist, fashion = write_idx(tmp_path / "mnist", 1), write_idx(tmp_path / "fashion", 2)
    sets = pictures.make_sets(mnist, fashion, training=80, calibration=20)
    pictures.write_sets(sets, tmp_path, tmp_path)
    found = {name: load_data(name, tmp_path / f"{name}.npz", SHAPE, 11) for name in ("training", "calibration", "test")}
    assert {name: len(one.y) for name, one in found.items()} == {"training": 80, "calibration": 20, "test": 4}
    assert found["test"].y.tolist() == [0, 1, 0, 6]  # every 25th of 50: digits 0 and 5


def test_mistakes_with_the_files_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pictures.main([str(tmp_path), str(tmp_path), "-o", str(tmp_path)]) == 2
    assert "holds no data" in capsys.readouterr().err


@pytest.mark.slow
def test_training_the_gate_with_few_pictures(tmp_path: Path) -> None:
    trained = train.train("gate", FOLDER / "calibration.npz", tmp_path, epochs=10)
    train.write_gate_set(FOLDER / "test.npz", tmp_path / "test.npz")
    assert trained.accuracy(tmp_path / "test.npz") > 0.8


def test_weights_of_items_and_digits() -> None:
    """One item, answered early at 10 cycles; three digits, one of them lost, at 100 cycles."""
    tried = shares.Tried(
        stages=("gate", "main"),
        stage=np.array([0, 1, 0, 1]),
        right=np.array([True, True, False, True]),
        cycles=np.array([10.0, 100.0, 10.0, 100.0]),
        microjoules=np.array([1.0, 2.0, 1.0, 2.0]),
    )
    nothing = np.array([True, False, False, False])
    row = shares.weigh(tried, nothing, 0.7)
    assert row.early == pytest.approx(0.7 + 0.1) and row.right == pytest.approx(0.9)
    assert row.cycles == pytest.approx(0.8 * 10 + 0.2 * 100) and row.microjoules == pytest.approx(0.8 + 0.4)


@pytest.mark.slow
def test_the_figures_are_those_of_a_build_and_favour_the_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The firmware answers as the reference does; one half nothing is the test set as it is."""
    assert main(["build", str(shares.FOLDER / "spec.yaml"), "-o", str(tmp_path / "gate"), "--images", str(IMAGES)]) == 0
    capsys.readouterr()
    report = json.loads((tmp_path / "gate" / "report.json").read_text())
    assert report["verified"]["answers"] == IMAGES and report["verified"]["mismatches"] == 0
    assert [one["answer"] for one in report["stages"][0]["classes"]] == ["nothing", None]
    gated, alone = shares.try_spec("spec.yaml"), shares.try_spec("alone.yaml")
    nothing = shares.load_nothing()
    half, most = shares.weigh(gated, nothing, 0.5), shares.weigh(gated, nothing, 0.99)
    assert half.cycles == pytest.approx(report["cycles"]["mean"]) and half.right == pytest.approx(
        report["accuracy"]["staged"]
    )
    assert half.microjoules == pytest.approx(report["energy"]["mean_uj"])
    full = shares.weigh(alone, nothing, 0.5)
    assert full.cycles == pytest.approx(report["cycles"]["full"]) and full.right == pytest.approx(
        report["accuracy"]["full"]
    )
    assert 1 < full.cycles / half.cycles < full.cycles / most.cycles
    assert not gated.right[(gated.stage == 0) & ~nothing].any()  # a digit that the gate sends away is lost


@pytest.mark.slow
def test_the_readme_has_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert shares.main([]) == 0
    readme = (shares.FOLDER / "README.md").read_text(encoding="utf-8")
    assert [line for line in capsys.readouterr().out.splitlines() if line not in readme] == []


def test_a_share_is_up_to_100_per_cent(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        shares.main(["120"])
    assert stopped.value.code == 2
    assert "120: 0 to 100" in capsys.readouterr().err
