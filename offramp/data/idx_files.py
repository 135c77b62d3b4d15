"""Sources in the files that MNIST came in: `train-images-idx3-ubyte` and its three companions, gzipped or not.

Source of the format: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits": two zero bytes, the
type of the values (8: unsigned bytes), the number of axes, each axis' length in 32 bits, the most significant byte
first, and the values.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.configs.bounds import DATA_FILE
from offramp.configs.errors import Damaged, Diagnostic, InputError, Where
from offramp.configs.files import is_file, read_bytes
from offramp.data.source import Samples, Source, arranged, checked_labels

_SETS = ("train", "t10k")  # the first is to be split, the second the official test split
_FILES = ("images-idx3-ubyte", "labels-idx1-ubyte")
_BYTES = 8  # the type of unsigned bytes
_DAMAGE = (OSError, EOFError, zlib.error)


def has_idx(folder: Path) -> bool:
    """Whether a folder holds one of the files."""
    return any(is_file(path) for part in _SETS for name in _FILES for path in _places(folder, part, name))


def read_idx_folder(folder: Path) -> Source:
    """The files of a folder; those of the test split may be missing. InputError if others are, or one is damaged."""
    samples = _read_set(folder, _SETS[0])
    there = any(is_file(path) for name in _FILES for path in _places(folder, _SETS[1], name))
    test = _read_set(folder, _SETS[1]) if there else None
    return Source(str(folder), "idx files", samples, test)


def _places(folder: Path, part: str, name: str) -> tuple[Path, ...]:
    return folder / f"{part}-{name}", folder / f"{part}-{name}.gz"


def _read_set(folder: Path, part: str) -> Samples:
    found = {name: [path for path in _places(folder, part, name) if is_file(path)] for name in _FILES}
    missing = [f"there is no {part}-{name}, and no {part}-{name}.gz" for name in _FILES if not found[name]]
    if missing:
        raise InputError([Diagnostic(Where(str(folder)), one) for one in missing])
    arrays = [read_idx(found[name][0], axes) for name, axes in zip(_FILES, (3, 1), strict=True)]
    where = Where(str(folder))
    x = arranged(arrays[0], "NHW", where)
    return Samples(x, checked_labels(arrays[1], len(x), where))


def read_idx(path: Path, axes: int) -> npt.NDArray[np.uint8]:
    """The array of a file, of so many axes. Damaged if it is none; InputError if it cannot be read."""
    data = read_bytes(path, DATA_FILE)
    where = Where(str(path))
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(data, where)
    size = 4 + 4 * axes
    if data[:4] != bytes((0, 0, _BYTES, axes)) or len(data) < size:
        raise Damaged(Diagnostic(where, f"is not an idx file of unsigned bytes with {axes} axes"))
    shape = tuple(int(one) for one in np.frombuffer(data, ">u4", axes, 4))
    if len(data) - size != math.prod(shape):
        message = f"is damaged: {len(data) - size:,} values; its header announces {math.prod(shape):,} {shape}"
        raise Damaged(Diagnostic(where, message))
    return np.frombuffer(data, np.uint8, offset=size).reshape(shape)


def _unpacked(packed: bytes, where: Where) -> bytes:
    """What a gzipped file holds, of no more than DATA_FILE bytes."""
    try:
        with gzip.open(io.BytesIO(packed)) as stream:
            data = stream.read(DATA_FILE + 1)
    except _DAMAGE as error:
        raise Damaged(Diagnostic(where, f"is damaged: {error}")) from error
    if len(data) > DATA_FILE:
        raise Damaged(Diagnostic(where, f"unpacks to more than {DATA_FILE:,} bytes, which are allowed"))
    return data
