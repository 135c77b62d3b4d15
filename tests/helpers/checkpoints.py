"""Checkpoint files as `torch.save` writes them, made by hand: without torch, and hostile ones as easily as good."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Part = bytes  # opcodes that leave one value on the stack

STORAGES = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage", "i4": "IntStorage"}
EMPTY_TUPLE = b")"


def word(text: str) -> Part:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> Part:
    return b"\x8a\x08" + struct.pack("<q", value)


def tuple_of(*parts: Part) -> Part:
    return b"(" + b"".join(parts) + b"t"


def name(module: str, attribute: str) -> Part:
    return b"c" + f"{module}\n{attribute}\n".encode()


def call(what: Part, *arguments: Part) -> Part:
    return what + tuple_of(*arguments) + b"R"


def mapping(items: Mapping[str, Part]) -> Part:
    return b"}" + _items(items)


def ordered(items: Mapping[str, Part]) -> Part:
    return name("collections", "OrderedDict") + EMPTY_TUPLE + b"R" + _items(items)


def _items(items: Mapping[str, Part]) -> Part:
    return b"(" + b"".join(word(key) + value for key, value in items.items()) + b"u"


def pickle_of(part: Part) -> bytes:
    return b"\x80\x02" + part + b"."


def storage(key: str, array: Array, legacy: bool = False) -> Part:
    kind = name("torch", STORAGES[array.dtype.str[1:]])
    parts = [word("storage"), kind, word(key), word("cpu"), number(array.size)]
    return tuple_of(*parts, *([b"N"] if legacy else [])) + b"Q"


def tensor(key: str, array: Array, legacy: bool = False, shape: tuple[int, ...] | None = None) -> Part:
    """A tensor whose storage is `key`; another `shape` than the array's makes it a liar."""
    shape = array.shape if shape is None else shape
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    arguments = [storage(key, array, legacy), number(0), tuple_of(*map(number, shape)), tuple_of(*map(number, strides))]
    return call(name("torch._utils", "_rebuild_tensor_v2"), *arguments, b"\x89", ordered({}))


def content(
    state: Mapping[str, Array], arch: str = "test", legacy: bool = False, extra: Mapping[str, Part] | None = None
) -> bytes:
    """The pickle of a checkpoint; tensor i has storage key "i"."""
    tensors = {key: tensor(str(index), array, legacy) for index, (key, array) in enumerate(state.items())}
    parts = {"epoch": number(1), "arch": word(arch), "state_dict": ordered(tensors), **(extra or {})}
    return pickle_of(mapping(parts))


def write_zip(path: Path, pickled: bytes, arrays: Mapping[str, Array], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for index, array in enumerate(arrays.values()):
            archive.writestr(f"archive/data/{index}", array.tobytes())
    return path


def write_legacy(path: Path, state: Mapping[str, Array], arch: str = "test") -> Path:
    magic = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"
    system = b"}(" + word("little_endian") + b"\x88" + b"u"
    keys = b"](" + b"".join(word(str(index)) for index in range(len(state))) + b"e"
    parts = [pickle_of(magic), pickle_of(number(1001)), pickle_of(system), content(state, arch, legacy=True)]
    data = b"".join([*parts, pickle_of(keys)])
    for array in state.values():
        data += struct.pack("<q", array.size) + array.tobytes()
    path.write_bytes(data)
    return path


def save(path: Path, state: Mapping[str, Array], arch: str = "test") -> Path:
    """A good checkpoint."""
    return write_zip(path, content(state, arch), state)
