"""Logs: damage is noticed with its line, what terminals add is passed over."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.cli import main
from offramp.configs.errors import InputError
from offramp.silicon.log import parse_log
from offramp.silicon.verdicts import Verdict
from tests.helpers.silicon import answers, model_log


def lines() -> list[str]:
    return model_log().splitlines()


def problem(text: str) -> str:
    with pytest.raises(InputError) as caught:
        answers(text)
    return str(caught.value)


def rewritten(words: list[str]) -> str:
    """Lines with the words after the number, numbered and with right checksums."""
    crc, made = 0, []
    for number, text in enumerate(words):
        line = f"silicon {number} {text}"
        crc = zlib.crc32(line.encode(), crc)
        made.append(f"{line} {crc:08x}")
    return "\n".join(made)


def bodies() -> list[str]:
    return [" ".join(line.split(" ")[2:-1]) for line in lines()]


def test_the_log_as_it_was_printed() -> None:
    assert rewritten(bodies()) == model_log().rstrip("\n")


def test_a_value_that_was_changed() -> None:
    text = lines()
    text[4] = text[4][:-12] + ("1" if text[4][-12] == "0" else "0") + text[4][-11:]
    assert problem("\n".join(text)).startswith("log:5: checksum ")


def test_a_line_that_is_missing() -> None:
    assert problem("\n".join(lines()[:6] + lines()[7:])) == "log:7: line 7 of the log; line 6 is expected here"


def test_a_line_that_is_there_twice() -> None:
    assert problem("\n".join(lines()[:6] + lines()[5:])) == "log:7: line 5 of the log; line 6 is expected here"


def test_a_line_that_is_torn() -> None:
    text = lines()
    text[9] = text[9][:15]
    assert problem("\n".join(text)).startswith("log:10: damaged: ")


def test_a_log_that_ends_early() -> None:
    found = problem("\n".join(lines()[:20]))
    assert found.startswith("log:20: the log ends here, without `end` while question `rewrite` was asked")


def test_no_log() -> None:
    assert problem("hello\n") == "log: no line begins with `silicon 0 start`; a log of the questions is expected"


def test_other_questions() -> None:
    words = bodies()
    digest = words[0].rpartition("=")[2]
    words[0] = words[0].replace(digest, "00000000")
    found = problem(rewritten(words))
    assert f"a log of questions 00000000; this version of Offramp asks {digest}" in found


def test_another_device() -> None:
    words = bodies()
    words[0] = words[0].replace("MAX78000", "MAX99999")
    assert "log:1: a log of a MAX99999; of a MAX78000 is expected" in problem(rewritten(words))


def test_another_format() -> None:
    words = bodies()
    words[0] = words[0].replace("format=1", "format=2")
    assert "format 2; this version reads 1" in problem(rewritten(words))


def test_measurements_that_nobody_asked_for() -> None:
    words = [text.replace("control.conv1d", "control.conv9d") for text in bodies()]
    assert "control.conv1d, control.conv9d" in problem(rewritten(words))


def test_what_a_terminal_adds_is_passed_over() -> None:
    text = [f"[12:00:01.{index:03}] {line}\r" for index, line in enumerate(lines())]
    assert parse_log("\n".join(["boot, silicon revision A", "", *text, "bye"]), "log").board == "virtual"


def test_a_chip_that_starts_anew_begins_a_new_log() -> None:
    assert answers("\n".join(lines()[:30] + lines())).keys() == answers(model_log()).keys()


def test_a_board_without_a_clock() -> None:
    words = [text.replace("saw cycles.wide", "saw cycles.wide no-clock") for text in bodies()]
    found = answers(rewritten(words))["cycles"]
    assert (found.verdict, found.saw[:28]) == (Verdict.UNKNOWN, "wide: no clock on this board")


def test_a_fault_where_a_value_is_assumed() -> None:
    words = [text.replace("memories.biases", "memories.biases bus-fault") for text in bodies()]
    assert answers(rewritten(words))["memories"].verdict == Verdict.DIFFERS


def test_a_fault_where_nothing_is_assumed() -> None:
    words = [text.replace("unpowered.data refused", "unpowered.data bus-fault") for text in bodies()]
    found = answers(rewritten(words))["unpowered"]
    assert (found.verdict, found.saw) == (Verdict.NEW, "data: bus fault; as assumed: 1 of 2")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_change_of_a_character_goes_unnoticed(data: st.DataObject) -> None:
    """A changed log is refused with a line, unless all that it says is the same."""
    text = model_log()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("0123456789abcdef gz\n."))
    changed = text[:place] + other + text[place + 1 :]
    try:
        found = parse_log(changed, "log")
    except InputError as error:
        assert all(problem.where and problem.where.line for problem in error.problems)
    else:
        assert found == parse_log(text, "log")


def test_damage_ends_the_command_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "chip.log"
    path.write_text("\n".join(lines()[:20]))
    assert main(["silicon", str(path)]) == 2
    assert f"{path}:20: " in capsys.readouterr().err
