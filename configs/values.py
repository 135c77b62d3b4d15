"""Kinds of single YAML values: each returns the value in our terms or raises ValueError with what is expected."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import date as calendar_date
from typing import Any

LARGEST = sys.float_info.max  # what a fraction can be
MOST = 1 << 31  # what a whole number without another limit can be

ValueReader = Callable[[Any], Any]


def integer(low: int, high: int | None = None) -> ValueReader:
    """A whole number from `low` to `high` (no upper end if None)."""
    allowed = f"a whole number >= {low}" if high is None else f"a whole number from {low} to {high}"

    def read(value: Any) -> int:
        if type(value) is int and high is None and value > MOST:
            raise ValueError(f"a whole number from {low} to {MOST} is expected")
        if type(value) is not int or value < low or (high is not None and value > high):
            raise ValueError(f"{allowed} is expected")
        return value

    return read


def number(value: Any) -> float:
    """A finite number >= 0."""
    return _real(value, 0 <= value <= LARGEST if type(value) in (int, float) else False, "a number >= 0")


def positive(value: Any) -> float:
    """A finite number > 0."""
    return _real(value, 0 < value <= LARGEST if type(value) in (int, float) else False, "a number > 0")


def probability(value: Any) -> float:
    """A number between 0 and 1, neither of them."""
    return _real(value, 0 < value < 1 if type(value) in (int, float) else False, "a probability between 0 and 1")


def _real(value: Any, allowed: bool, expected: str) -> float:
    if not allowed:
        raise ValueError(f"{expected} is expected")
    return float(value)


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false is expected")
    return value


def one_of(choices: Mapping[Any, Any] | Iterable[Any], any_case: bool = False) -> ValueReader:
    """One of `choices`; of a mapping, one of its keys, whose value is returned. `any_case`: text in any case."""
    table = choices if isinstance(choices, Mapping) else {choice: choice for choice in choices}

    def read(value: Any) -> Any:
        key = value.lower() if any_case and isinstance(value, str) else value
        if type(key) not in (str, int) or key not in table:
            raise ValueError(f"allowed: {', '.join(str(choice) for choice in table)}")
        return table[key]

    return read


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("text is expected")
    return value


def date(value: Any) -> str:
    """A day as YYYY-MM-DD, which YAML may have read as a date already."""
    try:
        return calendar_date.fromisoformat(str(value)).isoformat()
    except ValueError as error:
        raise ValueError("a day as YYYY-MM-DD is expected") from error


def anything(value: Any) -> Any:
    """For keys whose presence alone decides."""
    return value
