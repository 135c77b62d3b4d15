"""What a rolling buffer sees when inputs leave early: allowed, refused, or chosen in the spec."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.cli import main
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.planner.chain.build import build_chain
from offramp.planner.chain.sources import read_sources
from offramp.planner.ir.chain import Chain
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import ManualSpec
from tests.helpers.rolling import EVERY, REACHED, TCN
from tests.helpers.specs import write_network, write_spec

DEVICE = load_device()


def build(folder: Path, text: str) -> Chain:
    spec = load_spec(write_spec(folder, text, TCN), DEVICE)
    assert isinstance(spec, ManualSpec)
    return build_chain(spec, read_sources(spec, DEVICE), DEVICE)


def refused(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        build(folder, text)
    return str(caught.value)


def test_a_head_reads_the_buffer_of_its_network(tmp_path: Path) -> None:
    chain = build(tmp_path, EVERY)
    assert [slot.reads for slot in chain.stages[0].slots][-1] == ("quick:roll",)
    assert [slot.into for slot in chain.slots] == [None, "quick:roll", "quick:roll", None, None, None, None]
    assert list(chain.buffers) == ["quick:roll"] and not chain.misses_inputs


def test_a_front_needs_to_be_allowed(tmp_path: Path) -> None:
    assert build(tmp_path, REACHED).misses_inputs
    said = refused(tmp_path, REACHED.replace(", buffer_inputs: reached", ""))
    assert "spec.yaml:10: data buffer `roll` of stage `tcn` misses the inputs that leave at `front`" in said
    assert (
        "cut behind layer `insert`, so that it sees all of them; or `buffer_inputs: reached` for network `tcn`" in said
    )


# The head reads what `first` writes, or what `shift` does.
HALF = TCN.spec(
    """\
stages:
  - network: tcn
    until: shift
    head: head
    exit: {confidence: margin, threshold: 0.2}
  - network: tcn
""",
    head="",
    tcn="buffer_inputs: reached",
)


SHORT_HEAD = """\
  - {name: exit, op: mlp, processors: 0xff00, flatten: true, output_width: 32, data_format: HWC, output_processors: 0x7,
     out_offset: 0x5000}
"""


def test_no_exit_between_a_shift_and_its_insertion(tmp_path: Path) -> None:
    write_spec(tmp_path, HALF, TCN)
    write_network(tmp_path, "head", SHORT_HEAD, [(3, 56)])
    spec = load_spec(tmp_path / "spec.yaml", DEVICE)
    assert isinstance(spec, ManualSpec)
    with pytest.raises(InputError) as caught:
        build_chain(spec, read_sources(spec, DEVICE), DEVICE)
    said = str(caught.value)
    assert "data buffer `roll` is written in stage `tcn-shift` and in stage `tcn`" in said
    assert "half written: cut in front of these layers or behind" in said


def test_an_exit_in_front_of_both(tmp_path: Path) -> None:
    chain = build(tmp_path, HALF.replace("until: shift", "until: first"))
    assert [[slot.into for slot in stage.slots] for stage in chain.stages] == [
        [None, None],
        ["tcn:roll", "tcn:roll", None, None, None],
    ]


def test_thresholds_that_decide_what_a_buffer_sees_are_not_calibrated(tmp_path: Path) -> None:
    text = REACHED.replace(", threshold: 0.5", "") + "calibrate: {data: calibration, accuracy_drop: 1}\n"
    assert "state these thresholds: they cannot be chosen by answers that depend on them" in refused(tmp_path, text)


def test_an_exit_behind_the_buffer_is_calibrated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = EVERY.replace(", threshold: 0.08", "") + "calibrate: {data: calibration, accuracy_drop: 5}\n"
    assert main(["plan", str(write_spec(tmp_path, text, TCN))]) == 0
    assert "quick-insert" in capsys.readouterr().out


@pytest.mark.parametrize("chosen", [False, True])
def test_a_risk_needs_images_that_are_independent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], chosen: bool
) -> None:
    goal = "data: calibration, accuracy_drop: 5, risk: {delta: 0.1}"
    text = EVERY.replace(", threshold: 0.08", "") + f"calibrate: {{{goal}}}\n"
    if chosen:
        text = TCN.spec(f"exits: auto\nmain: quick\nchoose: {{{goal}, minimise: cycles}}\n", quick="")
    assert main(["plan", str(write_spec(tmp_path, text, TCN))]) == 2
    assert "those of networks with rolling buffers follow one another" in capsys.readouterr().err


def test_chosen_stages_let_buffers_see_every_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A head behind the buffer may be chosen; a front may not, and its thresholds are none that could be chosen."""
    keys = "exits: auto\nmain: quick\nchoose: {data: calibration, minimise: cycles, accuracy_drop: 100}\n"
    assert main(["plan", str(write_spec(tmp_path, TCN.spec(keys, quick=""), TCN))]) == 0
    assert "quick-2" in capsys.readouterr().out
    assert main(["plan", str(write_spec(tmp_path, TCN.spec(keys, front="", quick=""), TCN))]) == 2
    said = capsys.readouterr().err
    assert "network `front` cannot run before `quick`: data buffer `roll` of stage `quick` misses the inputs" in said
    text = TCN.spec(keys, front="", quick="buffer_inputs: reached")
    assert main(["plan", str(write_spec(tmp_path, text, TCN))]) == 2
    assert "`front` cannot run before `quick`: data buffer `roll` sees the inputs that" in capsys.readouterr().err


def test_a_head_does_not_write_to_the_buffer_of_the_others(tmp_path: Path) -> None:
    text = EVERY.replace("[quick]", "[insert, quick]").replace("until: insert", "until: first")
    assert "layer `insert` of a head writes to data buffer `roll`, which others use" in refused(tmp_path, text)
