"""`offramp silicon`, through the command line's front."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from offramp.cli import main
from offramp.configs.device import build_device, device_file
from offramp.configs.lines import parse_yaml
from tests.helpers.paths import ROOT
from tests.helpers.silicon import model_log, questions


@pytest.fixture
def chip_log(tmp_path: Path) -> Path:
    """The log of the virtual board as a chip's: with another board's name, and checksums for it."""
    lines, crc = [], 0
    for line in model_log().splitlines():
        text = line.rpartition(" ")[0].replace("board=virtual", "board=EvKit_V1")
        crc = zlib.crc32(text.encode(), crc)
        lines.append(f"{text} {crc:08x}")
    path = tmp_path / "chip.log"
    path.write_text("\r\n".join(lines))
    return path


def test_the_virtual_board_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["silicon", "--save", str(tmp_path / "virtual.log")]) == 0
    out = capsys.readouterr().out
    assert (
        "MAX78000, board virtual" in out and "The virtual board answered: the accelerator's model, not a chip." in out
    )
    assert (tmp_path / "virtual.log").read_text() == model_log()
    assert out.count("agrees") == len(questions())


def test_a_chips_log_as_json(chip_log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["silicon", str(chip_log), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["device"], found["board"]) == ("MAX78000", "EvKit_V1")
    assert [one["name"] for one in found["questions"]] == [one.name for one in questions()]
    assert "virtual" not in json.dumps(found)


def test_an_answer_that_differs_ends_with_1(chip_log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, crc = [], 0
    for line in chip_log.read_text().splitlines():
        text = line.rpartition(" ")[0]
        if "saw bias-quadrants.two" in text:
            text = text[:-8] + "00000000"
        crc = zlib.crc32(text.encode(), crc)
        lines.append(f"{text} {crc:08x}")
    chip_log.write_text("\n".join(lines))
    assert main(["silicon", str(chip_log)]) == 1
    out = capsys.readouterr().out
    assert out.count("differs") == 1 and "two: 00000000" in out


def test_lines_for_the_device_file(chip_log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed is read as evidence when it is added to the file."""
    source = 'J. Doe, "EvKit": rev. C'
    main(["silicon", str(chip_log), "--source", source, "--date", "2026-01-31"])
    out = capsys.readouterr().out
    lines = out[out.index("evidence:") :]
    device = build_device(parse_yaml(device_file("MAX78000").read_text(encoding="utf-8") + lines, "max78000.yaml"))
    facts = [one.fact for one in device.evidence]
    assert facts == [one.name for one in questions()]
    assert {(one.source, one.date) for one in device.evidence} == {(source, "2026-01-31")}


def test_the_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["silicon", "-o", str(tmp_path / "silicon")]) == 0
    assert (tmp_path / "silicon" / "src" / "silicon_script.c").is_file()
    assert "docs/SILICON.md" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-o", "x", "LOG"], "-o writes the firmware; it takes no LOG"),
        (["LOG", "--save", "x"], "--save is for the log of the virtual board"),
        (["LOG", "--source", "me"], "--source and --date: both are needed"),
        (["--source", "me", "--date", "2026-01-31"], "--source needs the LOG of a chip"),
        (["LOG", "--source", "me", "--date", "yesterday"], "--date yesterday: a day as YYYY-MM-DD is expected"),
        (["nowhere.log"], "nowhere.log: cannot be read"),
        (["--device", "MAX1"], "there is no device `MAX1`"),
    ],
)
def test_what_is_wrong(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["silicon", *words]) == 2
    assert complaint in capsys.readouterr().err


def test_a_log_of_the_virtual_board_is_no_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "virtual.log"
    path.write_text(model_log())
    assert main(["silicon", str(path), "--source", "me", "--date", "2026-01-31"]) == 2
    assert f"{path}:1: a log of the virtual board, which is no evidence" in capsys.readouterr().err


def test_the_page_explains_every_question() -> None:
    page = (ROOT / "docs" / "SILICON.md").read_text(encoding="utf-8")
    assert all(f"| `{one.name}` | {one.asks} |" in page for one in questions())
