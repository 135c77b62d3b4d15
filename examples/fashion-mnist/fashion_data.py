"""The pictures of this example: Fashion-MNIST (Zalando Research, MIT licence), 60,000 of clothing and 10,000 for tests.

Debian and Ubuntu have its four idx files as the package `dataset-fashion-mnist`, in /usr/share/datasets/fashion-mnist;
they are also at https://github.com/zalandoresearch/fashion-mnist, in data/fashion.

    python fashion_data.py /usr/share/datasets/fashion-mnist

- `calibration.npz`, here: 4,000 of the 60,000, 400 of each class, by seed 1.
- `test.npz`, here: the first 4,000 of the official test split, in its order; all 10,000 would be 4.4 MB.
- The training set, 56,000, and the whole official test split go to build/fashion-mnist: `training.npz`, `test.npz`.

Pixels are normalized as ai8x-training does it. It is `offramp data` and one more file:

    offramp data /usr/share/datasets/fashion-mnist -o build/fashion-mnist --calibration 4000 --classes top,trouser,...
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import offramp

sys.path.append(str(Path(__file__).resolve().parent.parent))  # modules that the examples share

import picture_sets

FOLDER = Path(__file__).parent
CLASSES = ("top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
CALIBRATION = 4000
KEPT = 4000  # pictures of the official test split that lie here


def make_sets(pictures: Path, calibration: int = CALIBRATION) -> offramp.Sets:
    """All sets, whole. `pictures`: the folder of the idx files. offramp.InputError if they cannot be read."""
    return picture_sets.make_sets(pictures, CLASSES, calibration)


def kept_sets(sets: offramp.Sets) -> dict[str, offramp.Samples]:
    """Those that the example keeps, by the names of their files."""
    test = sets.parts["test"]
    return {"calibration": sets.parts["calibration"], "test": test.taken(np.arange(min(KEPT, len(test))))}


def write_sets(sets: offramp.Sets, kept: Path, whole: Path) -> None:
    """Write all sets to the folder `whole`, and those that the example keeps to `kept`."""
    picture_sets.write_sets(sets, kept_sets, kept, whole, EXAMPLE.what)


EXAMPLE = picture_sets.Example(FOLDER, Path("build/fashion-mnist"), make_sets, kept_sets, "pictures")


def main(arguments: list[str]) -> int:
    """Command line."""
    return picture_sets.run(arguments, EXAMPLE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
