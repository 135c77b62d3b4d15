"""The probe where snoop units decide how a run goes on: which layer fails, and which exit."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from offramp.cli import main
from offramp.codegen.program import Key
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.pipeline.compile import compile_probe
from offramp.pipeline.probe import Decided, exit_text, first_failure, judge
from offramp.pipeline.probe_log import read_log
from tests.helpers.probe_logs import printed, said
from tests.helpers.probed_boards import Board, first_difference, slot_of, wrong_bias
from tests.helpers.rolling import TCN
from tests.helpers.specs import GATED, TINY, Family, SmallNetwork, write_spec
from tests.helpers.wrong_accelerators import NeverDone, WrongWrites

if not importlib.util.find_spec("ziglang") and not shutil.which("arm-none-eabi-gcc"):
    pytest.skip("neither ziglang nor arm-none-eabi-gcc is installed", allow_module_level=True)

DEVICE = load_device("MAX78002")
ON_DEVICE = "device: MAX78002\n"
HARDWARE = ("hardware: {at_least: 0.3}", "hardware: {at_least: 0.5}")  # of the test images some leave at each stage
CORE = ("confidence: margin, threshold: 0.1", "confidence: margin, threshold: 0.3")


def text(first: str, second: str) -> str:
    stages = (
        f"stages:\n  - {{network: front, exit: {{{first}}}}}\n"
        f"  - {{network: main, until: first, head: head, exit: {{{second}}}}}\n  - {{network: main}}\n"
    )
    return TINY.spec(stages, front="", main="", head="") + ON_DEVICE


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """Three stages in one run, with an image that leaves at each of them."""
    made = Board(tmp_path_factory.mktemp("hardware"), text(*HARDWARE), TINY, DEVICE, samples=True)
    assert made.made.chain.runs == ((0, 1, 2),)
    assert made.expected_stages() == [0, 1, 2]
    return made


def test_all_layers_of_a_run_are_equal_wherever_the_input_leaves(board: Board) -> None:
    found = board.probe()
    assert [(one.layer.slot, one.input) for one in found] == [
        (slot, number) for slot in board.made.chain.slots for number in range(3)
    ]
    assert {one.outcome for one in found} == {"equal"}


def test_exits_do_what_the_reference_says(board: Board) -> None:
    found = board.findings().exits
    assert [(one.exit.stage, one.expected) for one in found] == [
        *((0, said) for said in ("leaves", "goes on", "goes on")),
        *((1, said) for said in ("left before", "leaves", "goes on")),
    ]
    assert all(one.right for one in found)
    assert [one.matches > 0 for one in found] == [True, False, False, False, True, False]


def test_gates_decide_as_the_reference_says(tmp_path: Path) -> None:
    """An output that is no class, alone."""
    exits = ["hardware: {gate: true, at_least: 0.1}"] * 2
    board = Board(tmp_path, text(*exits), GATED, DEVICE, samples=True)
    assert board.expected_stages() == [0, 1, 2]
    found = board.findings()
    assert {one.outcome for one in found.layers} == {"equal"}
    assert all(one.right for one in found.exits)
    assert [one.matches for one in found.exits] == [1, 0, 0, 0, 1, 0]


TWICE = """\
#include "offramp_probe.h"

