"""A small spec of two stages, a front network and the main one, with its YAML, checkpoint and data files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.helpers import checkpoints

SHAPE = (6, 12, 10)
IMAGES = 20
CLASSES = 4

# YAML layers and the shapes of their weights.
NETWORKS: dict[str, tuple[str, list[tuple[int, ...]]]] = {
    "front": (
        """\
  - {op: conv2d, name: look, processors: 0x3f, pad: 1, activate: ReLU, avg_pool: 2, pool_stride: 2, data_format: HWC}
  - {op: mlp, name: guess, flatten: true, output_width: 32}
""",
        [(4, 6, 3, 3), (CLASSES, 120)],
    ),
    "main": (
        """\
  - {op: conv2d, name: wide, processors: 0x3f, pad: 1, activate: ReLU, data_format: HWC}
  - {op: conv2d, name: narrow, kernel_size: 1x1, pad: 0, activate: ReLU, max_pool: 2, pool_stride: 2}
  - {op: mlp, name: answer, flatten: true, output_width: 32}
""",
        [(40, 6, 3, 3), (8, 40, 1, 1), (CLASSES, 240)],
    ),
}

SPEC = """\
offramp: 1
name: staged
networks:
  front: {network: front.yaml, checkpoint: front.pth.tar, input: 6x12x10}
  main: {network: main.yaml, checkpoint: main.pth.tar, input: 6x12x10}
data: {test: test.npz}
stages:
  - {network: front, exit: {confidence: margin, threshold: 0.02}}
  - {network: main}
"""


def write_spec(folder: Path, extra: str = "") -> Path:
    """The spec and its files; `extra` is added at the end of the spec."""
    rng = np.random.default_rng(5)
    for name, (layers, weights) in NETWORKS.items():
        state = {}
        for index, shape in enumerate(weights):
            state[f"layer{index}.op.weight"] = rng.integers(-24, 25, shape).astype(np.float32)
        (folder / f"{name}.yaml").write_text(f"arch: {name}\ndataset: none\nlayers:\n{layers}")
        checkpoints.save(folder / f"{name}.pth.tar", state, name)
    x = rng.integers(-128, 128, (IMAGES, *SHAPE)).astype(np.int8)
    np.savez(folder / "test.npz", x=x, y=rng.integers(0, CLASSES, IMAGES))
    path = folder / "spec.yaml"
    path.write_text(SPEC + extra)
    return path
