"""Hardware exits among the candidates of `exits: auto`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.host.progress import SILENT
from offramp.pipeline.choosing import Builder
from offramp.pipeline.images import make_image, open_image
from offramp.pipeline.planning import Planned
from offramp.planner.chain.sources import load, read_sources
from offramp.planner.exits.candidates import load_candidates, profile_candidates, stages_to_choose
from offramp.planner.image_plan import image_plan_json
from offramp.planner.plan import load_plan, plan_json
from offramp.planner.reference.layers import run_network
from offramp.planner.reference.profile import exit_indices, profile
from offramp.planner.spec.dataset import DataSet
from offramp.planner.spec.models import ModelFiles
from tests.helpers.plans import auto_spec, plan_of
from tests.helpers.specs import GATED, TINY, Family, write_spec

DEVICE = load_device("MAX78002")
IMAGES = 300
CANDIDATES = "candidates: [{front: front}, {until: first, head: head}]\n"
CHOOSE = "choose: {data: calibration, accuracy_drop: 60}\n"


def auto(folder: Path, confidence: str, rest: str = CANDIDATES + CHOOSE, family: Family = TINY) -> Path:
    """A spec, and calibration data whose labels are what main answers for nine images of ten."""
    keys = f"exits: auto\nmain: main\nconfidence: {confidence}\n{rest}device: MAX78002\n"
    path = write_spec(folder, family.spec(keys, front="", main="", head=""), family)
    spec = auto_spec(path, DEVICE)
    main = load(spec.networks["main"], read_sources(spec, DEVICE)["main"], DEVICE)
    rng = np.random.default_rng(10)
    x = rng.integers(-128, 128, (IMAGES, *family.shape)).astype(np.int8)
    answers = run_network(main, x)[main.layers[-1].index].reshape(IMAGES, -1).argmax(axis=1)
    y = np.where(rng.random(IMAGES) < 0.9, answers, rng.integers(0, family.classes, IMAGES))
    np.savez(folder / "calibration.npz", x=x, y=y)
    return path


def counted(made: Planned) -> None:
    """The choice counts what the plan costs, and its shares are those of the plan's thresholds."""
    assert made.plan.choice is not None
    chosen = made.plan.choice.chosen
    assert chosen.mean_cycles == pytest.approx(np.dot(chosen.shares, made.cycles.cost_by_exit), abs=1e-6)
    with np.load(Path(made.plan.spec.where.file).parent / "calibration.npz") as data:
        left = exit_indices(made.chain, profile(made.chain, data["x"]))
    assert (np.bincount(left, minlength=len(made.chain.stages)) / IMAGES).tolist() == pytest.approx(chosen.shares)


@pytest.mark.parametrize("family", [TINY, GATED], ids=["largest logit", "gate"])
def test_the_accelerator_alone_decides(family: Family, tmp_path: Path) -> None:
    gate = ", gate: true" if family is GATED else ""
    candidates = f"candidates: [{{front: front{gate}}}, {{until: first, head: head{gate}}}]\n"
    made = plan_of(auto(tmp_path, "hardware", candidates + CHOOSE, family), DEVICE)
    counted(made)
    early = made.chain.exits[:-1]
    assert early and all(stage.rule.measure == ("gate" if gate else "largest_logit") for stage in early)
    units = {key.name: value for key, value in made.lowered.programs[0].settings.items() if key.layer < 0}
    thresholds = [units[f"SNOOP{number + 1}_D1"]["data"] for number in range(len(early))]
    assert thresholds == [stage.rule.threshold for stage in early] and min(thresholds) > 0


def test_core_and_accelerator_can_share_a_chain(tmp_path: Path) -> None:
    made = plan_of(auto(tmp_path, "[margin, hardware]"), DEVICE)
    counted(made)
    assert made.plan.choice is not None
    listed = {one.stages for one in made.plan.choice.chains}
    assert {("front", "main-first-hardware", "main"), ("front-hardware", "main-first", "main")} <= listed
    assert not any({"front", "front-hardware"} <= set(stages) for stages in listed)


