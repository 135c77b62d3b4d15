"""Small networks with FIFO input as spec, YAML and checkpoint files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.helpers import checkpoints

SHAPE = (6, 12, 10)  # 6 channels: the FIFO's ports 0 and 1
IMAGES = 20
CLASSES = 4

# YAML layers and the shapes of their weights.
NETWORKS: dict[str, tuple[str, list[tuple[int, ...]]]] = {
    "streaming": (
        """\
  - {op: conv2d, pad: 1, activate: ReLU, streaming: true, data_format: HWC}
  - {op: conv2d, pad: 1, activate: ReLU, streaming: true, max_pool: 2, pool_stride: 2}
  - {op: conv2d, pad: 1, activate: ReLU, max_pool: 2, pool_stride: 2}
  - {op: mlp, flatten: true, output_width: 32}
""",
        [(4, 6, 3, 3), (8, 4, 3, 3), (8, 8, 3, 3), (CLASSES, 48)],
    ),
    # Takes the same input, but keeps it in data memory as a whole.
    "front": (
        """\
  - {op: conv2d, pad: 1, activate: ReLU, avg_pool: 2, pool_stride: 2, data_format: HWC}
  - {op: mlp, flatten: true, output_width: 32}
""",
        [(4, 6, 3, 3), (CLASSES, 120)],
    ),
    # Reads what the last streaming layer writes, 8x6x5.
    "head": ("  - {op: mlp, flatten: true, output_width: 32, data_format: HWC}\n", [(CLASSES, 240)]),
}


def write_files(folder: Path) -> None:
    """All networks with random weights, small enough not to saturate everything, and a data set `test`."""
    for name, (layers, weights) in NETWORKS.items():
        rng = np.random.default_rng(len(weights))
        state = {}
        for index, shape in enumerate(weights):
            state[f"layer{index}.op.weight"] = rng.integers(-24, 25, shape).astype(np.float32)
            state[f"layer{index}.op.bias"] = rng.integers(-20, 21, shape[0]).astype(np.float32) * 128
        (folder / f"{name}.yaml").write_text(f"arch: {name}\ndataset: none\nlayers:\n{layers}")
        checkpoints.save(folder / f"{name}.pth.tar", state, name)
    rng = np.random.default_rng(5)
    x = rng.integers(-128, 128, (IMAGES, *SHAPE)).astype(np.int8)
    np.savez(folder / "test.npz", x=x, y=rng.integers(0, CLASSES, IMAGES))


def write_spec(folder: Path, stages: str, **options: str) -> Path:
    """A spec and its files. `options`: further keys of each network that it names."""
    write_files(folder)
    lines = [
        f"  {name}: {{network: {name}.yaml, checkpoint: {name}.pth.tar, input: {'x'.join(map(str, SHAPE))}, {keys}}}"
        for name, keys in options.items()
    ]
    path = folder / "spec.yaml"
    parts = ["offramp: 1", "name: fifo", "networks:", *lines, "data: {test: test.npz}", "stages:", stages]
    path.write_text("\n".join(parts))
    return path
