"""Networks of more layers than a run can have: from the spec to firmware that answers as the integer reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.cli import main
from offramp.configs.device import load_device
from offramp.planner.plan import load_plan
from offramp.planner.reference.layers import run_network
from offramp.planner.reference.profile import profile
from tests.helpers.commands import cost, cost_of_changed
from tests.helpers.deep import deep_spec, write_deep
from tests.helpers.plans import plan_of

DEVICE = load_device()
LAYERS = 60
ALONE = "stages: [{network: deep}]\n"
BRANCHES = """\
stages:
  - {network: front, exit: {confidence: margin, threshold: 0.15}}
  - {network: deep, name: early, until: l41, head: head, exit: {confidence: margin, threshold: 0.1217}}
  - {network: deep}
"""
SPECS = {"alone": deep_spec(ALONE), "branches": deep_spec(BRANCHES, "front", "head")}


def write(folder: Path, name: str) -> Path:
    write_deep(folder, LAYERS)
    path = folder / "spec.yaml"
    path.write_text(SPECS[name])
    return path


@pytest.fixture(scope="module", params=SPECS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build of a spec; not to be changed."""
    folder = tmp_path_factory.mktemp(request.param)
    assert main(["build", str(write(folder, request.param)), "-o", str(folder / "out"), "--images", "all"]) == 0
    return folder / "out"


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_firmware_answers_as_the_unsplit_network(built: Path) -> None:
    """All test images on the virtual board, bit for bit; most of them differ from each other in their answers."""
    report = read(built / "report.json")
    assert report["verified"]["answers"] == 40 and report["verified"]["mismatches"] == 0
    plan = load_plan(built / "plan.json", DEVICE)
    x = np.load(built.parent / "test.npz")["x"]
    alone = run_network(plan.chain.networks["deep"], x)[LAYERS - 1].reshape(len(x), -1)
    assert np.array_equal(profile(plan.chain, x).results[-1], alone)
    assert len(np.unique(alone, axis=0)) > 30


def test_statistics_are_of_stages_and_segments_are_inside_them(built: Path) -> None:
    report = read(built / "report.json")
    several = len(report["stages"]) > 1
    assert [stage["name"] for stage in report["stages"]] == (["front", "early", "deep"] if several else ["deep"])
    deep = report["stages"][1] if several else report["stages"][0]
    name = "early" if several else "deep"
    assert [part["name"] for part in deep["segments"]] == [f"{name} (1 of 2)", f"{name} (2 of 2)"]
    assert [layer for part in deep["segments"] for layer in part["layers"]] == deep["layers"]
    assert all(len(part["layers"]) <= 32 for part in deep["segments"])
    assert sum(part["cycles"] for part in deep["segments"]) == deep["cycles"]
    assert sum(stage["share"] for stage in report["stages"]) == 1
    switches = {(one["from"], one["to"]): one["register_writes"] for one in report["switches"]}
    assert switches[f"{name} (1 of 2)", f"{name} (2 of 2)"] > 0
    assert all(one["weight_words"] == one["bias_words"] == 0 for one in report["switches"])
    if several:
        assert ("early (1 of 2)", "front") not in switches and ("early (2 of 2)", "front") in switches
        assert all(0 < stage["share"] < 1 for stage in report["stages"])
    programs = {path.stem for path in (built / "registers").iterdir()}
    assert f"{name} (1 of 2)" in programs and name not in programs


def test_a_plan_keeps_its_cuts(built: Path, tmp_path: Path) -> None:
    content = read(built / "plan.json")
    plan = load_plan(built / "plan.json", DEVICE)
    number = len(content["stages"]) - 1 and 1
    stage = plan.chain.stages[number]
    assert content["stages"][number]["cuts"] == [stage.slots[cut].name for cut in stage.cuts] != []
    assert plan_of(built.parent / "spec.yaml").chain.stages[number].cuts == stage.cuts