def test_the_plan_is_read_back(tmp_path: Path) -> None:
    made = plan_of(auto(tmp_path, "[entropy, hardware]"), DEVICE)
    path = tmp_path / "plan.json"
    path.write_text(plan_json(made.plan, path.parent))
    again = load_plan(path, DEVICE)
    assert again.placed.placement == made.plan.placed.placement
    assert [stage.exit for stage in again.chain.exits] == [stage.exit for stage in made.chain.exits]


@pytest.mark.parametrize("confidence", ["hardware", "[entropy, hardware]", "[margin, max_probability, hardware]"])
def test_chains_that_are_not_placed_cost_no_less_once_they_are(
    confidence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = auto_spec(auto(tmp_path, confidence), DEVICE)
    sources = read_sources(spec, DEVICE)
    monkeypatch.setattr("offramp.pipeline.choosing.PLACED_FIRST", 0)
    builder = Builder(load_candidates(spec, sources, DEVICE), sources, DEVICE, SILENT)
    lower = [cost for cost in builder.costs() if not cost.placed]
    assert lower
    for before, after in zip(lower, builder.place(lower), strict=True):
        own = [len(measures) for measures in before.more["cycles"]]
        for measures in np.ndindex(*own):
            pairs = zip(before.by_exit("cycles", measures), after.by_exit("cycles", measures), strict=True)
            assert all(least <= real for least, real in pairs), (before.early, measures)


def test_the_class_of_a_gated_candidate_is_none_of_its_gate(tmp_path: Path) -> None:
    candidates = "candidates: [{front: front, gate: true}]\n"
    keys = f"exits: auto\nmain: main\nconfidence: hardware\n{candidates}{CHOOSE}device: MAX78002\n"
    spec = auto_spec(write_spec(tmp_path, GATED.spec(keys, front="", main=""), GATED), DEVICE)
    loaded = load_candidates(spec, read_sources(spec, DEVICE), DEVICE)
    x = np.random.default_rng(3).integers(-128, 128, (200, *TINY.shape)).astype(np.int8)
    (found,), _ = profile_candidates(loaded, DataSet("x", x, np.zeros(200, np.int64)))
    front = loaded.entries[0].network
    logits = run_network(front, x)[front.layers[-1].index].reshape(200, -1)
    assert (logits.argmax(axis=1) == 3).any()
    assert (found.right == (logits[:, :3].argmax(axis=1) == 0)).all()
    assert (found.confidence[0] == np.maximum(logits[:, 3], 0)).all()
    assert (found.scores()[0] < 0).any() and ((found.scores()[0] < 0) == (logits[:, 3] <= 0)).all()


def test_candidates_that_cannot_be_hardware_exits_are_named(tmp_path: Path) -> None:
    """Main reads the input as CHW, so a front cannot be followed without the core; a head can."""
    networks = dict(TINY.networks)
    for name in ("front", "main"):
        layers = TINY.networks[name].layers.replace("data_format: HWC", "data_format: CHW")
        layers = layers.replace("processors: 0xf, pad: 1", "processors: 0x1111, output_processors: 0xf, pad: 1")
        networks[name] = replace(networks[name], layers=layers.replace("0xf, output", "0x1111, output"))
    made = plan_of(auto(tmp_path, "[margin, hardware]", family=replace(TINY, networks=networks)), DEVICE)
    assert made.plan.choice is not None
    reasons = {one.name: one.reason for one in made.plan.choice.candidates}
    assert "the next stage reads the input as CHW" in reasons["front-hardware"]
    assert "main-first-hardware" in reasons and "CHW" not in reasons["main-first-hardware"]


def test_what_is_wrong_with_a_candidate_anyway_is_no_reason_against_a_hardware_exit(tmp_path: Path) -> None:
    answers = "answers: {0: a, 7: b}"
    candidates = f"candidates: [{{front: front, {answers}}}, {{until: first, head: head, {answers}}}]\n"
    candidates += "answers: [a, b]\nmain_answers: {0: a, 1: b, 2: b}\n"
    with pytest.raises(InputError) as caught:
        plan_of(auto(tmp_path, "[margin, hardware]", candidates + CHOOSE), DEVICE)
    found = {one.message for one in caught.value.problems}
    assert found == {"there is no class `7`; numbers from 0 to 2 are allowed"}


def test_a_long_name_is_shortened_for_its_hardware_exit(tmp_path: Path) -> None:
    long = ["n" * 63 + letter for letter in "ab"]
    candidates = f"candidates: [{{front: front, name: {long[0]}}}, {{until: first, head: head, name: {long[1]}}}]\n"
    spec = auto_spec(auto(tmp_path, "[margin, hardware]", candidates + CHOOSE), DEVICE)
    names = [one.name for one in stages_to_choose(spec, read_sources(spec, DEVICE), DEVICE)]
    assert names[:2] == long and len({*names}) == 4 and max(map(len, names)) == 64
    assert all(name.startswith("n" * 48) and name.endswith("-hardware") for name in names[2:])


def test_a_name_that_a_hardware_exit_would_have_is_told_once(tmp_path: Path) -> None:
    candidates = "candidates: [{front: front}, {until: first, head: head, name: front-hardware}]\n"
    with pytest.raises(InputError) as caught:
        plan_of(auto(tmp_path, "[margin, hardware]", candidates + CHOOSE), DEVICE)
    wanted = "there are several stages named `front-hardware`; give each a `name`"
    assert [one.message for one in caught.value.problems] == [wanted]


CALIBRATED = """\
calibrate: {data: calibration, accuracy_drop: 60}
stages:
  - {network: front, exit: {hardware: {}}}
  - {network: main}
"""


@pytest.mark.parametrize("way", ["auto", "calibrated"])
def test_thresholds_are_in_registers_beside_another_model_too(way: str, tmp_path: Path) -> None:
    """They are known only when all models have been placed and lowered."""
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    plain = TINY.spec("stages:\n  - network: main\n", main="").replace("name: tiny", "name: first")
    specs = [write_spec(tmp_path / "first", plain + "device: MAX78002\n"), auto(tmp_path / "second", "hardware")]
    if way == "calibrated":
        specs[1].write_text(TINY.spec(CALIBRATED, front="", main="") + "device: MAX78002\n")
    image = make_image(ModelFiles(None, tuple(specs)), [DEVICE] * 2, SILENT)
    first, second = image.models
    rules = [stage.rule for stage in second.chain.exits[:-1]]
    program = second.lowered.programs[0]
    units = {key.name: value for key, value in program.settings.items() if key.layer < 0 and key.quadrant == 0}
    assert rules and [units[f"SNOOP{number + 1}_D1"]["data"] for number in range(len(rules))] == [
        rule.threshold for rule in rules
    ]
    assert program.positions[0] > first.lowered.programs[0].positions[-1]
    path = tmp_path / "plan.json"
    path.write_text(image_plan_json(image.plan, tmp_path))
    for made, again in zip(image.models, open_image(path, DEVICE).models, strict=True):
        assert [one.settings for one in again.lowered.programs] == [one.settings for one in made.lowered.programs]
        assert again.lowered.switching == made.lowered.switching


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("device: MAX78002\n", "", "`hardware`: the MAX78000 has no snoop units"),
        ("accuracy_drop: 60", "accuracy_drop: 60, per_class: true", "`per_class` takes one measure of the core"),
        ("{front: front}", "{front: front, gate: true}", "`front` has 2 classes and a gate, the last stage 3"),
        ("confidence: hardware", "confidence: hardwire", "margin, max_probability, entropy, hardware"),
    ],
)
def test_what_cannot_be_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = auto(tmp_path, "hardware")
    path.write_text(path.read_text().replace(old, new))
    device = load_device("MAX78000") if "MAX78000" in message else DEVICE
    with pytest.raises(InputError) as caught:
        plan_of(path, device)
    assert message in str(caught.value)


def test_a_gate_is_for_hardware_exits(tmp_path: Path) -> None:
    path = auto(tmp_path, "margin")
    path.write_text(path.read_text().replace("{front: front}", "{front: front, gate: true}"))
    with pytest.raises(InputError, match="`gate` is for hardware exits; `confidence: hardware` is expected"):
        plan_of(path, DEVICE)
