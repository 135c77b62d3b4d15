"""`reload: allowed`: what does not fit is written again when it is needed, and answers stay what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.cli import main
from offramp.configs.device import load_device
from offramp.pipeline.emulate import MeteredBus
from offramp.planner.plan import load_plan
from offramp.planner.reference.layers import run_network
from offramp.planner.reference.profile import profile
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.calls import Status
from offramp.simulator.board.session import Session
from offramp.simulator.clock import Clock
from tests.helpers.large import IMAGES, write_large
from tests.helpers.plans import plan_of
from tests.helpers.specs import FRONT, write_spec

DEVICE = load_device()
MARGIN = 0.22  # that about half of the test images reach


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build; not to be changed."""
    folder = tmp_path_factory.mktemp("large")
    spec = write_large(folder, threshold=MARGIN)
    assert main(["build", str(spec), "-o", str(folder / "out"), "--images", "all"]) == 0
    return folder / "out"


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_firmware_answers_as_the_network_does(built: Path) -> None:
    """On the virtual board, with as many words as planned; early and late answers in turn."""
    report = read(built / "report.json")
    assert (report["verified"]["answers"], report["verified"]["mismatches"]) == (IMAGES, 0)
    assert 0.3 < report["stages"][0]["share"] < 0.7
    plan = load_plan(built / "plan.json", DEVICE)
    x = np.load(built.parent / "test.npz")["x"]
    alone = run_network(plan.chain.networks["large"], x)[len(plan.chain.networks["large"].layers) - 1]
    assert np.array_equal(profile(plan.chain, x).results[-1], alone.reshape(len(x), -1))
    assert len(np.unique(alone, axis=0)) == IMAGES


def test_the_report_counts_words(built: Path) -> None:
    """By switch and inference; they are fewer than if everything were written again, and proved the fewest."""
    report = read(built / "report.json")
    reload = report["reload"]
    switches = [one["weight_words"] for one in report["switches"]]
    assert sum(switches) == reload["worst"] == reload["words"] == reload["bound"] and reload["inferences"] == 1
    assert 0 < reload["words"] < 0.6 * reload["everything"]
    late = round(IMAGES * (1 - report["stages"][0]["share"]))
    resident = report["verified"]["weight_words"] - late * reload["worst"]
    assert 0 < resident < 768 * 16 * 9 / 4 + 768 * 48 * 9 / 4
    assert switches[-1] == 0  # back to the first stage
    early = {slot["name"]: slot["layers"] for slot in report["stages"]}["early"]
    assert not set(reload["weights"]) & set(early)


def test_the_terminal_says_what_is_written_again(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(built.parent / "spec.yaml")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "written again when needed: weights of large/8, " in printed
    assert "words an inference (the fewest possible)" in printed


def test_columns_are_1_6_times_those_of_the_memory(built: Path) -> None:
    plan = load_plan(built / "plan.json", DEVICE)
    columns = sum(block.columns for block in plan.placed.problem.weights if block.processors & 1)
    assert 1.55 * 768 < columns < 1.7 * 768
    lives = [block.life for block in plan.placed.problem.weights if block.life]
    assert len(lives) == len(set(lives)) and plan.placed.reload is not None


def test_without_reload_it_is_refused_and_told_what_that_would_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write_large(tmp_path, keys="")
    assert main(["plan", str(spec)]) == 3
    message = capsys.readouterr().err
    assert "the weights do not fit" in message
    words = plan_of(write_large(tmp_path)).plan.placed.reload
    assert words
    cost = f"{words.words:,} words more in an inference that reaches the last stage, for 5 layers' weights"
    assert f"it would fit with `reload: allowed` in a spec: {cost}" in message


def test_what_fits_is_not_written_again(tmp_path: Path) -> None:
    """The same plan with and without the key."""
    plain = plan_of(write_spec(tmp_path, FRONT))
    allowed = plan_of(write_spec(tmp_path, FRONT.replace("stages:", "reload: allowed\nstages:")))
    assert allowed.plan.placed.reload is None
    assert allowed.plan.placed.placement == plain.plan.placed.placement


def test_how_often_stages_are_reached_counts(tmp_path: Path) -> None:
    calibrate = "calibrate: {data: calibration, accuracy_drop: 100}\n"
    plan = plan_of(write_large(tmp_path, f"reload: allowed\n{calibrate}", threshold=None))
    reload, calibration = plan.plan.placed.reload, plan.plan.calibration
    assert reload and calibration and reload.inferences == IMAGES
    late = round(IMAGES * calibration.shares[-1])
    assert reload.words == late * 23040


def test_costs_have_the_words_in_them(built: Path) -> None:
    plan = plan_of(built.parent / "spec.yaml")
    early, late = plan.cycles.cost_by_exit
    per_word = DEVICE.clocks["cnn_hz"] / 1000 * 4 / DEVICE.costs["weight_bytes_per_ms"]
    reload = plan.plan.placed.reload
    assert reload and late - early > reload.words * per_word > 0.8 * (late - early)


@pytest.mark.slow
def test_the_probe_writes_what_is_not_there(built: Path) -> None:
    assert main(["probe", str(built), "-q"]) == 0


@pytest.mark.slow
def test_the_self_test_knows_what_is_there(built: Path) -> None:
    """After an answer of each stage; a column of a layer that is written again matters only while it is there."""
    plan = load_plan(built / "plan.json", DEVICE)
    x = np.load(built.parent / "test.npz")["x"]
    expected = profile(plan.chain, x)
    rule = plan.chain.exits[0].exit
    assert rule and rule.threshold is not None
    threshold = rule.threshold
    late = int(np.flatnonzero(expected.confidence[0] < threshold)[0])
    early = int(np.flatnonzero(expected.confidence[0] >= threshold)[0])
    clock = Clock(DEVICE)
    bus = MeteredBus(Accelerator(DEVICE, clock), DEVICE)
    with Session(built / "firmware.elf", bus, DEVICE, clock=clock) as session:
        assert session.open().status is Status.OK
        assert session.self_test().status is Status.OK
        for image in (late, early):
            answer = session.infer(0, x[image].tobytes())
            assert answer.status is Status.OK and answer.result.stage == plan.chain.answering[image == late]
            before = bus.writes["weights"]
            assert session.self_test().status is Status.OK
            assert bus.writes["weights"] == before
        session.close()


@pytest.mark.parametrize("change", ["unknown", "first stage", "both at once"])
def test_a_damaged_choice_is_found(change: str, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = read(built / "plan.json")
    reload = content["placement"]["reload"]
    reload["weights"] = {
        "unknown": ["large/99"],
        "first stage": [*reload["weights"], "large/0"],
        "both at once": reload["weights"][1:],
    }[change]
    path = built / "changed.json"
    path.write_text(json.dumps(content))
    try:
        assert main(["cost", str(path)]) in (1, 2)
    finally:
        path.unlink()
    wanted = "weights_disjoint" if change == "both at once" else "`placement.reload`: layers of the first stage"
    assert wanted in capsys.readouterr().err
