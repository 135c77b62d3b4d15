"""Data sets: .npz files with `x`, int8 (N, channels, rows, cols) as the accelerator gets it, and `y`, labels (N,)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.configs.arrays import ArrayFile, Header
from offramp.configs.bounds import DATA_FILE
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.planner.ir.network import Shape


@dataclass(frozen=True, eq=False)
class DataSet:
    """`x`: int8 (N, channels, rows, cols); `y`: int64 (N,)."""

    name: str
    x: npt.NDArray[np.int8]
    y: npt.NDArray[np.int64]


def load_data(name: str, path: Path, shape: Shape, classes: int) -> DataSet:
    """Read a data set and check it against the networks' input and number of classes. InputError if it does not fit."""
    where = Where(str(path))
    file = ArrayFile(path, DATA_FILE, ("x", "y"))
    missing = [f"`{key}`" for key in ("x", "y") if key not in file.headers]
    if missing:
        found = f"there is no array {' and no '.join(missing)}; `x` (images) and `y` (labels) are needed"
        raise InputError(Diagnostic(where, found))
    _check_headers(where, file.headers["x"], file.headers["y"], shape)
    x, y = file.load("x"), file.load("y")
    if y.min() < 0 or y.max() >= classes:
        raise InputError(Diagnostic(where, f"labels run from {y.min()} to {y.max()}; 0..{classes - 1} are the classes"))
    return DataSet(name, x, y.astype(np.int64))


def _check_headers(where: Where, x: Header, y: Header, shape: Shape) -> None:
    """InputError for arrays that do not fit, before they take any memory."""
    problems = []
    if x.dtype != np.int8 or len(x.shape) != 4 or x.shape[1:] != (shape.channels, shape.rows, shape.cols):
        problems.append(Diagnostic(where, f"`x` is {x.dtype} {x.shape}; int8 (N, {shape}) is expected"))
    count = x.shape[0] if x.shape else 0
    if len(y.shape) != 1 or y.dtype.kind not in "iu" or y.shape != (count,) or not count:
        problems.append(Diagnostic(where, f"`y` is {y.dtype} {y.shape}; one integer label for each of {count} images"))
    if problems:
        raise InputError(problems)


def check_disjoint(first: DataSet, second: DataSet, where: Where | None = None) -> None:
    """InputError if an image of one set is, byte by byte, in the other: a threshold may not be chosen on what it is
    judged by. `where`: the place in the spec that names the sets."""
    known = {image.tobytes() for image in first.x}
    shared = [number for number, image in enumerate(second.x) if image.tobytes() in known]
    if shared:
        found = f"{len(shared)} images of data set `{second.name}` are also in `{first.name}`"
        raise InputError(Diagnostic(where, f"{found}, the first is number {shared[0]}; they may not overlap"))
