"""The C generator: its text, what it refuses, and both compilers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.codegen.firmware import (
    BiasRun,
    BusWrite,
    Firmware,
    Guard,
    InputLayout,
    InputRun,
    KnownAnswer,
)
from offramp.codegen.render import render
from offramp.configs.errors import CheckFailed, InputError
from offramp.pipeline.compile import compile_firmware, find_compiler
from offramp.planner.ir.chain import ExitRule
from offramp.simulator.board.run import run, run_program
from tests.helpers.fake_accelerator import FakeAccelerator
from tests.helpers.firmware_builds import COMPILERS, build, write_firmware
from tests.helpers.small_firmware import (
    CLASSES,
    DEVICE,
    FRONT,
    SHAPE,
    row_of,
    small_firmware,
    small_model,
    stage,
    weights_at,
    write,
)

GENERATED = (
    "README.txt",
    "project.mk",
    "emulator/board_device.h",
    "emulator/board_image.h",
    "include/cnn_regs.h",
    "include/small_image.h",
    "shim/cnn.h",
    "src/main.c",
    "src/small_image.c",
    "src/small_samples.c",
)


@pytest.mark.parametrize("name", GENERATED)
def test_generated_text(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"firmware/{name}", render(small_firmware(), DEVICE)[name])


def test_sources_of_the_emulator_stay_out_of_the_sdks_build() -> None:
    files = render(small_firmware(), DEVICE)
    searched = {name for name in files if name.endswith(".c") and not name.startswith("emulator/")}
    assert {name.split("/")[0] for name in searched} == {"probe", "shim", "src"}
    assert {"Makefile", "project.mk", "src/main.c", "src/offramp_port_msdk.c"} <= set(files)
    assert list(files) == sorted(files)


def single(**changes: Any) -> Firmware:
    """One stage, 32-bit logits in the first instance."""
    fields: dict[str, Any] = {"quadrants": (0,), "result": row_of(DEVICE.data_address(0, 128))} | changes
    return small_firmware(stages=(stage("main", **fields),))


def with_stage(**changes: Any) -> Firmware:
    first, last = small_model().stages
    return small_firmware(stages=(replace(first, **changes), last))


def with_exit(**changes: Any) -> Firmware:
    rule = small_model().stages[0].exit
    assert rule is not None
    return with_stage(exit=replace(rule, **changes))


def with_result(**changes: Any) -> Firmware:
    return with_stage(result=replace(small_model().stages[0].result, **changes))


def with_run(**changes: Any) -> Firmware:
    layout = small_model().input
    runs = (replace(layout.runs[0], **changes), layout.runs[1])
    return small_firmware(input=replace(layout, runs=runs))


def with_test(**changes: Any) -> Firmware:
    return replace(small_firmware(), tests=(replace(small_firmware().tests[0], **changes),))


def with_chunk(**changes: Any) -> Firmware:
    return replace(SMALL, weights=(replace(SMALL.weights[0], **changes),))


SMALL = small_firmware()
REGISTER = DEVICE.register_address("LCNT_MAX")
DATA = DEVICE.data_address(0, 0)
WEIGHTS = DEVICE.weight_address(0)


@pytest.mark.parametrize(
    ("firmware", "message"),
    [
        (replace(SMALL, models=()), "there is no stage"),
        (small_firmware(stages=()), "there is no stage"),
        (replace(SMALL, name="a b"), "name `a b`: letters"),
        (small_firmware(name="a b"), "model name `a b`: letters"),
        (replace(SMALL, models=SMALL.models * 2), "models small, small: each needs a name of its own"),
        (with_stage(name=""), "stage name ``: letters"),
        (small_firmware(labels=("one",)), "front: 3 classes, which are the answers, of which there are 1"),
        (small_firmware(labels=("a", "b", 'c"')), "no quotes"),
        (replace(SMALL, digest=b"short"), "digest of 5 bytes; 16 are expected"),
        (replace(SMALL, init=(BusWrite(DATA, 0),)), "init: 0x50400000 is not a register"),
        (replace(SMALL, readable=(BusWrite(DATA, 0),)), "readable: 0x50400000 is not a register"),
        (replace(SMALL, guards=(Guard(DATA, 1, 0),)), "guards: 0x50400000 is not a register"),
        (replace(SMALL, guards=(Guard(REGISTER, 1, 2),)), "0x2 under 0x1 has bits that LCNT_MAX or the mask does not"),
        (replace(SMALL, guards=(Guard(REGISTER, 1 << 31, 0),)), "bits that LCNT_MAX or the mask does not have"),
        (with_stage(registers=(*FRONT[:3], BusWrite(FRONT[3].address, 1 << 31))), "bits that LCNT_MAX does not have"),
        (with_stage(stop=(BusWrite(REGISTER, -1),)), "bits that LCNT_MAX does not have"),
        (with_stage(registers=FRONT[::-1]), "stage front: its registers are not those of the first stage"),
        (with_stage(registers=FRONT[:3]), "stage main: its registers are not those of the first stage"),
        (with_stage(advance=()), "stage front: advance does not lead to the registers of that stage"),
        (with_stage(restore=(write("LCNT_MAX", 1),)), "stage front: restore does not lead to"),
        (with_chunk(address=WEIGHTS + 1), "is not a kernel column"),
        (with_chunk(address=DATA), "is not a kernel column"),
        (with_chunk(columns=0), "0 columns"),
        (with_chunk(columns=5), "9 words; 5 columns are 12"),
        (with_chunk(plain=WEIGHTS + 16), "is another column"),
        (with_chunk(address=WEIGHTS + 4 * 765, plain=WEIGHTS + 16 * 765), "4 columns; 1 to the end"),
        (replace(SMALL, biases=(BiasRun(DATA, np.zeros(1, np.int8)),)), "is not in a bias memory"),
        (replace(SMALL, biases=(BiasRun(DEVICE.bias_address(0, 510), np.zeros(3, np.int8)),)), "3 bytes"),
        (with_run(channels=(0, 1, 2, 2)), "runs hold the channels [0, 1, 2, 2, 4]"),
        (with_run(channels=(0, 1, 2)), "3 channels; 1 (CHW) or 4 (HWC)"),
        (with_run(address=DATA + 2), "not within one data memory instance"),
        (with_run(step=1), "not within one data memory instance"),
        (with_run(address=DEVICE.data_address(0, 8190)), "not within one data memory instance"),
        (replace(SMALL, quadrants=()), "quadrants []"),
        (with_stage(quadrants=(2,)), "stage front: quadrants [2]"),
        (with_stage(start=(BusWrite(DATA, 0),)), "stage front: 0x50400000 is not a register"),
        (with_stage(control=(Guard(DATA, 0, 0),)), "stage front: 0x50400000 is not a register"),
        (with_stage(most_cycles=1 << 32), "cycles; 0 to 4294967295"),
        (with_stage(least_cycles=2001), "2001 to 2000 cycles"),
        (with_stage(result=row_of(DATA, 4)), "stage front: 4 classes, which are the answers, of which there are 3"),
        (with_result(places=(REGISTER,) * 3), "is not in words of one data memory instance"),
        (with_result(step=2), "is not in words of one data memory instance"),
        (with_result(shape=(3, 1, 2), step=1 << 15), "is not in words of one data memory instance"),
        (with_result(places=(DATA,)), "result (3, 1, 1) of 8 bits in 1 places"),
        (with_result(bits=16), "result (3, 1, 1) of 16 bits"),
        (with_result(bits=32), "a result of 32 bits in lane 1"),
        (with_stage(exit=None), "every stage but the last needs a measure"),
        (with_exit(measure="guess"), "measure `guess`; one of margin"),
        (with_exit(threshold=None), "every stage but the last needs one"),
        (with_exit(threshold=1 << 32), "does not fit 32 bits"),
        (with_exit(fraction_bits=32), "32 fraction bits"),
        (with_exit(temperature_q16=0), "temperature 0"),
        (with_test(model=1), "known answer 0: model 1"),
        (with_test(stage=2), "known answer 0: stage 2"),
        (with_test(values=(1,)), "1 values; 3 are expected"),
        (with_test(class_index=3), "class 3; there are 3"),
        (with_test(image=np.zeros(SHAPE, np.int16)), "image int16"),
    ],
)
def test_refuses(firmware: Firmware, message: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        render(firmware, DEVICE)
    assert message in str(caught.value)


def test_names_all_problems_at_once() -> None:
    with pytest.raises(CheckFailed) as caught:
        render(replace(small_firmware(), name="a b", quadrants=()), DEVICE)
    assert len(caught.value.problems) >= 2


@pytest.mark.parametrize("compiler", COMPILERS)
def test_same_bytes_wherever_the_folder_is(compiler: str, tmp_path: Path) -> None:
    first = build(small_firmware(), tmp_path / "here", compiler=compiler)
    second = build(small_firmware(), tmp_path / "some" / "where else", compiler=compiler)
    assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path).encode() not in first.read_bytes()


@pytest.mark.parametrize("compiler", COMPILERS)
def test_sizes_and_version(compiler: str, tmp_path: Path) -> None:
    small = write_firmware(small_firmware(), tmp_path / "small")
    plain = compile_firmware(small, tmp_path / "small.elf", compiler)
    words = np.arange(999, dtype=np.uint32)
    larger = replace(small_firmware(), weights=(*SMALL.weights, weights_at(3, 0, words, 444)))
    grown = compile_firmware(write_firmware(larger, tmp_path / "larger"), tmp_path / "larger.elf", compiler)
    assert 4000 <= grown.flash_bytes - plain.flash_bytes <= 4100
    assert grown.ram_bytes == plain.ram_bytes > np.prod(SHAPE)
    assert plain.compiler.startswith(f"{compiler} ")
    assert plain.compiler.split()[1][0].isdigit()


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_single_stage_without_weights_or_samples_compiles(compiler: str, tmp_path: Path) -> None:
    bare = small_firmware(stages=single().stages, labels=())
    bare = replace(bare, weights=(), biases=(), init=(), readable=(), guards=())
    build(bare, tmp_path, compiler=compiler)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("logits", "ending"), [((-100000, 5, 7), "PASS"), ((-100000, 5, 8), "FAIL")])
def test_demonstration(compiler: str, logits: tuple[int, ...], ending: str, tmp_path: Path) -> None:
    elf = build(small_firmware(), tmp_path, "src/main.c", compiler)
    fake = FakeAccelerator(small_firmware(), DEVICE, (0, 1), ((1, 2, 3), logits))
    status, console = run_program(elf, fake, DEVICE)
    assert status == (0 if ending == "PASS" else 1)
    verdict = "" if ending == "PASS" else ": not the known answer"
    assert re.fullmatch(rf"small\nnone of them, stage 1, cycles: \d{{2,5}}{verdict}\n\*\*\* {ending} \*\*\*\n", console)


def test_chw_input_of_a_single_stage(tmp_path: Path) -> None:
    """Four pixels a word, the bytes after the last pixel 0; each channel in an instance of its own."""
    runs = tuple(InputRun(DEVICE.data_address(instance, 2), 4, (instance,)) for instance in range(2))
    firmware = small_firmware(input=InputLayout((2, 2, 3), True, runs), stages=single().stages)
    image = np.array([[[1, 2, 3], [4, 5, -6]], [[7, 8, 9], [10, 11, 12]]], dtype=np.int8)
    fake = FakeAccelerator(firmware, DEVICE, (0,), ((9, 8, 7),))
    answers = run(build(firmware, tmp_path), image[None], fake, DEVICE)
    assert (answers.classes.tolist(), answers.stages.tolist(), answers.confidences.tolist()) == ([0], [0], [1])
    words = [fake.memory[DEVICE.data_address(instance, word)] for instance in range(2) for word in (2, 3)]
    assert words == [0x04030201, 0x0000FA05, 0x0A090807, 0x00000C0B]


def test_max_probability_and_entropy_exits(tmp_path: Path) -> None:
    """The measure, its fraction bits and its temperature reach the C arithmetic."""
    from offramp.planner.ir.measure import Measure
    from offramp.planner.reference.confidence import confidence

    logits = np.array([[900, 500, -200]], dtype=np.int32)
    measures: tuple[Measure, ...] = ("max_probability", "entropy")
    for measure in measures:
        firmware = single(exit=ExitRule(measure, None, 8, 3 << 15))
        fake = FakeAccelerator(firmware, DEVICE, (0,), logits.tolist())
        elf = build(firmware, tmp_path / measure)
        answer = run(elf, np.zeros((1, *SHAPE), np.int8), fake, DEVICE)
        assert answer.confidences.tolist() == confidence(measure, logits, 8, 3 << 15).tolist()


def test_no_compiler_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for wanted in ("auto", "zig", "arm-none-eabi-gcc"):
        with pytest.raises(InputError, match=r"apt install gcc-arm-none-eabi.*ziglang") as caught:
            compile_firmware(tmp_path, tmp_path / "x.elf", wanted)
        assert (wanted in str(caught.value)) or wanted == "auto"
    with pytest.raises(InputError, match="auto, arm-none-eabi-gcc or zig is expected"):
        find_compiler("tcc")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_source_that_does_not_compile(compiler: str, tmp_path: Path) -> None:
    folder = write_firmware(small_firmware(), tmp_path)
    (folder / "src" / "small_image.c").write_text('#include "small_image.h"\nint broken = "text";\n')
    with pytest.raises(CheckFailed, match=r"(?s)refuses the firmware.*small_image\.c:2"):
        compile_firmware(folder, tmp_path / "x.elf", compiler)
    assert not (tmp_path / "x.elf").exists()


@pytest.mark.parametrize("compiler", COMPILERS)
def test_an_offset_that_is_wrong_does_not_compile(compiler: str, tmp_path: Path) -> None:
    folder = write_firmware(small_firmware(), tmp_path)
    source = folder / "src" / "small_image.c"
    text = source.read_text()
    assert "    offramp_write_t init[5u];\n" in text
    source.write_text(text.replace("    offramp_write_t init[5u];\n", "    offramp_write_t init[6u];\n"))
    with pytest.raises(CheckFailed, match="offramp_check_small_readable"):
        compile_firmware(folder, tmp_path / "x.elf", compiler)


def test_known_answers_and_writes_are_values() -> None:
    """The generator's input is hashable where it can be and never changes."""
    assert write("AON", 0) == BusWrite(DEVICE.register_address("AON"), 0)
    with pytest.raises(AttributeError):
        small_firmware().name = "other"  # type: ignore[misc]
    assert isinstance(small_firmware().tests[0], KnownAnswer) and len(small_model().labels) == CLASSES
