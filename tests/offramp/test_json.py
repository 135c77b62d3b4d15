"""`--json`: one document on standard output, whatever happens; with `-q`, nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from offramp.cli import main
from offramp.configs.records import json_text
from tests.helpers.specs import FRONT, TINY, write_spec, write_staged


def document(capsys: pytest.CaptureFixture[str], code: int, *words: str | Path) -> Any:
    """What a command prints with `--json`; it must end with `code`."""
    assert main([*map(str, words), "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", ["plan", "cost", "compare"])
@pytest.mark.parametrize("level", ["-v", ""])
def test_a_spec_as_json(command: str, level: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_staged(tmp_path)
    assert document(capsys, 0, command, spec, *filter(None, [level]))["format"] == 1


@pytest.mark.parametrize("command", ["plan", "cost", "compare"])
def test_quiet_prints_nothing(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_staged(tmp_path)
    assert main([command, str(spec), "-q"]) == main([command, str(spec), "-q", "--json"]) == 0
    assert main([command, str(tmp_path / "gone.yaml"), "-q", "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1


@pytest.mark.parametrize("command", [["plan"], ["build", "-o", "out"], ["cost"], ["compare"], ["check"], ["run"]])
def test_what_is_wrong_is_json_too(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = tmp_path / "gone.yaml"
    content = document(capsys, 2, *command, gone)
    assert content.keys() == {"format", "problems"}
    assert [(one["file"], one["line"]) for one in content["problems"]] == [(str(gone), None)]


def test_problems_have_their_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_spec(tmp_path, FRONT + "colour: red\n")
    (problem,) = document(capsys, 2, "plan", spec)["problems"]
    assert problem["file"] == str(spec) and "unknown key `colour`" in problem["message"]
    assert spec.read_text().splitlines()[problem["line"] - 1] == "colour: red"
    (problem,) = document(capsys, 2, "check", tmp_path / "main.yaml", "--input", "9")["problems"]
    assert problem["file"] is None and problem["message"].startswith("--input 9: ")


def test_layers_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_spec(tmp_path)
    words = ("check", tmp_path / "main.yaml", "--checkpoint", tmp_path / "main.pth.tar", "--input", TINY.input)
    assert [layer["index"] for layer in document(capsys, 0, *words)["layers"]] == [0, 1, 2, 3]


@pytest.mark.parametrize("command", ["plan", "compare"])
def test_a_file_that_cannot_be_written_is_the_only_news(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (problem,) = document(capsys, 2, command, write_staged(tmp_path), "-o", tmp_path)["problems"]
    assert "cannot be written" in problem["message"]


def test_json_has_numbers_only() -> None:
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            json_text({"value": value})
