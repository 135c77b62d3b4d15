"""Reading a spec strictly: keys, values and their meaning, with every problem collected and none raised early."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from offramp.configs.errors import Diagnostic, Where
from offramp.configs.lines import LineMap

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
LABEL = re.compile(r'[^"\\\x00-\x1f\x7f?]+')  # what can stand in a C string as it is; C99 has trigraphs


class Reader:
    """Reads parts of one spec and collects its problems; `folder` is the one that its paths are relative to."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self.problems: list[Diagnostic] = []

    def wrong(self, where: Where, message: str) -> None:
        self.problems.append(Diagnostic(where, message))

    def names(self, data: LineMap, key: str) -> tuple[str, ...]:
        """An optional list of names."""
        value = data.get(key, [])
        if isinstance(value, list) and all(type(one) in (str, int) for one in value):
            return tuple(map(str, value))
        self.wrong(data.at(key), f"`{key}` is a list of names")
        return ()

    def keys(self, data: LineMap, needed: tuple[str, ...], optional: tuple[str, ...]) -> None:
        for key in data:
            if key not in needed + optional:
                self.wrong(data.at(key), f"unknown key `{key}`; allowed: {', '.join(needed + optional)}")
        for key in needed:
            if key not in data:
                self.wrong(data.where, f"`{key}` is missing")

    def name(self, data: LineMap, default: str) -> str:
        """The spec's or a stage's name, which also names files of the build."""
        value = data.get("name", default)
        name = str(value)
        if value is None or not NAME.fullmatch(name):
            allowed = "letters, digits, `_`, `.` and `-`, at most 64, not the last two first"
            self.wrong(data.at("name"), f"the name `{name}`; {allowed}: give another `name`")
        return name

    def labels(self, data: LineMap) -> tuple[str, ...]:
        """Optional names of the classes, which the firmware prints."""
        labels = self.names(data, "labels")
        for one in labels:
            if not LABEL.fullmatch(one):
                message = f"label {one!r}; no quotes, backslashes, question marks or control characters, and not empty"
                self.wrong(data.at("labels"), message)
        return labels

    def section(self, data: LineMap, key: str) -> LineMap:
        value = data.get(key, LineMap(data.where))
        if isinstance(value, LineMap):
            return value
        self.wrong(data.at(key), f"`{key}` is a mapping of names")
        return LineMap(data.at(key))

    def value(self, data: LineMap, key: str, convert: Callable[[Any], Any], meaning: str) -> Any:
        """data[key] converted, None if it is absent; a problem if `convert` raises ValueError or TypeError."""
        if key not in data:
            return None
        try:
            return convert(data[key])
        except (ValueError, TypeError):
            self.wrong(data.at(key), f"`{key}` is {data[key]!r}; {meaning} is expected")
            return None

    def mapping(self, data: Any, what: str) -> LineMap:
        if isinstance(data, LineMap):
            return data
        self.wrong(Where(str(self.folder)), f"{what} is a mapping of keys")
        return LineMap(Where(str(self.folder)))


def one_of(*allowed: str) -> Callable[[object], str]:
    def convert(value: object) -> str:
        if value not in allowed:
            raise ValueError
        return str(value)

    return convert


def layer_reference(value: object) -> str | int:
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise TypeError
    return value


def number(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise ValueError
    return float(value)


def positive(value: object) -> float:
    if not (result := number(value)):
        raise ValueError
    return result
