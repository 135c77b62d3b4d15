"""Train this example's main network from random weights, on the windows of the people 1 to 6.

    python motion_network.py       # needs torch (extra `train`)

writes `main.pth.tar` again: the same PyTorch on the same kind of processor gives the same bytes. The recipe was chosen
with the people 5 and 6 left out; nothing was chosen by those of calibration and test.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import offramp

FOLDER = Path(__file__).parent
RECIPE = offramp.Recipe(augmentation="series", strength=2.0)
EPOCHS = 6
SETS = ("training", "calibration", "test")


def train_main(checkpoint: Path, training: Path, epochs: int = EPOCHS) -> offramp.Trained:
    """Train the network of main.yaml and write its checkpoint."""
    return offramp.train_network(FOLDER / "main.yaml", training, checkpoint, recipe=RECIPE, epochs=epochs)


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=FOLDER / "main.pth.tar", metavar="CHECKPOINT")
    parser.add_argument("--epochs", type=int, default=EPOCHS, metavar="N", help=f"(default: {EPOCHS})")
    args = parser.parse_args(arguments)
    try:
        trained = train_main(args.output, FOLDER / "training.npz", args.epochs)
        for name in SETS:
            print(f"{name}: {trained.accuracy(FOLDER / f'{name}.npz'):.2%} right")
    except offramp.OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
