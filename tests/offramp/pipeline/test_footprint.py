"""Flash, RAM and stack of compiled firmware, and what its sources may not do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.configs.errors import CheckFailed
from offramp.pipeline.compile import Variant, compile_firmware, find_compiler
from offramp.pipeline.footprint import compile_objects, measure_footprint
from offramp.planner.ir.chain import ExitRule
from offramp.simulator.board.run import run_program
from tests.helpers.fake_accelerator import FakeAccelerator
from tests.helpers.firmware_builds import COMPILERS, write_firmware
from tests.helpers.small_firmware import DEVICE, small_firmware, small_model, weights_at

LIMITS = {"arm-none-eabi-gcc": 6 * 1024, "zig": 7 * 1024}  # bytes of flash for the runtime at -Os; at -O2 there is none
PADDING = 4  # bytes that align a frame, which nothing writes
CALLS = ("offramp_open", "offramp_load", "offramp_infer")

# Fills memory below the stack pointer, makes a call, and prints how far down something else is there now.
MEASURED = """
#include "offramp_port.h"
#include "small_image.h"
#define BELOW 2048u
#define MARK 0xA5u

static const uint8_t input[SMALL_INPUT_BYTES];
static offramp_result_t result;

static void print(uint32_t number)
{
    char text[] = "0000\\n";
    for (uint32_t i = 4u; i > 0u; i--) {
        text[i - 1u] = (char)('0' + (char)(number % 10u));
        number /= 10u;
    }
    offramp_port_print(text);
}

#define MEASURE(call)                                      \\
    do {                                                   \\
        volatile uint8_t *top;                             \\
        __asm volatile("mov %0, sp" : "=r"(top));          \\
        for (uint32_t i = 1u; i <= BELOW; i++) {           \\
            *(top - i) = MARK;                             \\
        }                                                  \\
        offramp_status_t error = (call);                               \\
        uint32_t depth = BELOW;                            \\
        while (depth > 0u && *(top - depth) == MARK) {     \\
            depth--;                                       \\
        }                                                  \\
        print(error == OFFRAMP_OK ? depth : 9999u);        \\
    } while (0)

int main(void)
{
    MEASURE(offramp_open(&small_image, NULL));
    MEASURE(offramp_load(SMALL_MODEL, OFFRAMP_CHW, input, 0u, SMALL_INPUT_ROWS * SMALL_INPUT_COLUMNS));
    MEASURE(offramp_infer(SMALL_MODEL, OFFRAMP_CHW, NULL, &result));
    return 0;
}
"""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_no_call_takes_more_stack_than_stated(compiler: str, tmp_path: Path) -> None:
    """Seen on the virtual board; the largest frames are those of max_probability and entropy."""
    front, main = small_model().stages
    firmware = small_firmware(stages=(replace(front, exit=ExitRule("entropy", 1 << 15, 0)), main))
    folder = write_firmware(firmware, tmp_path / "firmware")
    (folder / "measured.c").write_text(MEASURED)
    elf = compile_firmware(folder, tmp_path / "measured.elf", compiler, "measured.c").elf
    fake = FakeAccelerator(firmware, DEVICE, (0, 1), ((1, 1, 1), (-100000, 5, 7)))
    status, console = run_program(elf, fake, DEVICE)
    seen = dict(zip(CALLS, map(int, console.split()), strict=True))
    stated = {one.call: one.bytes for one in measure_footprint(folder, compiler).stack}
    assert status == 0
    assert all(0 < seen[call] <= stated[call] for call in CALLS)  # the deepest ways are those of FIFO input and reloads
    assert stated["offramp_load"] - PADDING <= seen["offramp_load"]
    assert seen["offramp_infer"] >= 64


@pytest.mark.parametrize("level", ["-O2", "-Os"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_larger_model_grows_the_image_only(compiler: str, level: str, tmp_path: Path) -> None:
    more = weights_at(3, 0, np.arange(999, dtype=np.uint32), 444)
    larger = replace(small_firmware(), weights=(*small_firmware().weights, more))
    variant = Variant("-Os" if level == "-Os" else "-O2")
    plain = measure_footprint(write_firmware(small_firmware(), tmp_path / "plain"), compiler, variant)
    grown = measure_footprint(write_firmware(larger, tmp_path / "larger"), compiler, variant)
    assert 0 < plain.runtime_bytes == grown.runtime_bytes
    assert level == "-O2" or plain.runtime_bytes <= LIMITS[compiler]
    image = [sum(o.constant_bytes for o in one.objects if o.part == "image") for one in (plain, grown)]
    assert 4000 <= image[1] - image[0] <= 4100
    assert [one.call for one in plain.stack] == [one.call for one in grown.stack]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_floating_point_registers(compiler: str, tmp_path: Path) -> None:
    folder = write_firmware(small_firmware(), tmp_path)
    (folder / "src" / "half.c").write_text("float half(float x);\nfloat half(float x)\n{\n    return x * 0.5f;\n}\n")
    found = find_compiler(compiler)
    (soft,) = compile_objects(found, folder, ["src/half.c"], Variant(floats="soft"))
    (hard,) = compile_objects(found, folder, ["src/half.c"], Variant(floats="hard"))
    assert soft.missing == {"__aeabi_fmul"} and not hard.missing


LOOPS = """
int offramp_infer_all(int n);
static int inner(int n)
{{
    volatile int copy = n;
    return copy > 3 ? {inner}(copy - 1) + copy : copy;
}}
int offramp_infer_all(int n)
{{
    return inner(n) + 1;
}}
"""
POINTER = """
typedef int (*step_t)(int);
static int step(int n);
const step_t steps[2] = {step, step};
extern const step_t steps[2];
int offramp_infer_all(int n);
__attribute__((noinline)) static int step(int n)
{
    volatile int copy = n;
    return offramp_infer_all(copy - 1) + copy;
}
int offramp_infer_all(int n)
{
    volatile int copy = n;
    return steps[copy & 1](copy) + copy;
}
"""
DYNAMIC = """
int offramp_infer_all(int n);
int offramp_infer_all(int n)
{
    volatile char text[n];
    text[n - 1] = 1;
    return text[n / 2];
}
"""
LIBRARY = """
void *malloc(unsigned int size);
int offramp_infer_all(int n);
int offramp_infer_all(int n)
{
    return *(int *)malloc((unsigned int)n);
}
"""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (LOOPS.format(inner="inner"), r"recursion: extra\.o:inner\S* -> extra\.o:inner"),
        (LOOPS.format(inner="offramp_infer_all"), r"recursion: extra\.o:inner|recursion: offramp_infer_all"),
        (POINTER, r"recursion: extra\.o:step -> "),
        (DYNAMIC, r"offramp_infer_all: how much stack it takes depends on values"),
        (LIBRARY, r"extra\.o needs malloc: no source here has it"),
    ],
    ids=["itself", "two", "pointer", "dynamic", "library"],
)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_refuses(compiler: str, source: str, message: str, tmp_path: Path) -> None:
    folder = write_firmware(small_firmware(), tmp_path)
    (folder / "src" / "extra.c").write_text(source)
    header = folder / "include" / "offramp.h"
    declared = "\nint offramp_infer_all(int n);\n\n#endif\n"
    header.write_text(header.read_text().removesuffix("\n#endif\n") + declared)
    with pytest.raises(CheckFailed, match=message):
        measure_footprint(folder, compiler)
