"""Files that `torch.save` writes, read without torch and without running anything in them.

Two formats: a zip archive with `data.pkl` and one entry for each storage (torch >= 1.6), and the older one of several
pickles followed by the storages. Source: torch/serialization.py, torch/_utils.py.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from offramp.configs.bounds import CHECKPOINT_FILE, LARGEST_TENSOR
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import read_bytes
from offramp.planner.ai8x.pickle_reader import Made, Named, Persistent, PickleError, read_pickle

MAX_PICKLE = 64 << 20  # bytes
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "torch.DoubleStorage": "<f8",
    "torch.FloatStorage": "<f4",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "<i1",
    "torch.ByteStorage": "<u1",
    "torch.BoolStorage": "<u1",
}

# What the standard library raises on damaged archives
_DAMAGE = (PickleError, zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, OverflowError, struct.error)

Tensor = npt.NDArray[Any]


@dataclass(frozen=True)
class TorchFile:
    """What a file holds. `content`: its pickle as data; `storage`: the bytes of a storage by its key."""

    path: Path
    content: Any
    storage: Callable[[str], bytes]

    def refuse(self, message: str) -> InputError:
        return InputError(Diagnostic(Where(str(self.path)), message))

    def tensor(self, value: Any) -> Tensor:
        """A tensor's values. InputError if `value` is not a tensor or its shape does not fit its storage."""
        if _made_by(value, "torch._utils._rebuild_parameter") and value.arguments:
            value = value.arguments[0]
        if not _made_by(value, "torch._utils._rebuild_tensor_v2") or len(value.arguments) < 4:
            raise self.refuse(f"a tensor is expected, not {_describe(value)}")
        storage, offset, size, stride = value.arguments[:4]
        array = self._storage(storage)
        if not (_numbers((offset,)) and _numbers(size) and _numbers(stride) and len(size) == len(stride) <= 8):
            raise self.refuse("a tensor's offset, shape or strides are not numbers >= 0")
        elements, end = 1, offset
        for length, step in zip(size, stride, strict=True):
            elements *= length
            end += max(length - 1, 0) * step
        shape = "x".join(str(length) for length in size)
        if elements > LARGEST_TENSOR:
            raise self.refuse(f"a tensor of shape {shape}; at most {LARGEST_TENSOR} values are allowed")
        if elements and end >= array.size:
            raise self.refuse(f"a tensor of shape {shape} does not fit its storage of {array.size} values")
        if not elements:
            return np.zeros((0,) * len(size), array.dtype)
        steps = tuple(step * array.itemsize for step in stride)
        view = np.lib.stride_tricks.as_strided(array[offset:], tuple(size), steps, writeable=False)
        return view.copy()

    def _storage(self, value: Any) -> Tensor:
        reference = value.reference if isinstance(value, Persistent) else None
        if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
            raise self.refuse(f"a storage is expected, not {_describe(value)}")
        kind, key, count = reference[1], reference[2], reference[4]
        dtype = _DTYPES.get(kind.name) if isinstance(kind, Named) else None
        if dtype is None:
            raise self.refuse(f"storage of {_describe(kind)}; allowed: {', '.join(_DTYPES)}")
        if not isinstance(key, str) or not _numbers((count,)):
            raise self.refuse("a storage without name or length")
        data = self.storage(key)
        if len(data) != count * np.dtype(dtype).itemsize:
            raise self.refuse(f"storage {key} has {len(data)} bytes, but {count} values of type {dtype} are announced")
        return np.frombuffer(data, dtype)


def read_torch_file(path: Path) -> TorchFile:
    """Open a file of either format. InputError if it is missing, too long, truncated or something else."""
    data = read_bytes(path, CHECKPOINT_FILE)
    try:
        if data[:2] == b"PK":
            return _read_zip(path, data)
        return _read_legacy(path, data)
    except _DAMAGE as error:
        raise InputError(Diagnostic(Where(str(path)), f"not a checkpoint, or damaged: {error}")) from error


