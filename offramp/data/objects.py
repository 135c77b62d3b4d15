"""Sources in Python: arrays, and data set objects as PyTorch and the vendor's ai8x-training have them.

Such an object has a length and items (value, label). A value has the axes (channels, rows, columns), or (channels,
length) of a series, as `input` in the vendor's `datasets` entries means it (ai8x-training, README.md, "Data Loader").
"""

from __future__ import annotations

import copy
import random
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from offramp.configs.bounds import DATA_SOURCE
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.data.source import Samples, Source, arranged, checked_labels

_TRIED = 16  # items that are read twice, to see whether they stay the same
_ITEM_LAYOUTS = {4: "NCHW", 3: "NCL", 2: "NC"}
TRANSFORM_NOTE = (
    "items of the training set change from reading to reading; they were read with the transform of the test set"
)


def source_of(
    train: Any, test: Any = None, classes: tuple[str, ...] = (), name: str = "data", layout: str | None = None
) -> Source:
    """A source from two data set objects, as the vendor's `get_datasets` returns them, or from arrays `train` = x,
    `test` = y.

    With objects `test` is the official test split; without `train` it is what will be split. Objects whose items
    change from reading to reading (augmentation) are read with the `transform` of the other, if that helps. InputError
    if they change all the same, or are no data sets.
    """
    where = Where(name)
    if hasattr(train, "shape"):
        x = arranged(np.asarray(train), layout, where)
        y = None if test is None else checked_labels(np.asarray(test), len(x), where)
        return Source(name, "arrays", Samples(x, y), None, classes)
    if train is None and test is None:
        raise InputError(Diagnostic(where, "there is neither a training nor a test set"))
    _seed()
    notes: tuple[str, ...] = ()
    if train is not None and not _stays(train, where):
        train, notes = _without_augmentation(train, test, where), (TRANSFORM_NOTE,)
    parts = [_read(part, where) for part in (train, test) if part is not None]
    return Source(name, "data set objects", parts[0], parts[1] if len(parts) > 1 else None, classes, notes)


def _seed() -> None:
    """Whatever draws random numbers while items are read draws the same ones each time."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def _stays(items: Any, where: Where) -> bool:
    """Whether items are the same when they are read again."""
    numbers = range(min(_TRIED, _length(items, where)))
    return all(np.array_equal(_item(items, one, where)[0], _item(items, one, where)[0]) for one in numbers)


def _without_augmentation(train: Any, test: Any, where: Where) -> Any:
    if hasattr(train, "transform") and hasattr(test, "transform"):
        plain = copy.copy(train)
        plain.transform = test.transform
        if _stays(plain, where):
            return plain
    message = (
        "items of the training set change from reading to reading (augmentation?), and thresholds must be calibrated "
        "on what the device will see: give a training set without it, or None for it to split the test set"
    )
    raise InputError(Diagnostic(where, message))


def _length(items: Any, where: Where) -> int:
    if not (hasattr(items, "__len__") and hasattr(items, "__getitem__")):
        found = f"a {type(items).__name__} is no data set; arrays, or objects with a length and items, are expected"
        raise InputError(Diagnostic(where, found))
    return len(items)


def _item(items: Any, number: int, where: Where) -> tuple[npt.NDArray[Any], Any]:
    """The value and the label of an item."""
    item = items[number]
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise InputError(Diagnostic(where, f"item {number} is a {type(item).__name__}; (value, label) is expected"))
    if not hasattr(item[0], "shape"):
        found = f"the value of item {number} is a {type(item[0]).__name__}; an array or a tensor is expected"
        raise InputError(Diagnostic(where, found))
    return np.asarray(item[0]), item[1]


def _read(items: Any, where: Where) -> Samples:
    """All items, in their order, within DATA_SOURCE bytes."""
    count = _length(items, where)
    if not count:
        raise InputError(Diagnostic(where, "a data set without items"))
    first, _ = _item(items, 0, where)
    if first.ndim + 1 not in _ITEM_LAYOUTS:
        raise InputError(Diagnostic(where, f"values of shape {first.shape}; (channels, rows, columns) is expected"))
    if count * first.nbytes > DATA_SOURCE:
        message = f"{count:,} values of {first.nbytes:,} bytes; {DATA_SOURCE:,} bytes are allowed"
        raise InputError(Diagnostic(where, message))
    x, y = np.empty((count, *first.shape), first.dtype), np.empty(count, np.int64)
    for number in range(count):
        value, label = _item(items, number, where)
        if value.shape != first.shape or value.dtype != first.dtype:
            found = f"item {number} is {value.dtype} {value.shape}, the first one {first.dtype} {first.shape}"
            raise InputError(Diagnostic(where, found))
        x[number], y[number] = value, _label(label, number, where)
    return Samples(arranged(x, _ITEM_LAYOUTS[x.ndim], where), checked_labels(y, count, where))


def _label(label: Any, number: int, where: Where) -> int:
    found = np.asarray(label)
    if found.size != 1 or found.dtype.kind not in "iu":
        text = f"the label of item {number} is {found.dtype} {found.shape}; the number of a class is expected"
        raise InputError(Diagnostic(where, text))
    return int(found.reshape(()))
