"""Reading YAML by a table of keys: what each is called, whether it is required, what it may hold and what it means.

One table reads, checks and documents a mapping. This is own code because validators such as pydantic or jsonschema give
the path of a wrong value, not its line, and stop using a part of the file once something in it is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from offramp.configs.errors import Diagnostic, Where
from offramp.configs.lines import LineList, LineMap

SHOWN = 60  # characters of a wrong value in a message
LISTED = 10  # keys in a message


@dataclass(frozen=True)
class Key:
    """One key of a mapping.

    `kind`: a function that returns the value in our terms, or raises ValueError with what is expected; or a `Section`
    or `Items` for values that hold keys of their own. `meaning`: for the documentation, Markdown.
    `default`: the value if the key is missing or what it holds is wrong. `unless`: a key whose presence makes this one
    optional.
    """

    name: str
    kind: Kind
    meaning: str
    synonyms: tuple[str, ...] = ()
    required: bool = False
    default: Any = None
    unless: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.synonyms)


@dataclass(frozen=True)
class Section:
    """A mapping with the keys of a table. `others`: also any other keys, with values of this kind; None: no others.
    `word`: text that may stand instead of the mapping, and is then the value."""

    keys: tuple[Key, ...]
    others: Kind | None = None
    word: str = ""

    @property
    def expected(self) -> str:
        """What a message says is expected."""
        required = ", ".join(f"`{key.name}`" for key in self.keys if key.required)
        optional = ", ".join(f"`{key.name}`" for key in self.keys if not key.required)
        instead = f"`{self.word}`, or " if self.word else ""
        if not self.keys or len(self.keys) > LISTED:
            return f"{instead}a mapping of {'keys' if self.keys else 'names'}"
        listed = " and ".join(part for part in (required, optional and f"optionally {optional}") if part)
        return f"{instead}a mapping with {listed}"


@dataclass(frozen=True)
class Items:
    """A list of at least one entry of a kind. Read as a tuple, with None for entries of which nothing could be read."""

    kind: Kind


Kind = Callable[[Any], Any] | Section | Items


@dataclass(frozen=True)
class Entry:
    """A mapping as read. `values`: of all keys of its table; `stated`, `lines`: of the keys that are there, by name.

    A key that stands under a synonym counts as its name.
    """

    where: Where
    values: Mapping[str, Any]
    stated: Mapping[str, Any]  # as the file has them
    lines: Mapping[str, Where]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def __contains__(self, key: str) -> bool:
        return key in self.stated

    def at(self, key: str) -> Where:
        """Place of a key, or of the mapping if the key is not there."""
        return self.lines.get(key, self.where)


def read_entry(data: LineMap, keys: tuple[Key, ...], problems: list[Diagnostic]) -> Entry:
    """A mapping by its table; everything that is wrong is added to `problems`."""
    return _read_section(Section(keys), data, problems)


def _read_items(kind: Kind, label: str, value: Any, problems: list[Diagnostic]) -> tuple[Any, ...]:
    if not isinstance(value, LineList) or not value:
        raise ValueError("a list with at least one entry is expected")
    return tuple(
        read_value(kind, f"{label}[{index}]", item, value.at(index), problems) for index, item in enumerate(value)
    )


def _read_section(section: Section, data: LineMap, problems: list[Diagnostic]) -> Entry:
    known = {name for key in section.keys for name in key.names}
    values: dict[str, Any] = {}
    stated: dict[str, Any] = {}
    lines: dict[str, Where] = {}
    for name in data:
        if name in known:
            continue
        if section.others is None:
            allowed = ", ".join(name for key in section.keys for name in key.names)
            problems.append(Diagnostic(data.at(name), f"unknown key `{name}`; allowed: {allowed}"))
        else:
            values[name] = read_value(section.others, name, data[name], data.at(name), problems)
            stated[name], lines[name] = data[name], data.at(name)
    for key in section.keys:
        values[key.name] = key.default
        given = [name for name in data if name in key.names]
        if len(given) > 1:
            problems.append(Diagnostic(data.at(given[1]), f"`{given[0]}` and `{given[1]}` mean the same; give one"))
        for name in given[:1]:
            stated[key.name], lines[key.name] = data[name], data.at(name)
            value = read_value(key.kind, name, data[name], data.at(name), problems)
            values[key.name] = key.default if value is None else value
        if key.required and not given and key.unless not in data:
            problems.append(Diagnostic(data.where, f"`{key.name}` is missing"))
    return Entry(data.where, values, stated, lines)


def read_value(kind: Kind, label: str, value: Any, where: Where, problems: list[Diagnostic]) -> Any:
    """One value; None, and a problem at `where`, if it is wrong."""
    try:
        if isinstance(kind, Section):
            if kind.word and value == kind.word:
                return kind.word
            if not isinstance(value, LineMap):
                raise ValueError(f"{kind.expected} is expected")
            return _read_section(kind, value, problems)
        if isinstance(kind, Items):
            return _read_items(kind.kind, label, value, problems)
        return kind(value)
    except ValueError as error:
        shown = str(value) if len(str(value)) <= SHOWN else f"{str(value)[:SHOWN]}..."
        problems.append(Diagnostic(where, f"`{label}: {shown}`; {error}"))
        return None