def _read_zip(path: Path, data: bytes) -> TorchFile:
    archive = zipfile.ZipFile(io.BytesIO(data))
    entries = {entry.filename: entry for entry in archive.infolist()}
    pickles = [name for name in entries if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise PickleError("the archive does not have one data.pkl")
    root = pickles[0].removesuffix("data.pkl")
    if sum(one.file_size for one in entries.values()) > len(data):
        raise PickleError("it has compressed or overlapping entries; a checkpoint has none")

    @cache
    def entry(name: str) -> bytes:
        if name not in entries:
            raise InputError(Diagnostic(Where(str(path)), f"the archive lacks {name}"))
        # torch stores entries uncompressed; a compressed one could expand to any size
        if entries[name].compress_type != zipfile.ZIP_STORED:
            raise InputError(Diagnostic(Where(str(path)), f"{name} is compressed; a checkpoint's entries are not"))
        try:
            return archive.read(entries[name])
        except _DAMAGE as error:
            raise InputError(Diagnostic(Where(str(path)), f"damaged: {name}: {error}")) from error

    if root + "byteorder" in entries and entry(root + "byteorder") != b"little":
        raise PickleError("saved on a big-endian machine")
    content = entry(pickles[0])
    if len(content) > MAX_PICKLE:
        raise PickleError(f"data.pkl has more than {MAX_PICKLE >> 20} MiB")
    return TorchFile(path, read_pickle(io.BytesIO(content)), lambda key: entry(f"{root}data/{key}"))


def _read_legacy(path: Path, data: bytes) -> TorchFile:
    stream = io.BytesIO(data)
    if read_pickle(stream) != _LEGACY_MAGIC:
        raise PickleError("neither a zip archive nor a file of torch.save")
    read_pickle(stream)  # version of the format
    machine = read_pickle(stream)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise PickleError("saved on a big-endian machine")
    content = read_pickle(stream)
    keys = read_pickle(stream)
    sizes = _legacy_sizes(content)
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in sizes for key in keys):
        raise PickleError("its storages do not match its content")
    found: dict[str, bytes] = {}
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        wanted = count * sizes[key]
        found[key] = stream.read(wanted) if 0 <= wanted <= len(data) else b""
    return TorchFile(path, content, lambda key: found.get(key, b""))


def _legacy_sizes(content: Any) -> dict[str, int]:
    """Bytes of an element of each storage that `content` refers to."""
    sizes: dict[str, int] = {}
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Persistent) and isinstance(value.reference, tuple) and len(value.reference) >= 3:
            _, kind, key = value.reference[:3]
            if isinstance(kind, Named) and isinstance(key, str) and kind.name in _DTYPES:
                sizes[key] = np.dtype(_DTYPES[kind.name]).itemsize
        elif isinstance(value, Made):
            waiting += [*value.arguments, *value.items.values()]
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
    return sizes


def _made_by(value: Any, name: str) -> bool:
    return isinstance(value, Made) and isinstance(value.what, Named) and value.what.name == name


def _numbers(values: Any) -> bool:
    return isinstance(values, tuple) and all(type(value) is int and 0 <= value < 1 << 40 for value in values)


def _describe(value: Any) -> str:
    """A short name of a value from a pickle, for messages."""
    while isinstance(value, Made):
        value = value.what
    if isinstance(value, Named):
        return value.name[:80]
    return type(value).__name__


def mapping_items(value: Any) -> dict[Any, Any] | None:
    """Items of a dict or collections.OrderedDict; None if `value` is neither."""
    if isinstance(value, dict):
        return value
    if not _made_by(value, "collections.OrderedDict"):
        return None
    pairs = value.arguments[0] if value.arguments else []
    listed: dict[Any, Any] = {}
    for pair in pairs if isinstance(pairs, list | tuple) else []:
        if isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str):
            listed[pair[0]] = pair[1]
    return {**listed, **value.items}
