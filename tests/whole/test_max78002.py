"""Firmware for the MAX78002, from the spec to answers on its virtual board."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from offramp.cli import main
from offramp.codegen.assemble import assemble
from offramp.codegen.firmware import Firmware
from offramp.codegen.render import render
from offramp.configs.device import load_device
from offramp.host.files import write_tree
from offramp.pipeline.compile import compile_firmware
from offramp.pipeline.planning import Planned
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.calls import Sleep, Status
from offramp.simulator.board.errors import BoardError
from offramp.simulator.board.host import Host
from offramp.simulator.board.run import run_with
from offramp.simulator.board.session import Session
from offramp.simulator.clock import Clock
from tests.helpers.plans import plan_of
from tests.helpers.sdk_programs import link
from tests.helpers.specs import STAGED, THREE, TINY, write_spec, write_staged

DEVICE = load_device("MAX78002")
HERE = "device: MAX78002\n"
IDLE, RUNNING = 50_000_000, 200_000_000  # Hz of the accelerator
PORT = "emulator/offramp_port_emulator.c"


class Heard(Clock):
    """A clock that notes the frequencies of the accelerator."""

    def __init__(self) -> None:
        super().__init__(DEVICE)
        self.heard: list[int] = []

    def run_accelerator_at(self, hz: int) -> None:
        self.heard.append(hz)
        super().run_accelerator_at(hz)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    return plan_of(write_staged(tmp_path_factory.mktemp("staged"), HERE), DEVICE)


@pytest.fixture(scope="module")
def firmware(planned: Planned) -> Firmware:
    return assemble(planned.lowered, "staged")


@pytest.fixture(scope="module")
def elf(firmware: Firmware, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(firmware, tmp_path_factory.mktemp("elf"))


def built(firmware: Firmware, folder: Path, old: str = "", new: str = "") -> Path:
    """The firmware compiled; `new` takes the place of `old` in the port."""
    files = render(firmware, DEVICE)
    assert old in files[PORT]
    write_tree(folder / "firmware", {**files, PORT: files[PORT].replace(old, new)})
    return compile_firmware(folder / "firmware", folder / "firmware.elf").elf


def image(number: int) -> bytes:
    return np.random.default_rng(number).integers(-128, 128, (6, 12, 10)).astype(np.int8).tobytes()


CHAINS = {
    "three": (THREE, TINY),
    "fifo": (STAGED.spec("stages:\n  - {network: streaming}\n", streaming="fifo: true"), STAGED),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_build_answers_as_the_reference(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, family = CHAINS[name]
    spec = write_spec(tmp_path, text + HERE, family)
    assert main(["build", str(spec), "-o", str(tmp_path / "build")]) == 0
    report = json.loads((tmp_path / "build" / "report.json").read_text())
    assert report["verified"]["answers"] > 0 and report["verified"]["mismatches"] == 0
    assert report["cycles"]["tag"] == "unverified"
    assert report["energy"]["tag"] == "unknown" and report["energy"]["full_uj"] is None
    assert "unverified" in capsys.readouterr().out


def test_a_switch_writes_which_layers_run_and_nothing_else(firmware: Firmware) -> None:
    first, last = firmware.stages
    for writes in (first.advance, last.restore):
        places = [DEVICE.locate(write.address) for write in writes]
        assert {place.name for place in places if place} == {"LCNT_MAX"}
        assert len(writes) <= len(firmware.quadrants)
    assert "src/offramp_clear.c" in render(firmware, DEVICE)


def test_the_accelerator_is_slow_while_nothing_runs(elf: Path) -> None:
    clock = Heard()
    with Session(elf, Accelerator(DEVICE, clock), DEVICE, clock=clock) as session:
        assert session.open().status is Status.OK
        assert clock.heard == [IDLE]
        answer = session.infer(0, image(0)).result
        assert clock.heard == [IDLE, *[RUNNING, IDLE] * (answer.stage + 1)]
        session.close()


@pytest.mark.parametrize("mode", list(Sleep))
def test_it_sleeps_and_wakes(elf: Path, mode: Sleep) -> None:
    clock = Clock(DEVICE)
    with Session(elf, Accelerator(DEVICE, clock), DEVICE, clock=clock) as session:
        assert session.open().status is Status.OK
        before = [session.infer(0, image(number)).result for number in range(4)]
        assert session.sleep(mode).status is Status.OK
        assert session.wake().status is Status.OK
        after = [session.infer(0, image(number)).result for number in range(4)]
        assert [(one.stage, one.answer, one.confidence) for one in before] == [
            (one.stage, one.answer, one.confidence) for one in after
        ]
        session.close()


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ("    wait_for_power();\n", "isolation ends"),
        ("    start_source(source);\n", "the PLL, which is not ready"),
    ],
)
def test_the_board_notices_what_power_up_leaves_out(
    firmware: Firmware, tmp_path: Path, left_out: str, message: str
) -> None:
    wrong = built(firmware, tmp_path, left_out, "    (void)start_source;\n    (void)wait_for_power;\n")
    clock = Clock(DEVICE)
    with (
        pytest.raises(BoardError, match=message),
        Session(wrong, Accelerator(DEVICE, clock), DEVICE, clock=clock) as it,
    ):
        it.open()


PROGRAM = """\
#include <stddef.h>

#include "offramp_port.h"
#include "staged_image.h"

int main(void)
{
    static int8_t input[STAGED_INPUT_BYTES];
    offramp_result_t result;
    offramp_port_start(STAGED_CORE_HZ);
    offramp_status_t status = offramp_open(&staged_image, NULL);
    return status == OFFRAMP_OK ? (int)offramp_infer(STAGED_MODEL, OFFRAMP_CHW, input, &result) : (int)status;
}
"""


@pytest.mark.slow  # the SDK's port waits for the load switches by the cycle counter, which takes the emulator seconds
def test_the_port_on_the_sdk_powers_it_up(firmware: Firmware, tmp_path: Path) -> None:
    write_tree(tmp_path / "firmware", render(firmware, DEVICE))
    (tmp_path / "program.c").write_text(PROGRAM, encoding="utf-8")
    elf = link(
        tmp_path / "firmware", tmp_path / "program.elf", [tmp_path / "program.c"], extra=["-DCORE_HZ=120000000u"]
    )
    clock = Heard()
    assert run_with(Host(), elf, Accelerator(DEVICE, clock), DEVICE, clock=clock) == 0
    assert clock.heard[:2] == [IDLE, RUNNING] and clock.heard[-1] == IDLE
    assert clock.now > DEVICE.clocks["core_hz"] // 10**6 * DEVICE.core["power_wait_us"]
