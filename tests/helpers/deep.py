"""A network of more layers than a run of the accelerator can have, with a front and a head, all on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.helpers import checkpoints
from tests.helpers.specs import DATA, TINY, write_files, write_network

POOL = "max_pool: 2, pool_stride: 2"
ANSWER = "op: mlp, flatten: true, output_width: 32"
ANSWER_SHAPE = (TINY.classes, 8 * (TINY.shape[1] // 2) * (TINY.shape[2] // 2))
SKIP = 6  # from one layer that reads two others to the next


def write_deep(folder: Path, layers: int = 60) -> None:
    """deep.yaml: `layers` layers of 3x3 and 1x1 kernels, every sixth reading what two of them wrote; head.yaml:
    reads what any of them but the last writes; and TINY's networks and data sets."""
    write_files(folder)
    rng = np.random.default_rng(layers)
    lines: list[str] = []
    shapes: list[tuple[int, ...]] = []
    for index in range(layers - 1):
        size = 3 if index % 3 != 1 else 1
        line = f"name: l{index}, op: conv2d, kernel_size: {size}x{size}, pad: {size // 2}, activate: ReLU"
        line += f", {POOL}" if index == layers - 2 else ""
        joins = index > 0 and index % SKIP == 0
        if joins:
            line += f", in_sequences: [l{index - 4}, l{index - 1}]"
        lines.append(f"  - {{{line}}}" if index else f"  - {{{line}, data_format: HWC}}")
        shapes.append((8, 16 if joins else 8 if index else TINY.shape[0], size, size))
    lines.append(f"  - {{name: answer, {ANSWER}}}")
    shapes.append(ANSWER_SHAPE)
    (folder / "deep.yaml").write_text("arch: deep\ndataset: none\nlayers:\n" + "\n".join(lines) + "\n")
    state = {}
    for index, shape in enumerate(shapes):
        most = round(150 / np.sqrt(np.prod(shape[1:])) * 2)  # about as much comes out as goes in
        state[f"layer{index}.op.weight"] = rng.integers(-most, most + 1, shape).astype(np.float32)
        state[f"layer{index}.op.bias"] = rng.integers(-4, 5, shape[0]).astype(np.float32) * 128
    checkpoints.save(folder / "deep.pth.tar", state, "deep")
    look = f"op: conv2d, kernel_size: 1x1, pad: 0, {POOL}, activate: ReLU, data_format: HWC"
    write_network(folder, "head", f"  - {{{look}}}\n  - {{{ANSWER}}}\n", [(8, 8, 1, 1), ANSWER_SHAPE], layers)


def deep_spec(stages: str, *names: str) -> str:
    """A spec of `deep` and other networks."""
    inputs = {"head": ""}
    lines = [
        f"  {name}: {{network: {name}.yaml, checkpoint: {name}.pth.tar{inputs.get(name, f', input: {TINY.input}')}}}\n"
        for name in ("deep", *names)
    ]
    return f"offramp: 1\nname: deep\nnetworks:\n{''.join(lines)}{DATA}{stages}"
