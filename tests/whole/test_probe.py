"""Which layer fails: the probe's firmware on the virtual board, with and without something wrong."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from offramp.cli import main
from offramp.codegen.load_images import weight_runs
from offramp.codegen.probe import probe_of
from offramp.configs.errors import CheckFailed, InputError
from offramp.pipeline.compile import compile_probe
from offramp.pipeline.images import image_of
from offramp.pipeline.planning import Planned
from offramp.pipeline.probe import judge, pattern, run_on_board
from offramp.pipeline.probe_log import read_log
from offramp.planner.ir.chain import Slot
from offramp.planner.ir.network import Layer
from offramp.planner.reference.profile import chain_tensors
from offramp.simulator.clock import Clock
from tests.helpers.firmware_builds import COMPILERS
from tests.helpers.plans import plan_of
from tests.helpers.probe_logs import printed, said
from tests.helpers.probed_boards import Board, first_difference, slot_of, wrong_bias
from tests.helpers.specs import STAGED, THREE, TINY, write_spec
from tests.helpers.wrong_accelerators import NeverDone, WrongWrites

if not importlib.util.find_spec("ziglang") and not shutil.which("arm-none-eabi-gcc"):
    pytest.skip("neither ziglang nor arm-none-eabi-gcc is installed", allow_module_level=True)

FIFO = STAGED.spec(
    "stages:\n  - {network: streaming, exit: {confidence: entropy, threshold: 0}}\n  - {network: front}\n",
    streaming="fifo: true",
    front="fifo: true",
)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """Three stages: a front, a branch with a head, and the rest of main."""
    return Board(tmp_path_factory.mktemp("three"), THREE, TINY)


def test_all_layers_of_all_stages_are_equal_where_nothing_is_wrong(board: Board) -> None:
    found = board.probe()
    assert [one.layer.slot for one in found] == list(board.made.chain.slots)
    assert {one.outcome for one in found} == {"equal"}
    assert {one.layer.stage for one in found} == {0, 1, 2}


def test_what_streams_is_not_visible_and_what_follows_is(tmp_path: Path) -> None:
    found = Board(tmp_path, FIFO, STAGED).probe()
    assert [one.outcome for one in found] == ["not visible", *["equal"] * 5]
    assert found[0].layer.streams_to is found[1].layer.slot


def wrong_weight(made: Planned, slot: Slot) -> tuple[dict[int, int], Layer]:
    """The sign of the first tap of the first output channel's kernel, for input channel 3 in processor 3."""
    assert slot.layer.weights is not None
    start = made.plan.placed.placement.weights[slot.name]
    runs = (run for run in weight_runs(made.plan.placed) if run.processor == 3)
    run = next(run for run in runs if run.start <= start < run.start + len(run.data))
    column_bytes = made.device.memories["weights"].word_bytes
    word, byte = divmod((start - run.start) * column_bytes, 4)
    address = made.device.weight_address(3) + run.start * made.device.express_stride + 4 * word
    weights: npt.NDArray[np.int8] = slot.layer.weights.copy()
    weights[0, 3].reshape(-1)[0] ^= -128
    return {address: 0x80 << 8 * (3 - byte)}, replace(slot.layer, weights=weights)


def wrong_register(made: Planned, slot: Slot) -> tuple[dict[int, int], Layer]:
    """ReLU off."""
    stage = next(stage for stage in made.chain.stages if slot in stage.slots)
    address = made.device.register_address("LCTRL0", 0, stage.slots.index(slot))
    return {address: made.device.registers["LCTRL0"].encode({"relu": 1})}, replace(slot.layer, activation="none")


@pytest.mark.parametrize("wrong", [wrong_bias, wrong_weight])
def test_a_wrong_weight_or_bias_is_found(
    board: Board, wrong: Callable[[Planned, Slot], tuple[dict[int, int], Layer]]
) -> None:
    made = board.made
    slot = slot_of(made, "main/1:second")
    flips, layer = wrong(made, slot)
    accelerator = WrongWrites(board.clock, made.device, flips)
    found = board.failure(accelerator)
    assert accelerator.flipped == 1
    assert found.layer.slot is slot
    assert found.place is not None
    place, value, right = first_difference(made, slot, layer)
    assert [found.place.channel, found.place.row, found.place.column] == place
    assert (found.place.found, found.place.expected, found.place.channels) == (value, right, 1)


