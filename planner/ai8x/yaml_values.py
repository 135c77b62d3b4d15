"""Kinds of values that only ai8x network YAMLs have: each returns the value in our terms or raises ValueError with what
is expected."""

from __future__ import annotations

from typing import Any

from offramp.configs.lines import LineList
from offramp.configs.values import ValueReader, integer


def flag(value: Any) -> bool:
    """True or false, which the vendor's tool also takes as 1 and 0."""
    if value not in (True, False):
        raise ValueError("true or false is expected")
    return bool(value)


def pair(low: int) -> ValueReader:
    """Two numbers >= `low` (rows, columns), or one for both."""
    single = integer(low)

    def read(value: Any) -> tuple[int, int]:
        values = value if isinstance(value, LineList) else [value, value]
        if len(values) != 2:
            raise ValueError("one number or a list of two (rows, columns) is expected")
        return single(values[0]), single(values[1])

    return read


def dimensions(value: Any) -> tuple[int, int]:
    """Rows and columns of an input; one number is the length of 1-D data."""
    single = integer(1)
    if isinstance(value, LineList) and len(value) in (1, 2):
        return single(value[0]), single(value[1]) if len(value) == 2 else 1
    if isinstance(value, LineList):
        raise ValueError("a length, or a list [rows, columns], is expected")
    return single(value), 1


def kernel(value: Any) -> tuple[int, ...]:
    """`3x3`, or one number (length of a 1-D kernel), as a tuple of one or two numbers."""
    parts = str(value).lower().split("x")
    if isinstance(value, bool) or len(parts) > 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise ValueError("a length such as 5, or rows x columns such as 3x3, is expected")
    return tuple(int(part) for part in parts)


def processors(count: int) -> ValueReader:
    """A map of `count` processors: a number, or text in hexadecimal that may hold `_` and `.` between digits."""

    def read(value: Any) -> int:
        found = value
        if isinstance(value, str):
            digits = value.replace("_", "").replace(".", "")
            try:
                found = int(digits, 16)
            except ValueError:
                found = None
        if type(found) is not int or not 0 < found < 1 << count:
            raise ValueError(f"a {count}-bit map of processors is expected, from 1 to {(1 << count) - 1:#x}")
        return found

    return read


def sequences(value: Any) -> tuple[int | str, ...]:
    """One layer or a list of layers, each by number or name (`input` or -1: the network's input)."""
    values = value if isinstance(value, LineList) else [value]
    if not values or not all(type(item) in (int, str) for item in values):
        raise ValueError("a layer or a list of layers, by number or name, is expected")
    return tuple(values)


def sequence(value: Any) -> int | str:
    """One layer by number or name, or `stop`."""
    if type(value) not in (int, str):
        raise ValueError("a layer number or name is expected")
    return value if isinstance(value, int) else str(value)
