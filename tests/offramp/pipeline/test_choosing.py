"""`exits: auto` from spec to plan, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from offramp.cli import main
from offramp.codegen.lower import lower
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.host.progress import SILENT
from offramp.pipeline.choosing import Builder
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.planning import planned
from offramp.pipeline.report import report_json
from offramp.planner.chain.build import build_chain
from offramp.planner.chain.sources import read_sources
from offramp.planner.exits.candidates import load_candidates, profile_candidates
from offramp.planner.ir.measure import MEASURES
from offramp.planner.ir.network import Shape
from offramp.planner.plan import Plan, load_plan, plan_json
from offramp.planner.reference.confidence import confident
from offramp.planner.reference.layers import run_network
from offramp.planner.reference.profile import exit_indices, profile
from offramp.planner.spec.dataset import DataSet, load_data
from tests.helpers.paths import EXAMPLES
from tests.helpers.plans import auto_spec, chain_of, manual_spec
from tests.helpers.plans import plan_of as planned_of
from tests.helpers.specs import STAGED, write_network, write_staged

IMAGES = 300
DEVICE = load_device()

NETWORKS = """\
offramp: 1
networks:
  front: {network: front.yaml, checkpoint: front.pth.tar, input: 6x12x10}
  head: {network: head.yaml, checkpoint: head.pth.tar}
  main: {network: main.yaml, checkpoint: main.pth.tar, input: 6x12x10}
data: {calibration: calibration.npz, test: test.npz}
"""
AUTO = """\
exits: auto
main: main
candidates:
  - {front: front}
  - {until: wide, head: head}
choose: {data: calibration, accuracy_drop: 60}
"""
# Reads what main's layer `wide` writes, 40x12x10.
HEAD = """\
  - {op: conv2d, kernel_size: 1x1, pad: 0, activate: ReLU, max_pool: 4, pool_stride: 4, data_format: HWC}
  - {op: mlp, flatten: true, output_width: 32}
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks, and data whose labels are main's answers for nine images of ten."""
    folder = tmp_path_factory.mktemp("auto")
    spec = manual_spec(write_staged(folder))
    rng = np.random.default_rng(9)
    write_network(folder, "head", HEAD, [(8, 40, 1, 1), (STAGED.classes, 8 * 3 * 2)])
    network = build_chain(spec, read_sources(spec, DEVICE), DEVICE).networks["main"]
    for name in ("calibration", "test", "train"):
        x = rng.integers(-128, 128, (IMAGES, *STAGED.shape)).astype(np.int8)
        answers = run_network(network, x)[network.layers[-1].index].reshape(IMAGES, -1).argmax(axis=1)
        y = np.where(rng.random(IMAGES) < 0.9, answers, rng.integers(0, STAGED.classes, IMAGES))
        np.savez(folder / f"{name}.npz", x=x, y=y)
    return folder


