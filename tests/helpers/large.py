"""Networks that need 1.6 times the columns of the weight memory of the processors that they are on, with a head that
reads what an early layer writes, on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.helpers import checkpoints
from tests.helpers.specs import DATA, write_random_sets

SHAPE = (16, 6, 6)
CLASSES = 3
IMAGES = 30
PAIRS = 9  # of layers: 16 -> 128 channels (128 columns of processors 0 to 15), 128 -> 16 (3 to 4 columns)
MARGIN = 0.1
SPEC = """\
offramp: 1
name: large
networks:
  large: {network: large.yaml, checkpoint: large.pth.tar, input: 16x6x6}
  head: {network: head.yaml, checkpoint: head.pth.tar}
"""
STAGES = "stages:\n  - {network: large, name: early, until: 1, head: head, exit: {confidence: margin%s}}\n"


def write_large(
    folder: Path, keys: str = "reload: allowed\n", threshold: float | None = MARGIN, pairs: int = PAIRS
) -> Path:
    """The spec, with further `keys`, its networks and its data sets. Without a threshold it is to be calibrated."""
    lines, shapes = [], []
    for pair in range(pairs):
        form = ", data_format: HWC" if pair == 0 else ""
        lines.append(f"  - {{op: conv2d, pad: 1, activate: ReLU, processors: 0xffff{form}}}")
        shapes.append((128, 16, 3, 3))
        pool = ", max_pool: 2, pool_stride: 2" if pair == pairs - 1 else ""
        processors = "processors: 0xffffffffffffffff, output_processors: 0xffff"
        lines.append(f"  - {{op: conv2d, kernel_size: 1x1, pad: 0, activate: ReLU, {processors}{pool}}}")
        shapes.append((16, 128, 1, 1))
    lines.append("  - {op: mlp, flatten: true, output_width: 32, processors: 0xffff}")
    write_network(folder, "large", lines, [*shapes, (CLASSES, 16 * 9)])
    look = "  - {op: conv2d, kernel_size: 1x1, pad: 0, max_pool: 2, pool_stride: 2, activate: ReLU, data_format: HWC}"
    answer = "  - {op: mlp, flatten: true, output_width: 32}"
    write_network(folder, "head", [look, answer], [(8, 16, 1, 1), (CLASSES, 8 * 9)])
    write_random_sets(folder, IMAGES, SHAPE, CLASSES, seed=7)
    path = folder / "spec.yaml"
    stages = STAGES % (f", threshold: {threshold}" if threshold is not None else "")
    path.write_text(f"{SPEC}{DATA}{keys}{stages}  - {{network: large}}\n")
    return path


def write_network(folder: Path, name: str, lines: list[str], shapes: list[tuple[int, ...]]) -> None:
    """A network's YAML and checkpoint; about as much comes out of each layer as goes in."""
    rng = np.random.default_rng(len(lines))
    (folder / f"{name}.yaml").write_text(f"arch: {name}\ndataset: none\nlayers:\n" + "\n".join(lines) + "\n")
    state = {}
    for index, shape in enumerate(shapes):
        most = min(127, max(1, round(320 / np.sqrt(np.prod(shape[1:])))))
        state[f"layer{index}.op.weight"] = rng.integers(-most, most + 1, shape).astype(np.float32)
        state[f"layer{index}.op.bias"] = rng.integers(-4, 5, shape[0]).astype(np.float32) * 128
    checkpoints.save(folder / f"{name}.pth.tar", state, name)
