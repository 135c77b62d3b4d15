"""Results that are no logits: detectors, maps, single outputs; from networks on disk to firmware that is verified."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from offramp.cli import main
from offramp.codegen.image import BY_CLASS
from offramp.host.files import write_tree
from offramp.pipeline.answers import board_answers
from offramp.pipeline.building import firmware_files
from offramp.pipeline.compile import compile_firmware
from offramp.pipeline.emulate import compare, verify
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.images import image_of
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.calls import Status
from offramp.simulator.board.run import run_program
from offramp.simulator.board.session import Session
from offramp.simulator.clock import Clock
from tests.helpers.plans import plan_of
from tests.helpers.specs import write_network


@dataclass(frozen=True)
class Shaped:
    """A network: its input, its layers as in YAML, the shapes of its weights, and its result."""

    input: tuple[int, int, int]
    layers: str
    weights: tuple[tuple[int, ...], ...]
    result: tuple[int, int, int]


CONV = "pad: 1, activate: ReLU"
HALF = f"{CONV}, max_pool: 2, pool_stride: 2"
FIRST = "data_format: HWC"


def detector(channels: int, side: int, last: str = "pad: 1, activate: None", bits: int = 8) -> Shaped:
    """A small backbone whose last layer gives `channels` values for each of `side` x `side` fields."""
    width = ", output_width: 32" if bits == 32 else ""
    layers = f"  - {{op: conv2d, {CONV}, {FIRST}}}\n  - {{op: conv2d, {HALF}}}\n  - {{op: conv2d, {last}{width}}}\n"
    side_of_kernel = 1 if "1x1" in last else 3
    kernels = ((8, 3, 3, 3), (12, 8, 3, 3), (channels, 12, side_of_kernel, side_of_kernel))
    return Shaped((3, 2 * side, 2 * side), layers, kernels, (channels, side, side))


def image(channels: int, side: int, last: str) -> Shaped:
    """As many pixels as the input has."""
    layers = f"  - {{op: conv2d, {CONV}, {FIRST}}}\n  - {{op: conv2d, {last}}}\n"
    kernel = 1 if "1x1" in last else 3
    weights = ((16, channels, 3, 3), (channels, 16, kernel, kernel))
    return Shaped((channels, side, side), layers, weights, (channels, side, side))


POINT = "kernel_size: 1x1, pad: 0, activate: None"
SHAPES = {
    # detectors: values of every field of a grid, or boxes in one vector
    "detector-20x2x2": detector(20, 2),
    "detector-24x4x4": detector(24, 4, POINT),
    "detector-5x3x3-wide": detector(5, 3, bits=32),
    "detector-7x7": detector(11, 7),
    "detector-84x2x2": detector(84, 2, POINT),
    "detector-rows": Shaped(
        (3, 8, 4),
        f"  - {{op: conv2d, {HALF}, {FIRST}}}\n  - {{op: conv2d, {POINT}, output_width: 32}}\n",
        ((8, 3, 3, 3), (6, 8, 1, 1)),
        (6, 4, 2),
    ),
    "detector-flat": Shaped(
        (3, 8, 8),
        f"  - {{op: conv2d, {HALF}, {FIRST}}}\n  - {{op: mlp, flatten: true, output_width: 32}}\n",
        ((8, 3, 3, 3), (100, 128)),
        (100, 1, 1),
    ),
    # maps
    "map-2x32x32": image(2, 32, "pad: 1, activate: None"),
    "map-2x32x32-relu": image(2, 32, "pad: 1, activate: ReLU"),
    "map-2x32x32-up": Shaped(
        (2, 32, 32),
        f"  - {{op: conv2d, {HALF}, {FIRST}}}\n  - {{op: convtranspose2d, pad: 1, activate: None}}\n",
        ((2, 2, 3, 3), (2, 2, 3, 3)),
        (2, 32, 32),
    ),
    # single outputs
    "single-value": Shaped(
        (3, 8, 8),
        f"  - {{op: conv2d, {HALF}, {FIRST}}}\n  - {{op: mlp, flatten: true, output_width: 32}}\n",
        ((8, 3, 3, 3), (1, 128)),
        (1, 1, 1),
    ),
    "single-byte": Shaped(
        (3, 8, 8),
        f"  - {{op: conv2d, {HALF}, {FIRST}}}\n  - {{op: mlp, flatten: true, activate: ReLU}}\n",
        ((8, 3, 3, 3), (1, 128)),
        (1, 1, 1),
    ),
    "single-series": Shaped(
        (2, 40, 1),
        f"  - {{op: conv1d, kernel_size: 3, {CONV}, {FIRST}}}\n  - {{op: conv1d, kernel_size: 1, pad: 0}}\n",
        ((8, 2, 3), (1, 8, 1)),
        (1, 40, 1),
    ),
}
IMAGES = 6


def write_shaped(folder: Path, shaped: Shaped, more: str = "", labels: bool = False) -> Path:
    """The network, test data, and a spec of one stage."""
    write_network(folder, "net", shaped.layers, shaped.weights)
    rng = np.random.default_rng(5)
    x = rng.integers(-128, 128, (IMAGES, *shaped.input)).astype(np.int8)
    if labels:
        np.savez(folder / "test.npz", x=x, y=rng.integers(0, 10, IMAGES))
    else:
        np.savez(folder / "test.npz", x=x)
    size = "x".join(map(str, shaped.input if shaped.input[2] > 1 else shaped.input[:2]))
    text = "offramp: 1\nname: shaped\nnetworks:\n"
    text += f"  net: {{network: net.yaml, checkpoint: net.pth.tar, input: {size}}}\n"
    path = folder / "spec.yaml"
    path.write_text(f"{text}data: {{test: test.npz}}\nstages:\n  - {{network: net{more}}}\n")
    return path


@pytest.mark.parametrize("name", SHAPES)
def test_a_result_of_any_shape_is_verified(name: str, tmp_path: Path) -> None:
    """All of it, bit for bit; labels of test data mean nothing then."""
    shaped = SHAPES[name]
    flat = shaped.result == (100, 1, 1)  # which could be 100 classes
    made = plan_of(write_shaped(tmp_path, shaped, labels=not flat))
    evaluation = evaluate_plan(made.plan)
    assert evaluation is not None and evaluation.accuracy == (1.0 if flat else None)
    write_tree(tmp_path / "firmware", firmware_files(image_of(made), [evaluation]))
    elf = compile_firmware(tmp_path / "firmware", tmp_path / "firmware.elf").elf
    expected = evaluation.profiled
    emulated = verify(elf, evaluation.data.x, made.plan.placed, expected, lambda done: None)
    assert emulated.mismatches == () and emulated.verified.answers == IMAGES
    answers = board_answers(made.chain, emulated.run)
    assert answers.result(1).shape == shaped.result and len(np.unique(answers.results)) > 1
    expected.results[-1][1, -1] ^= 1  # the last value counts too
    assert len(compare(emulated.run, made.chain, expected)) == 1


def test_the_first_look_finds_a_result_without_a_class(tmp_path: Path) -> None:
    """Whatever the application's struct held before: the session fills it with noise."""
    made = plan_of(write_shaped(tmp_path, SHAPES["map-2x32x32"]))
    evaluation = evaluate_plan(made.plan)
    assert evaluation is not None
    write_tree(tmp_path / "firmware", firmware_files(image_of(made), [evaluation]))
    elf = compile_firmware(tmp_path / "firmware", tmp_path / "firmware.elf").elf
    clock = Clock(made.device)
    with Session(elf, Accelerator(made.device, clock), made.device, clock=clock) as session:
        assert session.open().status is Status.OK
        assert session.begin(0, evaluation.data.x[0].tobytes()).status is Status.OK
        found = session.poll()
        assert found.status is Status.OK
        assert (found.result.stage, found.result.class_index, found.result.confidence) == (0, 0, 0)
        assert session.set_threshold(0, 0, BY_CLASS).status is Status.E_ARGUMENT
        session.close()