def write_auto(folder: Path, text: str = NETWORKS + AUTO, name: str = "auto.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def plan_of(path: Path) -> Plan:
    return planned_of(path).plan


def data(folder: Path, name: str) -> DataSet:
    return load_data(name, folder / f"{name}.npz", Shape(*STAGED.shape), STAGED.classes)


def test_one_run_gives_what_every_chain_gives(folder: Path) -> None:
    spec = auto_spec(write_auto(folder))
    images = data(folder, "calibration")
    candidates = load_candidates(spec, read_sources(spec, DEVICE), DEVICE)
    profiles, full = profile_candidates(candidates, images)
    stages = """\
stages:
  - {network: front, exit: {confidence: max_probability, threshold: 1}}
  - {network: main, until: wide, head: head, exit: {confidence: max_probability, threshold: 1}}
  - {network: main}
"""
    chain = chain_of(write_auto(folder, NETWORKS + stages, "explicit.yaml"))
    expected = profile(chain, images.x)
    at = spec.choice.measures.index("max_probability")
    for stage, one in enumerate(profiles):
        assert (one.confidence[at] == expected.confidence[stage]).all()
        assert (one.right == (expected.answers[stage] == images.y)).all()
    assert (full == (expected.answers[2] == images.y)).all()
    assert candidates.entries[1].cut == 0


@pytest.mark.parametrize("measure", ["", *MEASURES])
def test_the_choice_counts_what_the_plan_costs(folder: Path, measure: str) -> None:
    text = NETWORKS + AUTO + (f"confidence: [{measure}]\n" if measure else "")
    made = planned_of(write_auto(folder, text, "counted.yaml"))
    assert made.plan.choice is not None and made.plan.calibration is not None
    chosen = made.plan.choice.chosen
    assert len(chosen.stages) > 1
    assert chosen.mean_cycles == pytest.approx(np.dot(chosen.shares, made.cycles.cost_by_exit), abs=1e-6)
    assert chosen.mean_energy_uj == pytest.approx(np.dot(chosen.shares, made.energy.cost_by_exit) / 10**6, abs=1e-9)
    assert made.plan.calibration.mean_cycles == pytest.approx(chosen.mean_cycles, abs=1e-6)


def test_a_plan_keeps_its_promise_on_the_calibration_data(folder: Path) -> None:
    plan = plan_of(write_auto(folder))
    choice = plan.choice
    assert choice is not None and len(choice.chosen.stages) > 1
    assert [stage.name for stage in plan.chain.stages] == list(choice.chosen.stages)
    images = data(folder, "calibration")
    profiled = profile(plan.chain, images.x)
    left = np.full(IMAGES, len(plan.chain.stages) - 1)
    for stage in reversed(range(len(plan.chain.stages) - 1)):
        rule = plan.chain.exits[stage].rule
        assert rule.threshold is not None
        left[confident(rule.measure, profiled.confidence[stage], rule.threshold)] = stage
    answers = np.stack(profiled.answers)[left, np.arange(IMAGES)]
    shares = np.bincount(left, minlength=len(choice.chosen.shares)) / IMAGES
    assert tuple(shares) == choice.chosen.shares
    assert (answers == images.y).mean() == choice.chosen.accuracy
    assert choice.chosen.accuracy >= (profiled.answers[-1] == images.y).mean() - 0.6


def test_plans_are_kept_read_back_and_the_same_every_time(folder: Path) -> None:
    path = write_auto(folder)
    plan = plan_of(path)
    text = plan_json(plan, folder)
    assert text == plan_json(plan_of(path), folder)
    content = json.loads(text)
    assert content["choice"]["method"] == "exact" and len(content["choice"]["chains"]) == 4
    (folder / "plan.json").write_text(text)
    again = load_plan(folder / "plan.json", DEVICE)
    assert [(one.name, one.exit) for one in again.chain.exits] == [(one.name, one.exit) for one in plan.chain.exits]
    assert again.choice == plan.choice and again.calibration == plan.calibration
    assert plan_json(again, folder) == text


def test_the_report_has_the_choice(folder: Path) -> None:
    plan = plan_of(write_auto(folder))
    content = json.loads(report_json(plan_report(planned(plan, lower(plan.placed)), evaluate_plan(plan))))
    chosen = content["choice"]["chosen"]
    assert [stage["name"] for stage in content["stages"]] == chosen["stages"]
    assert content["choice"]["pareto"]["cycles"][0]["accuracy"] >= chosen["accuracy"]
    assert content["calibration"]["mean_cycles"] == pytest.approx(chosen["mean_cycles"])


def test_a_network_that_two_candidates_share_runs_once(folder: Path) -> None:
    text = (NETWORKS + AUTO).replace("{until: wide, head: head}", "{front: front, name: again, temperature: 2}")
    networks = "".join(line for line in text.splitlines(keepends=True) if "head" not in line)
    choice = plan_of(write_auto(folder, networks, "again.yaml")).choice
    assert choice is not None
    assert {one.stages for one in choice.chains} == {("main",), ("front", "main"), ("again", "main")}


def test_more_chains_than_can_be_tried_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offramp.pipeline.choosing.MOST_CHAINS", 3)
    with pytest.raises(InputError, match="2 candidates can form 4 chains; 3 are allowed: leave some candidates out"):
        plan_of(write_auto(folder))


def test_main_alone_is_a_choice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Random networks cannot replace main at no loss on new data."""
    text = (NETWORKS + AUTO).replace("accuracy_drop: 60", "accuracy_drop: 5, risk: {delta: 0.05}")
    path = write_auto(folder, text, "alone.yaml")
    assert main(["plan", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "no early exit passed the test for new data" in printed
    assert [stage.name for stage in plan_of(path).chain.stages] == ["main"]


def test_the_terminal_tells_what_was_chosen_and_why(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(write_auto(folder))]) == 0
    printed = capsys.readouterr().out
    for words in (
        "runner-up",
        "front:",
        "main-wide:",
        "accuracy against cycles",
        "accuracy against energy",
        "(chosen)",
    ):
        assert words in printed, words
    assert "proved the best among chains of up to 3 stages" in printed


def test_training_data_may_not_overlap(folder: Path) -> None:
    images = data(folder, "calibration")
    np.savez(folder / "mixed.npz", x=images.x[:7], y=images.y[:7])
    own = NETWORKS.replace("test: test.npz", "test: test.npz, train: mixed.npz")
    with pytest.raises(InputError, match="7 images of data set `train` are also in `calibration`"):
        plan_of(write_auto(folder, own + AUTO, "mixed.yaml"))
    apart = own.replace("mixed.npz", "train.npz")
    assert plan_of(write_auto(folder, apart + AUTO, "apart.yaml")).choice


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("exits: auto", "exits: maybe", "`exits: maybe`; allowed: auto"),
        ("main: main\n", "main: big\n", "`main`: there is no `big`; there are: front, head, main"),
        ("front: front}", "front: back}", "`front`: there is no `back`"),
        ("front: front}", "front: main}", "`main` is the main network; it is no candidate itself"),
        (", head: head}", "}", "a candidate has either a `front` or a `head`"),
        ("head: head}", "head: {layers: wide}}", "`; the name of a network, or {layers: [names or numbers]}"),
        ("until: wide, head: head", "head: main", "`main` is the main network; it is no candidate itself"),
        ("{until: wide, head: head}", "{front: front}", "there are several stages named `front`"),
        ("  - {until: wide, head: head}\n", "", "neither `main` nor a candidate: head"),
        ("data: calibration, accuracy", "data: none, accuracy", "`data`: there is no `none`"),
        (", accuracy_drop: 60", "", "one of `accuracy_drop` and `budget` is needed"),
        ("drop: 60", "drop: 60, budget: {cycles: 5}", "one of `accuracy_drop` and `budget` is needed"),
        ("accuracy_drop: 60", "budget: {power: 5}", "unknown key `power`; allowed: cycles, energy"),
        ("accuracy_drop: 60", "budget: 5", "`budget: 5`; {cycles: number} or {energy: uJ}"),
        ("accuracy_drop: 60", "budget: {cycles: 5}, minimise: energy", "no `minimise` and `risk` then"),
        ("drop: 60", "drop: 60, minimise: time", "`minimise: time`; `cycles` or `energy`, or weights for both"),
        ("drop: 60", "drop: 60, minimise: {cycles: -1}", "of each quantity a number > 0 is expected"),
        ("drop: 60", "drop: 60, risk: 0.1", "`risk: 0.1`; a mapping with `delta`"),
        ("drop: 60", "drop: 60, risk: {delta: 2}", "`delta: 2`; a probability between 0 and 1 is expected"),
        ("drop: 60", "drop: 0, risk: {delta: 0.1}", "a guarantee on new data needs an `accuracy_drop`"),
        ("choose: {data: calibration, accuracy_drop: 60}", "choose: fast", "`choose: fast`; a mapping with `data`"),
        (
            "main: main\n",
            "main: main\nconfidence: [margin, luck]\n",
            "one of margin, max_probability, entropy, hardware, or",
        ),
        ("main: main\n", "main: main\nstages: []\n", "unknown key `stages`"),
        ("until: wide", "until: answer", "no cut after layer `answer`: nothing is left for the next stage"),
        ("until: wide", "until: tall", "has no layer `tall`"),
    ],
)
def test_mistakes_are_told_with_their_line(folder: Path, old: str, new: str, message: str) -> None:
    text = NETWORKS + AUTO
    assert old in text
    path = write_auto(folder, text.replace(old, new), "wrong.yaml")
    with pytest.raises(InputError) as caught:
        spec = auto_spec(path)
        load_candidates(spec, read_sources(spec, DEVICE), DEVICE)
    assert message in str(caught.value)
    assert all(one.where and one.where.line for one in caught.value.problems)


def test_explicit_calibration_takes_a_risk(folder: Path) -> None:
    stages = "stages: [{network: front, exit: {confidence: margin}}, {network: main}]\n"
    networks = "".join(line for line in NETWORKS.splitlines(keepends=True) if "head" not in line)
    calibrate = "calibrate: {data: calibration, accuracy_drop: 60, risk: {delta: 0.1}}\n"
    plan = plan_of(write_auto(folder, networks + calibrate + stages, "risk.yaml"))
    assert plan.calibration is not None and plan.calibration.risk is not None
    assert plan.calibration.risk.delta == 0.1 and plan.calibration.risk.images == IMAGES
    few = calibrate.replace("60", "0.5")
    with pytest.raises(InputError, match=r"300 images cannot show a loss below 0\.5 points.*at least 460 are needed"):
        plan_of(write_auto(folder, networks + few + stages, "few.yaml"))


@pytest.mark.slow
def test_the_examples_choice_keeps_its_guarantee_on_the_test_data() -> None:
    plan = plan_of(EXAMPLES / "mnist" / "auto.yaml")
    assert plan.choice is not None and plan.choice.risk is not None
    assert [stage.name for stage in plan.chain.stages] == ["front-4", "main"]
    evaluated = evaluate_plan(plan)
    assert evaluated is not None
    report = plan_report(planned(plan, lower(plan.placed)), evaluated)
    assert report.accuracy and report.accuracy.staged and report.accuracy.full
    assert report.accuracy.staged >= report.accuracy.full - 0.002
    assert report.cycles.ratio is not None and report.cycles.ratio > 7


def test_chains_that_are_not_placed_cost_no_less_once_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = auto_spec(write_auto(folder))
    candidates = load_candidates(spec, read_sources(spec, DEVICE), DEVICE)
    monkeypatch.setattr("offramp.pipeline.choosing.PLACED_FIRST", 0)
    builder = Builder(candidates, read_sources(spec, DEVICE), DEVICE, SILENT)
    lower = [cost for cost in builder.costs() if not cost.placed]
    assert [len(cost.early) for cost in lower] == [2]
    for before, after in zip(lower, builder.place(lower), strict=True):
        assert after.placed and after.early == before.early
        for quantity, costs in before.cost_by_exit.items():
            pairs = list(zip(costs, after.cost_by_exit[quantity], strict=True))
            assert all(0.75 * real < least <= real for least, real in pairs), (quantity, pairs)


def test_the_choice_is_the_same_if_chains_are_placed_when_they_may_win(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = plan_of(write_auto(folder)).choice
    monkeypatch.setattr("offramp.pipeline.choosing.PLACED_FIRST", 0)
    choice = plan_of(write_auto(folder)).choice
    assert everything is not None and choice is not None and everything.chains_not_placed == 0
    assert choice.chosen == everything.chosen and choice.method == "exact"


AGAINST_MAIN = """\
calibrate: {data: field, accuracy_drop: 10, risk: {delta: 0.1}, against: main}
stages:
  - {network: front, exit: {confidence: margin}}
  - {network: main}
"""


def test_thresholds_can_be_chosen_without_labels(folder: Path) -> None:
    """What is lost is what main answers otherwise."""
    with np.load(folder / "calibration.npz") as labelled:
        np.savez(folder / "field.npz", x=labelled["x"])
    networks = NETWORKS.replace("  head: {network: head.yaml, checkpoint: head.pth.tar}\n", "")
    networks = networks.replace("data: {", "data: {field: field.npz, ")
    plan = plan_of(write_auto(folder, networks + AGAINST_MAIN, "field.yaml"))
    found = plan.calibration
    assert found is not None and found.risk is not None and found.against == "main"
    profiled = profile(plan.chain, data(folder, "calibration").x)
    left = exit_indices(plan.chain, profiled)
    answers = np.stack(profiled.answers)[left, np.arange(IMAGES)]
    otherwise = int((answers != profiled.answers[-1]).sum())
    assert otherwise == found.risk.losses <= found.risk.allowed
    assert found.accuracy.full == 1 and found.accuracy.staged == pytest.approx(1 - otherwise / IMAGES)
    with pytest.raises(InputError, match="there is no array `y`"):
        plan_of(write_auto(folder, (networks + AGAINST_MAIN).replace(", against: main", ""), "labels.yaml"))


def test_a_choice_can_be_made_without_labels(folder: Path) -> None:
    with np.load(folder / "calibration.npz") as labelled:
        np.savez(folder / "field.npz", x=labelled["x"])
    text = (NETWORKS + AUTO).replace("data: {calibration: calibration.npz", "data: {field: field.npz")
    choice = plan_of(write_auto(folder, text.replace("{data: calibration", "{against: main, data: field"))).choice
    assert choice is not None and choice.against == "main" and choice.full_accuracy == 1
    assert choice.chosen.accuracy >= 0.4