int main(void)
{
    const offramp_probe_exit_t *exit = &offramp_probe.exits[0];
    const uint32_t wanted = exit->behind->wanted[0];
    uint32_t matches = 0u;
    bool good = offramp_open(offramp_probe.image, NULL) == OFFRAMP_OK;
    good = good && offramp_probe_run(exit->behind, &offramp_probe.inputs[0]) == OFFRAMP_OK;
    good = good && offramp_probe_checksum(exit->behind) == wanted;
    good = good && offramp_probe_exit(exit, &offramp_probe.inputs[0], &matches) == OFFRAMP_OK;
    return good && matches != 0u && offramp_probe_checksum(exit->behind) != wanted ? 0 : 1;
}
"""


def test_what_has_been_there_before_is_no_result_of_a_run_that_left(tmp_path: Path) -> None:
    """The layer behind the exit writes where no other does."""
    main_network = TINY.networks["main"]
    layers = main_network.layers.replace("output_processors: 0xff,", "output_processors: 0xff00,")
    layers = layers.replace("second, op: conv2d, processors: 0xff,", "second, op: conv2d, processors: 0xff00,")
    family = replace(TINY, networks={**TINY.networks, "main": replace(main_network, layers=layers)})
    stages = "stages:\n  - {network: front, exit: {hardware: {at_least: 0.01}}}\n  - {network: main}\n"
    board = Board(tmp_path, family.spec(stages, front="", main="") + ON_DEVICE, family, DEVICE)
    assert board.run(TWICE) == (0, "")


@pytest.mark.parametrize("name", ["main/0:first", "main/1:second"])
def test_a_wrong_bias_in_a_later_stage_of_the_run_is_found(name: str, tmp_path: Path) -> None:
    board = Board(tmp_path, text(*HARDWARE), TINY, DEVICE)
    slot = slot_of(board.made, name)
    flips, layer = wrong_bias(board.made, slot)
    found = board.failure(WrongWrites(board.clock, DEVICE, flips))
    assert found.layer.slot is slot and found.layer.stage > 0
    assert found.place is not None
    place, value, right = first_difference(board.made, slot, layer)
    assert [found.place.channel, found.place.row, found.place.column] == place
    assert (found.place.found, found.place.expected, found.place.channels) == (value, right, 1)


def test_inferences_after_a_probe_answer_as_before(board: Board) -> None:
    assert board.stages_afterwards() == [0, 1, 2]


@pytest.mark.parametrize("hardware", [0, 1])
def test_the_core_may_decide_at_another_exit(hardware: int, tmp_path: Path) -> None:
    exits = [HARDWARE[number] if number == hardware else CORE[number] for number in (0, 1)]
    board = Board(tmp_path, text(*exits), TINY, DEVICE, samples=True)
    found = board.findings()
    assert board.made.chain.runs == (((0, 1), (2,)), ((0,), (1, 2)))[hardware]
    assert {one.outcome for one in found.layers} == {"equal"}
    assert {one.layer.stage for one in found.layers} == {0, 1, 2}
    assert {one.exit.stage for one in found.exits} == {hardware} and all(one.right for one in found.exits)
    assert {one.expected for one in found.exits} == {"leaves", "goes on"}
    assert board.stages_afterwards() == board.expected_stages()


def test_layers_that_do_not_finish_are_errors_and_so_are_exits(board: Board) -> None:
    found = board.findings(NeverDone(board.clock, DEVICE, 2))  # the front, and a slot that stops, are three
    assert {one.error for one in found.exits} == {"timeout"}
    assert [one.outcome for one in found.layers] == ["equal"] * 6 + ["error"] * 15
    assert exit_text(found.exits[0], board.image) == "stage front, hardware exit, input 0: timeout"


BUFFERED = """stages:
  - {network: tcn, until: first, head: head, exit: {hardware: {at_least: 0.5}}}
  - {network: tcn}
"""


def test_an_exit_in_front_of_a_rolling_buffer_is_judged_by_what_lies_outside_of_it(tmp_path: Path) -> None:
    """With the first input a buffer that is shifted holds zeros before and after."""
    board = Board(
        tmp_path, TCN.spec(BUFFERED, head="", tcn="buffer_inputs: reached") + ON_DEVICE, TCN, DEVICE, samples=True
    )
    found = board.findings().exits
    behind = {board.made.chain.slots[one.exit.behind].name for one in found}
    assert behind == {"tcn/3:tcn0"}
    assert {(one.expected, one.goes_on) for one in found} == {("leaves", False), ("goes on", True)}
    assert all(one.right for one in found)


COPIES = Family(
    "copies",
    (4, 6, 6),
    3,
    40,
    {
        "main": SmallNetwork(
            """\
  - {name: first, op: conv2d, processors: 0xf, output_processors: 0xff, out_offset: 0x1000, pad: 1, data_format: HWC}
  - {name: copy, op: none, processors: 0xff, output_processors: 0xff, out_offset: 0x2000}
  - {name: answer, op: mlp, processors: 0xff, flatten: true, output_width: 32, out_offset: 0x3000}
""",
            ((8, 4, 3, 3), (3, 288)),
        ),
        "head": SmallNetwork(
            """\
  - {name: copy, op: none, processors: 0xff, output_processors: 0xff, out_offset: 0x2000, data_format: HWC}
  - {name: exit, op: mlp, processors: 0xff, flatten: true, output_width: 32, out_offset: 0x4000}
