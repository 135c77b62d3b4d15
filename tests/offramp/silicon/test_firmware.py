"""The firmware that asks: it compiles without a warning, and the model answers every question as it is assumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.host.files import write_tree
from offramp.pipeline.compile import compile_firmware, find_compiler, run_compiler
from offramp.silicon.board import AskedAccelerator
from offramp.silicon.project import MAIN, project_files, virtual_log
from offramp.silicon.verdicts import Verdict
from offramp.simulator.board.run import run_program
from tests.helpers.firmware_builds import COMPILERS
from tests.helpers.paths import ROOT
from tests.helpers.silicon import DEVICE, answers, model_log, questions

MSDK = ROOT / "tests" / "helpers" / "msdk"
STRICT = ("-pedantic", "-Wshadow", "-Wcast-qual", "-Wstrict-prototypes")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_both_compilers_make_firmware_that_prints_the_same_log(compiler: str, tmp_path: Path) -> None:
    write_tree(tmp_path, project_files(questions(), DEVICE))
    elf = compile_firmware(tmp_path, tmp_path / "silicon.elf", compiler, MAIN).elf
    assert virtual_log(elf, AskedAccelerator(DEVICE), DEVICE) == model_log()


@pytest.mark.parametrize("compiler", COMPILERS)
def test_what_ships_compiles_against_the_sdks_names(compiler: str, tmp_path: Path) -> None:
    """All of src/, as the SDK builds it, without a warning."""
    write_tree(tmp_path, project_files(questions(), DEVICE))
    sources = [path.relative_to(tmp_path).as_posix() for path in sorted((tmp_path / "src").glob("*.c"))]
    sources += [f"emulator/{name}.c" for name in ("library", "reset", "semihosting", "startup")]
    sources.append(str(MSDK / "console.c"))
    extra = [f"-isystem{MSDK}", '-DSILICON_BOARD="bench"', *STRICT]
    run_compiler(find_compiler(compiler), tmp_path, sources, tmp_path / "msdk.elf", extra)


PLATFORM = """
#include "silicon_platform.h"
int main(void)
{
    silicon_platform_start();
    silicon_platform_clock(true);
    uint32_t before = silicon_platform_cycles();
    silicon_platform_wait(10);
    uint32_t passed = silicon_platform_cycles() - before;
    silicon_platform_print(silicon_platform_board());
    silicon_platform_clock(false);
    return passed >= 1000u && passed < 1100u && silicon_platform_faults() == 0u ? 0 : 1;
}
"""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_sdks_platform_counts_and_waits(compiler: str, tmp_path: Path) -> None:
    """10 us are 1,000 cycles of the core, by the cycle counter of the virtual board."""
    assert _run_with_platform(PLATFORM, compiler, tmp_path) == (0, "bench")


FAULTS = """
#include "mxc.h"
#include "silicon_platform.h"
void silicon_fault(uint32_t *frame);
static uint32_t skipped(uint16_t first, uint32_t status)
{
    uint16_t code[2] = {first, 0};
    uint32_t frame[8] = {0, 0, 0, 0, 0, 0, (uint32_t)(uintptr_t)code, 0};
    SCB->CFSR = status;
    silicon_fault(frame);
    return frame[6] - (uint32_t)(uintptr_t)code;
}
int main(void)
{
    bool narrow = skipped(0x6800u, 1u << 9) == 2u;  /* ldr r0, [r0] */
    bool wide = skipped(0xF8D0u, 1u << 9) == 4u;    /* ldr.w */
    bool late = skipped(0x6800u, 1u << 10) == 0u;   /* imprecise: the instruction is past */
    bool counted = silicon_platform_faults() == 3u && silicon_platform_faults() == 0u;
    return narrow && wide && late && counted ? 0 : 1;
}
"""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_bus_fault_is_counted_and_its_instruction_skipped(compiler: str, tmp_path: Path) -> None:
    assert _run_with_platform(FAULTS, compiler, tmp_path) == (0, "")


def _run_with_platform(program: str, compiler: str, folder: Path) -> tuple[int, str]:
    """A main() of the test's own with the platform that ships: exit status and console."""
    write_tree(folder, project_files(questions(), DEVICE) | {"program.c": program})
    emulator = [f"emulator/{name}.c" for name in ("library", "reset", "semihosting", "startup")]
    sources = ["program.c", "src/platform_msdk.c", *emulator, str(MSDK / "console.c")]
    extra = [f"-isystem{MSDK}", '-DSILICON_BOARD="bench"']
    run_compiler(find_compiler(compiler), folder, sources, folder / "program.elf", extra)
    return run_program(folder / "program.elf", AskedAccelerator(DEVICE), DEVICE)


def test_the_project_has_the_sdks_layout() -> None:
    files = project_files(questions(), DEVICE)
    assert {"Makefile", "project.mk", "src/main.c", "src/platform_msdk.c", "include/silicon.h"} <= set(files)
    assert "TARGET = MAX78000" in files["project.mk"]
    sdk = [name for name, text in files.items() if "mxc.h" in text]
    assert sdk == ["src/platform_msdk.c"]


def test_the_same_questions_give_the_same_bytes() -> None:
    questions.cache_clear()
    first = project_files(questions(), DEVICE)
    questions.cache_clear()
    assert project_files(questions(), DEVICE) == first


def test_the_model_answers_as_assumed() -> None:
    found = answers(model_log())
    assert "board=virtual" in model_log().splitlines()[0]
    assert {name: one.verdict for name, one in found.items()} == dict.fromkeys(found, Verdict.AGREES)
    assert found.keys() == {one.name for one in questions()}


def test_questions_are_asked_once_each() -> None:
    names = [one.name for question in questions() for one in question.measurements]
    assert len(names) == len(set(names))
    assert all(one.name.startswith(f"{question.name}.") for question in questions() for one in question.measurements)
    assert all(question.measurements for question in questions())
