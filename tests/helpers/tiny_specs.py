"""Tiny networks with checkpoints and data, and specs that chain them: a front, a branch with a head, a backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.helpers import checkpoints

SHAPE = (4, 6, 6)
CLASSES = 3
IMAGES = 40

# YAML layers and the shapes of their weights
NETWORKS: dict[str, tuple[str, list[tuple[int, ...]]]] = {
    "front": (
        """\
  - {name: small, op: conv2d, processors: 0xf, pad: 1, max_pool: 2, pool_stride: 2, activate: ReLU, data_format: HWC}
  - {name: guess, op: mlp, processors: 0xf, flatten: true, output_width: 32}
""",
        [(4, 4, 3, 3), (CLASSES, 36)],
    ),
    "main": (
        """\
  - {name: first, op: conv2d, processors: 0xf, output_processors: 0xff, pad: 1, activate: ReLU, data_format: HWC}
  - {name: second, op: conv2d, processors: 0xff, pad: 1, max_pool: 2, pool_stride: 2, activate: ReLU}
  - {name: third, op: conv2d, processors: 0xff, kernel_size: 1x1, pad: 0, activate: ReLU}
  - {name: answer, op: mlp, processors: 0xff, flatten: true, output_width: 32}
""",
        [(8, 4, 3, 3), (8, 8, 3, 3), (8, 8, 1, 1), (CLASSES, 72)],
    ),
    # Reads the output of main's `first`, 8x6x6
    "head": (
        "  - {name: exit, op: mlp, processors: 0xff, flatten: true, output_width: 32, data_format: HWC}\n",
        [(CLASSES, 288)],
    ),
    # Its head is among its own layers: `inner` reads `one`
    "own": (
        """\
  - {name: one, op: conv2d, processors: 0xf, output_processors: 0xff, pad: 1, activate: ReLU, data_format: HWC}
  - {name: inner, op: mlp, in_sequences: one, processors: 0xff, output_processors: 0x7, flatten: true, output_width: 32}
  - {name: two, op: conv2d, in_sequences: one, processors: 0xff, max_pool: 2, pool_stride: 2, pad: 1, activate: ReLU}
  - {name: late, op: mlp, in_sequences: two, processors: 0xff, output_processors: 0x7, flatten: true, output_width: 32}
  - {name: end, op: mlp, in_sequences: two, processors: 0xff, flatten: true, output_width: 32}
""",
        [(8, 4, 3, 3), (CLASSES, 288), (8, 8, 3, 3), (CLASSES, 72), (CLASSES, 72)],
    ),
}

INPUT = "x".join(map(str, SHAPE))
TOP = f"""\
offramp: 1
name: tiny
networks:
  front: {{network: front.yaml, checkpoint: front.pth.tar, input: {INPUT}}}
  main: {{network: main.yaml, checkpoint: main.pth.tar, input: {INPUT}}}
data: {{test: test.npz, calibration: calibration.npz}}
"""
FRONT = (
    TOP
    + """\
stages:
  - network: front
    exit: {confidence: margin, threshold: 0.5}
  - network: main
"""
)
BRANCH = (
    TOP.replace("  front:", "  head:")
    .replace("front.", "head.")
    .replace(f"head.pth.tar, input: {INPUT}", "head.pth.tar")
    + """\
stages:
  - network: main
    until: first
    head: head
    exit: {confidence: margin, threshold: 0.5}
  - network: main
"""
)
THREE = (
    FRONT.replace("data:", "  head: {network: head.yaml, checkpoint: head.pth.tar}\ndata:").removesuffix(
        "  - network: main\n"
    )
    + """\
  - {network: main, until: first, head: head, exit: {confidence: entropy, threshold: 0.6}}
  - network: main
"""
)


def weights(name: str, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float32]]:
    """The state_dict of a network: integers, small enough not to saturate everything, and biases."""
    state = {}
    for index, shape in enumerate(NETWORKS[name][1]):
        state[f"layer{index}.op.weight"] = rng.integers(-24, 25, shape).astype(np.float32)
        state[f"layer{index}.op.bias"] = rng.integers(-20, 21, shape[0]).astype(np.float32) * 128
    return state


def write_files(folder: Path) -> None:
    """All networks, and the data sets `test` and `calibration`, without an image in common."""
    for number, (name, (layers, _)) in enumerate(NETWORKS.items()):
        (folder / f"{name}.yaml").write_text(f"arch: {name}\ndataset: none\nlayers:\n{layers}")
        checkpoints.save(folder / f"{name}.pth.tar", weights(name, np.random.default_rng(number)), name)
    rng = np.random.default_rng(9)
    for name in ("test", "calibration"):
        x = rng.integers(-128, 128, (IMAGES, *SHAPE)).astype(np.int8)
        np.savez(folder / f"{name}.npz", x=x, y=rng.integers(0, CLASSES, IMAGES))


def write_spec(folder: Path, text: str = FRONT) -> Path:
    """A spec with all files that it may name."""
    write_files(folder)
    path = folder / "spec.yaml"
    path.write_text(text)
    return path