@pytest.mark.parametrize("cuts", [[], ["deep/5:l5"], ["deep/nothing"], ["deep/30:l30", "deep/30:l30"]])
def test_cuts_that_make_no_runs_are_damage(cuts: list[str], built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = read(built / "plan.json")
    number = len(content["stages"]) - 1 and 1
    content["stages"][number]["cuts"] = cuts
    assert cost_of_changed(built, content) == 2
    assert "cannot be cut at its `cuts`" in capsys.readouterr().err


def test_names_in_c_are_those_of_stages_that_answer(built: Path) -> None:
    plan = load_plan(built / "plan.json", DEVICE)
    header = next((built / "firmware" / "include").glob("deep_image.h")).read_text()
    runs = len(plan.chain.segments)
    assert f"#define DEEP_STAGES {runs}u\n" in header
    for stage, run in zip(plan.chain.stages, plan.chain.answering, strict=True):
        assert f"#define DEEP_STAGE_{stage.name.upper()} {run}u\n" in header
    assert header.count("#define DEEP_STAGE_") == len(plan.chain.stages)
    assert "of which the last answers" in header


def test_profile_and_trace_name_segments(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "early" if "early" in (built / "plan.json").read_text() else "deep"
    assert main(["run", str(built), "--images", "2", "--profile"]) == 0
    printed = capsys.readouterr().out
    assert f"switching {name} (1 of 2) -> {name} (2 of 2)" in printed
    assert main(["run", str(built), "--images", "9", "--trace", "--trace-only", "runs"]) == 0
    assert f"{name} (1 of 2): " in capsys.readouterr().out


def test_costs_name_what_is_between_runs(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(built.parent / "spec.yaml")
    found = cost(capsys, built)
    name = "early" if len(plan.chain.stages) > 1 else "deep"
    between = [one for one in found["overheads"] if one["name"] == f"switching between the runs of {name}"]
    number = [stage.name for stage in plan.chain.stages].index(name)
    assert [one["cycles"] for one in between] == [plan.cycles.inside[number].cycles] and between[0]["cycles"] > 100
    assert [one["cycles"] for one in found["answers"]] == list(plan.cycles.cost_by_exit)
    assert found["cycles"]["total"] == sum(stage.cycles for stage in plan.cycles.stages)
    assert main(["compare", str(built)]) == 0


def test_costs_and_check_of_the_network_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write(tmp_path, "alone")
    plan = plan_of(spec)
    arguments = [str(tmp_path / "deep.yaml"), "--checkpoint", str(tmp_path / "deep.pth.tar"), "--input", "4x6x6"]
    found = cost(capsys, *arguments)
    assert found["answers"][0]["cycles"] == plan.cycles.cost_by_exit[0]
    assert main(["check", *arguments, "--json"]) == 0
    cut = plan.chain.stages[0].cuts[0]
    runs = [{"first": 0, "last": cut - 1}, {"first": cut, "last": LAYERS - 1}]
    assert json.loads(capsys.readouterr().out)["runs"] == runs
    assert main(["check", *arguments]) == 0
    assert "2 runs, since one has at most 32 layers: layers l0 to l" in capsys.readouterr().out


def test_stages_of_a_deep_main_are_chosen(tmp_path: Path) -> None:
    write_deep(tmp_path, LAYERS)
    spec = tmp_path / "auto.yaml"
    candidates = "candidates:\n  - {front: front}\n  - {until: l41, head: head}\n  - {until: l20, head: head}\n"
    choose = "choose: {data: calibration, accuracy_drop: 60}\n"
    spec.write_text(deep_spec(f"exits: auto\nmain: deep\n{candidates}{choose}", "front", "head"))
    plan = plan_of(spec)
    assert plan.plan.choice and plan.plan.choice.chosen.stages[-1] == "deep"
    assert any(stage.cuts for stage in plan.chain.stages) or len(plan.chain.stages) > 1
    x = np.load(tmp_path / "test.npz")["x"]
    alone = run_network(plan.chain.networks["deep"], x)[LAYERS - 1].reshape(len(x), -1)
    assert np.array_equal(profile(plan.chain, x).results[-1], alone)
    means = plan.plan.choice.chosen.mean_cycles
    assert means <= plan.cycles.cost_by_exit[-1]


def test_the_last_network_alone_pays_for_its_switches_too(built: Path) -> None:
    report, plan = read(built / "report.json"), plan_of(built.parent / "spec.yaml")
    if len(plan.chain.stages) == 1:
        assert report["cycles"]["full"] == report["cycles"]["mean"] == plan.cycles.cost_by_exit[0]
    assert report["cycles"]["full"] > report["cycles"]["accelerator_full"] + plan.cycles.inside[-1].cycles
