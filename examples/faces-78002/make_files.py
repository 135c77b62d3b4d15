"""Writes the checkpoints and inputs of this example again: random weights, drawn and scaled, not trained.

Weights are drawn with a standard deviation with which values keep their size from layer to layer, biases with a small
one. Pictures are discs and stripes in two colours; the inputs of `persons` are the embeddings that `embed` gives of its
pictures, as in the vendor's demo, and those of a few persons that are in its list.
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
SEED = 78002
IMAGES = 4  # of each model
GAIN = 1.4  # of a layer with ReLU, which cuts off half of what it adds up
BIAS = 6.0  # standard deviation of biases, in units of 128 times an output step
EMBEDDING, PERSONS = 64, 1024
LARGEST, SHIFT = 127.0, 1.0  # of the last layer of `embed`: its largest weight, and bits by which it is shifted left
LENGTH = 40.0  # of a person's weights as a vector

# These layers of the vendor's network have no biases.
UNBIASED = ("pixels", "b1-deep", "b3-deep", "d2-deep", "d4-deep", "d6-deep", "f2-deep", "features", "embedding")

Bytes = npt.NDArray[np.int8]
Shape = tuple[int, ...]

# Shapes of weights, layer by layer: (outputs, inputs, kernel); layers without weights have none.
DETECT: dict[str, Shape] = {
    "pixels": (16, 3, 3, 3),
    "edges": (32, 16, 3, 3),
    "parts1": (64, 32, 3, 3),
    "parts2": (64, 64, 3, 3),
    "parts3": (64, 64, 3, 3),
    "parts4": (64, 64, 3, 3),
    "parts5": (128, 64, 3, 3),
    "parts6": (32, 128, 3, 3),
    "near": (32, 32, 3, 3),
    "far1": (32, 32, 3, 3),
    "far2": (16, 32, 3, 3),
    "far3": (16, 16, 3, 3),
    "places-near": (8, 32, 3, 3),
    "places-far": (8, 16, 3, 3),
    "faces-near": (4, 32, 3, 3),
    "faces-far": (4, 16, 3, 3),
}


def block(name: str, inputs: int, inner: int, outputs: int) -> dict[str, Shape]:
    """The three convolutions of a block of `embed`."""
    return {
        f"{name}-widen": (inner, inputs, 1, 1),
        f"{name}-deep": (inner, 1, 3, 3),
        f"{name}-narrow": (outputs, inner, 1, 1),
    }


def embed_shapes() -> dict[str, Shape]:
    shapes: dict[str, Shape] = {"pixels": (64, 3, 3, 3), "edges": (64, 1, 3, 3)}
    shapes |= block("a", 64, 128, 64)
    for number in range(1, 5):
        shapes |= block(f"b{number}", 64, 128, 64)
    shapes |= block("c", 64, 256, 128)
    for number in range(1, 7):
        shapes |= block(f"d{number}", 128, 256, 128)
    shapes |= block("e", 128, 512, 128)
    for number in range(1, 3):
        shapes |= block(f"f{number}", 128, 256, 128)
    return shapes | {"features": (128, 128, 1, 1), "embedding": (EMBEDDING, 128, 1, 1)}


def picture(rng: np.random.Generator, height: int, width: int) -> Bytes:
    """One picture, int8 (3, height, width)."""
    rows, cols = np.mgrid[0:height, 0:width]
    back, front = rng.integers(-128, 128, (2, 3))
    middle, radius = rng.uniform(0.25, 0.75, 2) * (height, width), rng.uniform(0.1, 0.4) * width
    disc = (rows - middle[0]) ** 2 + (cols - middle[1]) ** 2 < radius**2
    stripes = np.sin((rows * rng.uniform(-1, 1) + cols * rng.uniform(-1, 1)) / rng.uniform(1, 6)) > rng.uniform(-1, 1)
    pixels: Bytes = np.where(disc ^ stripes, front[:, None, None], back[:, None, None]).astype(np.int8)
    return pixels


def state_of(
    shapes: dict[str, Shape], rng: np.random.Generator, unbiased: tuple[str, ...] = ()
) -> OrderedDict[str, Any]:
    """Random weights and biases of layers, in the layout of the vendor's training tool. Weights are stored in one
    byte each, where that tool takes four."""
    state: OrderedDict[str, Any] = OrderedDict()
    for name, shape in shapes.items():
        weights = rng.normal(0, 128 * GAIN / sqrt(np.prod(shape[1:])), shape)
        state |= plain(name, weights)
        if name not in unbiased:
            biases = np.rint(rng.normal(0, BIAS, shape[0])) * 128
            state[f"{name}.op.bias"] = torch.tensor(biases, dtype=torch.float16)  # exact for these
    return state


def plain(name: str, weights: npt.NDArray[np.float64]) -> dict[str, Any]:
    """A layer's weights, rounded to whole numbers from -128 to 127; 128 stands for 1."""
    values = {"output_shift": 0.0, "weight_bits": 8.0, "bias_bits": 8.0, "quantize_activation": 1.0}
    state = {f"{name}.{key}": torch.tensor([value]) for key, value in values.items()}
    whole = np.clip(np.rint(weights), -128, 127)
    return state | {f"{name}.op.weight": torch.tensor(whole, dtype=torch.int8)}


