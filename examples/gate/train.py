"""Train, quantize and export the gate and the digit reader of this example.

The reader goes on from the main network of examples/mnist: an eleventh class, `nothing`, and a few epochs with items.
The same PyTorch version on the same kind of processor should write the same checkpoints, bit for bit.
"""

from __future__ import annotations

import argparse
import sys

import mnist_code  # first: most modules below are of that folder
import torch
from checkpoint import Header, LayerWeights, read_checkpoint, write_checkpoint
from integer_net import logits
from layers import ExampleError, Layer, load_network
from pictures import FOLDER, NOTHING, fashion_argument, load_pictures, read_set
from training import Guides, Recipe, TrainingData, train

MNIST = mnist_code.MNIST
CLASSES = {"gate": 2, "main": 11}  # quiet and maybe; nothing and the digits
RECIPES = {
    "gate": Recipe("offrampgate", 20, 100, 1e-2, 0.01, 0.03, True, 0.7, 0.0, 0, 5, 1, 8),
    "main": Recipe("ai85net5", 8, 50, 5e-4, 0.02, 0.05, False, 0.7, 0.0, 0, 6, 1, 0),
}


def layers_of(name: str) -> tuple[Layer, ...]:
    """Layers of the gate, or of main: those of examples/mnist with one more class."""
    path = FOLDER / "gate.yaml" if name == "gate" else MNIST / "main.yaml"
    return load_network(path, classes=CLASSES[name])


def digit_reader() -> tuple[LayerWeights, ...]:
    """The finished main network of examples/mnist, with zeros for the new class 0."""
    layers = load_network(MNIST / "main.yaml")
    *hidden, last = read_checkpoint(MNIST / "main.pth.tar", layers)
    if last.bias is None:
        raise ExampleError(f"{MNIST / 'main.pth.tar'}: its last layer has no bias")
    weight = torch.cat([torch.zeros(1, last.weight.shape[1]), last.weight])
    return (*hidden, LayerWeights(weight, torch.cat([torch.zeros(1), last.bias]), last.output_shift))


def train_network(name: str, data: TrainingData) -> None:
    """Train one network, write its checkpoint and print how often it is right."""
    recipe, layers = RECIPES[name], layers_of(name)
    torch.set_num_threads(recipe.threads)
    print(f"{name}: {recipe.epochs} epochs", flush=True)
    labels = (data.labels != NOTHING).long() if name == "gate" else data.labels
    start = () if name == "gate" else digit_reader()
    weights = train(recipe, layers, TrainingData(data.pixels, labels), Guides(None, None), print, start)
    path = FOLDER / f"{name}.pth.tar"
    write_checkpoint(path, Header(recipe.arch, recipe.epochs), layers, weights)
    print(f"  wrote {path.name}, {path.stat().st_size} bytes", flush=True)
    for part in ("calibration", "test"):
        pictures = read_set(part)
        said = logits(layers, weights, pictures.x).argmax(axis=1)
        right = said == (pictures.y != NOTHING if name == "gate" else pictures.y)
        items = pictures.y == NOTHING
        print(f"  {part:<12} items {right[items].mean():.2%}  digits {right[~items].mean():.2%}", flush=True)


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CLASSES, help="train this network and leave the other as it is")
    fashion_argument(parser)
    options = parser.parse_args(arguments)
    torch.use_deterministic_algorithms(True)
    try:
        pixels, labels = load_pictures("train", options.fashion)
        data = TrainingData(torch.from_numpy(pixels).float(), torch.from_numpy(labels))
        for name in [options.only] if options.only else CLASSES:
            train_network(name, data)
    except ExampleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
