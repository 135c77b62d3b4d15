"""Main networks of the examples, trained from random weights: what their scripts have in common."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import offramp


@dataclass(frozen=True)
class Course:
    """What is trained, and how."""

    network: Path
    recipe: offramp.Recipe
    epochs: int
    seed: int = 1


def train(course: Course, training: Path, checkpoint: Path) -> offramp.Trained:
    """Train a network on one core, with its progress in a line, and write its checkpoint."""
    progress = offramp.Progress(
        print, lambda what, done, total: print(f"\r{done:,} of {total:,} {what}", end="", flush=True)
    )
    return offramp.train_network(
        course.network,
        training,
        checkpoint,
        recipe=course.recipe,
        epochs=course.epochs,
        seed=course.seed,
        progress=progress,
    )


def run(arguments: list[str], course: Course, data: str) -> int:
    """Command line. `data`: the script that writes the sets."""
    parser = argparse.ArgumentParser(description=f"Train {course.network.name} of this example.")
    parser.add_argument("sets", type=Path, metavar="FOLDER", help=f"of training.npz and test.npz, as {data} writes")
    default = course.network.with_name("main.pth.tar")
    parser.add_argument("-o", "--output", type=Path, default=default, metavar="FILE", help="the checkpoint")
    args = parser.parse_args(arguments)
    try:
        trained = train(course, args.sets / "training.npz", args.output)
        accuracy = trained.accuracy(args.sets / "test.npz")
    except offramp.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"\n{args.output}: {args.output.stat().st_size:,} bytes, {accuracy:.2%} of the test set right")
    return 0
