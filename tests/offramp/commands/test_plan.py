"""`offramp plan` on what people's networks ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.cli import main
from tests.helpers.specs import MAIN_STAGE, TINY, Family, SmallNetwork, write_spec

OPERANDS = """\
  - {op: conv1d, kernel_size: 1, pad: 0, activate: ReLU, processors: 0xf, out_offset: 0x2000}
  - {op: conv1d, kernel_size: 3, pad: 0, processors: 0xf, in_offset: 0x2000, out_offset: 0x4000, write_gap: 1}
  - {op: conv1d, kernel_size: 3, pad: 0, in_sequences: 0, in_offset: 0x2000, processors: 0xf, write_gap: 1,
     out_offset: 0x0}
  - {eltwise: add, op: none, in_sequences: [2, 1], in_offset: 0x0, processors: 0xf, out_offset: 0x4000}
  - {op: mlp, flatten: true, processors: 0xf, out_offset: 0x0, output_width: 32}
"""
POOLED = """\
  - {op: conv1d, kernel_size: 3, pad: 1, processors: 0xf, out_offset: 0x2000}
  - {op: none, max_pool: [4, 1], pool_stride: [4, 1], processors: 0xff, out_offset: 0x0}
  - {op: mlp, flatten: true, processors: 0xff, out_offset: 0x2000, output_width: 32}
"""
SIGNALS = Family(
    name="signals",
    shape=(4, 16, 1),
    classes=3,
    images=6,
    networks={
        "operands": SmallNetwork(OPERANDS, ((4, 4, 1), (4, 4, 3), (4, 4, 3), (3, 56))),
        "pooled": SmallNetwork(POOLED, ((8, 4, 3), (3, 32))),
    },
)


def planned(folder: Path, network: str, keys: str = "") -> int:
    text = SIGNALS.spec(f"stages:\n  - network: {network}\n", **{network: keys})
    return main(["plan", str(write_spec(folder, text, SIGNALS))])


def test_freed_offsets_may_contradict_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`write_gap` is part of where a tensor lies, and is free with the offsets."""
    assert planned(tmp_path, "operands") == 2
    err = capsys.readouterr().err
    assert "operands.yaml:8: layer 3: `in_offset` 0x0, inputs at 0x0, 0x4000" in err
    assert "With `offsets: free` in a spec the planner chooses all of them." in err
    assert planned(tmp_path, "operands", "offsets: free") == 0
    network = tmp_path / "operands.yaml"
    network.write_text(network.read_text().replace("write_gap: 1", "write_gap: 3"))
    capsys.readouterr()
    assert main(["build", str(tmp_path / "spec.yaml"), "-o", str(tmp_path / "build")]) == 0
    assert f"verified: {SIGNALS.images} answers equal the integer reference" in capsys.readouterr().out


def test_a_pooling_stride_for_one_column_of_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert planned(tmp_path, "pooled") == 0
    network = tmp_path / "pooled.yaml"
    network.write_text(network.read_text().replace("[4, 1], processors", "[4, 2], processors"))
    assert main(["plan", str(tmp_path / "spec.yaml")]) == 2
    assert "`pool_stride: [4, 2]`. The pooling stride is the same for rows and columns" in capsys.readouterr().err


def in_another_quadrant(folder: Path, head: str) -> None:
    """`second` of main reads quadrant 3, and so does the head, which may leave its own processors open."""
    files = {name: (folder / f"{name}.yaml").read_text() for name in ("main", "head")}
    main_ = files["main"].replace("output_processors: 0xff", "output_processors: 0xff000000000000")
    main_ = main_.replace(
        "{name: second, op: conv2d, processors: 0xff", "{name: second, op: conv2d, processors: 0xff000000000000"
    )
    (folder / "main.yaml").write_text(main_)
    (folder / "head.yaml").write_text(files["head"].replace("processors: 0xff, ", head))


@pytest.mark.parametrize("head", ["", "processors: 0xff000000000000, "])
def test_a_head_may_lie_outside_quadrant_0(tmp_path: Path, head: str) -> None:
    stages = "stages:\n  - {network: main, until: first, head: head, exit: {confidence: margin, threshold: 0.5}}\n"
    path = write_spec(tmp_path, TINY.spec(stages + MAIN_STAGE, main="", head=""))
    in_another_quadrant(tmp_path, head)
    assert main(["plan", str(path)]) == 0
    choice = "exits: auto\nmain: main\ncandidates: [{head: head}]\n"
    choice += "choose: {data: calibration, minimise: cycles, accuracy_drop: 50}\n"
    path.write_text(TINY.spec(choice, main="", head=""))
    assert main(["plan", str(path)]) == 0
