"""Several models on a device where a run can begin with any layer slot: switches write next to nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp import api
from offramp.codegen.assemble import ModelPart, assemble_together
from offramp.codegen.firmware import Firmware, Model
from offramp.codegen.firmware_check import problems
from offramp.codegen.program import Key
from offramp.configs.device import load_device
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.calls import Sleep, Status
from offramp.simulator.board.session import Session
from offramp.simulator.clock import Clock
from tests.helpers.models import write_three

DEVICE = load_device("MAX78002")


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models of data memory, and one that reads the FIFO."""
    paths = write_three(tmp_path_factory.mktemp("specs"))
    for path in paths:
        path.write_text(path.read_text(encoding="utf-8") + "device: MAX78002\n", encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def image(specs: list[Path]) -> api.PlannedImage:
    return api.plan_image(specs)


@pytest.fixture(scope="module")
def firmware(image: api.PlannedImage) -> Firmware:
    return assemble_together([ModelPart(made.plan.spec.name, made.lowered) for made in image.models], "three")


@pytest.fixture(scope="module")
def built(specs: list[Path]) -> api.BuiltImage:
    """Verified: the models in turn."""
    return api.build_image(specs, specs[0].parents[1] / "image")


def names(model: Model) -> set[str]:
    """Registers that entering a model writes."""
    return {place.name for write in model.written if (place := DEVICE.locate(write.address))}


def test_entering_a_model_writes_which_layers_run_and_whether_the_fifo_does(firmware: Firmware) -> None:
    for model in firmware.models:
        assert names(model) == {"LCNT_MAX", "FIFO_CTRL"}
        assert len(model.written) <= len(firmware.quadrants) + 1


def test_what_is_written_once_is_of_one_model_and_the_same_in_all_its_stages(image: api.PlannedImage) -> None:
    found: list[Key] = []
    for made in image.models:
        switching = made.lowered.switching
        found += switching.kept
        assert all(len({state[key] for state in switching.states}) == 1 for key in switching.kept)
        assert len(switching.entry()) + len(switching.kept) == len(switching.states[0])
    assert len(set(found)) == len(found) > 100


@pytest.mark.slow
def test_the_models_answer_in_turn(built: api.BuiltImage) -> None:
    verified = built.report.verified
    assert verified and verified.answers > 0 and verified.mismatches == 0
    assert (built.report.verified_switches or 0) > 2
    assert all(entry.register_writes <= 5 for entry in built.report.entries)


def answers_of(session: Session, image: api.PlannedImage) -> list[tuple[int, int, int]]:
    """Stage, answer and confidence of an input of each model, asked one after the other."""
    found = []
    for number in range(len(image.models)):
        answer = session.infer(number, np.random.default_rng(number).integers(-128, 128, 4096, np.int8).tobytes())
        assert answer.status is Status.OK
        found.append((answer.result.stage, answer.result.answer, answer.result.confidence))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(Sleep))
def test_after_sleep_everything_is_there_again(built: api.BuiltImage, mode: Sleep) -> None:
    clock = Clock(DEVICE)
    with Session(built.folder / "firmware.elf", Accelerator(DEVICE, clock), DEVICE, clock=clock) as session:
        assert session.open().status is Status.OK
        before = answers_of(session, built.planned)
        assert session.sleep(mode).status is Status.OK
        assert session.wake().status is Status.OK
        assert answers_of(session, built.planned) == before
        assert session.self_test().status is Status.OK
        session.close()


@pytest.mark.slow
def test_the_self_test_looks_at_registers_that_are_written_once(built: api.BuiltImage, firmware: Firmware) -> None:
    clock = Clock(DEVICE)
    accelerator = Accelerator(DEVICE, clock)
    with Session(built.folder / "firmware.elf", accelerator, DEVICE, clock=clock) as session:
        assert session.open().status is Status.OK
        before = answers_of(session, built.planned)
        places = [DEVICE.locate(write.address) for write in firmware.models[-1].kept]
        place = next(one for one in places if one and one.name == "RCNT")
        accelerator.registers.flip("RCNT", 0, place.quadrant, place.unit)
        assert session.self_test().status is Status.E_MEMORY
        assert answers_of(session, built.planned) == before  # everything has been loaded again
        session.close()


def test_the_check_refuses_registers_that_others_state(firmware: Firmware) -> None:
    assert problems(firmware, DEVICE) == ()
    models = firmware.models
    wrong = replace(firmware, models=(replace(models[0], entered=0), *models[1:]))
    found = problems(wrong, DEVICE)
    assert any("several models state them" in problem for problem in found)
