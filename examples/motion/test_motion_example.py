"""Checks of the motion example: its figures, its firmware on the virtual board, and its training at a reduced size."""

from __future__ import annotations

import json
from pathlib import Path

import motion_figures
import motion_network
import numpy as np
import pytest

import offramp
from offramp.cli import main

FOLDER = motion_figures.FOLDER
IMAGES = 8
WINDOWS = 640  # of the training set, of all exercises
LARGEST = 10**6  # bytes of a checkpoint


def write_few(folder: Path) -> None:
    """Sets of a few windows of all people, and the rest of the example."""
    for name in motion_network.SETS:
        with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
            few = np.linspace(0, len(arrays["y"]) - 1, WINDOWS if name == "training" else WINDOWS // 2).astype(int)
            np.savez(folder / f"{name}.npz", x=arrays["x"][few], y=arrays["y"][few])
    (folder / "main.yaml").write_bytes((FOLDER / "main.yaml").read_bytes())


def test_a_row_of_the_table() -> None:
    alone, chain = (
        motion_figures.Tried(
            stages=("front", "main"),
            stage=np.array([0, 1]),
            right=np.array(right),
            cycles=np.array(cycles),
            microjoules=np.array([1.0, 2.0]),
        )
        for right, cycles in (([True, True], [100.0, 100.0]), ([True, False], [10.0, 70.0]))
    )
    line = motion_figures.row("chain", chain, alone, np.array([9, 10]))
    assert line == "| chain | 40 | 2.50 | 1.50 | 50.00% | 100.00% | 0.00% |"


def test_checkpoints_are_small() -> None:
    sizes = [path.stat().st_size for path in FOLDER.glob("*.pth.tar")]
    assert len(sizes) >= 3 and max(sizes) < LARGEST


@pytest.mark.slow
def test_the_firmware_answers_as_the_figures_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures of the script are those of a build; answers of the virtual board are the reference's."""
    out = tmp_path / "motion"
    assert main(["build", str(FOLDER / "spec.yaml"), "-o", str(out), "--images", str(IMAGES)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["verified"]["answers"] == IMAGES and report["verified"]["mismatches"] == 0
    chain = motion_figures.try_spec("spec.yaml")
    assert chain.cycles.mean() == pytest.approx(report["cycles"]["mean"])
    assert chain.right.mean() == pytest.approx(report["accuracy"]["staged"])
    assert chain.microjoules.mean() == pytest.approx(report["energy"]["mean_uj"])


@pytest.mark.slow
def test_the_readme_has_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert motion_figures.main([]) == 0
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [line for line in capsys.readouterr().out.splitlines() if line not in readme] == []


@pytest.mark.slow
def test_exits_are_trained_for_a_main_network_that_was_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From nothing but windows to a spec that can be planned, with a few windows and a second of training."""
    pytest.importorskip("torch")
    write_few(tmp_path)
    trained = motion_network.train_main(tmp_path / "main.pth.tar", tmp_path / "training.npz", epochs=8)
    assert trained.accuracy(tmp_path / "test.npz") > 2 / 7  # guessing is right one time in seven
    spec = (FOLDER / "train.yaml").read_text().replace("accuracy_drop: 2, risk: {delta: 0.05}", "accuracy_drop: 20")
    spec = spec.replace("budget: 20 s", "budget: 1 s").replace("single: true", "single: false")
    (tmp_path / "train.yaml").write_text(spec)
    assert main(["train", str(tmp_path / "train.yaml"), "-o", str(tmp_path / "exits"), "--quiet"]) == 0
    planned = offramp.plan(tmp_path / "exits" / "spec.yaml")
    alone = offramp.plan(FOLDER / "alone.yaml")
    assert len(planned.chain.exits) > 1
    assert planned.cycles.cost_by_exit[0] < alone.cycles.cost_by_exit[0]
