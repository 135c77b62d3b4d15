"""Files of a corpus case, read strictly: their errors are reported before they are used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.configs.arrays import read_arrays
from offramp.configs.bounds import CORPUS_FILE, LARGEST_TENSOR
from offramp.configs.errors import Damaged, Diagnostic, Where
from offramp.configs.files import is_file
from offramp.configs.records import read_json

Arrays = Mapping[str, NDArray[Any]]
Meta = Mapping[str, Any]

WRITE, SET_BITS, CLEAR_BITS, WRITE_BYTE, POLL, CHECK = range(6)  # kinds of a program's entries
_PARTS = ("addr", "value", "kind", "expect")  # arrays of a phase; the last may be missing
_LARGEST = 1 << 31
_WORD = 0xFFFFFFFF


def read_meta(folder: Path, needed: bool = False) -> Meta:
    """meta.json of a case; empty if it has none and needs none. Damaged if a key that is used is not as it should."""
    path = folder / "meta.json"
    if not needed and not is_file(path):
        return {}
    content = read_json(path, "the description of a case")
    _Checker(path).table("", content, _META)
    meta: Meta = content
    return meta


def read_program(folder: Path) -> Arrays:
    """Phases of a bus program: addresses, values and kinds, and what a poll or check expects, equally many of each."""
    path = folder / "program.npz"
    program = read_arrays(path, CORPUS_FILE) if is_file(path) else {}
    names = [name.rpartition("_") for name in program]
    for phase in dict.fromkeys(phase for phase, _, part in names if part in _PARTS):
        parts = [program[f"{phase}_{part}"] for part in _PARTS if f"{phase}_{part}" in program]
        _check_columns(path, phase, parts)
        kinds = program.get(f"{phase}_kind")
        if kinds is not None and kinds.size and kinds.max() > CHECK:
            raise _damaged(path, f"`{phase}_kind` holds {kinds.max()}; 0..{CHECK} are kinds of entries")
    return _words(program)


def read_expected(folder: Path) -> Arrays:
    """What a program leaves in memory: addresses, masks and values, equally many; empty if it is not known."""
    path = folder / "expected.npz"
    expected = read_arrays(path, CORPUS_FILE) if is_file(path) else {}
    if expected and not {"addr", "mask", "value"} <= expected.keys():
        raise _damaged(path, "`addr`, `mask` and `value` are expected")
    _check_columns(
        path, "addr, mask and value", [expected[name] for name in expected if name in ("addr", "mask", "value")]
    )
    return _words(expected)


def read_outputs(folder: Path) -> Arrays:
    """Outputs of layers, (channels, ...) each; empty if they are not known."""
    path = folder / "outputs.npz"
    outputs = read_arrays(path, CORPUS_FILE) if is_file(path) else {}
    for name, values in outputs.items():
        if values.dtype.kind not in "iu" or not values.ndim or not 0 < values.size <= LARGEST_TENSOR:
            raise _damaged(path, f"`{name}` is {values.dtype} {values.shape}; whole numbers, (channels, ...)")
    return outputs


def _check_columns(path: Path, name: str, columns: list[NDArray[Any]]) -> None:
    """Damaged if they are not lists of numbers of 32 bits, all of one length."""
    if any(column.ndim != 1 or column.dtype.kind not in "iu" or not _fits(column) for column in columns):
        raise _damaged(path, f"{name}: lists of numbers from 0 to {_WORD:#x} are expected")
    if len({len(one) for one in columns}) > 1:
        raise _damaged(path, f"{name}: lists of {', '.join(str(len(one)) for one in columns)} entries; equally many")


def _fits(values: NDArray[Any]) -> bool:
    return not values.size or (int(values.min()) >= 0 and int(values.max()) <= _WORD)


def _words(arrays: Arrays) -> Arrays:
    """As the bus takes them: uint32."""
    return {name: values.astype(np.uint32) for name, values in arrays.items()}


def _damaged(path: Path, message: str) -> Damaged:
    return Damaged(Diagnostic(Where(str(path)), f"is damaged: {message}"))


class _Checker:
    """Checks values of one file: each method takes the key, for messages, and the value."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def wrong(self, key: str, expected: str) -> Damaged:
        return _damaged(self.path, f"`{key}`: {expected} is expected" if key else f"{expected} is expected")

    def table(self, key: str, value: Any, kinds: Mapping[str, Kind]) -> None:
        """A mapping in which keys that are there are of their kind, and keys that end with ! are there."""
        if not isinstance(value, dict):
            raise self.wrong(key, "a mapping")
        for name, kind in kinds.items():
            inner = f"{key}.{name.rstrip('!')}" if key else name.rstrip("!")
            if name.rstrip("!") in value:
                kind(self, inner, value[name.rstrip("!")])
            elif name.endswith("!"):
                raise _damaged(self.path, f"`{inner}` is missing")


Kind = Callable[[_Checker, str, Any], None]


def _whole(check: _Checker, key: str, value: Any) -> None:
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise check.wrong(key, "a number >= 0")


def _flag(check: _Checker, key: str, value: Any) -> None:
    if type(value) is not bool:
        raise check.wrong(key, "true or false")


def _text(check: _Checker, key: str, value: Any) -> None:
    if type(value) is not str:
        raise check.wrong(key, "text")


def _map(check: _Checker, key: str, value: Any) -> None:
    """Processors; None of layers that are not run."""
    if value is not None and not (type(value) is str and re.fullmatch(r"0x[0-9a-fA-F]{1,16}", value)):
        raise check.wrong(key, "a map of processors in hexadecimal")


def _anything(check: _Checker, key: str, value: Any) -> None:
    """For keys that only have to be there."""


def _list(kind: Kind) -> Kind:
    def check_list(check: _Checker, key: str, value: Any) -> None:
        if type(value) is not list:
            raise check.wrong(key, "a list")
        for index, item in enumerate(value):
            kind(check, f"{key}[{index}]", item)

    return check_list


def _pair(check: _Checker, key: str, value: Any) -> None:
    """An address and a value of 32 bits."""
    if type(value) is not list or len(value) != 2 or not all(type(one) is int and 0 <= one <= _WORD for one in value):
        raise check.wrong(key, "an address and a value")


def _table(kinds: Mapping[str, Kind]) -> Kind:
    return lambda check, key, value: check.table(key, value, kinds)


_LAYER: Mapping[str, Kind] = {
    "index!": _whole,
    "streaming!": _flag,
    "buffer_shift!": _anything,
    "buffer_insert!": _anything,
    "output_processors!": _map,
    "output_width!": _whole,
    "write_gap!": _whole,
    "in_offset": _whole,
    "out_offset!": _whole,
}
_LATENCY: Mapping[str, Kind] = {
    "total!": _whole,
    "total_is_estimate!": _flag,
    "layers!": _list(_table({"layer!": _whole, "cycles!": _whole, "streaming_estimate!": _flag})),
}
_META: Mapping[str, Kind] = {
    "device": _text,
    "phase_order": _list(_text),
    "final_layer": _whole,
    "layers": _list(_table(_LAYER)),
    "latency": _table(_LATENCY),
    "izer_args": _list(_text),
    "executed_layers": _list(_whole),
    "snoop_checks": _list(_pair),
}
