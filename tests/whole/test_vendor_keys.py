"""What else a vendor's YAML may say, from a spec to verified firmware: cropped inputs, inputs joined one behind the
other, weights that layers share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from offramp.cli import main
from tests.helpers.specs import Family, SmallNetwork, write_spec

CROPPED = """\
  - {name: low, op: conv2d, pad: 1, activate: ReLU, data_format: HWC, in_crop: [0, 4], processors: 0xf,
     output_processors: 0xff, out_offset: 0x1000}
  - {name: high, op: conv2d, in_sequences: input, in_crop: [3, 1], in_offset: 0x30, processors: 0xf,
     output_processors: 0xff, out_offset: 0x1040}
"""
JOINED = """\
  - {name: both, op: conv2d, in_sequences: [low, high], in_channels: 8, in_dim: [8, 4], in_offset: 0x1000, pad: 1,
     max_pool: 2, pool_stride: 2,
     processors: 0xff, output_processors: 0xff, out_offset: 0x2000}
  - {name: answer, op: mlp, flatten: true, processors: 0xff, output_processors: 0x7, out_offset: 0x3000,
     output_width: 32}
"""
SHARED = """\
  - {name: one, op: conv2d, pad: 1, activate: ReLU, data_format: HWC, processors: 0xf, output_processors: 0xf}
  - {name: two, op: conv2d, pad: 1, activate: ReLU, processors: 0xf, output_processors: 0xf, weight_source: one,
     max_pool: 2, pool_stride: 2}
  - {name: answer, op: mlp, flatten: true, processors: 0xf, output_width: 32}
"""
FAMILY = Family(
    name="keys",
    shape=(4, 8, 4),
    classes=3,
    images=30,
    networks={
        "main": SmallNetwork(CROPPED + JOINED, ((8, 4, 3, 3), (8, 4, 3, 3), (8, 8, 3, 3), (3, 64))),
        "front": SmallNetwork(SHARED, ((4, 4, 3, 3), (3, 32))),
        # Reads what `low` writes, 8x4x4
        "head": SmallNetwork(
            "  - {name: exit, op: mlp, processors: 0xff, flatten: true, output_width: 32, data_format: HWC,\n"
            "     output_processors: 0x7, out_offset: 0x4000}\n",
            ((3, 128),),
            is_head=True,
        ),
    },
)
STAGES = """\
stages:
  - {network: front, exit: {confidence: margin, threshold: 0.25}}
  - {network: main, until: low, head: head, exit: {confidence: margin, threshold: 0.25}}
  - {network: main}
"""


@pytest.mark.parametrize("free", ["", "offsets: free", "offsets: free, processors: free"])
def test_answers_are_those_of_the_reference(tmp_path: Path, free: str) -> None:
    """The front's layers write at offset 0 where nothing else is said: it is always free to move."""
    spec = write_spec(tmp_path, FAMILY.spec(STAGES, front=free or "offsets: free", main=free, head=free), FAMILY)
    assert main(["build", str(spec), "-o", str(tmp_path / "out"), "-q"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["verified"]["answers"], report["verified"]["mismatches"]) == (30, 0)
    assert all(stage["share"] > 0 for stage in report["stages"])
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    weights = [name for name in plan["placement"]["weights"] if name.startswith("front/")]
    once = ["front/0:one", "front/2:answer"]  # with processors of the planner's choice kernels need not lie on the same
    assert weights == once or "processors" in free
