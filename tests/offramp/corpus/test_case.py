"""Corpus cases as networks, and what is no case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.cli import main
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.corpus.case import load_case
from offramp.corpus.synth import synth_case
from offramp.planner.ir.network import Shape
from offramp.planner.reference.layers import run_network

DEVICE = load_device()

YAML = """\
arch: test
dataset: none
layers:
  - {op: conv2d, processors: 0x3, pad: 1, activate: ReLU, data_format: HWC}
  - {op: mlp, processors: 0xf, flatten: true}
"""
META: dict[str, Any] = {"izer_args": ["--avg-pool-rounding", "--output-width", "32"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole case of two layers, the second with weights of 4 bits."""
    rng = np.random.default_rng(0)
    (tmp_path / "network.yaml").write_text(YAML)
    write_meta(tmp_path, META)
    np.save(tmp_path / "input.npy", rng.integers(-128, 128, (2, 3, 3)))
    np.savez(tmp_path / "weights.npz", **arrays(rng))
    np.savez(tmp_path / "program.npz", init_addr=np.zeros(0, np.uint32))
    return tmp_path


def arrays(rng: np.random.Generator) -> dict[str, Any]:
    weights = {"w0": rng.integers(-128, 128, (4, 2, 3, 3)), "w1": rng.integers(-8, 8, (3, 36, 1, 1))}
    return {**weights, "b0": np.arange(4), "quantization": np.array([8, 4]), "output_shift": np.array([-3, 2])}


def write_meta(folder: Path, meta: object) -> None:
    (folder / "meta.json").write_text(json.dumps(meta))


def test_a_case(folder: Path) -> None:
    case = load_case(folder, DEVICE)
    first, second = case.network.layers
    assert (case.name, case.sample.dtype.name, case.overlap) == (folder.name, "int8", False)
    assert (case.network.input_shape, case.network.avg_pool_rounding) == (Shape(2, 3, 3), True)
    assert (first.output_shift, second.output_shift) == (-3, -2)  # without the 8 - bits that the hardware adds
    assert (first.weight_bits, second.weight_bits, second.output_width) == (8, 4, 32)
    assert first.bias is not None and second.bias is None
    assert first.bias.tolist() == [0, 1, 2, 3]


def test_overlap_is_the_vendors_option(folder: Path) -> None:
    write_meta(folder, {"izer_args": ["--overlap-data"]})
    assert load_case(folder, DEVICE).overlap


def test_an_answer_is_compared(folder: Path) -> None:
    """Without one, with a right one, with a wrong one, and with one of another size."""
    assert synth_case(folder, DEVICE) == ("there is no outputs.npz to compare with",)
    case = load_case(folder, DEVICE)
    answer = run_network(case.network, case.sample[None])[1][0]
    for found, reasons in (
        (answer, ()),
        (answer + np.array([1, 0, 0]).reshape(3, 1, 1), ("1 of 3 output values differ",)),
        (answer[:2], ("the output has 3 values, 2 are expected",)),
    ):
        np.savez(folder / "outputs.npz", final=found)
        assert synth_case(folder, DEVICE) == reasons


@pytest.mark.parametrize("name", ["network.yaml", "meta.json", "input.npy", "weights.npz"])
def test_a_file_is_missing(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"{name}: cannot be read"):
        load_case(folder, DEVICE)


@pytest.mark.parametrize("name", ["meta.json", "input.npy", "weights.npz"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", b"{", b"\xff"])
def test_a_file_is_damaged(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: is not .* damaged"):
        load_case(folder, DEVICE)


@pytest.mark.parametrize(
    "meta", [{}, [], 3, {"izer_args": None}, {"izer_args": ["--output-width"]}, {"izer_args": ["--stop-after", "x"]}]
)
def test_arguments_that_are_none(folder: Path, meta: object) -> None:
    write_meta(folder, meta)
    with pytest.raises(InputError, match="damaged"):
        load_case(folder, DEVICE)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("quantization", None),
        ("output_shift", np.array([1])),
        ("w0", np.full((4, 2, 3, 3), 128)),
        ("w1", np.zeros(3)),
        ("b0", np.array([-129, 0, 0, 0])),
    ],
)
def test_weights_that_are_none(folder: Path, key: str, value: Any) -> None:
    changed = {**arrays(np.random.default_rng(0)), key: value}
    np.savez(folder / "weights.npz", **{name: array for name, array in changed.items() if array is not None})
    with pytest.raises(InputError):
        load_case(folder, DEVICE)


def test_an_input_that_is_none(folder: Path) -> None:
    for array in (np.zeros(4), np.full((2, 3, 3), 200), np.zeros((1, 2, 3, 3))):
        np.save(folder / "input.npy", array)
        with pytest.raises(InputError, match="is not a whole case"):
            load_case(folder, DEVICE)


@pytest.mark.parametrize("command", ["synth", "diff"])
def test_a_damaged_case_fails_with_a_line(folder: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    write_meta(folder, {})
    assert main([command, str(folder)]) in (1, 2)
    captured = capsys.readouterr()
    assert "is not a whole case" in captured.out + captured.err
