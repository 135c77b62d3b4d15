"""YAML of anybody: bounded, and only plain values."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.configs.bounds import TEXT_FILE
from offramp.configs.errors import InputError
from offramp.configs.lines import load_yaml, parse_yaml
from tests.helpers.memory import memory_below


def refused(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "a.yaml")
    return str(caught.value)


def test_plain_values_and_aliases() -> None:
    text = "a: &one [1, 0x10, 1.5, true, null, text, 2024-02-30]\nb: *one\n2: two\n"
    read = parse_yaml(text, "a.yaml")
    assert read["a"] == read["b"] == [1, 16, 1.5, True, None, "text", "2024-02-30"]
    assert read["2"] == "two" and read.at("2").line == 3


def test_aliases_of_aliases() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with memory_below(200 << 20):
        assert "more than 100,000 values, those of aliases counted again" in refused("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: &a [*a]", "a.yaml:1: more than 64 mappings and lists within each other"),
        ("a: &a {b: *a}", "a.yaml:1: more than 64 mappings and lists within each other"),
        ("a:\n " + "[" * 100 + "]" * 100, "a.yaml:2: more than 64 mappings"),
        ("a: " + "[" * 100_000, "a.yaml:1: not valid YAML"),
        ("a: 1\nb: !!bool foo", "a.yaml:2: `foo` is no bool"),
        ("a: !!int x", "a.yaml:1: `x` is no int"),
        ("a: !!float x", "a.yaml:1: `x` is no float"),
        ("a: !!python/object/apply:os.system [ls]", "a.yaml:1: tag `python/object/apply:os.system`"),
        ("a: !!set {b}", "a.yaml:1: tag `set`; plain values"),
        ("a: !!str {b: 1}", "a.yaml:1: tag `str`; plain values"),
        ("a: !own 1", "a.yaml:1: tag `!own`; plain values"),
        ("a: !!binary aGVsbG8=", "a.yaml:1: tag `binary`; plain values"),
        ("? [a]\n: 1", "a.yaml:1: a mapping or list as a key"),
        ("a: 0x" + "f" * 5000, "a.yaml:1: a number of 5002 digits"),
        ("a: " + "1" * 5000, "a.yaml:1: a number of 5000 digits"),
        ("a: " + ":".join(["1"] * 5000), "a.yaml:1: a number of 9999 digits"),
    ],
)
def test_what_is_refused_at_its_line(text: str, complaint: str) -> None:
    assert refused(text).startswith(complaint)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: \xff")
    with pytest.raises(InputError, match="cannot be read: not UTF-8 text"):
        load_yaml(path)
    path.write_text("a: " + "x" * TEXT_FILE)
    with pytest.raises(InputError, match="cannot be read: 1,048,579 bytes; at most 1,048,576 are allowed"):
        load_yaml(path)
