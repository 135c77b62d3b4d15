"""Tables of an image: lines of C with the bytes that they stand for, laid one behind the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from offramp.codegen.firmware import BusWrite, Guard
from offramp.configs.device import Device
from offramp.planner.hardware.hw_layer import WORD_BYTES

Item = TypeVar("Item")
_WORDS_A_LINE, _BYTES_A_LINE = 8, 16


class Span(NamedTuple):
    """So many `records` at byte `at` of the image."""

    at: int
    records: int


@dataclass(frozen=True)
class Line:
    """A line of C and the bytes that it stands for."""

    text: str
    data: bytes
    comment: str = ""


@dataclass(frozen=True)
class Member:
    """An array of the image's struct: `count` elements of a C type at byte `at`, a line each, or several to a line.

    `records`: instead of `lines`, for elements of many fields: (name for a comment, a line for each field)."""

    name: str
    type: str
    count: int
    at: int
    lines: tuple[Line, ...] = ()
    records: tuple[tuple[str, tuple[Line, ...]], ...] = ()

    @property
    def data(self) -> bytes:
        return join(self.lines) + b"".join(join(lines) for _, lines in self.records)


class Tables:
    """Collects tables, each at the next free offset. An empty one takes no place: C has no arrays without elements."""

    def __init__(self, start: int, device: Device) -> None:
        self.end = start
        self.members: list[Member] = []
        self.device = device

    def add(self, name: str, kind: str, count: int, lines: Iterable[Line]) -> Span:
        """A table of `count` elements."""
        if not count:
            return Span(0, 0)
        member = Member(name, kind, count, self.end, tuple(lines))
        self.members.append(member)
        self.end += len(member.data)
        return Span(member.at, count)

    def writes(self, name: str, writes: Sequence[BusWrite]) -> Span:
        lines = [self._register((write.address, write.value)) for write in writes]
        return self.add(name, "offramp_write_t", len(lines), lines)

    def guards(self, name: str, guards: Sequence[Guard]) -> Span:
        lines = [self._register((guard.address, guard.mask, guard.value)) for guard in guards]
        return self.add(name, "offramp_guard_t", len(lines), lines)

    def runs(self, name: str, written: Sequence[BusWrite], kept: Sequence[BusWrite]) -> Span:
        """Where the registers of a model are: runs of neighbouring addresses, of those that are written whenever the
        model runs after another one, then of those that are written once."""
        runs = register_runs(written) + register_runs(kept)
        lines = [row((word(run[0].address), number(len(run))), (run[0].address, len(run))) for run in runs]
        return self.add(name, "offramp_registers_t", len(lines), lines)

    def values(self, name: str, registers: Sequence[BusWrite]) -> Span:
        """What registers hold, run after run."""
        lines = []
        for run in register_runs(registers):
            for part in _parts(run, _WORDS_A_LINE):
                names = [register_name(self.device, write.address) for write in (part[0], part[-1])]
                lines.append(_words([write.value for write in part], " to ".join(dict.fromkeys(names))))
        return self.add(name, "uint32_t", len(registers), lines)

    def words(self, name: str, words: Sequence[int]) -> Span:
        return self.add(name, "uint32_t", len(words), map(_words, _parts(words, _WORDS_A_LINE)))

    def bytes(self, name: str, data: bytes) -> Span:
        """Padded with zeros to whole words."""
        data += bytes(-len(data) % WORD_BYTES)
        lines = [Line(", ".join(map(number, part)) + ",", bytes(part)) for part in _parts(data, _BYTES_A_LINE)]
        return self.add(name, "uint8_t", len(data), lines)

    def _register(self, values: Sequence[int]) -> Line:
        """A record whose first word is the address of a register."""
        return row(map(word, values), values, register_name(self.device, values[0]))


def register_name(device: Device, address: int) -> str:
    """The register at a bus address, for a comment: `quadrant 1 layer 3 RCNT`."""
    place = device.locate(address)
    assert place is not None  # firmware_check has checked every address
    layer = f" layer {place.unit}" if place.unit >= 0 else ""
    return f"quadrant {place.quadrant}{layer} {place.name}"


def register_runs(registers: Sequence[BusWrite]) -> list[list[BusWrite]]:
    """Registers in ascending order as the longest runs of neighbouring addresses."""
    runs: list[list[BusWrite]] = []
    for write in registers:
        if runs and write.address == runs[-1][-1].address + WORD_BYTES:
            runs[-1].append(write)
        else:
            runs.append([write])
    return runs


def row(texts: Iterable[str], values: Iterable[int], comment: str = "") -> Line:
    """A record of a table. `values`: all its words."""
    return Line("{" + ", ".join(texts) + "},", _encode(values), comment)


def listed(texts: Iterable[str]) -> str:
    """An array or a record within a record."""
    return "{" + ", ".join(texts) + "}"


def word_field(name: str, value: int, comment: str = "") -> Line:
    """A field of a record, in hexadecimal."""
    return Line(f".{name} = 0x{value:x}u,", _encode([value]), comment)


def words_field(name: str, values: Sequence[int]) -> Line:
    """A field that is an array."""
    return Line(f".{name} = {listed(map(word, values))},", _encode(values))


def number_field(name: str, value: int, comment: str = "") -> Line:
    """A field of a record, in decimal."""
    return Line(f".{name} = {value}u,", _encode([value]), comment)


def span_field(name: str, span: Span) -> Line:
    """A field that says where others are."""
    return Line(f".{name} = {listed(map(number, span))},", _encode(span))


def word(value: int) -> str:
    return f"0x{value:08x}u"


def number(value: int) -> str:
    return f"{value}u"


def join(lines: Iterable[Line]) -> bytes:
    return b"".join(line.data for line in lines)


def _words(words: Sequence[int], comment: str = "") -> Line:
    return Line(", ".join(map(word, words)) + ",", _encode(words), comment)


def _parts(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[at : at + size] for at in range(0, len(items), size)]


def _encode(values: Iterable[int]) -> bytes:
    return np.array(list(values), dtype="<u4").tobytes()
