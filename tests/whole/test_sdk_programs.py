"""What is written against the vendor's SDK, as it ships, with stand-ins for the SDK: port, shim, Feather example."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp import api
from offramp.simulator.board.faults import AtStart, InterruptLost, NeverDone
from tests.helpers.firmware_builds import COMPILERS
from tests.helpers.paths import ROOT
from tests.helpers.sdk_programs import MSDK, SIDE, Picture, link, run

FEATHER = ROOT / "examples" / "feather"
RTOS = [f"-I{MSDK / 'freertos'}", f"-I{FEATHER}"]
MAINS = {"loop": [], "freertos": [MSDK / "freertos" / "kernel.c"]}
MARGIN = 4
WEIGHT_WORDS = 20_058  # of examples/mnist

PORT = """
#include <stdio.h>
#include "mxc.h"
#include "gcfr_regs.h"
#include "offramp_port.h"

static void show(void)
{
    printf("%u %u %u %u %u %u %u\\n", (unsigned)MXC_GCFR->reg0, (unsigned)MXC_GCFR->reg1, (unsigned)MXC_GCFR->reg2,
           (unsigned)MXC_GCFR->reg3, (unsigned)(MXC_GCR->pclkdiv >> 17), (unsigned)((MXC_GCR->pclkdiv >> 14) & 7u),
           (unsigned)((MXC_GCR->pclkdis0 >> 25) & 1u));
}

static void show_clock(uint32_t hz)
{
    offramp_port_start(hz);
    printf("%u %u\\n", (unsigned)((MXC_GCR->clkctrl >> 9) & 7u), (unsigned)((MXC_GCR->clkctrl >> 6) & 7u));
}

static void show_interrupt(void)
{
    printf("%u %u\\n", (unsigned)((((volatile uint32_t *)0xE000E100)[3] >> 5) & 1u),
           (unsigned)((((volatile uint32_t *)0xE000E200)[3] >> 5) & 1u));
}

int main(void)
{
    offramp_port_power_on(3u, 15u, 1u, 2u);
    show();
    offramp_port_clock(false);
    show();
    offramp_port_clock(true);
    offramp_port_power_off(15u, true);
    show();
    offramp_port_power_on(3u, 15u, 0u, 4u);
    offramp_port_power_off(15u, false);
    show();
    show_clock(60000000u);
    show_clock(50000000u);
    show_clock(100000000u);
    ((volatile uint32_t *)0xE000E200)[3] = 1u << 5;
    show_interrupt();
    offramp_port_interrupt(true);
    show_interrupt();
    offramp_port_interrupt(false);
    show_interrupt();
    uint32_t first = offramp_port_cycles();
    DWT->CYCCNT = 1000000u;
    uint32_t second = offramp_port_cycles();
    printf("%u %u %u\\n", first < second, (second >= 1000000u) && (second < 1000100u), (unsigned)SysTick->CTRL);
    return 0;
}
"""
PORT_SHOWS = """\
3 3 12 0 1 2 0
3 3 12 0 1 2 1
0 3 15 0 1 2 1
0 0 15 0 0 4 1
0 0
4 1
4 0
0 1
1 0
0 0
1 1 0
"""

# An answer before and after each kind of sleep: power, power of the weight memories, clock off; cycles of waking.
SLEEP = """
#include <stdio.h>
#include "mxc.h"
#include "gcfr_regs.h"
#include "mnist_image.h"

static bool answers(void)
{
    offramp_result_t result;
    return (offramp_infer(MNIST_MODEL, OFFRAMP_CHW, mnist_samples[0].input, &result) == OFFRAMP_OK) &&
           (result.class_index == mnist_samples[0].class_index) && (result.stage == mnist_samples[0].stage);
}

int main(void)
{
    const offramp_sleep_t modes[] = {OFFRAMP_SLEEP_CLOCK, OFFRAMP_SLEEP_RETAIN, OFFRAMP_SLEEP_OFF};
    bool good = (offramp_open(&mnist_image, NULL) == OFFRAMP_OK) && answers();
    for (unsigned i = 0u; good && (i < 3u); i++) {
        good = offramp_sleep(modes[i]) == OFFRAMP_OK;
        printf("%u %u %u, ", (unsigned)MXC_GCFR->reg0, (unsigned)MXC_GCFR->reg1,
               (unsigned)(MXC_GCR->pclkdis0 >> 25) & 1u);
        uint32_t begun = DWT->CYCCNT;
        good = good && !answers() && (offramp_wake() == OFFRAMP_OK);
        printf("%u\\n", (unsigned)(DWT->CYCCNT - begun));
        good = good && answers();
    }
    printf(good ? "good\\n" : "bad\\n");
    return 0;
}
"""

# The order of calls in code that the vendor's tool generates.
VENDOR = """
#include <stdio.h>
#include "mxc.h"
#include "cnn.h"

static int32_t ml_data[CNN_NUM_OUTPUTS];

