"""The pictures of this example: items of clothing from Fashion-MNIST, which are nothing, and digits from MNIST.

Items: Zalando Research's Fashion-MNIST (MIT licence). Digits: MNIST (Y. LeCun, C. Cortes, C. Burges). Both are four
idx files of grey pictures, 28x28; ../fashion-mnist/fashion_data.py and ../mnist/digits.py say where to get them.

    python pictures.py FOLDER_OF_MNIST FOLDER_OF_FASHION_MNIST

writes `calibration.npz` and `test.npz`, here, and the training set, `build/gate/training.npz`. Labels are answers: 0 is
nothing, 1..10 are the digits 0..9. Each set is one half nothing. Training and calibration are split by seed 1 from the
first 20,300 pictures of each training file; the test is every 25th picture of the official test files.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import offramp

FOLDER = Path(__file__).parent
NOTHING = 0
ANSWERS = ("nothing", *map(str, range(10)))
TRAINING, CALIBRATION = 40_000, 600  # pictures, half of each kind
EVERY = 25  # of the test files


def mixed(items: offramp.Samples, digits: offramp.Samples) -> offramp.Samples:
    """Items and digits in turns, as many of each, with answers as labels."""
    assert digits.y is not None
    x = np.stack([items.x, digits.x], axis=1).reshape(-1, *digits.x.shape[1:])
    y = np.stack([np.full(len(digits.y), NOTHING), digits.y + 1], axis=1).reshape(-1)
    return offramp.Samples(x, y.astype(np.int64))


def make_sets(mnist: Path, fashion: Path, training: int = TRAINING, calibration: int = CALIBRATION) -> offramp.Sets:
    """All sets. offramp.InputError if the files cannot be read."""
    digits, items = offramp.load_source(mnist), offramp.load_source(fashion)
    assert digits.test is not None and items.test is not None
    first = np.arange((training + calibration) // 2)
    some = np.arange(0, min(len(digits.test), len(items.test)), EVERY)
    source = offramp.Source(
        name="items and digits",
        kind=digits.kind,
        samples=mixed(items.samples.taken(first), digits.samples.taken(first)),
        test=mixed(items.test.taken(some), digits.test.taken(some)),
        classes=ANSWERS,
    )
    return offramp.make_sets(source, offramp.SetOptions(sizes=offramp.Sizes(calibration=calibration), seed=1))


def write_sets(sets: offramp.Sets, kept: Path, training: Path) -> None:
    """Write calibration and test to the folder `kept`, the training set to the folder `training`.

    offramp.InputError if they cannot be written.
    """
    for name, folder in (("training", training), ("calibration", kept), ("test", kept)):
        content = offramp.write_set(folder / f"{name}.npz", sets.parts[name], ANSWERS)
        print(f"{folder / name}.npz: {len(sets.parts[name]):,} pictures, {len(content):,} bytes")


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path, metavar="FOLDER_OF_MNIST")
    parser.add_argument("fashion", type=Path, metavar="FOLDER_OF_FASHION_MNIST")
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, metavar="DIR", help="for calibration and test")
    text = "for the training set (default: build/gate in the working directory)"
    parser.add_argument("--training", type=Path, default=Path("build/gate"), metavar="DIR", help=text)
    args = parser.parse_args(arguments)
    try:
        write_sets(make_sets(args.mnist, args.fashion), args.output, args.training)
    except offramp.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
