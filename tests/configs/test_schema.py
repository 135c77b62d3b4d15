"""Mappings read by a table of keys: every mistake has its line, and what is right is used in spite of others."""

from __future__ import annotations

import pytest

from offramp.configs.errors import Diagnostic, Where
from offramp.configs.lines import parse_yaml
from offramp.configs.schema import Entry, Items, Key, Kind, Section, read_entry, read_value
from offramp.configs.values import boolean, integer, number, one_of, positive, probability, text
from offramp.documents import key_table

STOP = (Key("at", number, "When.", required=True), Key("kind", one_of(("a", "b")), "Which.", default="a"))
KEYS = (
    Key("name", text, "Its name.", required=True),
    Key("size", integer(1, 9), "Its size.", ("width",), default=3),
    Key("stops", Items(Section(STOP)), "All stops.", default=()),
    Key("parts", Section((), others=Section(STOP)), "Parts by name."),
)


def read(content: str) -> tuple[Entry, list[str]]:
    problems: list[Diagnostic] = []
    entry = read_entry(parse_yaml(content, "f.yaml"), KEYS, problems)
    return entry, [str(problem) for problem in problems]


def test_values_defaults_and_places() -> None:
    entry, problems = read("name: x\nwidth: 4\nstops:\n- {at: 1}\n- {at: 2, kind: b}\nparts:\n  p: {at: 5}\n")
    assert problems == []
    assert (entry["name"], entry["size"], entry["parts"]["p"]["at"]) == ("x", 4, 5.0)
    assert [(stop["at"], stop["kind"]) for stop in entry["stops"]] == [(1.0, "a"), (2.0, "b")]
    assert "size" in entry and entry.at("size").line == 2  # under its synonym
    assert entry["stops"][1].at("kind").line == 5
    assert read("name: x\n")[0]["size"] == 3
    assert "size" not in read("name: x\n")[0]


def test_every_mistake_is_told_with_its_line() -> None:
    content = "size: 10\ncolour: red\nstops:\n- {kind: c}\n- 7\n- {at: -1,\n   kind: b}\nparts: [1]\n"
    entry, problems = read(content)
    assert problems == [
        "f.yaml:2: unknown key `colour`; allowed: name, size, width, stops, parts",
        "f.yaml:1: `name` is missing",
        "f.yaml:1: `size: 10`; a whole number from 1 to 9 is expected",
        "f.yaml:4: `at` is missing",
        "f.yaml:4: `kind: c`; allowed: a, b",
        "f.yaml:5: `stops[1]: 7`; a mapping with `at` and optionally `kind` is expected",
        "f.yaml:6: `at: -1`; a number >= 0 is expected",
        "f.yaml:8: `parts: [1]`; a mapping of names is expected",
    ]
    assert entry["size"] == 3 and entry["stops"][1] is None and entry["stops"][2]["kind"] == "b"


def test_a_key_stands_once() -> None:
    assert read("name: x\nsize: 1\nwidth: 2\n")[1] == ["f.yaml:3: `size` and `width` mean the same; give one"]


@pytest.mark.parametrize("content", ["stops: []", "stops: {}", "stops:"])
def test_a_list_has_an_entry(content: str) -> None:
    problems = read(f"name: x\n{content}")[1]
    assert len(problems) == 1 and "a list with at least one entry is expected" in problems[0]


def test_a_long_value_is_shown_in_part() -> None:
    (problem,) = read(f"name: x\nsize: {'y' * 500}\n")[1]
    assert "yyy..." in problem and len(problem) < 150


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (integer(0), [0, 7], [-1, 1.0, True, "1", None]),
        (integer(1, 3), [1, 3], [0, 4]),
        (number, [0, 1.5], [-1, float("inf"), float("nan"), True, "1", None, []]),
        (positive, [0.1, 2], [0, -1, True]),
        (probability, [0.5], [0, 1, "x"]),
        (boolean, [True, False], [0, 1, "true", None]),
        (one_of(("a", 1)), ["a", 1], ["A", True, None, 1.0, []]),
        (one_of({"a": 1}, any_case=True), ["a", "A"], ["b", 1]),
        (text, ["x"], ["", 1, None]),
    ],
)
def test_kinds_of_values(kind: Kind, right: list[object], wrong: list[object]) -> None:
    for values, accepted in ((right, True), (wrong, False)):
        for value in values:
            problems: list[Diagnostic] = []
            read_value(kind, "v", value, Where("f.yaml", 1), problems)
            assert (not problems) == accepted, value


def test_the_table_documents_the_keys() -> None:
    assert key_table(KEYS).splitlines()[2:] == [
        "| `name` | Its name. Required. |",
        "| `size`, `width` | Its size. Default: `3`. |",
        "| `stops` | All stops. |",
        "| `stops[].at` | When. Required. |",
        "| `stops[].kind` | Which. Default: `a`. |",
        "| `parts` | Parts by name. |",
        "| `parts.NAME.at` | When. Required. |",
        "| `parts.NAME.kind` | Which. Default: `a`. |",
    ]
