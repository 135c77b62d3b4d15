"""Parts that stages, candidates and their data have in common."""

from __future__ import annotations

from collections.abc import Collection

from offramp.configs.errors import Diagnostic, Where
from offramp.configs.schema import Entry
from offramp.planner.spec.keys import file_name
from offramp.planner.spec.spec import AnswersSpec, HeadSpec


class Problems(list[Diagnostic]):
    """Collects what is wrong with a spec."""

    def wrong(self, where: Where, message: str) -> None:
        self.append(Diagnostic(where, message))


def known(entry: Entry, key: str, names: Collection[str], problems: Problems) -> str:
    """The name that a key refers to; a problem if nothing has it."""
    name = entry[key]
    if name is not None and name not in names:
        problems.wrong(entry.at(key), f"`{key}`: there is no `{name}`; there are: {', '.join(names) or 'none'}")
    return name or ""


def check_name(entry: Entry, default: str, problems: Problems) -> str:
    """The name that a stage is given, or its default, which names files of the build just the same."""
    if entry["name"] is not None:
        return str(entry["name"])
    if default and "name" not in entry:
        try:
            file_name(default)
        except ValueError as error:
            problems.wrong(entry.where, f"the name `{default}`; {error}")
    return default


def read_head(entry: Entry, networks: Collection[str], problems: Problems) -> HeadSpec | None:
    """What `head` says, None without one."""
    value = entry["head"]
    if isinstance(value, str):
        return HeadSpec(entry.at("head"), known(entry, "head", networks, problems), ())
    return HeadSpec(entry.at("head"), None, value) if value else None


def read_answers(entry: Entry, key: str = "answers") -> AnswersSpec | None:
    """What `answers` says, None without it."""
    value = entry[key]
    if value is None:
        return None
    if isinstance(value, str | int):
        return AnswersSpec(entry.at(key), always=value)
    return AnswersSpec(entry.at(key), by_class=tuple(value.items()))


def read_delta(entry: Entry, problems: Problems) -> float | None:
    """`risk: {delta: 0.05}`, None without one."""
    risk, drop = entry["risk"], entry["accuracy_drop"]
    if risk is None:
        return None
    if drop is not None and not 0 < drop / 100 < 1:
        problems.wrong(entry.at("risk"), "a guarantee on new data needs an `accuracy_drop` between 0 and 100 points")
    delta: float | None = risk["delta"]
    return delta
