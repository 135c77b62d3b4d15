"""What data sets are made from: numbers of any kind, labels, and the names of classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from offramp.configs.errors import Diagnostic, InputError, Where

Labels = npt.NDArray[np.int64]

LAYOUTS = {  # axes of an array as it is found, and how they become N, channels, rows, columns (-1: a new axis of 1)
    "NCHW": (0, 1, 2, 3),
    "NHWC": (0, 3, 1, 2),
    "NHW": (0, -1, 1, 2),
    "NCL": (0, 1, 2, -1),
    "NLC": (0, 2, 1, -1),
    "NC": (0, 1, -1, -1),
}
_CHANNELS = (1, 3)  # of pictures
_HIGHEST_LABEL = 1 << 20
_BATCH = 1 << 20  # values that are worked on at a time


@dataclass(frozen=True, eq=False)
class Samples:
    """`x`: (N, channels, rows, columns), any kind of number. `y`: labels (N,), None without. `groups`: numbers (N,) of
    those that must stay together, such as all recordings of a person; None without."""

    x: npt.NDArray[Any]
    y: Labels | None = None
    groups: Labels | None = None

    def __len__(self) -> int:
        return len(self.x)

    def taken(self, indices: npt.NDArray[np.int64]) -> Samples:
        """Those with these numbers, in this order."""
        labels, groups = self.y, self.groups
        return Samples(
            self.x[indices],
            None if labels is None else labels[indices],
            None if groups is None else groups[indices],
        )

    def batches(self) -> Iterator[npt.NDArray[Any]]:
        """`x` in parts whose copies in other types take little memory."""
        size = max(1, _BATCH // max(1, self.x[:1].size))
        for first in range(0, len(self.x), size):
            yield self.x[first : first + size]


@dataclass(frozen=True, eq=False)
class Source:
    """Samples to be split and, where the source has one, the official test split, which stays as it is.

    `name`: as the user gave it. `kind`: what it is, in words. `classes`: their names; none where none are known.
    `notes`: what was done while it was read, for the user.
    """

    name: str
    kind: str
    samples: Samples
    test: Samples | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[Samples, ...]:
        """The samples and, if there is one, the official test split."""
        return (self.samples,) if self.test is None else (self.samples, self.test)


def digest_of_source(source: Source) -> str:
    """SHA-256, hexadecimal, of all values and labels; how they were packed in files plays no part."""
    digest = sha256()
    for part in source.parts:
        for array in (part.x, part.y, part.groups):
            digest.update(b"-" if array is None else f"{array.dtype.str} {array.shape} ".encode())
            for block in Samples(array).batches() if array is not None else ():
                digest.update(np.ascontiguousarray(block).tobytes())
    return digest.hexdigest()


def arranged(x: npt.NDArray[Any], layout: str | None, where: Where) -> npt.NDArray[Any]:
    """The array as (N, channels, rows, columns). `layout`: a key of LAYOUTS; None where the array shows it.

    InputError if it has other axes, or does not show which they are.
    """
    found = layout or _layout_of(x, where)
    if x.ndim != len(found):
        raise InputError(Diagnostic(where, f"`x` is {x.dtype} {x.shape}; layout {found} has {len(found)} axes"))
    axes = LAYOUTS[found]
    moved = x.transpose([axis for axis in axes if axis >= 0])
    return moved.reshape([x.shape[axis] if axis >= 0 else 1 for axis in axes])


def _layout_of(x: npt.NDArray[Any], where: Where) -> str:
    """NCHW, the only one that is assumed, and not where it looks like another. int8 is what our own files have."""
    if x.ndim == 4 and (x.dtype == np.int8 or x.shape[3] not in _CHANNELS or x.shape[1] in _CHANNELS):
        return "NCHW"
    fitting = [name for name in LAYOUTS if len(name) == x.ndim]
    if not fitting:
        raise InputError(Diagnostic(where, f"`x` is {x.dtype} {x.shape}; 2 to 4 axes are expected, N first"))
    found = f"`x` is {x.dtype} {x.shape}; its axes may mean several things"
    raise InputError(Diagnostic(where, f"{found}: say which with --layout: {', '.join(fitting)}"))


def checked_labels(y: npt.NDArray[Any], count: int, where: Where) -> Labels:
    """Labels as int64. InputError if they are not one whole number, 0 or more, for each of `count` samples."""
    if y.dtype.kind in "USO":
        found = f"labels `y` are text ({y.dtype}); numbers from 0 on are expected, and their names in `classes`"
        fix = "np.savez(..., y=numbers, classes=names) after names, numbers = np.unique(y, return_inverse=True)"
        raise InputError(Diagnostic(where, f"{found}: {fix}"))
    labels = checked_numbers(y, count, "y", where)
    if count and not 0 <= labels.min() <= labels.max() <= _HIGHEST_LABEL:
        raise InputError(Diagnostic(where, f"labels run from {y.min()} to {y.max()}; classes count from 0"))
    return labels


def checked_numbers(array: npt.NDArray[Any], count: int, name: str, where: Where) -> Labels:
    """An array as int64. InputError if it is not one whole number for each of `count` samples."""
    if array.shape != (count,) or array.dtype.kind not in "iu":
        found = f"`{name}` is {array.dtype} {array.shape}; one integer for each of {count:,} samples is expected"
        raise InputError(Diagnostic(where, found))
    return array.astype(np.int64)


def joined(parts: list[Samples], where: Where) -> Samples:
    """One after the other. InputError if their samples differ in shape, or only some have labels or groups."""
    shapes = sorted({part.x.shape[1:] for part in parts})
    if len(shapes) > 1:
        raise InputError(Diagnostic(where, f"samples of different shapes: {', '.join(map(str, shapes[:4]))}"))
    kinds = sorted({str(part.x.dtype) for part in parts})
    if len(kinds) > 1:
        raise InputError(Diagnostic(where, f"values of different kinds: {', '.join(kinds)}"))
    return Samples(
        np.concatenate([part.x for part in parts]),
        _joined_numbers([part.y for part in parts], "labels `y`", where),
        _joined_numbers([part.groups for part in parts], "`groups`", where),
    )


def _joined_numbers(arrays: list[Labels | None], what: str, where: Where) -> Labels | None:
    there = [array for array in arrays if array is not None]
    if there and len(there) < len(arrays):
        raise InputError(Diagnostic(where, f"only {len(there)} of {len(arrays)} parts have {what}"))
    return np.concatenate(there) if there else None
