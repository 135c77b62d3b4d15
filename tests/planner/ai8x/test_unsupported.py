"""What a description can ask for and will not get: each rule, the keys that ask for nothing, odd values of all keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import Diagnostic
from offramp.planner.ai8x import unsupported as features
from offramp.planner.ai8x.load import Options, read_network
from offramp.planner.ai8x.weights import parse_shapes
from offramp.planner.ai8x.yaml_keys import LAYER_KEYS
from offramp.planner.ir.network import Shape
from offramp.planner.rules.check import check_network
from offramp.planner.rules.docstrings import message_of, numbers_of

DEVICE = load_device()

NUMBERS = numbers_of(DEVICE)

ASKED = {
    "groups": "op: conv2d, groups: 4",
    "binary_weights": "op: conv2d, quantization: BIN",
    "bypass": "op: conv2d, bypass: true",
    "readahead": "op: conv2d, readahead: true",
    "calcx4": "op: conv2d, calcx4: true",
    "tcalc": "op: conv2d, tcalc: true",
    "read_gap": "op: conv2d, read_gap: 1",
    "channel_skip": "op: conv2d, in_channel_skip: 16",
    "pool_dilation": "op: conv2d, max_pool: 2, pool_dilation: [1, 2]",
    "next_sequence": "op: conv2d, next_sequence: 4",
    "simulated_sequence": "op: conv2d, simulated_sequence: 1",
    "snoop_sequence": "op: conv2d, snoop_sequence: 1",
    "stride": "op: conv2d, stride: 2",
    "square_pool_stride": "op: conv2d, max_pool: 2, pool_stride: [1, 2]",
    "output_pad": "op: convtranspose2d, output_pad: 0",
    "passthrough_shift": "op: none, output_shift: 1",
}
HARMLESS = (
    "op: conv2d, groups: 1, quantization: 1, bypass: false, readahead: false, calcx4: false, tcalc: false, in_skip: 0, "
    "in_channel_skip: 0, max_pool: 2, pool_dilation: 1, next_sequence: stop, stride: 1, in_crop: [0, 0], bias_group: 0"
)


def check_file(path: Path, weights: str) -> tuple[Diagnostic, ...]:
    network, problems = read_network(
        path, parse_shapes(weights) if weights else None, Shape(1, 8, 8), Options(), DEVICE
    )
    return problems + (check_network(network, DEVICE) if network else ())


@pytest.mark.parametrize("rule", features.LAYER_RULES, ids=lambda rule: str(rule.__name__))
def test_what_a_layer_asks_for_in_vain(tmp_path: Path, rule: features.Rule) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(f"arch: test\ndataset: x\nlayers:\n  - {{processors: 1, {ASKED[rule.__name__]}}}\n")
    problems = check_file(path, "")
    named = [problem for problem in problems if problem.message.endswith(message_of(rule, NUMBERS))]
    assert [str(problem.where) for problem in named] == [f"{path}:4"]


@pytest.mark.parametrize("key", ["snoop", "unload"])
def test_what_a_network_asks_for_in_vain(tmp_path: Path, key: str) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(f"arch: test\ndataset: x\n{key}: [1]\nlayers:\n  - op: none\n")
    (problem,) = check_file(path, "")
    assert str(problem).startswith(f"{path}:3: `{key}`. ")


def test_keys_that_ask_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(f"arch: test\ndataset: x\nbias: y\nweights: z\noutput_map: 0xf\nlayers:\n  - {{{HARMLESS}}}\n")
    assert check_file(path, "4x1x3x3") == ()


OP_NAMES = LAYER_KEYS[0].names
ODD_VALUES = ("null", "-1", "[]", "{}", "x", "1.5", "[1, 2, 3]", "[[1]]", "true", "9" * 30, "0", "'0x'", "2024-01-01")


@pytest.mark.parametrize("key", [name for key in LAYER_KEYS for name in key.names])
def test_odd_values_are_messages_or_fine(tmp_path: Path, key: str) -> None:
    path = tmp_path / "network.yaml"
    for value in ODD_VALUES:
        for op in ("conv1d", "conv2d", "add", "linear"):
            keys = f"{key}: {value}" if key in OP_NAMES else f"op: {op}, {key}: {value}"
            path.write_text(f"arch: test\ndataset: x\nlayers:\n  - {{{keys}}}\n")
            for problem in check_file(path, "4x1x3x3"):
                assert problem.where and problem.where.file == str(path)
