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
from offramp.host.files import write_tree
from offramp.pipeline.building import firmware_files
from offramp.pipeline.compile import compile_probe, find_compiler, library_sources, run_compiler
from offramp.pipeline.images import image_of
from offramp.pipeline.planning import Planned
from offramp.pipeline.probe import Probed, first_failure, judge, pattern, run_on_board
from offramp.pipeline.probe_log import read_log
from offramp.planner.ir.chain import Slot
from offramp.planner.ir.network import Layer
from offramp.planner.reference.layers import run_layer
from offramp.planner.reference.profile import chain_tensors
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.run import run_program
from offramp.simulator.clock import Clock
from tests.helpers.firmware_builds import COMPILERS
from tests.helpers.plans import plan_of
from tests.helpers.probe_logs import printed, said
from tests.helpers.specs import STAGED, THREE, TINY, Family, write_spec
from tests.helpers.wrong_accelerators import NeverDone, WrongWrites

if not importlib.util.find_spec("ziglang") and not shutil.which("arm-none-eabi-gcc"):
    pytest.skip("neither ziglang nor arm-none-eabi-gcc is installed", allow_module_level=True)

FIFO = STAGED.spec(
    "stages:\n  - {network: streaming, exit: {confidence: entropy, threshold: 0}}\n  - {network: front}\n",
    streaming="fifo: true",
    front="fifo: true",
)


class Board:
    """The firmware of a spec, without test images: its input is the pattern."""

    def __init__(self, folder: Path, spec: str, family: Family) -> None:
        self.made = plan_of(write_spec(folder, spec, family))
        self.image = image_of(self.made)
        self.folder = folder / "firmware"
        self.clock = Clock(self.made.device)
        write_tree(self.folder, firmware_files(self.image, [None]))
        self.elf = self.compiled()

    def compiled(self, values: int | None = None) -> Path:
        elf = self.folder / f"probe{'' if values is None else values}.elf"
        compile_probe(self.folder, elf, values=values)
        return elf

    def printed(self, accelerator: Accelerator | None = None, elf: Path | None = None) -> str:
        accelerator = accelerator or Accelerator(self.made.device, self.clock)
        return run_on_board(elf or self.elf, self.image, accelerator, self.clock)

    def probe(self, accelerator: Accelerator | None = None) -> tuple[Probed, ...]:
        return judge(read_log(self.printed(accelerator), "board"), self.image)

    def failure(self, accelerator: Accelerator) -> Probed:
        found = first_failure(self.probe(accelerator))
        assert found is not None
        return found


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


def slot_of(made: Planned, name: str) -> Slot:
    return next(slot for slot in made.chain.slots if slot.name == name)


def first_difference(made: Planned, slot: Slot, wrong: Layer) -> tuple[list[int], int, int]:
    """Place, wrong value and right value of the first difference if `wrong` runs in the place of a slot's layer."""
    tensors = chain_tensors(made.chain, pattern(made.chain)[None])
    expected = tensors[slot.writes][0]
    found = run_layer(wrong, [tensors[tensor] for tensor in slot.reads])[0]
    place = np.argwhere(found != expected)[0]
    return place.tolist(), int(found[tuple(place)]), int(expected[tuple(place)])


def wrong_bias(made: Planned, slot: Slot) -> tuple[dict[int, int], Layer]:
    """The sign of the bias of channel 5."""
    assert slot.layer.bias is not None
    place = made.plan.placed.placement.biases[slot.name]
    bias = slot.layer.bias.copy()
    bias[5] ^= -128
    return {made.device.bias_address(place.quadrant, place.start + 5): 0x80}, replace(slot.layer, bias=bias)


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


AFTERWARDS = """\
#include "offramp_port.h"
#include "offramp_probe.h"

static void poll_at_once(void *context)
{
    (void)context;
}

static bool same(void)
{
    static int32_t values[2][16];
    offramp_result_t results[2];
    bool good = true;
    for (uint32_t i = 0u; i < offramp_probe.layer_count; i++) {
        for (uint32_t k = 0u; k < 2u; k++) {
            good = good && offramp_infer(0u, OFFRAMP_CHW, offramp_probe.inputs[0].data, &results[k]) == OFFRAMP_OK;
            good = good && offramp_output_words(values[k], 16u) == OFFRAMP_OK;
            good = good && offramp_self_test(OFFRAMP_TEST_REGISTERS) == OFFRAMP_OK;
            if (k == 0u) {
                good = good && offramp_probe_run(&offramp_probe.layers[i], &offramp_probe.inputs[0]) == OFFRAMP_OK;
                good = good && offramp_output_words(values[k], 16u) == OFFRAMP_NOT_READY;
            }
        }
        good = good && results[0].stage == results[1].stage && results[0].confidence == results[1].confidence;
        for (uint32_t k = 0u; k < 16u; k++) {
            good = good && values[0][k] == values[1][k];
        }
    }
    return good;
}

int main(void)
{
    const offramp_options_t options = {.wait = poll_at_once};
    offramp_statistics_t statistics = {0};
    bool good = offramp_open(offramp_probe.image, &options) == OFFRAMP_OK && same();
    (void)offramp_statistics(&statistics);
    offramp_port_print(good && statistics.reloads == 0u ? "same" : "different");
    return 0;
}
"""


def test_inferences_after_a_probe_answer_as_before(board: Board) -> None:
    (board.folder / "afterwards.c").write_text(AFTERWARDS)
    sources = [*library_sources(board.folder), "probe/offramp_probe.c", "probe/tiny_probe.c", "afterwards.c"]
    elf = board.folder / "afterwards.elf"
    run_compiler(find_compiler(), board.folder, sources, elf, ["-Isrc", "-Iprobe"])
    device = board.made.device
    assert run_program(elf, Accelerator(device, board.clock), device, clock=board.clock) == (0, "same")


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
