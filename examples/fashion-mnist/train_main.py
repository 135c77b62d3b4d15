"""Train the main network of this example from random weights: main.pth.tar, on one core.

    python fashion_data.py /usr/share/datasets/fashion-mnist    # build/fashion-mnist/training.npz and test.npz
    python train_main.py build/fashion-mnist

The same PyTorch on the same kind of processor writes the same file, byte for byte.
"""

from __future__ import annotations

import sys
from pathlib import Path

import offramp

sys.path.append(str(Path(__file__).resolve().parent.parent))  # modules that the examples share

from main_networks import Course, run

FOLDER = Path(__file__).parent
RECIPE = offramp.Recipe(learning_rate=3e-3, weight_decay=0.02, augmentation="flips", strength=0.5)
EPOCHS, SEED = 20, 1


def main(arguments: list[str]) -> int:
    """Command line."""
    return run(arguments, Course(FOLDER / "main.yaml", RECIPE, EPOCHS, SEED), "fashion_data.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