def write_checkpoint(name: str, state: OrderedDict[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save({"epoch": 0, "arch": name, "extras": {}, "state_dict": state}, buffer)
    (HERE / f"{name}.pth.tar").write_bytes(buffer.getvalue())


def write_data(name: str, x: Bytes) -> None:
    """The inputs as a compressed .npz, without the time of day that numpy would put in."""
    data = io.BytesIO()
    np.lib.format.write_array(data, x)
    with zipfile.ZipFile(HERE / f"{name}.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(zipfile.ZipInfo("x.npy"), data.getvalue(), zipfile.ZIP_DEFLATED)


def write_embed(faces: Bytes, state: OrderedDict[str, Any]) -> Bytes:
    """The network of embeddings, and what it gives of faces: int8, (faces, values). What the last layer reads is much
    the same for all faces: its weights are freed of their share along the mean, and are as large as they can be."""
    write_checkpoint("embed", state)
    read = layers_of(faces, -2).astype(np.float64).mean(axis=(2, 3))
    mean = read.mean(axis=0)
    last = state["embedding.op.weight"].numpy().reshape(EMBEDDING, -1).astype(np.float64)
    last -= np.outer(last @ mean, mean) / (mean @ mean)
    last *= LARGEST / np.abs(last).max()
    state |= plain("embedding", last[..., None, None])
    state["embedding.output_shift"] = torch.tensor([SHIFT])
    write_checkpoint("embed", state)
    return layers_of(faces, -1).reshape(len(faces), EMBEDDING).astype(np.int8)


def layers_of(x: Bytes, number: int) -> npt.NDArray[Any]:
    """What a layer of `embed`, counted from the last one back, gives by the integer reference."""
    network = api.plan(HERE / "embed-spec.yaml").chain.networks["embed"]
    layer = len(network.layers) + number
    return run_network(network, x, [layer])[layer]


def main() -> None:
    rng = np.random.default_rng(SEED)
    write_checkpoint("detect", state_of(DETECT, rng))
    write_data("detect", np.stack([picture(rng, 224, 168) for _ in range(IMAGES)]))
    faces = np.stack([picture(rng, 112, 112) for _ in range(IMAGES)])
    write_data("embed", faces)
    embeddings = write_embed(faces, state_of(embed_shapes(), rng, UNBIASED))
    known = rng.normal(0, LENGTH / sqrt(EMBEDDING), (PERSONS, EMBEDDING))
    known[:IMAGES] = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True) * LENGTH
    write_checkpoint("persons", OrderedDict(plain("person", known)))
    write_data("persons", embeddings.reshape(IMAGES, EMBEDDING, 1, 1))


if __name__ == "__main__":
    main()
