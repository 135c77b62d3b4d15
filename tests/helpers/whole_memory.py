"""A network that needs more than 1.6 times the whole weight memory, on all processors, with a head that reads what an
early layer writes, on disk."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.large import write_network
from tests.helpers.specs import DATA, write_random_sets

SHAPE = (64, 4, 4)
CLASSES = 3
IMAGES = 4
LAYERS = 20  # of 64 channels: 64 columns each of all processors
MARGIN = 1.9  # that half of the images reach
SPEC = """\
offramp: 1
name: whole
networks:
  whole: {network: whole.yaml, checkpoint: whole.pth.tar, input: 64x4x4}
  head: {network: head.yaml, checkpoint: head.pth.tar}
"""
STAGES = f"""\
stages:
  - {{network: whole, name: early, until: 1, head: head, exit: {{confidence: margin, threshold: {MARGIN}}}}}
  - {{network: whole}}
"""


def write_whole(folder: Path, keys: str) -> Path:
    """The spec, with further `keys`, its networks and its data sets."""
    lines = ["  - {op: conv2d, pad: 1, activate: ReLU, processors: 0xffffffffffffffff}"] * LAYERS
    lines[0] = lines[0].replace("}", ", data_format: HWC}")
    lines[-1] = lines[-1].replace("}", ", max_pool: 2, pool_stride: 2}")
    answer = "  - {op: mlp, flatten: true, output_width: 32, processors: 0xffffffffffffffff}"
    shapes = [(64, 64, 3, 3)] * LAYERS
    write_network(folder, "whole", [*lines, answer], [*shapes, (CLASSES, 64 * 4)])
    look = "  - {op: conv2d, kernel_size: 1x1, pad: 0, max_pool: 2, pool_stride: 2, activate: ReLU, data_format: HWC}"
    head = "  - {op: mlp, flatten: true, output_width: 32}"
    write_network(folder, "head", [look, head], [(8, 64, 1, 1), (CLASSES, 8 * 4)])
    write_random_sets(folder, IMAGES, SHAPE, CLASSES, seed=7)
    path = folder / "spec.yaml"
    path.write_text(f"{SPEC}{DATA}{keys}{STAGES}")
    return path
