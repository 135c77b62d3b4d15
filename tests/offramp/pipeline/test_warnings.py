"""What is allowed but rarely meant is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from offramp.commands.tables import print_results
from offramp.configs.errors import InputError
from offramp.pipeline.evaluate import Evaluation, evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.planning import Planned
from offramp.pipeline.warnings import data_warnings, plan_warnings
from offramp.planner.ai8x.checkpoint import load_checkpoint
from offramp.planner.reference.profile import profile_answers
from offramp.planner.spec.dataset import DataSet, Images, load_data
from tests.helpers.checkpoints import save
from tests.helpers.paths import EXAMPLES
from tests.helpers.plans import plan_of
from tests.helpers.specs import BRANCH, STAGED, write_checkpoint, write_files, write_staged


@pytest.fixture(scope="module")
def made() -> Planned:
    return plan_of(EXAMPLES / "mnist" / "spec.yaml")


@pytest.fixture(scope="module")
def evaluation(made: Planned) -> Evaluation:
    found = evaluate_plan(made.plan)
    assert found is not None
    return found


def test_the_example_has_no_warnings(made: Planned, evaluation: Evaluation) -> None:
    assert plan_report(made, evaluation).warnings == ()


def test_data_that_look_unsigned_or_have_one_class() -> None:
    x = np.random.default_rng(0).integers(0, 128, (64, 1, 2, 2)).astype(np.int8)
    assert data_warnings(Images("field", x)) == (
        "no value of data set `field` is negative: are its pixels unsigned, without 128 taken off?",
    )
    one = DataSet("field", x - 100, np.full(64, 3))
    assert data_warnings(one) == ("all 64 images of data set `field` are of class 3",)
    assert data_warnings(DataSet("field", x - 100, np.arange(64) % 2)) == ()


def test_a_test_loss_above_the_limit(made: Planned, evaluation: Evaluation) -> None:
    assert made.plan.calibration is not None
    calibration = replace(made.plan.calibration, accuracy_drop=-50.0, risk=None)
    found = plan_warnings(replace(made.plan, calibration=calibration), evaluation)
    assert len(found) == 1 and found[0].startswith("accuracy on the test data falls by ")
    assert "`accuracy_drop` is -50" in found[0] and found[0].endswith("`risk` is for new data")


@pytest.mark.parametrize(
    ("leaving", "said"),
    [(0, "every image of the test data leaves at stage `front`"), (1, "no image of the test data leaves at stage")],
)
def test_a_stage_where_nobody_or_everybody_leaves(
    made: Planned, evaluation: Evaluation, leaving: int, said: str
) -> None:
    index = np.full(evaluation.images, leaving)
    assert any(said in one for one in plan_warnings(made.plan, replace(evaluation, exit_index=index)))


@pytest.mark.parametrize(
    ("measure", "threshold", "said"),
    [
        ("max_probability", 1.25, "stage `front`: no max_probability is 1.25; nobody leaves there"),
        ("max_probability", 0.0625, "everybody leaves there"),
        ("entropy", 7, "everybody leaves there"),
        ("margin", 0, "everybody leaves there"),
    ],
)
def test_a_threshold_that_no_answer_or_every_one_meets(
    tmp_path: Path, measure: str, threshold: float, said: str
) -> None:
    path = write_staged(tmp_path)
    text = path.read_text()
    assert "exit: {confidence: margin, threshold: 0.02}" in text
    exit_text = f"exit: {{confidence: {measure}, threshold: {threshold}}}"
    path.write_text(text.replace("exit: {confidence: margin, threshold: 0.02}", exit_text))
    assert any(said in one for one in plan_warnings(plan_of(path).plan, None))


def test_warnings_are_printed(made: Planned, evaluation: Evaluation) -> None:
    report = replace(plan_report(made, evaluation), warnings=("a [bold] thing",))
    console = Console(record=True, width=200)
    print_results(report, console)
    assert "warning: a [bold] thing" in console.export_text()


def test_layers_that_no_network_takes(tmp_path: Path) -> None:
    path = write_staged(tmp_path)
    shapes = STAGED.networks["main"].weights
    file = write_checkpoint(tmp_path, "main", [*shapes, (4, 8), (4, 16)])
    first, second = plan_warnings(plan_of(path).plan, None)
    assert first.startswith(f"{file}: 1 layer that no network takes: layer3.op (4x8x1x1); if they are a head write")
    assert "checkpoint: main.pth.tar, prefix: " in first and second.startswith(f"{file}: 1 layer")


EARLYEXIT = "exit: {confidence: entropy, earlyexit_threshold: 0.9}"


def test_a_threshold_of_the_distiller_is_taken_for_one_of_the_entropy(tmp_path: Path) -> None:
    path = write_staged(tmp_path)
    text = path.read_text()
    path.write_text(text.replace("exit: {confidence: margin, threshold: 0.02}", EARLYEXIT))
    plan = plan_of(path).plan
    assert plan.chain.exits[0].rule.threshold == round(0.9 * 65536)
    (said,) = plan_warnings(plan, None)
    assert said.startswith(
        "stage `front`: the distiller's threshold 0.9 is a limit of the cross-entropy with the label"
    )
    assert said.endswith("it is taken for one of the entropy: `calibrate` chooses one on data")


def test_a_threshold_of_the_distiller_is_compared_with_the_chosen_one(tmp_path: Path) -> None:
    path = write_staged(tmp_path, "calibrate: {data: calibration, accuracy_drop: 20}\n")
    text = path.read_text()
    given = "exit: {confidence: entropy, earlyexit_threshold: 1.1, temperature: 4}"
    path.write_text(text.replace("exit: {confidence: margin, threshold: 0.02}", given))
    plan = plan_of(path).plan
    data = load_data("calibration", tmp_path / "calibration.npz", plan.chain.networks["front"].input_shape, 4)
    answered = profile_answers(plan.chain, data.x)
    leave = answered.confidence[0] <= round(1.1 * 65536)
    right = (answered.classes[0] == data.y)[leave]
    assert 0 < leave.sum() < len(leave)
    said = next(one for one in plan_warnings(plan, None) if "distiller" in one)
    assert f"lets {leave.mean():.2%} of the calibration data leave, {right.mean():.2%} of them right" in said
    threshold = plan.chain.exits[0].rule.threshold
    assert threshold is not None and said.endswith(f"chosen is {threshold / 65536:.4g}")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("confidence: margin, earlyexit_threshold: 0.9", "is in nats: `confidence: entropy` is expected"),
        ("confidence: entropy, earlyexit_threshold: 0.9, threshold: 1", "that is taken for one, not both"),
        ("confidence: entropy, earlyexit_threshold: -1", "`earlyexit_threshold: -1`; a number >= 0 is expected"),
    ],
)
def test_what_a_threshold_of_the_distiller_cannot_be(tmp_path: Path, keys: str, said: str) -> None:
    path = write_staged(tmp_path)
    path.write_text(path.read_text().replace("confidence: margin, threshold: 0.02", keys))
    with pytest.raises(InputError) as caught:
        plan_of(path)
    assert said in str(caught.value) and f"{path}:" in str(caught.value)


@pytest.mark.parametrize(("until", "warned"), [("first", False), ("0", False), ("second", True), ("1", True)])
def test_a_head_behind_another_layer_than_it_was_trained_behind(tmp_path: Path, until: str, warned: bool) -> None:
    write_files(tmp_path)
    first, *others = load_checkpoint(tmp_path / "main.pth.tar").layers
    inputs = 288 if until in ("first", "0") else 72
    weights = {"conv1.branched_module.op": first.weights, "conv1.branch_net.op": np.ones((3, inputs), np.int8)}
    weights |= {layer.name: layer.weights for layer in others}
    state = {f"{name}.weight": values.astype(np.float32) for name, values in weights.items()}
    save(tmp_path / "main.pth.tar", state, "main")
    text = BRANCH.replace("head.pth.tar", "main.pth.tar, prefix: conv1.branch_net").replace(
        "until: first", f"until: {until}"
    )
    (tmp_path / "spec.yaml").write_text(text)
    found = [one for one in plan_warnings(plan_of(tmp_path / "spec.yaml").plan, None) if "trained" in one]
    said = "the distiller trained head `head` (`conv1.branch_net`) behind layer `first`"
    name = f"main-{until}"
    reads = f"after `until: {until}` it reads the output of another layer"
    assert found == ([f"stage `{name}`: {said}; {reads}"] if warned else [])