def test_a_wrong_register_is_found(tmp_path: Path) -> None:
    """In the first stage, so that the same slot of a later one is not wrong before."""
    board = Board(tmp_path, TINY.spec("stages:\n  - network: main\n", main=""), TINY)
    slot = slot_of(board.made, "main/1:second")
    flips, layer = wrong_register(board.made, slot)
    found = board.failure(WrongWrites(board.clock, board.made.device, flips))
    assert found.layer.slot is slot
    assert found.place is not None
    place, value, right = first_difference(board.made, slot, layer)
    assert [found.place.channel, found.place.row, found.place.column] == place
    assert (found.place.found, found.place.expected) == (value, right)
    assert found.place.channels > 1


def test_layers_that_do_not_finish_are_errors_and_the_others_are_not(board: Board) -> None:
    found = board.probe(NeverDone(board.clock, board.made.device, 2))
    wanted = ["equal" if one.layer.layer < 2 else "error" for one in found]
    assert [one.outcome for one in found] == wanted
    assert {one.error for one in found} == {"", "timeout"}


def test_values_of_a_layer_on_request(board: Board) -> None:
    log = read_log(board.printed(elf=board.compiled(values=1)), "board")
    layer = probe_of(board.made.lowered).layers[1]
    assert layer.result is not None
    expected = chain_tensors(board.made.chain, pattern(board.made.chain)[None])[layer.slot.writes][0]
    assert list(log.values) == [(1, 0)]
    found = log.tensor(1, 0, layer.result.bits)
    assert found is not None
    assert found.tolist() == expected.ravel().tolist()


def test_inferences_after_a_probe_answer_as_before(board: Board) -> None:
    assert board.stages_afterwards() == board.expected_stages()


@pytest.mark.parametrize("compiler", COMPILERS)
def test_both_compilers_take_it_without_a_warning(board: Board, compiler: str, tmp_path: Path) -> None:
    compile_probe(board.folder, tmp_path / "probe.elf", compiler, values=3)


def test_a_damaged_image_is_not_probed(tmp_path: Path) -> None:
    board = Board(tmp_path, THREE, TINY)
    path = next(board.folder.glob("src/*_image.c"))
    text = path.read_text()
    at = text.index(".weight_words")
    at = text.index("0x", at) + 9
    path.write_text(text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :])
    assert read_log(board.printed(elf=board.compiled()), "board").error == "image"


def test_what_the_model_refuses_is_said_with_how_far_it_came(board: Board) -> None:
    address = board.made.device.register_address("TPTR", 0, 1)
    with pytest.raises(
        CheckFailed, match=r"refused.*, after it had printed `layer \d+ input 0 model 0 stage 0 layer 0 crc"
    ):
        board.probe(WrongWrites(board.clock, board.made.device, {address: 1}))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (r"^image \w+", f"image {'0' * 32}", f"is of another build: the image has the digest {'0' * 32}, that of this"),
        (r" layers \d+ ", " layers 1 ", "has 1 layers; the plan has 7"),
        (r"^input 0 model 0 crc \w+", "input 0 model 0 crc 00000000", "input 0 has the checksum 00000000, which no"),
    ],
)
def test_logs_that_do_not_belong_to_the_plan(board: Board, old: str, new: str, message: str) -> None:
    """Each is whole: the lines have their checksums."""
    lines = [re.sub(old, new, line) for line in said(board.printed())]
    if "layers 1" in new:
        lines = [line for line in lines if not re.match("layer [1-9]", line)]
    with pytest.raises(InputError, match=message):
        judge(read_log(printed(lines), "log"), board.image)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_spec(tmp_path, THREE.replace("0.5", "0.12").replace("0.6", "1.03"))  # images leave at several stages
    build = tmp_path / "build"
    assert main(["build", str(spec), "-o", str(build), "--images", "1", "-q"]) == 0
    assert main(["probe", str(build), "--json", "--values", "2", "-o", str(tmp_path / "values.npz")]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert {one["outcome"] for one in results} == {"equal"}
    assert len({one["input"] for one in results}) > 1
    assert "layer_2_input_0" in np.load(tmp_path / "values.npz")
    log = tmp_path / "console.txt"
    made = plan_of(spec)
    flips, _ = wrong_bias(made, slot_of(made, "main/1:second"))
    clock = Clock(made.device)
    elf = tmp_path / "probe.elf"
    compile_probe(build / "firmware", elf)
    log.write_text("boot\n" + run_on_board(elf, image_of(made), WrongWrites(clock, made.device, flips), clock))
    assert main(["probe", str(build), "--log", str(log)]) == 1
    assert "stage main, layer 0 (main/1:second), input 0: channel 5, row " in capsys.readouterr().err
    assert main(["probe", str(build), "--log", str(spec)]) == 2
    assert "holds no line `offramp probe 1`" in capsys.readouterr().err
