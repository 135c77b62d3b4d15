"""Writes the checkpoints and inputs of this example again: random weights, drawn and scaled, not trained.

Weights are drawn with a standard deviation with which values keep their size from layer to layer. The last layer's are
then freed of their share along the mean of what it reads, so that no class always wins. Sounds are sums of
rising and falling tones in noise, pictures are discs and stripes in two colours. The labels are what the networks
answer: nothing here was learnt, and accuracy would say nothing.
"""

from __future__ import annotations

import io
import zipfile
from collections import OrderedDict
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from offramp import api
from offramp.planner.reference.layers import run_network

try:
    import torch
except ModuleNotFoundError as error:
    raise SystemExit("error: checkpoints are written with PyTorch here: pip install torch") from error

HERE = Path(__file__).parent
SEED = 20
SOUNDS, PICTURES = 16, 8
LENGTH = 128  # rows, columns and channels of both inputs, but for the 3 colours
FOLDED = 16_384  # samples of a sound
LAST = 40.0  # standard deviation of the last layer's weights
GAIN = 1.5  # of a layer: half of what it adds up is cut off by ReLU

Bytes = npt.NDArray[np.int8]
Weights = npt.NDArray[np.float64]

# Shapes of weights, layer by layer: (outputs, inputs, kernel).
KWS20 = (
    *((100, 128, 1), (96, 100, 3), (64, 96, 3), (48, 64, 3), (64, 48, 3), (96, 64, 3), (100, 96, 3), (64, 100, 6)),
    (21, 256),
)
CATS_DOGS = (
    *((16, 3, 3, 3), (32, 16, 3, 3), (64, 32, 3, 3), (32, 64, 3, 3), (32, 32, 3, 3), (16, 32, 3, 3)),
    (2, 1024),
)


def sound(rng: np.random.Generator) -> Bytes:
    """One sound, int8 (128, 128, 1): channel c holds samples 128 c to 128 c + 127."""
    time = np.arange(FOLDED) / FOLDED
    wave = rng.normal(0, 4, FOLDED)
    for _ in range(int(rng.integers(1, 5))):
        start, end = rng.uniform(60, 3000, 2)
        swell = np.exp(-(((time - rng.uniform(0.2, 0.8)) / rng.uniform(0.05, 0.3)) ** 2))
        wave += rng.uniform(20, 90) * swell * np.sin(2 * np.pi * (start + (end - start) * time / 2) * time)
    samples: Bytes = np.clip(np.rint(wave), -128, 127).astype(np.int8).reshape(LENGTH, LENGTH, 1)
    return samples


def picture(rng: np.random.Generator) -> Bytes:
    """One picture, int8 (3, 128, 128)."""
    rows, cols = np.mgrid[0:LENGTH, 0:LENGTH]
    back, front = rng.integers(-128, 128, (2, 3))
    middle, radius = rng.uniform(30, 98, 2), rng.uniform(12, 50)
    disc = (rows - middle[0]) ** 2 + (cols - middle[1]) ** 2 < radius**2
    stripes = np.sin((rows * rng.uniform(-1, 1) + cols * rng.uniform(-1, 1)) / rng.uniform(1, 6)) > rng.uniform(-1, 1)
    shape = disc if rng.random() < 0.3 else disc & stripes if rng.random() < 0.6 else disc ^ stripes
    pixels: Bytes = np.where(shape, front[:, None, None], back[:, None, None]).astype(np.int8)
    return pixels


def draw(shapes: tuple[tuple[int, ...], ...], rng: np.random.Generator) -> list[Weights]:
    """Weights of each layer, whole numbers from -128 to 127; 128 stands for 1. The last layer, whose results have 32
    bits, gets large ones, which are rounded least."""
    spreads = [128 * GAIN / sqrt(np.prod(shape[1:])) for shape in shapes[:-1]]
    drawn = [rng.normal(0, spread, shape) for spread, shape in zip([*spreads, LAST], shapes, strict=True)]
    return [np.clip(np.rint(one), -128, 127) for one in drawn]


def write_checkpoint(path: Path, names: list[str], weights: list[Weights]) -> None:
    """In the layout of the vendor's training tool; offramp/training/export.py says which keys it has."""
    state: OrderedDict[str, Any] = OrderedDict()
    for name, values in zip(names, weights, strict=True):
        plain = {"output_shift": 0.0, "weight_bits": 8.0, "bias_bits": 8.0, "quantize_activation": 1.0}
        plain["adjust_output_shift"] = 0.0
        state |= {f"{name}.{key}": torch.tensor([value]) for key, value in plain.items()}
        state[f"{name}.op.weight"] = torch.tensor(values, dtype=torch.float16)  # exact for 8-bit integers
    content = {"epoch": 0, "arch": path.name.split(".")[0], "extras": {}, "state_dict": state}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.write_bytes(buffer.getvalue())


def write_data(path: Path, x: Bytes, y: npt.NDArray[np.int64]) -> None:
    """The arrays as a compressed .npz, without the time of day that numpy would put in."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in (("x", x), ("y", y)):
            data = io.BytesIO()
            np.lib.format.write_array(data, array)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getvalue(), zipfile.ZIP_DEFLATED)


def write_model(name: str, names: list[str], data: Path, weights: list[Weights], x: Bytes) -> None:
    """Checkpoint and inputs of one model."""
    path = HERE / f"{name}.pth.tar"
    write_data(data, x, np.zeros(len(x), np.int64))
    write_checkpoint(path, names, weights)
    read = answers(name, x, len(weights) - 2).reshape(len(x), -1).astype(np.float64)
    mean = read.mean(axis=0)
    last = weights[-1]
    weights[-1] = np.clip(np.rint(last - np.outer(last @ mean, mean) / (mean @ mean)), -128, 127)
    write_checkpoint(path, names, weights)
    logits = answers(name, x, len(weights) - 1).reshape(len(x), -1)
    write_data(data, x, logits.argmax(axis=1))
    print(f"{name}: {len(np.unique(logits.argmax(axis=1)))} different answers to {len(x)} inputs")


def answers(name: str, x: Bytes, layer: int) -> npt.NDArray[Any]:
    """What a layer of the network gives, by the integer reference."""
    made = api.plan(HERE / f"{name}-spec.yaml")
    return run_network(made.chain.networks[name], x, [layer])[layer]


def main() -> None:
    rng = np.random.default_rng(SEED)
    sounds = np.stack([sound(rng) for _ in range(SOUNDS)])
    pictures = np.stack([picture(rng) for _ in range(PICTURES)])
    words = ["fold", *(f"hear{number}" for number in range(1, 8)), "word"]
    write_model("kws20", words, HERE / "sounds.npz", draw(KWS20, rng), sounds)
    parts = ["edges", "fur", "ears", "face", "head", "animal", "answer"]
    write_model("cats-dogs", parts, HERE / "pictures.npz", draw(CATS_DOGS, rng), pictures)


if __name__ == "__main__":
    main()
