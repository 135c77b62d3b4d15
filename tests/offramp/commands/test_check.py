"""`offramp check`, through the command line's front."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offramp.cli import main
from offramp.pipeline.networks import parse_shape
from offramp.planner.ir.network import Shape
from tests.helpers import checkpoints
from tests.helpers.paths import EXAMPLES

NETWORK = """\
arch: small
dataset: MNIST
layers:
  - {op: conv2d, processors: 0x1, out_offset: 0x2000, activate: ReLU, data_format: CHW}
  - {op: conv2d, processors: 0xff, out_offset: 0x0, max_pool: 4, pool_stride: 4, activate: ReLU, name: second}
  - {op: mlp, processors: 0xff, out_offset: 0x1000, flatten: true, output_width: 32}
"""
WEIGHTS = "8x1x3x3 8x8x3x3 10x392"
SHAPES = {"a": (8, 1, 3, 3), "b": (8, 8, 3, 3), "fc": (10, 392), "aux": (10, 8), "more": (10, 10)}


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(NETWORK)
    return path


def rows(text: str) -> list[list[str]]:
    """Cells of the table's rows."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]


def test_the_table_with_shapes_of_weights(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(network), "--weights", WEIGHTS]) == 0
    out = capsys.readouterr().out
    first, second, last = rows(out)
    # 8 kernels of a column each; 28 * 28 bytes in CHW; HWC words of 4 bytes, 8 channels are 2 words in 2 instances
    assert first[:6] == ["0", "conv2d relu", "1x28x28", "", "3x3 pad 1", "8x28x28"]
    assert first[6:12] == ["8", "0", "8", "", "784", "3136"]
    assert second[:6] == ["1 second", "conv2d relu", "8x28x28", "max 4x4/4", "3x3 pad 1", "8x7x7"]
    # 10 outputs, 49 pixels, a byte each, but the slots begin at a whole word
    assert last[:3] == ["2", "flatten linear", "8x7x7"] and last[8] == str(-(-10 * 49 // 9))
    total = 1 + sum(int(row[12]) for row in (first, second, last))
    assert "small, input 1x28x28" in out and f"one inference: {total} cycles" in out


def test_the_table_with_a_checkpoint(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = {
        "a.op.weight": np.ones((8, 1, 3, 3), np.float32),
        "b.op.weight": np.ones((8, 8, 3, 3), np.float32),
        "b.op.bias": np.full(8, 128, np.float32),
        "b.output_shift": np.array([-2], np.float32),
        "fc.op.weight": np.ones((10, 392), np.float32),
    }
    checkpoint = checkpoints.save(tmp_path / "small.pth.tar", state, "small")
    assert main(["check", str(network), "--checkpoint", str(checkpoint)]) == 0
    second = rows(capsys.readouterr().out)[1]
    assert (second[7], second[9]) == ("-2", "8")


def test_without_weights_the_processors_count(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network.write_text(NETWORK.replace("MNIST", "own"))
    assert main(["check", str(network), "--input", "1x28x28"]) == 2
    assert "layer 2: its number of output channels is not known" in capsys.readouterr().err
    assert main(["check", str(network), "--input", "1x28x28", "--classes", "7"]) == 0
    assert "7x1x1 32 bit" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["check", str(network), "--classes", "-7"])
    network.write_text(NETWORK.replace("output_width: 32", "output_width: 32, output_processors: 0x3ff"))
    assert main(["check", str(network)]) == 0
    out = capsys.readouterr().out
    assert [row[5] for row in rows(out)] == ["8x28x28", "8x7x7", "10x1x1 32 bit"]
    assert "as many output channels as output processors" in out


def test_everything_wrong_at_once(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = NETWORK.replace("0x2000", "0x7ffc").replace("flatten: true", "flatten: true, calcx4: true")
    network.write_text(broken)
    assert main(["check", str(network), "--weights", "8x1x3x3 8x8x3x3 10x300"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    for number, found in (
        (4, "layer 0: an output of 8x28x28 (3136 bytes) at 0x7ffc. An output that"),
        (5, "layer 1 (second): an input of 8x28x28 (3136 bytes) at 0x7ffc. An input"),
        (6, "layer 2: `calcx4: True`. There is no `calcx4`"),
        (6, "layer 2: `--weights 10x300` has the shape 10x300x1x1; 10x392x1x1 is expected"),
    ):
        assert any(line.startswith(f"offramp check: {network}:{number}: {found}") for line in lines), found


def test_a_checkpoint_of_another_network_is_all_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Not the rules of the device that its weights would break in this network."""
    folder = EXAMPLES / "mnist"
    assert main(["check", str(folder / "main.yaml"), "--checkpoint", str(folder / "front-4.pth.tar")]) == 2
    architecture, count, shape = capsys.readouterr().err.splitlines()
    assert "`arch: ai85net5`, but" in architecture and "a checkpoint of `front-4`" in architecture
    assert "for 4 layers (conv1.op, conv2.op, conv3.op, fc4.op); the network has 5 layers with weights" in count
    assert "`fc4.op` has the shape 10x96x1x1; 10x24x3x3 is expected" in shape


def test_no_rule_is_applied_from_a_layer_on_whose_weights_do_not_fit(
    network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither to it nor to what comes after: shapes would be wrong there."""
    assert main(["check", str(network), "--weights", "8x1x3x3 12x9x3x3 7x392"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines and all("has the shape" in line for line in lines)


def test_input_and_fifo(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network.write_text(
        NETWORK.replace("MNIST", "mine").replace(
            "op: conv2d, processors: 0x1", "op: conv2d, streaming: true, processors: 0x1"
        )
    )
    assert main(["check", str(network), "--weights", WEIGHTS]) == 2
    assert "give it with --input CxHxW" in capsys.readouterr().err
    assert main(["check", str(network), "--weights", WEIGHTS, "--input", "1x28x28"]) == 2
    assert "takes its input through the FIFO" in capsys.readouterr().err
    assert main(["check", str(network), "--weights", WEIGHTS, "--input", "1x28x28", "--fifo"]) == 0
    assert rows(capsys.readouterr().out)[0][12].startswith("~")


@pytest.mark.parametrize("text", ["28", "3x", "0x3x3", "3x3x3x3", "a", "-1x3x3"])
def test_input_shapes_that_are_none(network: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(network), f"--input={text}"]) == 2
    assert (
        "CxHxW (channels x rows x columns), as in 1x28x28, or CxL for 1-D data is expected" in capsys.readouterr().err
    )


def test_shapes_of_one_dimensional_inputs() -> None:
    assert parse_shape("128x64") == Shape(128, 64, 1)


def test_missing_files_are_messages(tmp_path: Path, network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "absent.yaml")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["check", str(network), "--checkpoint", str(tmp_path / "absent.pth.tar")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_what_only_placing_finds(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Data that overlap, weights and biases that are too many: proved, exit code 3."""
    network.write_text(NETWORK.replace("out_offset: 0x2000", "out_offset: 0x0"))
    assert main(["check", str(network), "--weights", WEIGHTS]) == 3
    assert "small.yaml:4: the data do not fit, 2 blocks: input" in capsys.readouterr().err


def test_layers_that_do_not_fit_together(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    on_64 = "processors: 0xffffffffffffffff, output_processors: 0xffffffffffffffff"
    network.write_text(
        f"arch: small\ndataset: none\nlayers:\n  - {{op: conv2d, {on_64}, out_offset: 0x4000}}\n"
        f"  - {{op: conv2d, {on_64}, out_offset: 0x0}}\n"
    )
    arguments = ["check", str(network), "--input", "64x8x8", "--weights"]
    assert main([*arguments, "384x64x3x3 64x384x3x3"]) == 0
    capsys.readouterr()
    assert main([*arguments, "512x64x3x3 64x512x3x3"]) == 3
    assert "they need 1024 of 768 kernel columns in processors 0..63" in capsys.readouterr().err


def test_surplus_layers_of_a_checkpoint_are_named(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {f"{name}.op.weight": np.ones(shape, np.float32) for name, shape in SHAPES.items()}
    checkpoint = checkpoints.save(tmp_path / "small.pth.tar", state, "small")
    assert main(["check", str(network), "--checkpoint", str(checkpoint)]) == 0
    first, second = (line for line in capsys.readouterr().out.splitlines() if line.startswith(str(checkpoint)))
    assert first.startswith(f"{checkpoint}: 1 layer that no network takes: aux.op (10x8x1x1); if they are a head write")
    assert second.endswith('`head: {network: head.yaml, checkpoint: small.pth.tar, prefix: "more"}` under `networks`')


def test_a_part_of_a_checkpoint(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["net.a", "exit.0", "net.b", "exit.1", "net.fc"]
    shapes = [SHAPES[name] for name in ("a", "aux", "b", "more", "fc")]
    state = {f"{name}.op.weight": np.ones(shape, np.float32) for name, shape in zip(names, shapes, strict=True)}
    checkpoint = checkpoints.save(tmp_path / "small.pth.tar", state, "other")
    arguments = ["check", str(network), "--checkpoint", str(checkpoint)]
    assert main([*arguments, "--prefix", "net"]) == 0
    assert "no network takes" not in capsys.readouterr().out
    checkpoints.save(tmp_path / "small.pth.tar", state, "small")
    assert main([*arguments, "--without", "exit"]) == 0
    for wrong in (["--prefix", "x"], ["--without", "x"], ["--without", ""]):
        assert main([*arguments, *wrong]) == 2
    said = capsys.readouterr().err
    assert f"{checkpoint}: has no layers whose names begin with `x`; they begin with exit, net" in said
    assert said.count(str(checkpoint)) == said.count("has no layers")
    assert main(["check", str(network), "--prefix", "net"]) == 2
