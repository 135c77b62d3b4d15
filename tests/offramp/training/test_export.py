"""Files of trained networks: those of a user, the same bytes each time, read back bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import CheckFailed
from offramp.planner.ai8x.checkpoint import load_checkpoint
from offramp.planner.reference.layers import run_network
from offramp.training.design import network_of
from offramp.training.export import read_back, write_checkpoint, write_network
from offramp.training.model import initial_parameters, integers
from tests.helpers.designs import LOGITS, SMALL, any_inputs

DEVICE = load_device()
DESIGN = replace(
    SMALL,
    layers=(replace(SMALL.layers[0], bits=4), replace(SMALL.layers[1], bits=1), replace(LOGITS, bits=2)),
)


def weights(seed: int = 0):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    noise = initial_parameters(DESIGN, seed)
    return integers(DESIGN, tuple((one + rng.normal(0, 0.2, one.shape)).astype(np.float32) for one in noise))


def test_a_network_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    network = write_network(tmp_path, DESIGN, weights(), "digits", DEVICE, "A test.")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.pth.tar", "small.yaml"]
    x = any_inputs(DESIGN.input, 5)
    assert np.array_equal(run_network(network, x)[2], run_network(network_of(DESIGN, DEVICE, weights()), x)[2])
    stored = load_checkpoint(tmp_path / "small.pth.tar")
    assert stored.arch == "small" and [layer.bits for layer in stored.layers] == [4, 1, 2]
    assert [layer.name for layer in stored.layers] == ["conv1.op", "conv2.op", "fc3.op"]


def test_equal_weights_give_equal_bytes_whatever_the_files_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_checkpoint(tmp_path / name, "small", weights())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    write_checkpoint(tmp_path / "c", "small", weights(1))
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_other_weights_than_written_are_noticed(tmp_path: Path) -> None:
    write_network(tmp_path, DESIGN, weights(), "digits", DEVICE)
    with pytest.raises(CheckFailed, match="layer `0` is not what was written"):
        read_back(tmp_path / "small.yaml", tmp_path / "small.pth.tar", weights(1), DESIGN.input, DEVICE)
