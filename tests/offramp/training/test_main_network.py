"""Networks of a user's YAML, trained by the Python interface."""

from __future__ import annotations

from pathlib import Path

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
