"""Train the gate and the digit reader of this example from random weights: gate.pth.tar and main.pth.tar.

    python pictures.py FOLDER_OF_MNIST FOLDER_OF_FASHION_MNIST    # build/gate/training.npz
    python train.py build/gate/training.npz

The reader is ../mnist/main.yaml with an eleventh class, `nothing`. The same PyTorch on the same kind of processor
writes the same files, byte for byte.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from pictures import FOLDER, NOTHING

import offramp

sys.path.append(str(FOLDER.resolve().parent))  # modules that the examples share

import main_networks
from main_networks import Course

COURSES = {
    "gate": Course(
        FOLDER / "gate.yaml",
        offramp.Recipe(learning_rate=1e-2, weight_decay=0.01, augmentation="images", strength=0.7),
        epochs=20,
    ),
    "main": Course(
        FOLDER.parent / "mnist" / "main.yaml",
        offramp.Recipe(learning_rate=3e-3, weight_decay=0.02, augmentation="images", strength=0.7),
        epochs=6,
    ),
}


def write_gate_set(answers: Path, path: Path) -> None:
    """The same pictures with the gate's classes: 0 is quiet, 1 is maybe."""
    with np.load(answers, allow_pickle=False) as arrays:
        np.savez(path, x=arrays["x"], y=(arrays["y"] != NOTHING).astype(np.int64))


def train(name: str, data: Path, folder: Path, epochs: int | None = None) -> offramp.Trained:
    """Train a network of COURSES on pictures with answers, and write its checkpoint to a folder."""
    course = COURSES[name]
    with tempfile.TemporaryDirectory() as place:
        labelled = data
        if name == "gate":
            labelled = Path(place) / data.name
            write_gate_set(data, labelled)
        return main_networks.train(
            replace(course, epochs=epochs or course.epochs), labelled, folder / f"{name}.pth.tar"
        )


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path, metavar="FILE", help="the training set, as pictures.py writes it")
    parser.add_argument("--only", choices=COURSES, help="train this network and leave the other as it is")
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, metavar="DIR", help="for the checkpoints")
    args = parser.parse_args(arguments)
    try:
        for name in [args.only] if args.only else COURSES:
            train(name, args.training, args.output)
            print(f"\n{args.output / name}.pth.tar written")
    except offramp.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
