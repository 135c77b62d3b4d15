"""The pictures of this example: items of clothing from Fashion-MNIST, which are nothing, and digits from MNIST.

Items: Zalando Research's Fashion-MNIST (MIT licence), four idx files, 28x28 grey like MNIST. Debian and Ubuntu have
them as the package `dataset-fashion-mnist`. Digits: the 5,000 of examples/mnist, in its split.

Labels are answers: 0 is nothing, 1..10 are the digits 0..9. Items and digits take turns, so each set is one half
nothing. Training and calibration take items from Fashion-MNIST's training files, the test from its test files.

`python pictures.py` writes `calibration.npz` and `test.npz` again, value for value.
"""

from __future__ import annotations

import argparse
import gzip
import struct
import sys
from pathlib import Path

import mnist_code  # noqa: F401  first: data and layers are modules of that folder
import numpy as np
import numpy.typing as npt
from data import DataSet, load_images, load_split, to_samples
from layers import ExampleError

FOLDER = Path(__file__).parent
FASHION = Path("/usr/share/datasets/fashion-mnist")
SIDE = 28
IDX_IMAGES = 0x0803  # magic number of an idx file: bytes, three dimensions
NOTHING = 0
# of each set: Fashion-MNIST's file, the first item taken from it, how many items and how many digits
SETS = {
    "train": ("train", 0, 3500),
    "calibration": ("train", 3500, 300),
    "test": ("t10k", 0, 400),
}
WRITTEN = ("calibration", "test")

Pixels = npt.NDArray[np.uint8]  # (N, 1, 28, 28)


def read_items(folder: Path, part: str) -> Pixels:
    """All items of one of Fashion-MNIST's two image files, `train` or `t10k`, compressed or not."""
    plain = folder / f"{part}-images-idx3-ubyte"
    path = plain if plain.exists() else plain.with_name(f"{plain.name}.gz")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError as error:
        raise ExampleError(
            f"{plain}: there is no such file, nor with .gz; `apt-get install dataset-fashion-mnist` brings them to "
            f"{FASHION}, or get them from https://github.com/zalandoresearch/fashion-mnist and say where: --fashion"
        ) from error
    except (OSError, EOFError) as error:
        raise ExampleError(f"{path}: {error}") from error
    magic, count, rows, cols = struct.unpack(">4I", content[:16]) if len(content) >= 16 else (0, 0, 0, 0)
    if (magic, rows, cols, len(content)) != (IDX_IMAGES, SIDE, SIDE, 16 + count * SIDE * SIDE):
        raise ExampleError(f"{path}: no idx file of {SIDE}x{SIDE} images")
    return np.frombuffer(content, np.uint8, offset=16).reshape(count, 1, SIDE, SIDE)


def load_pictures(name: str, fashion: Path) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """One of the SETS: pixels 0..255 and labels (N,), items and digits in turns."""
    part, first, count = SETS[name]
    items = read_items(fashion, part)[first : first + count]
    pixels, labels = load_images()
    chosen = np.array(load_split()[name])[:count]
    x = np.stack([items, pixels[chosen]], axis=1).reshape(2 * count, 1, SIDE, SIDE)
    y = np.stack([np.full(count, NOTHING), labels[chosen] + 1], axis=1).reshape(2 * count)
    return x, y.astype(np.int64)


def set_file(name: str) -> Path:
    """Where one of WRITTEN lies as .npz with arrays `x` and `y`."""
    return FOLDER / f"{name}.npz"


def read_set(name: str) -> DataSet:
    """One of WRITTEN from its committed file."""
    with np.load(set_file(name), allow_pickle=False) as arrays:
        return DataSet(arrays["x"], arrays["y"])


def fashion_argument(parser: argparse.ArgumentParser) -> None:
    """`--fashion FOLDER`."""
    meaning = "with Fashion-MNIST's idx files (or .gz); default: %(default)s"
    parser.add_argument("--fashion", type=Path, default=FASHION, metavar="FOLDER", help=meaning)


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write calibration.npz and test.npz again, beside this script.")
    fashion_argument(parser)
    fashion = parser.parse_args(arguments).fashion
    try:
        for name in WRITTEN:
            pixels, labels = load_pictures(name, fashion)
            np.savez_compressed(set_file(name), x=to_samples(pixels), y=labels)
            print(f"{set_file(name).name}: {len(labels)} pictures, {set_file(name).stat().st_size} bytes")
    except ExampleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
