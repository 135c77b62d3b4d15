"""A log as a chip printed it: every line checked against the checksum of all lines before it.

A line: `silicon <number> <words> <CRC-32 of all lines so far, without these eight digits>`. Other lines, which
terminals and boot code add, are passed over. A chip that starts anew begins a new log; the last one counts.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from offramp.configs.bounds import TEXT_FILE
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import read_bytes
from offramp.silicon.steps import Values

FORMAT = 1
VIRTUAL = "virtual"  # the board of a log that the model has answered
PROBLEMS = ("timeout", "refused", "bus-fault", "no-clock")  # words before the values of a measurement
_LINE = re.compile(r"(silicon ([0-9]{1,6}) (.*)) ([0-9a-f]{8})")
_OURS = re.compile(r"silicon [0-9]")
_HEX = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class Seen:
    """What a line says of a measurement: its values, and what went wrong."""

    where: Where
    values: Values
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Log:
    """A whole log. digest: of the questions that were asked."""

    where: Where
    device: str
    board: str
    digest: str
    seen: dict[str, Seen]


@dataclass(frozen=True)
class _Line:
    where: Where
    words: tuple[str, ...]


def read_log(path: Path) -> Log:
    return parse_log(read_bytes(path, TEXT_FILE).decode("utf-8", "replace"), str(path))


def parse_log(text: str, name: str) -> Log:
    """InputError, with the line, if the log is damaged, edited, cut off, or none."""
    lines = _lines(text, name)
    if not lines:
        raise InputError(
            Diagnostic(Where(name), "no line begins with `silicon 0 start`; a log of the questions is expected")
        )
    head = _head(lines[0])
    last = lines[-1]
    if last.words != ("end",):
        asked = next((" ".join(line.words[1:]) for line in reversed(lines) if line.words[0] == "ask"), "")
        during = f" while question `{asked}` was asked" if asked else ""
        raise InputError(
            Diagnostic(last.where, f"the log ends here, without `end`{during}: cut off, or the chip stopped")
        )
    seen = dict(_seen(line) for line in lines if line.words[0] == "saw")
    return Log(lines[0].where, head["device"], head["board"], head["questions"], seen)


def _lines(text: str, name: str) -> list[_Line]:
    """The lines of the last log in a text, each one checked."""
    lines: list[_Line] = []
    crc = 0
    for number, raw in enumerate(text.splitlines(), 1):
        ours = _OURS.search(raw)
        if ours is None:
            continue
        where, found = Where(name, number), _LINE.fullmatch(raw[ours.start() :].rstrip())
        if found is None:
            raise InputError(Diagnostic(where, "damaged: `silicon`, a number, words and a checksum are expected"))
        if found[3].startswith("start "):
            lines, crc = [], 0
        if int(found[2]) != len(lines):
            raise InputError(Diagnostic(where, f"line {found[2]} of the log; line {len(lines)} is expected here"))
        crc = zlib.crc32(found[1].encode("utf-8"), crc)
        if int(found[4], 16) != crc:
            message = f"checksum {found[4]}, {crc:08x} is expected: this line, or one before it, was changed"
            raise InputError(Diagnostic(where, message))
        lines.append(_Line(where, tuple(found[3].split(" "))))
    return lines


def _head(line: _Line) -> dict[str, str]:
    head = dict(word.partition("=")[::2] for word in line.words[1:])
    if line.words[0] != "start" or not {"format", "device", "board", "questions"} <= head.keys():
        raise InputError(
            Diagnostic(line.where, "the first line of a log is `start`, with format, device, board, questions")
        )
    if head["format"] != str(FORMAT):
        raise InputError(Diagnostic(line.where, f"format {head['format']}; this version reads {FORMAT}"))
    return head


def _seen(line: _Line) -> tuple[str, Seen]:
    problems = tuple(word for word in line.words[2:] if word in PROBLEMS)
    values = line.words[2 + len(problems) :]
    if len(line.words) < 2 or not all(_HEX.fullmatch(word) for word in values):
        raise InputError(Diagnostic(line.where, "a name, what went wrong, and values of eight digits are expected"))
    return line.words[1], Seen(line.where, tuple(int(word, 16) for word in values), problems)
