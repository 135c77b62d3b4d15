"""Arrays in .npy and .npz files: their headers are read and bounded before any of their data are decompressed."""

from __future__ import annotations

import ast
import io
import math
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from offramp.configs.errors import Damaged, Diagnostic, Where
from offramp.configs.files import read_bytes

Array = NDArray[Any]

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 4096  # bytes; of plain arrays it has some hundred
_PLAIN = re.compile(r"[<>|=](?:b1|[iu][1248]|f[248])")
_TEXT = re.compile(r"[<>]U[1-9]\d{0,2}")
_DIMENSIONS = 32
_MOST_ENTRIES = 4096  # of an archive
_CHUNK = 1 << 20
_ENTRY = b"PK\x01\x02"  # begins an entry of an archive's directory
# What zipfile and zlib raise for damaged archives, RuntimeError for features that they lack
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, OverflowError)


@dataclass(frozen=True)
class Header:
    """What the file says about an array. `order`: of its axes in the file, C or F."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: str

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class ArrayFile:
    """An .npz file: `headers` by name; the arrays themselves are decompressed when they are asked for."""

    def __init__(
        self, path: Path, limit: int, names: Collection[str] | None = None, text: Collection[str] = ()
    ) -> None:
        """Read the directory and the headers of all arrays, or of those that are named, as far as they are there.

        `text`: names of those that may hold words instead of numbers.
        Damaged if one is not that of a plain array, or if they have more than `limit` bytes together; InputError if
        the file cannot be read.
        """
        self._where = Where(str(path))
        self._text = {f"{name}.npy" for name in text}
        data = read_bytes(path, limit)
        if data[:2] != b"PK":
            raise self._damaged("it is a single array (.npy)" if data.startswith(_MAGIC) else "it is no archive")
        if data.count(_ENTRY) > _MOST_ENTRIES:
            raise self._damaged(f"it has more than {_MOST_ENTRIES} entries")
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
            entries = {entry.filename.removesuffix(".npy"): entry for entry in self._archive.infolist()}
            wanted = entries.keys() if names is None else entries.keys() & set(names)
            self.headers = {name: self._header(entries[name]) for name in entries if name in wanted}
        except _DAMAGE as error:
            raise self._damaged(str(error) or type(error).__name__) from error
        total = sum(header.nbytes for header in self.headers.values())
        if total > limit:
            raise self._damaged(f"its arrays have {total:,} bytes; {limit:,} are allowed")

    def _damaged(self, message: str) -> Damaged:
        return Damaged(Diagnostic(self._where, f"is not an .npz file with plain arrays, or damaged: {message}"))

    def _header(self, entry: zipfile.ZipInfo) -> Header:
        """ValueError if it is not a plain array that fills its entry."""
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{entry.filename} is compressed in a way that is not read; numpy's savez writes it plain")
        with self._archive.open(entry) as stream:
            try:
                header, length = read_header(stream, entry.filename in self._text)
            except ValueError as error:
                raise ValueError(f"`{entry.filename.removesuffix('.npy')}`: {error}") from error
        if entry.file_size != length + header.nbytes:
            found = f"{entry.filename} has {entry.file_size} bytes; its header announces {length + header.nbytes}"
            raise ValueError(found)
        return header

    def load(self, name: str) -> Array:
        """An array. Damaged if its data are."""
        header = self.headers[name]
        try:
            with self._archive.open(f"{name}.npy") as stream:
                read_header(stream, f"{name}.npy" in self._text)
                return read_data(stream, header)
        except _DAMAGE as error:
            raise self._damaged(f"{name}: {error or type(error).__name__}") from error

    def load_text(self, name: str) -> tuple[str, ...]:
        """A list of words; `name` is one of `text`. Damaged if its data are, or are no words."""
        words = self.load(name)
        try:
            if words.dtype.kind != "U" or words.ndim != 1:
                raise ValueError(f"{words.dtype} {words.shape}; a list of words is expected")
            if (np.ascontiguousarray(words).view(f"{words.dtype.byteorder}u4") > sys.maxunicode).any():
                raise ValueError("it has characters that do not exist")
            return tuple(str(word) for word in words.tolist())
        except ValueError as error:
            raise self._damaged(f"{name}: {error}") from error

    def load_all(self) -> Mapping[str, Array]:
        """All arrays by name."""
        return {name: self.load(name) for name in self.headers}


def read_arrays(path: Path, limit: int) -> Mapping[str, Array]:
    """All arrays of an .npz file, of at most `limit` bytes together."""
    return ArrayFile(path, limit).load_all()


def read_array(path: Path, limit: int) -> Array:
    """The array of an .npy file of at most `limit` bytes. Damaged if it is none; InputError if it cannot be read."""
    data = read_bytes(path, limit)
    stream = io.BytesIO(data)
    try:
        header, length = read_header(stream)
        if len(data) != length + header.nbytes:
            raise ValueError(f"it has {len(data)} bytes; its header announces {length + header.nbytes}")
        return read_data(stream, header)
    except _DAMAGE as error:
        found = f"is not a .npy file with a plain array, or damaged: {error or type(error).__name__}"
        raise Damaged(Diagnostic(Where(str(path)), found)) from error


def read_header(stream: IO[bytes], text: bool = False) -> tuple[Header, int]:
    """The header at the beginning of an array, and its length in bytes. ValueError if it is damaged, or the array is
    not one of plain numbers or, with `text`, of words. Source: numpy/lib/format.py."""
    start = stream.read(8)
    if len(start) < 8 or start[:6] != _MAGIC or start[6] not in (1, 2, 3):
        raise ValueError("it does not start like an array of numpy")
    size = 2 if start[6] == 1 else 4
    length = int.from_bytes(stream.read(size), "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"a header of {length} bytes; at most {_LONGEST_HEADER} are expected")
    written = stream.read(length)
    if len(written) != length:
        raise ValueError("it ends within its header")
    return _parse(written.decode("latin-1"), text), 8 + size + length


def _parse(written: str, text: bool) -> Header:
    try:
        found = ast.literal_eval(written.strip())
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("its header is damaged") from error
    if not isinstance(found, dict) or found.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("its header is damaged: `descr`, `fortran_order` and `shape` are expected")
    descr, shape = found["descr"], found["shape"]
    if not isinstance(descr, str) or not (_PLAIN.fullmatch(descr) or (text and _TEXT.fullmatch(descr))):
        raise ValueError(f"numbers of kind {str(descr)[:40]!r}; plain integers, floats or booleans are expected")
    if not isinstance(shape, tuple) or len(shape) > _DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("its header is damaged: `shape` is no tuple of numbers")
    return Header(np.dtype(descr), shape, "F" if found["fortran_order"] is True else "C")


def read_data(stream: IO[bytes], header: Header) -> Array:
    """The data behind a header. ValueError if there are fewer or more of them."""
    data = np.empty(header.nbytes, np.uint8)
    have = 0
    while have < header.nbytes:
        chunk = stream.read(min(_CHUNK, header.nbytes - have))
        if not chunk:
            raise ValueError(f"it ends after {have} of {header.nbytes} bytes")
        data[have : have + len(chunk)] = np.frombuffer(chunk, np.uint8)
        have += len(chunk)
    if stream.read(1):
        raise ValueError(f"it has more than {have} bytes")
    values: Array = data.view(header.dtype).reshape(header.shape, order="F" if header.order == "F" else "C")
    return values
