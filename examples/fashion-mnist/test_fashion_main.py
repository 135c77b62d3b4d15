"""Checks of the Fashion-MNIST example's main network; run with `pytest examples/fashion-mnist`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import train_main

from offramp.cli import main
from offramp.configs.device import load_device
from offramp.planner.ai8x.load import load_network
from offramp.planner.reference.layers import run_network

FOLDER = Path(__file__).parent


def test_the_network_that_lies_here() -> None:
    network = load_network(FOLDER / "main.yaml", load_device(), FOLDER / "main.pth.tar")
    with np.load(FOLDER / "test.npz") as data:
        x, y = data["x"][:400], data["y"][:400]
    logits = run_network(network, x)[4].reshape(400, 10)
    assert (logits.argmax(axis=1) == y).mean() > 0.88
    assert (FOLDER / "main.pth.tar").stat().st_size < 1 << 20


def test_training_with_few_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(FOLDER / "calibration.npz") as data:
        np.savez(tmp_path / "training.npz", x=data["x"][:640], y=data["y"][:640])
        np.savez(tmp_path / "test.npz", x=data["x"][640:840], y=data["y"][640:840])
    monkeypatch.setattr(train_main, "EPOCHS", 3)
    assert train_main.main([str(tmp_path), "-o", str(tmp_path / "main.pth.tar")]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"{tmp_path / 'main.pth.tar'}: ") and float(last.split()[3].rstrip("%")) > 30


def test_a_folder_without_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_main.main([str(tmp_path)]) == 2
    assert "training.npz" in capsys.readouterr().err


@pytest.mark.slow
def test_training_exits_with_few_pictures(tmp_path: Path) -> None:
    """The example's own training spec, with a budget and data for a test: what comes out can be built."""
    with np.load(FOLDER / "calibration.npz") as data:
        for name, part in (("training", slice(0, 640)), ("calibration", slice(640, 1540)), ("test", slice(1540, 1740))):
            np.savez(tmp_path / f"{name}.npz", x=data["x"][part], y=data["y"][part])
    for name in ("main.yaml", "main.pth.tar"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    text = (FOLDER / "train.yaml").read_text(encoding="utf-8")
    text = text.replace("../../build/fashion-mnist/training.npz", "training.npz").replace(
        "budget: 8 min", "budget: 2 s"
    )
    text = text.replace("accuracy_drop: 0.5, risk: {delta: 0.05}", "accuracy_drop: 20").replace("single: true", "")
    (tmp_path / "train.yaml").write_text(text)
    assert main(["train", str(tmp_path / "train.yaml"), "-o", str(tmp_path / "exits")]) == 0
    built = tmp_path / "built"
    assert main(["build", str(tmp_path / "exits/spec.yaml"), "-o", str(built), "--images", "2"]) == 0
    report = json.loads((built / "report.json").read_text())
    assert report["verified"]["answers"] == 2 and report["verified"]["mismatches"] == 0
