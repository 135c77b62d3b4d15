"""Readers of single YAML values: each returns the value in our terms or raises ValueError that says what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from offramp.configs.lines import LineList

Reader = Callable[[Any], Any]


def integer(low: int, high: int | None = None) -> Reader:
    """A number from `low` to `high` (no upper end if None)."""
    allowed = f"a number >= {low}" if high is None else f"a number from {low} to {high}"

    def read(value: Any) -> int:
        if type(value) is not int or value < low or (high is not None and value > high):
            raise ValueError(f"{allowed} is expected")
        return value

    return read


def one_of(choices: Mapping[Any, Any]) -> Reader:
    """One of the keys of `choices` (text in any case); its value is returned."""

    def read(value: Any) -> Any:
        key = value.lower() if isinstance(value, str) else value
        if isinstance(key, bool) or not isinstance(key, str | int) or key not in choices:
            raise ValueError(f"allowed: {', '.join(str(choice) for choice in choices)}")
        return choices[key]

    return read


def boolean(value: Any) -> bool:
    if value not in (True, False):
        raise ValueError("true or false is expected")
    return bool(value)


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a name is expected")
    return value


def anything(value: Any) -> Any:
    """For keys whose presence alone decides."""
    return value


def pair(low: int) -> Reader:
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


def processors(count: int) -> Reader:
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
