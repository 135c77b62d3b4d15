"""Networks of a user's YAML, trained by the Python interface."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import offramp
from offramp.planner.ir.network import Shape
from tests.helpers.designs import blobs

YAML = """arch: small
dataset: blobs
layers:
  - {op: conv2d, data_format: CHW, max_pool: 2, pool_stride: 2, pad: 0, out_channels: 6, activate: ReLU}
  - {op: conv2d, pad: 1, processors: 0x3f, activate: ReLU, quantization: 4}
  - {op: linear, flatten: true, processors: 0xf, activate: None, output_width: 32}
"""
QUICK = offramp.Recipe(batch=32)


def files(folder: Path, text: str = YAML, labels: int = 3) -> tuple[Path, Path]:
    """A YAML and a data set."""
    path, data = folder / "small.yaml", folder / "training.npz"
    path.write_text(text, encoding="utf-8")
    x, y = blobs(Shape(1, 12, 12), 600)
    np.savez(data, x=x, y=y % labels)
    return path, data


def test_a_network_is_trained_and_its_checkpoint_is_the_same_each_time(tmp_path: Path) -> None:
    path, data = files(tmp_path)
    steps: list[int] = []
    progress = offramp.Progress(lambda what: None, lambda what, done, total: steps.append(done))
    trained = offramp.train_network(path, data, recipe=QUICK, epochs=8, progress=progress)
    assert trained.accuracy(data) > 0.95 and trained.checkpoint == tmp_path / "small.pth.tar"
    assert steps[-1] == 8 * (600 // 32) and steps == sorted(steps)
    again = offramp.train_network(path, data, tmp_path / "again.pth.tar", recipe=QUICK, epochs=8)
    assert again.checkpoint.read_bytes() == trained.checkpoint.read_bytes()
    assert [layer.weight_bits for layer in trained.network.layers] == [8, 4, 8]


@pytest.mark.parametrize(("biases", "expected"), [(True, [True, True, True]), (False, [False, False, True])])
def test_biases_are_where_they_are_wanted(biases: bool, expected: list[bool], tmp_path: Path) -> None:
    path, data = files(tmp_path)
    network = offramp.train_network(path, data, recipe=QUICK, epochs=1, biases=biases).network
    assert [layer.bias is not None for layer in network.layers] == expected


def test_a_checkpoint_that_was_not_named_is_not_replaced(tmp_path: Path) -> None:
    path, data = files(tmp_path)
    there = tmp_path / "small.pth.tar"
    there.write_bytes(b"mine")
    with pytest.raises(offramp.InputError, match=r"small\.pth\.tar: exists and is not replaced: give `checkpoint`"):
        offramp.train_network(path, data, recipe=QUICK, epochs=1)
    assert there.read_bytes() == b"mine"
    assert offramp.train_network(path, data, there, recipe=QUICK, epochs=1).checkpoint == there
    assert there.read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("augmentation", "rotate", "`augmentation` is 'rotate'; one of none, images, flips, series is expected"),
        ("batch", 0, "`batch` is 0; a whole number from 1 on is expected"),
        ("learning_rate", 1e9, "`learning_rate` is 1000000000.0; a number from 1e-9 to 1 is expected"),
        ("learning_rate", float("nan"), "`learning_rate` is nan; a number"),
        ("weight_decay", -1, "`weight_decay` is -1; a number from 0 to 1"),
        ("smoothing", 2, "`smoothing` is 2; a number from 0 to 1"),
        ("strength", float("inf"), "`strength` is inf; a number from 0 to 10"),
        ("epochs", 0, "`epochs` is 0; a whole number from 1 on"),
        ("seed", -1, "`seed` is -1; a whole number from 0 on"),
    ],
)
def test_arguments_outside_their_range_are_named(name: str, value: Any, complaint: str, tmp_path: Path) -> None:
    path, data = files(tmp_path)
    more = {name: value} if name in ("epochs", "seed") else {"recipe": replace(QUICK, **{name: value})}
    with pytest.raises(offramp.InputError, match=complaint):
        offramp.train_network(path, data, **more)
    assert not (tmp_path / "small.pth.tar").exists()


def test_classes_that_do_not_count_from_zero_are_refused(tmp_path: Path) -> None:
    path, data = files(tmp_path)
    known = dict(np.load(data))
    np.savez(data, x=known["x"], y=known["y"] + 1)
    with pytest.raises(offramp.InputError, match="labels `y` run from 1 to 3; classes count from 0, and class 0 never"):
        offramp.train_network(path, data)


def test_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    path, data = files(tmp_path, YAML.replace("activate: ReLU}", "activate: abs}"))
    with pytest.raises(offramp.InputError, match=r"small\.yaml:4: layer `0` cannot be trained: `activate: abs`"):
        offramp.train_network(path, data)
    path, data = files(tmp_path, YAML.replace("output_width: 32", "output_width: 32, out_channels: 2"))
    with pytest.raises(offramp.InputError, match=r"small\.yaml: 2 outputs; the labels of `training` run to 2"):
        offramp.train_network(path, data)
    path, data = files(tmp_path)
    np.savez(data, x=np.zeros((3, 12, 12), np.int8), y=np.zeros(3, np.int64))
    with pytest.raises(offramp.InputError, match=r"`x` is int8 \(3, 12, 12\); int8 \(N, channels, rows, columns\)"):
        offramp.train_network(path, data)
