"""Data sets: .npz files with `x`, int8 (N, channels, rows, cols) as the accelerator gets it, and `y`, labels (N,)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.configs.arrays import ArrayFile, Header
from offramp.configs.bounds import DATA_FILE
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.planner.ir.network import Shape


@dataclass(frozen=True, eq=False)
class Images:
    """`x`: int8 (N, channels, rows, cols)."""

    name: str
    x: npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class DataSet(Images):
    """Images with labels `y`: int64 (N,)."""

    y: npt.NDArray[np.int64]


def has_labels(path: Path) -> bool:
    """Whether a data set has labels. InputError if the file is none."""
    return "y" in ArrayFile(path, DATA_FILE, ("x", "y")).headers


def load_data(name: str, path: Path, shape: Shape, classes: int) -> DataSet:
    """Read a data set and check it against the networks' input and number of classes. InputError if it does not fit."""
    where = Where(str(path))
    file = ArrayFile(path, DATA_FILE, ("x", "y"))
    missing = [f"`{key}`" for key in ("x", "y") if key not in file.headers]
    if missing:
        found = f"there is no array {' and no '.join(missing)}; `x` (images) and `y` (labels) are needed"
        raise InputError(Diagnostic(where, found))
    problems = _image_problems(where, file.headers["x"], shape) + _label_problems(where, file.headers)
    if problems:
        raise InputError(problems)
    x, y = file.load("x"), file.load("y")
    if y.min() < 0 or y.max() >= classes:
        raise InputError(Diagnostic(where, f"labels run from {y.min()} to {y.max()}; 0..{classes - 1} are the classes"))
    return DataSet(name, x, y.astype(np.int64))


def load_images(name: str, path: Path, shape: Shape) -> Images:
    """Read the images of a data set; it may lack labels. InputError if they do not fit the networks' input."""
    where = Where(str(path))
    file = ArrayFile(path, DATA_FILE, ("x", "y"))
    if "x" not in file.headers:
        raise InputError(Diagnostic(where, "there is no array `x` (images)"))
    problems = _image_problems(where, file.headers["x"], shape)
    if not problems and not file.headers["x"].shape[0]:
        problems.append(Diagnostic(where, "there are no images in `x`"))
    if problems:
        raise InputError(problems)
    return Images(name, file.load("x"))


def _image_problems(where: Where, x: Header, shape: Shape) -> list[Diagnostic]:
    """What is wrong with images, before they take any memory."""
    if x.dtype == np.int8 and len(x.shape) == 4 and x.shape[1:] == (shape.channels, shape.rows, shape.cols):
        return []
    found = f"`x` is {x.dtype} {x.shape}; int8 (N, {shape}) is expected"
    if len(x.shape) == 4 and x.shape[1:] == (shape.rows, shape.cols, shape.channels):
        found += ": its channels come last; transpose it to (0, 3, 1, 2)"
    elif x.dtype == np.uint8:
        found += ": `offramp data` makes it of pixels from 0 to 255"
    return [Diagnostic(where, found)]


def _label_problems(where: Where, headers: Mapping[str, Header]) -> list[Diagnostic]:
    x, y = headers["x"], headers["y"]
    count = x.shape[0] if x.shape else 0
    if len(y.shape) == 1 and y.dtype.kind in "iu" and y.shape == (count,) and count:
        return []
    return [Diagnostic(where, f"`y` is {y.dtype} {y.shape}; one integer label for each of {count} images")]


def check_disjoint(first: Images, second: Images, where: Where | None = None) -> None:
    """InputError if an image of one set is, byte by byte, in the other: a threshold may not be chosen on what it is
    judged by. `where`: the place in the spec that names the sets."""
    known = {_digest(image) for image in first.x}
    shared = [number for number, image in enumerate(second.x) if _digest(image) in known]
    if shared:
        found = f"{len(shared)} images of data set `{second.name}` are also in `{first.name}`"
        raise InputError(Diagnostic(where, f"{found}, the first is number {shared[0]}; they may not overlap"))


def _digest(image: npt.NDArray[np.int8]) -> bytes:
    """Stands for an image where many are compared; nobody finds two images with the same one."""
    return blake2b(image.tobytes(), digest_size=16).digest()