def test_what_cannot_be_judged_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_shaped(tmp_path, SHAPES["detector-20x2x2"])
    assert main(["build", str(path), "-o", str(tmp_path / "out"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["accuracy"] == {"staged": None, "full": None, "images": IMAGES, "against": None}
    assert figures["stages"][0]["confidence"] is None and figures["stages"][0]["accuracy_alone"] is None
    assert figures["cycles"]["mean"] == figures["cycles"]["full"]
    assert main(["run", str(tmp_path / "out"), "-o", str(tmp_path / "answers.csv"), "--images", "2"]) == 0
    assert "result 20x2x2" in capsys.readouterr().out
    rows = (tmp_path / "answers.csv").read_text().splitlines()
    assert rows[0].endswith("value_78,value_79") and len(rows) == 3


def test_the_demonstration_compares_the_whole_result(tmp_path: Path) -> None:
    made = plan_of(write_shaped(tmp_path, SHAPES["map-2x32x32"]))
    evaluation = evaluate_plan(made.plan)
    for change, status in ((0, 0), (1, 1)):
        assert evaluation is not None
        evaluation.profiled.results[-1][0, -1] ^= change
        folder = tmp_path / f"firmware-{change}"
        write_tree(folder, firmware_files(image_of(made), [evaluation]))
        elf = compile_firmware(folder, tmp_path / "firmware.elf", main="src/main.c").elf
        clock = Clock(made.device)
        found, said = run_program(elf, Accelerator(made.device, clock), made.device, clock=clock)
        assert found == status and said.endswith("*** FAIL ***\n" if status else "*** PASS ***\n")
        assert "result, stage 0, cycles: " in said


STOPPED = """\
  - {op: conv2d, name: one, pad: 1, activate: ReLU, data_format: HWC}
  - {op: conv2d, name: two, pad: 1, activate: ReLU, max_pool: 2, pool_stride: 2}
  - {op: conv2d, name: three, pad: 1, activate: ReLU}
  - {op: mlp, name: four, flatten: true, output_width: 32}
"""


def test_the_last_stage_may_end_inside_its_network(tmp_path: Path) -> None:
    """The result is that layer's tensor, and what follows it is neither loaded nor run."""
    shaped = Shaped((3, 8, 8), STOPPED, ((8, 3, 3, 3), (8, 8, 3, 3), (8, 8, 3, 3), (4, 128)), (8, 4, 4))
    made = plan_of(write_shaped(tmp_path, shaped, ", until: two"))
    (stage,) = made.chain.stages
    assert [slot.layer.name for slot in stage.slots] == ["one", "two"]
    assert stage.name == "net-two" and made.chain.networks["net"].layers[-1].name == "two"
    evaluation = evaluate_plan(made.plan)
    assert evaluation is not None
    write_tree(tmp_path / "firmware", firmware_files(image_of(made), [evaluation]))
    elf = compile_firmware(tmp_path / "firmware", tmp_path / "firmware.elf").elf
    emulated = verify(elf, evaluation.data.x, made.plan.placed, evaluation.profiled, lambda done: None)
    assert emulated.mismatches == ()
    assert board_answers(made.chain, emulated.run).result(0).shape == shaped.result


def test_a_result_that_no_application_has_memory_for_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """48 maps of 60 x 60 bytes do not fit the core's memory, though the accelerator's holds them."""
    layers = f"  - {{op: conv2d, {CONV}, {FIRST}}}\n"
    path = write_shaped(tmp_path, Shaped((3, 60, 60), layers, ((48, 3, 3, 3),), (48, 60, 60)))
    assert main(["build", str(path), "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "the largest result and the largest input take 183,600 bytes; the core has 131,072" in said
