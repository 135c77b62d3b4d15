"""The recordings of this example: seven shoulder exercises, seen by a smartwatch.

Source: the package seglearn (BSD licence, PyPI), which brings 140 recordings of D. Burns, N. Leung, M. Hardisty,
C. Whyne, P. Henry, S. McLachlin, "Shoulder physiotherapy exercise recognition: machine learning the inertial signals
from a smartwatch" (arXiv:1802.01489): ten people, both arms, about twenty repetitions of each exercise; three axes of
acceleration, in g, and three of rotation, in radians per second, 50 times a second.

    pip download --no-deps seglearn==1.2.5 && unzip seglearn-1.2.5-py3-none-any.whl seglearn/data/watch_dataset.npy
    python motion_data.py seglearn/data/watch_dataset.npy

writes `training.npz`, `calibration.npz` and `test.npz` again, value for value.

- A sample is a window of 128 readings (2.56 s), six channels, one column. In calibration and test a window begins every
  64 readings, in the training set every 16. Windows are in the order of their recordings (`recording`: which one it
  is), as a device would see them.
- int8: acceleration times 32 (range +-4 g), rotation times 16 (+-8 rad/s), rounded and clipped.
- The split is by person (`groups`): 1 to 6 train, 7 and 8 calibrate, 9 and 10 test. Nobody is in two sets, so the test
  is about people whom no network or threshold has seen.

What that means for a promise of `risk`: its probability is over windows drawn like those of calibration. Windows of one
person are alike, and half of each is in the next; what holds for windows of these two people says less about a third
than the number of windows suggests.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import offramp

FOLDER = Path(__file__).parent
SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"  # of watch_dataset.npy of seglearn 1.2.5
CLASSES = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")  # its `y_labels`
WINDOW = 128  # readings
SCALE = np.array([32, 32, 32, 16, 16, 16])  # of ax, ay, az in g and gx, gy, gz in rad/s
SETS = {  # the people, and readings from the beginning of a window to that of the next one
    "training": (range(1, 7), 16),
    "calibration": (range(7, 9), 64),
    "test": (range(9, 11), 64),
}

Readings = npt.NDArray[np.float64]  # (time, 6)


def load_recordings(path: Path) -> dict[str, Any]:
    """The file's `X`, `y`, `subject` and so on. It is a pickle, so nothing but the file known here is opened.

    offramp.InputError if it cannot be read, or is another.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise offramp.InputError(f"{path}: cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise offramp.InputError(f"{path}: is not watch_dataset.npy of seglearn 1.2.5 (its SHA-256 differs)")
    recordings: dict[str, Any] = np.load(path, allow_pickle=True).item()
    return recordings


def to_samples(readings: Readings) -> npt.NDArray[np.int8]:
    """Accelerator input of readings (time, 6), same shape."""
    values: npt.NDArray[np.int8] = np.clip(np.rint(readings * SCALE), -128, 127).astype(np.int8)
    return values


def windows(readings: Readings, step: int) -> npt.NDArray[np.int8]:
    """int8 (N, 6, 128, 1): the windows that are full, one every `step` readings."""
    samples = to_samples(readings)
    starts = range(0, len(samples) - WINDOW + 1, step)
    return np.stack([samples[start : start + WINDOW].T for start in starts])[..., np.newaxis]


def make_set(recordings: dict[str, Any], name: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a set: `x`; `y`; `groups`, the person; `recording`, its number in the file; `classes`."""
    people, step = SETS[name]
    numbers = [number for number, person in enumerate(recordings["subject"]) if person in people]
    numbers.sort(key=lambda number: int(recordings["subject"][number]))
    parts = [windows(recordings["X"][number], step) for number in numbers]
    recording = np.repeat(np.array(numbers, np.int64), [len(part) for part in parts])
    return {
        "x": np.concatenate(parts),
        "y": np.asarray(recordings["y"], np.int64)[recording],
        "groups": np.asarray(recordings["subject"], np.int64)[recording],
        "recording": recording,
        "classes": np.array(CLASSES),
    }


def write_sets(recordings: dict[str, Any], folder: Path) -> None:
    """Write all sets to a folder that exists."""
    for name in SETS:
        arrays = make_set(recordings, name)
        path = folder / f"{name}.npz"
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
        people = ", ".join(map(str, sorted(set(arrays["groups"].tolist()))))
        print(f"{path}: {len(arrays['x']):,} windows of the people {people}, {path.stat().st_size:,} bytes")


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write the sets of examples/motion from seglearn's recordings.")
    parser.add_argument("recordings", type=Path, metavar="watch_dataset.npy")
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, metavar="DIR", help="(default: here)")
    args = parser.parse_args(arguments)
    try:
        write_sets(load_recordings(args.recordings), args.output)
    except offramp.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
