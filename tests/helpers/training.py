"""A network without exits, data that it can be fooled by little, and a training spec: all on disk, small and quick."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from offramp.configs.device import load_device
from offramp.planner.ai8x.load import load_network
from offramp.planner.ir.network import Shape
from offramp.planner.reference.layers import run_network
from tests.helpers.specs import write_network

SHAPE = (2, 12, 12)
CLASSES = 4
SPEC = """\
train: 1
name: small
main: {network: main.yaml, checkpoint: main.pth.tar, input: 2x12x12}
data: {training: training.npz, calibration: calibration.npz, test: test.npz}
choose: {accuracy_drop: 20, risk: {delta: 0.05}, against: main}
"""
_LAYERS = """\
  - {op: conv2d, pad: 1, activate: ReLU, processors: 0x11, data_format: CHW}
  - {op: conv2d, pad: 1, activate: ReLU}
  - {op: conv2d, pad: 1, activate: ReLU, max_pool: 2, pool_stride: 2}
  - {op: conv2d, pad: 1, activate: ReLU, max_pool: 2, pool_stride: 2}
  - {op: mlp, flatten: true, output_width: 32}
"""
_WEIGHTS = ((40, 2, 3, 3), (40, 40, 3, 3), (24, 40, 3, 3), (16, 24, 3, 3), (CLASSES, 144))
_IMAGES = {"training": 600, "calibration": 300, "test": 100}


def write_training(folder: Path, text: str = SPEC, labels: bool = True, data_format: str = "CHW") -> Path:
    """The spec with all its files. Each image is one of eight pictures with noise; labels are main's answers."""
    layers = _LAYERS if data_format == "CHW" else _LAYERS.replace("0x11, data_format: CHW", "0x3, data_format: HWC")
    write_network(folder, "main", layers, _WEIGHTS, seed=3)
    device = load_device()
    main = load_network(folder / "main.yaml", device, folder / "main.pth.tar", input_shape=Shape(*SHAPE))
    rng = np.random.default_rng(1)
    pictures = rng.integers(-100, 101, (8, *SHAPE))
    for name, count in _IMAGES.items():
        noise = rng.integers(-25, 26, (count, *SHAPE))
        x = (pictures[rng.integers(0, 8, count)] + noise).astype(np.int8)
        y = run_network(main, x)[len(main.layers) - 1].reshape(count, -1).argmax(axis=1)
        np.savez(folder / f"{name}.npz", x=x, **({"y": y} if labels else {}))
    path = folder / "train.yaml"
    path.write_text(text)
    return path