static bool answer(const offramp_sample_t *sample)
{
    bool same = (cnn_configure() == CNN_OK) && (cnn_load_input(OFFRAMP_CHW, sample->input) == CNN_OK);
    same = same && (cnn_start() == CNN_OK);
    while (cnn_time == 0) {
        __WFI();
        LOOK;
    }
    same = (cnn_unload((uint32_t *)ml_data) == CNN_OK) && same;
    const int32_t *expected = sample->result;
    for (uint32_t i = 0u; i < sample->bytes / sizeof expected[0]; i++) {
        same = same && (ml_data[i] == expected[i]);
    }
    printf("%s %u\\n", same ? "right" : offramp_status_text(cnn_status()), (unsigned)cnn_time);
    return same;
}

int main(void)
{
    bool good = (cnn_enable(MXC_S_GCR_PCLKDIV_CNNCLKSEL_PCLK, MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV2) == CNN_FAIL) &&
                (cnn_init() == CNN_FAIL) && (cnn_start() == CNN_FAIL) && (cnn_time != 0) &&
                (cnn_unload((uint32_t *)ml_data) == CNN_FAIL);
    good = good && (cnn_enable(MXC_S_GCR_PCLKDIV_CNNCLKSEL_PCLK, MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV1) == CNN_OK) &&
           (cnn_init() == CNN_OK) && (cnn_load_weights() == CNN_OK) && (cnn_load_bias() == CNN_OK);
    (void)SysTick_Config(100000u);
    for (const offramp_sample_t *sample = mnist_samples; good && (sample->input != NULL); sample++) {
        good = answer(sample);
    }
    good = good && (cnn_start() == CNN_FAIL) && (cnn_time != 0);
    good = good && (cnn_load_input(OFFRAMP_CHW, mnist_samples[0].input) == CNN_OK) && (cnn_start() == CNN_OK) &&
           (cnn_time == 0) && (cnn_stop() == CNN_OK) && (cnn_time != 0);
    good = good && (cnn_unload((uint32_t *)ml_data) == CNN_FAIL);
    good = good && (cnn_verify_weights() == CNN_OK) && (cnn_disable() == CNN_OK) && (cnn_disable() == CNN_FAIL);
    printf(good ? "good\\n" : "bad\\n");
    return 0;
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/mnist, which the Feather example is for; its firmware was not run."""
    folder = tmp_path_factory.mktemp("sdk") / "mnist"
    api.build(ROOT / "examples" / "mnist" / "spec.yaml", folder, images=0)
    return folder


@pytest.fixture(scope="module")
def images(built: Path) -> NDArray[np.int8]:
    """int8 (4, 1, 28, 28): of the test set, such that span all values, so that all pictures have the same levels. The
    second and the last leave at the second stage."""
    with np.load(ROOT / "examples" / "mnist" / "test.npz") as data:
        x: NDArray[np.int8] = data["x"]
    spanning = x[(x.min(axis=(1, 2, 3)) == -128) & (x.max(axis=(1, 2, 3)) == 127)]
    index = api.reference(api.load_plan(built), spanning).exit_index
    early, late = np.flatnonzero(index == 0), np.flatnonzero(index == 1)
    chosen: NDArray[np.int8] = spanning[[early[0], late[0], early[1], late[1]]]
    return chosen


def film(image: NDArray[np.int8]) -> NDArray[np.uint8]:
    """A picture of an image as ink on paper: each of its pixels is two by two of the camera's."""
    ink = (-1 - image[0].astype(np.int64) + 128).repeat(2, axis=0).repeat(2, axis=1)
    paper: NDArray[np.uint8] = np.full((SIDE, SIDE), 255, dtype=np.uint8)
    paper[MARGIN : SIDE - MARGIN, MARGIN : SIDE - MARGIN] = ink
    return paper


def program(text: str, folder: Path) -> Path:
    path = folder / "program.c"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("compiler", COMPILERS)
def test_port(compiler: str, built: Path, tmp_path: Path) -> None:
    """Power, clocks and interrupt as asked for; the cycle counter is never set, SysTick never touched."""
    elf = link(built / "firmware", tmp_path / "port.elf", [program(PORT, tmp_path)], compiler=compiler)
    assert run(elf) == (0, PORT_SHOWS)


def test_sleep_on_the_sdks_port(built: Path, tmp_path: Path) -> None:
    """Each mode switches off what it says; answers are the same after it; weights are loaded after the last only."""
    sources = [program(SLEEP, tmp_path), built / "firmware" / "src" / "mnist_samples.c"]
    elf = link(built / "firmware", tmp_path / "sleep.elf", sources)
    status, console = run(elf)
    *rows, last = console.splitlines()
    states, cycles = zip(*(row.rsplit(", ", 1) for row in rows), strict=True)
    clock, retain, off = map(int, cycles)
    assert (status, last) == (0, "good")
    assert states == ("15 15 1", "0 15 1", "0 0 1")
    assert clock < 1000 and off - retain > 20 * WEIGHT_WORDS  # a word takes more than 20 cycles of the core


@pytest.mark.parametrize("compiler", COMPILERS)
def test_demonstration_on_the_sdks_port(compiler: str, built: Path, tmp_path: Path) -> None:
    sources = [built / "firmware" / "src" / name for name in ("main.c", "mnist_samples.c")]
    status, console = run(link(built / "firmware", tmp_path / "demo.elf", sources, compiler=compiler))
    assert status == 0 and console.endswith("*** PASS ***\n")
    assert len(re.findall(r"cycles: [1-9]", console)) == 2


def test_the_vendors_names(built: Path, tmp_path: Path) -> None:
    """A main in the order of generated code, two stages included, and what is asked for at the wrong time."""
    assert run(shim(built / "firmware", tmp_path, "(void)0", "auto")) == (0, "right 1\nright 1\ngood\n")


TIMER = "-DCNN_INFERENCE_TIMER=MXC_TMR1"


@pytest.mark.parametrize("compiler", COMPILERS[-1:])
def test_the_vendors_names_with_a_timer(compiler: str, built: Path, tmp_path: Path) -> None:
    status, console = run(shim(built / "firmware", tmp_path, "(void)0", compiler, TIMER))
    found = re.fullmatch(r"right (\d+)\nright (\d+)\ngood\n", console)
    assert status == 0 and found
    early, late = map(int, found.groups())
    assert 3533 / 50 < early < 200 and 70157 / 50 < late < 1700  # microseconds: the stages' cycles at 50 MHz, and more


def test_the_vendors_names_where_the_accelerator_does_not_end(built: Path, tmp_path: Path) -> None:
    """With polls in the loop it ends, and says why."""
    elf = shim(built / "firmware", tmp_path, "(void)cnn_poll()", "auto", TIMER)
    assert run(elf, [NeverDone(AtStart(1))]) == (0, "timeout 1\nbad\n")


def shim(firmware: Path, folder: Path, look: str, compiler: str, *flags: str) -> Path:
    """The program with the vendor's names; `look` is what its loop does besides sleeping."""
    sources = [program(VENDOR, folder), firmware / "shim" / "cnn.c", firmware / "src" / "mnist_samples.c"]
    extra = [f"-I{firmware / 'shim'}", f"-DLOOK={look}", *flags]
    return link(firmware, folder / "shim.elf", sources, compiler=compiler, extra=extra)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", MAINS)
def test_feather_example(name: str, compiler: str, built: Path, images: NDArray[np.int8], tmp_path: Path) -> None:
    """Pictures become the answers of the integer reference; one that stops halfway, or has lost lines, is reported."""
    pictures = [Picture(film(image)) for image in images]
    pictures[2:2] = [Picture(film(images[0]), lines=30), Picture(film(images[0]), overflows=1)]
    sources = [FEATHER / "src" / f"{part}.c" for part in ("application", f"main_{name}")] + MAINS[name]
    flags = [f"-I{FEATHER / 'src'}", *RTOS]
    elf = link(built / "firmware", tmp_path / "feather.elf", sources, pictures=pictures, compiler=compiler, extra=flags)
    status, console = run(elf)
    lines = [line for line in console.splitlines() if not line.startswith("lamp")]
    answers = api.reference(api.load_plan(built), images)
    expected = [f"{label}, stage {stage}" for label, stage in zip(answers.classes, answers.exit_index, strict=True)]
    expected[2:2] = ["not ready"] * 2
    assert status == 0
    assert [line.split(", confidence")[0] for line in lines] == expected
    lamps = [int(number) for number in re.findall(r"lamp (\d) on", console)]
    assert lamps == [*(1 + answers.exit_index[:2]), 0, 0, *(1 + answers.exit_index[2:])]


@pytest.mark.parametrize("name", MAINS)
def test_feather_example_with_a_fault(name: str, built: Path, images: NDArray[np.int8], tmp_path: Path) -> None:
    """A lost interrupt is caught up with; a stage that never ends is reported, and the next picture is classified."""
    sources = [FEATHER / "src" / f"{part}.c" for part in ("application", f"main_{name}")] + MAINS[name]
    flags = [f"-I{FEATHER / 'src'}", *RTOS]
    pictures = [Picture(film(image)) for image in images[:2]]
    elf = link(built / "firmware", tmp_path / "feather.elf", sources, pictures=pictures, extra=flags)
    right = [line.split(", confidence")[0] for line in run(elf)[1].splitlines()]
    lost = [line.split(", confidence")[0] for line in run(elf, [InterruptLost(AtStart(1))])[1].splitlines()]
    assert lost == right
    console = run(elf, [NeverDone(AtStart(1))])[1]
    assert console.startswith("timeout\nlamp 0 on\n")
    assert [line.split(", confidence")[0] for line in console.splitlines()[2:]] == right[2:]
