"""Train, quantize and export the networks of this example.

The same PyTorch version on the same kind of processor writes the same checkpoints, bit for bit.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch
from checkpoint import Header, write_checkpoint
from data import FOLDER, load_images, load_split
from evaluate import CUT, NETWORKS, layers_of, load_exported, print_network, print_stages
from layers import ExampleError
from qat import build_frozen
from training import RECIPES, Guides, TrainingData, train

EXAMPLES = """examples:
  python train.py               all four networks, 48 minutes on two busy cores
  python train.py --only front  one network; front, single and head learn from main.pth.tar
"""


def load_training_data() -> TrainingData:
    """The training part of the images as tensors."""
    pixels, labels = load_images()
    chosen = np.array(load_split()["train"])
    return TrainingData(torch.from_numpy(pixels[chosen]).float(), torch.from_numpy(labels[chosen]))


def load_guides(name: str) -> Guides:
    """The finished main network, where a recipe learns from it or stands on its first layers."""
    if RECIPES[name].teacher_share == 0:
        return Guides(None, None)
    main = load_exported("main")
    teacher = build_frozen(main.layers, main.weights)
    on_branch = name == "head"
    return Guides(teacher, build_frozen(main.layers[:CUT], main.weights[:CUT]) if on_branch else None)


def train_network(name: str, data: TrainingData) -> None:
    """Train one network and write its checkpoint."""
    recipe, layers = RECIPES[name], layers_of(name)
    torch.set_num_threads(recipe.threads)
    print(f"{name}: {recipe.epochs} epochs", flush=True)
    weights = train(recipe, layers, data, load_guides(name), lambda line: print(f"  {line}", flush=True))
    path = FOLDER / f"{name}.pth.tar"
    write_checkpoint(path, Header(recipe.arch, recipe.epochs), layers, weights)
    print(f"  wrote {path.name}, {path.stat().st_size} bytes", flush=True)


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=NETWORKS, help="train this network and leave the others as they are")
    only = parser.parse_args(arguments).only
    torch.use_deterministic_algorithms(True)
    try:
        data = load_training_data()
        for name in [only] if only else NETWORKS:
            train_network(name, data)
            print_network(name)
        for first in ("front", "head"):
            if only in (None, first):
                print_stages(first)
    except ExampleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
