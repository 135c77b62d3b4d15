"""`offramp run --fault`: what goes wrong on the board, and what the firmware says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from offramp.cli import main
from offramp.simulator.board.fault_names import FAULTS
from tests.helpers.specs import write_spec


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    assert main(["build", str(write_spec(folder)), "-o", str(folder / "out"), "--images", "1"]) == 0
    return folder / "out"


@pytest.mark.parametrize(
    ("fault", "errors"),
    [
        ("never-done", ["E_TIMEOUT"]),
        ("done-early@3", ["E_EARLY"]),
        ("hangs-until-reset", ["E_TIMEOUT"]),
        ("absent-zeros@4", ["E_TIMEOUT", "E_POWER"]),
        ("interrupt-lost", []),
    ],
)
def test_a_fault_is_an_error_or_does_no_harm(
    built: Path, fault: str, errors: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(built), "--images", "8", "--fault", fault]) == 0
    shown = capsys.readouterr().out
    found = [line.split(": ")[1] for line in shown.splitlines() if line.startswith("image ")]
    assert list(dict.fromkeys(found)) == errors
    assert f"{fault}: {8 - len(found)} of 8 answers equal the integer reference" in shown
    assert "0 are wrong without an error" in shown and "verified" not in shown


def test_a_wrong_answer_without_an_error_is_a_failed_check(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Data memory has no checksum."""
    assert main(["run", str(built), "--images", "8", "--fault", "data-overwritten", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["mismatches"] > 0
    assert "wrong answers without an error" in captured.err


def test_faults_are_listed(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(built), "--fault", "list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in FAULTS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "external-short"], "this build has no weights outside flash (`reload: external`)"),
        (["--fault", "rain"], "--fault rain: no such fault; list or one of these is expected: never-done"),
        (["--fault", "never-done@x"], "--fault never-done@x: `x`; the number of a start"),
        (["--fault", "never-done@0"], "`0`; the number of a start, from 1 on, is expected behind @"),
        (["--fault", "never-done", "--trace"], "--fault: not together with --trace or --profile"),
    ],
)
def test_faults_that_are_none(
    built: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(built), *arguments]) == 2
    assert message in capsys.readouterr().err
