"""Logs of the probe: what is read from a console, and what is refused, with the line."""

from __future__ import annotations

import pytest

from offramp.configs.errors import Damaged, InputError, OfframpError
from offramp.pipeline.probe_log import read_log
from tests.helpers.probe_logs import printed

DIGEST = "00112233445566778899aabbccddeeff"
HEAD = ("offramp probe 1", f"image {DIGEST} layers 3 inputs 1", "input 0 model 0 crc 0000abcd")
LINES = (
    *HEAD,
    "layer 0 input 0 model 0 stage 0 layer 0 not visible",
    "layer 1 input 0 model 0 stage 0 layer 1 crc 12345678",
    "values 1 input 0 from 0 00ff80",
    "values 1 input 0 from 3 7f",
    "layer 2 input 0 model 0 stage 1 layer 0 error time is over",
    "end",
)


def test_a_whole_log() -> None:
    log = read_log(printed(LINES), "log")
    assert (log.digest, log.layers, log.inputs, log.error) == (DIGEST, 3, ((0, 0xABCD),), None)
    assert [(line.number, line.crc, line.error) for line in log.lines] == [
        (0, None, None),
        (1, 0x12345678, None),
        (2, None, "time is over"),
    ]
    values = log.tensor(1, 0, 8)
    assert values is not None
    assert values.tolist() == [0, -1, -128, 127]
    assert log.tensor(2, 0, 8) is None


def test_several_models_each_with_inputs_of_its_own() -> None:
    """Every layer has to be there, with all inputs of its model and no others."""
    lines = (
        f"offramp probe 1|image {DIGEST} layers 2 inputs 3|input 0 model 0 crc 0000abcd|input 1 model 1 crc 0000abce|"
        "input 2 model 1 crc 0000abcf|layer 0 input 0 model 0 stage 0 layer 0 crc 00000001|"
        "layer 1 input 1 model 1 stage 0 layer 0 crc 00000002|layer 1 input 2 model 1 stage 0 layer 0 crc 00000003|end"
    ).split("|")
    log = read_log(printed(lines), "log")
    assert log.inputs == ((0, 0xABCD), (1, 0xABCE), (1, 0xABCF))
    assert [log.model_of(number) for number in range(3)] == [0, 1, None]
    for missing in (5, 6, 7):
        with pytest.raises(Damaged, match="layers and inputs"):
            read_log(printed([*lines[:missing], *lines[missing + 1 :]]), "log")
    with pytest.raises(Damaged, match="layers and inputs"):
        read_log(printed([*lines[:6], *lines[8:]]), "log")


def test_values_of_32_bits() -> None:
    lines = [*LINES[:5], "values 1 input 0 from 0 fffffffe0000000a", *LINES[7:]]
    values = read_log(printed(lines), "log").tensor(1, 0, 32)
    assert values is not None
    assert values.tolist() == [-2, 10]


def test_what_hardware_exits_did() -> None:
    """Where a build has some, they follow behind the layers."""
    lines = [
        *LINES[:-1],
        "exit 0 input 0 model 0 stage 0 matches 12 crc 0000beef",
        "exit 1 input 0 model 0 stage 1 error timeout",
        "end",
    ]
    log = read_log(printed(lines), "log")
    assert [(one.number, one.input, one.matches, one.crc, one.error) for one in log.exits] == [
        (0, 0, 12, 0xBEEF, None),
        (1, 0, 0, None, "timeout"),
    ]
    assert read_log(printed(LINES), "log").exits == ()
    with pytest.raises(Damaged, match="log:9: is no line of a probe here: `exit 0 input 0 model 0 stage 0`"):
        read_log(printed([*LINES[:-1], "exit 0 input 0 model 0 stage 0", "end"]), "log")


@pytest.mark.parametrize(
    "text",
    [
        "boot\n\nhello #12345678\n" + printed(LINES) + "bye",
        printed(LINES).replace("\n", "\r\n"),
        printed(LINES)[:200] + "\n" + printed(LINES),  # the board was reset
    ],
    ids=["between other lines", "from a terminal", "again after a reset"],
)
def test_what_a_console_adds_does_not_matter(text: str) -> None:
    assert len(read_log(text, "log").lines) == 3


def test_an_image_that_was_not_opened() -> None:
    log = read_log(printed([*HEAD, "error image damaged", "end"]), "log")
    assert (log.error, log.lines) == ("image damaged", ())


WHOLE = printed(LINES)
ROWS = WHOLE.splitlines(keepends=True)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", InputError, "log: holds no line `offramp probe 1`"),
        (printed(["offramp probe 2", *LINES[1:]]), InputError, "log:1: is `offramp probe 2`; this version"),
        ("".join(ROWS[:5]), Damaged, "log:5: the log ends here"),
        ("".join(ROWS[:5]) + ROWS[5][:10], Damaged, "log:6: is damaged"),
        ("".join(ROWS[:4] + ROWS[5:]), Damaged, "log:5: is damaged, or lines before it are missing"),
        (WHOLE.replace("12345678 #", "12345679 #"), Damaged, "log:5: is damaged"),
        ("x\n" + WHOLE.replace("12345678 #", "12345679 #"), Damaged, "log:6: is damaged"),
        (WHOLE.replace(ROWS[2], "a task printed this\n" + ROWS[2]), Damaged, "log:3: is damaged"),
        (printed([*LINES[:4], "layer one", *LINES[4:]]), Damaged, "log:5: is no line of a probe here: `layer one`"),
        (printed([*LINES[:6], "values 1 input 0 from 0 7f", *LINES[7:]]), Damaged, "log:7: is no line"),
        (printed([*LINES[:7], "end"]), Damaged, "log:8: the log has 2 layers and inputs; 3 are expected"),
    ],
)
def test_what_is_refused(text: str, kind: type[OfframpError], message: str) -> None:
    with pytest.raises(kind) as caught:
        read_log(text, "log")
    assert str(caught.value).startswith(message)
    assert caught.value.exit_code == 2