""",
            ((3, 288),),
            is_head=True,
        ),
    },
)


def test_a_result_that_is_there_already_says_nothing_of_an_exit(tmp_path: Path) -> None:
    """The layer behind the exit copies what the head has copied, to the same place."""
    stages = "stages:\n  - {network: main, until: first, head: head, exit: {hardware: {at_least: 0.1}}}\n"
    spec = COPIES.spec(f"{stages}  - network: main\n", main="", head="") + ON_DEVICE
    found = Board(tmp_path, spec, COPIES, DEVICE, samples=True).findings().exits
    assert {(one.expected, one.goes_on) for one in found} == {("leaves", None), ("goes on", None)}
    assert all(one.right for one in found)
    wrong = replace(found[0], matches=0 if found[0].matches else 1)
    assert not wrong.right


def wrong_exit(board: Board, register: str, mask: int, slot: int = 0) -> Decided:
    """The first exit that fails where a register, of the whole or of a slot, has some bits the other way round; no
    layer does."""
    quadrants = board.made.lowered.programs[0].quadrants
    flips = {DEVICE.register_address(register, quadrant, slot): mask for quadrant in quadrants}
    found = board.findings(WrongWrites(board.clock, DEVICE, flips))
    assert first_failure(found.layers) is None
    return next(one for one in found.exits if not one.right)


def test_a_threshold_that_is_too_low_is_found(board: Board) -> None:
    right = board.made.chain.exits[0].rule.threshold
    assert right is not None
    found = wrong_exit(board, "SNOOP1_D1", right ^ 1)
    expected = (
        "stage front, hardware exit, input 1: the count of matches is 1, and the run does not go on; it should go on"
    )
    assert exit_text(found, board.image) == expected


def test_an_exit_that_is_not_taken_is_found(board: Board) -> None:
    """The link of the second exit leads to the next stage, as if there were none."""
    program = board.made.lowered.programs[1]
    watched = program.positions[-1]
    link = program.settings[Key(program.quadrants[0], watched, "NXTLYR")]
    found = wrong_exit(board, "NXTLYR", link["next"] ^ (watched + 1), watched)
    expected = (
        "stage main-first, hardware exit, input 1: the count of matches is 1, and the run goes on; it should leave"
    )
    assert exit_text(found, board.image) == expected


def test_an_exit_that_is_always_taken_is_found(tmp_path: Path) -> None:
    """Without the unit's bit for it, the link is one like others."""
    board = Board(tmp_path, text(HARDWARE[0], CORE[1]), TINY, DEVICE, samples=True)
    found = wrong_exit(board, "SNOOP1_C1", DEVICE.registers["SNOOP1_C1"].encode({"link": 1}))
    expected = (
        "stage front, hardware exit, input 1: the count of matches is 0, and the run does not go on; it should go on"
    )
    assert exit_text(found, board.image) == expected


def test_a_log_without_all_exits_is_not_of_the_plan(board: Board) -> None:
    lines = said(board.printed())
    assert sum(line.startswith("exit ") for line in lines) == 6
    lines.remove(next(line for line in lines if line.startswith("exit 1 input 2")))
    with pytest.raises(InputError, match="log: has 5 hardware exits and inputs; 6 of the plan are expected"):
        judge(read_log(printed(lines), "log"), board.image)


@pytest.mark.slow
def test_the_exits_of_all_models_are_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    specs = []
    for name, exits in (("one", HARDWARE), ("two", (CORE[0], HARDWARE[1]))):
        (tmp_path / name).mkdir()
        path = write_spec(tmp_path / name, text(*exits).replace("name: tiny", f"name: {name}"), TINY)
        specs.append(str(path))
    build = tmp_path / "build"
    assert main(["build", *specs, "-o", str(build), "--images", "1", "-q"]) == 0
    assert main(["probe", str(build), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {(one["model"], one["stage"]) for one in found["exits"]} == {
        *(("one", "front"), ("one", "main-first"), ("two", "main-first"))
    }
    assert all(one["right"] for one in found["exits"])
    assert {one["outcome"] for one in found["results"]} == {"equal"}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `offramp build` makes of the same spec."""
    folder = tmp_path_factory.mktemp("built")
    spec = write_spec(folder, text(*HARDWARE), TINY)
    assert main(["build", str(spec), "-o", str(folder / "build"), "--images", "1", "-q"]) == 0
    return folder / "build"


@pytest.mark.slow
def test_the_command(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", str(build)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "leaves, goes on, goes on" in shown and "left before, leaves, goes on" in shown
    assert "21 results equal the integer reference, bit for bit; 6 decisions of hardware exits are as it says" in shown
    assert main(["probe", str(build), "--json"]) == 0
    exits = json.loads(capsys.readouterr().out)["exits"]
    assert [(one["stage"], one["expected"], one["right"]) for one in exits[2:4]] == [
        ("front", "goes on", True),
        ("main-first", "left before", True),
    ]


@pytest.mark.slow
def test_the_command_names_an_exit_that_fails(
    board: Board, build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, elf = tmp_path / "console.txt", tmp_path / "probe.elf"
    compile_probe(build / "firmware", elf)
    right = board.made.chain.exits[0].rule.threshold
    assert right is not None
    flips = {DEVICE.register_address("SNOOP1_D1"): right ^ 1}
    log.write_text(board.printed(WrongWrites(board.clock, DEVICE, flips), elf))
    assert main(["probe", str(build), "--log", str(log)]) == 1
    output = capsys.readouterr()
    assert "stage front, hardware exit, input 1: " in output.err and "it should go on" in output.err
    assert "leaves, different, different" in output.out
