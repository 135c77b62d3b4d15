"""Stages that answer with classes of their own: gates, thresholds by class, tensors behind them; up to the firmware."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from offramp.cli import main
from offramp.codegen.image import BY_CLASS
from offramp.host.files import write_tree
from offramp.host.progress import SILENT
from offramp.pipeline.building import firmware_files
from offramp.pipeline.compile import compile_firmware
from offramp.pipeline.emulate import compare, verify
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.images import image_of, make_image
from offramp.pipeline.planning import Planned
from offramp.planner.ir.measure import NO_ANSWER
from offramp.planner.plan import load_plan
from offramp.planner.spec.models import ModelFiles
from offramp.simulator.board.calls import Status
from offramp.simulator.board.run import run
from offramp.simulator.board.session import Session
from offramp.simulator.clock import Clock
from offramp.simulator.lenient import LenientAccelerator
from tests.helpers.plans import plan_of
from tests.helpers.specs import write_network, write_random_sets

IMAGES = 60
LOOK = "  - {op: conv2d, pad: 1, activate: ReLU, max_pool: 2, pool_stride: 2, data_format: HWC}\n"
MAP = LOOK + "  - {op: conv2d, pad: 1, activate: None}\n"


def logits(wide: bool = True) -> str:
    width = "output_width: 32" if wide else "activate: None"
    return f"{LOOK}  - {{op: mlp, flatten: true, {width}}}\n"


def write_gate(folder: Path, stages: str, more: str = "", answers: int = 4, words: str = "words") -> Path:
    """A gate of two classes, `quiet` and `loud`, before words of three classes or a map; labels are answers."""
    write_network(folder, "gate", logits(), ((4, 2, 3, 3), (2, 64)), seed=13)
    more_layers = LOOK + 2 * "  - {op: conv2d, pad: 1, activate: ReLU}\n" + logits().removeprefix(LOOK)
    write_network(folder, "words", more_layers, ((8, 2, 3, 3), (48, 8, 3, 3), (48, 48, 3, 3), (3, 768)), seed=2)
    write_network(folder, "map", MAP, ((8, 2, 3, 3), (5, 8, 3, 3)), seed=3)
    write_random_sets(folder, IMAGES, (2, 8, 8), answers, seed=4)
    networks = f"""\
offramp: 1
name: gated
networks:
  gate: {{network: gate.yaml, checkpoint: gate.pth.tar, input: 2x8x8, labels: [quiet, loud]}}
  {words}: {{network: {words}.yaml, checkpoint: {words}.pth.tar, input: 2x8x8}}
data: {{test: test.npz, calibration: calibration.npz}}
"""
    path = folder / "spec.yaml"
    path.write_text(f"{networks}{more}stages:\n{stages}")
    return path


NAMES = 'answers: [nothing, "yes", "no", stop]\n'
GATE = "  - {network: gate, answers: {quiet: nothing}, exit: {confidence: margin, threshold: 0.05}}\n"
WORDS = '  - {network: words, answers: {0: "yes", 1: stop, 2: "no"}}\n'


def checked_firmware(made: Planned, folder: Path) -> Path:
    """The ELF of a plan with test data; its firmware answers all of them as the reference does, whatever was in memory
    before."""
    evaluation = evaluate_plan(made.plan)
    assert evaluation is not None
    write_tree(folder / "firmware", firmware_files(image_of(made), [evaluation]))
    elf = compile_firmware(folder / "firmware", folder / "firmware.elf").elf
    assert verify(elf, evaluation.data.x, made.plan.placed, evaluation.profiled, lambda done: None).mismatches == ()
    clock = Clock(made.device)
    noisy = LenientAccelerator(made.device, clock, seed=5)
    found = run(elf, evaluation.data.x, noisy, made.device, clock=clock)
    assert compare(found, made.chain, evaluation.profiled) == () and noisy.refused == []
    return elf


def test_a_gate_leaves_with_its_one_answer_only(tmp_path: Path) -> None:
    made = plan_of(write_gate(tmp_path, GATE + WORDS, NAMES))
    assert [stage.answers for stage in made.chain.exits] == [(0, NO_ANSWER), (1, 3, 2)]
    evaluation = evaluate_plan(made.plan)
    assert evaluation is not None
    gated = evaluation.exit_index == 0
    assert 0 < gated.sum() < IMAGES and (evaluation.profiled.classes[0][gated] == 0).all()
    answers = np.stack(evaluation.profiled.answers)[evaluation.exit_index, np.arange(IMAGES)]
    assert (answers[gated] == 0).all() and set(answers[~gated]) <= {1, 2, 3}
    labels = np.load(tmp_path / "test.npz")["y"]
    assert evaluation.accuracy == (answers == labels).mean()
    report = plan_report(made, evaluation)
    assert [(one.name, one.answer) for one in report.stages[0].classes] == [("quiet", "nothing"), ("loud", None)]
    checked_firmware(made, tmp_path)


def test_settings_at_run_time(tmp_path: Path) -> None:
    """A forced gate says that its class means nothing; a threshold holds for all classes that mean something."""
    exits = "exit: {confidence: margin, threshold: {quiet: 100000, loud: 0}}"
    gate = f"  - {{network: gate, answers: {{quiet: nothing, loud: stop}}, {exits}}}\n"
    made = plan_of(write_gate(tmp_path, gate + WORDS, NAMES))
    assert made.chain.exits[0].rule.threshold is None and len(made.chain.exits[0].rule.by_class) == 2
    elf = checked_firmware(made, tmp_path)
    evaluation = evaluate_plan(made.plan)
    assert evaluation is not None
    images = {int(evaluation.profiled.classes[0][at]): evaluation.data.x[at].tobytes() for at in range(IMAGES)}
    clock = Clock(made.device)
    with Session(elf, LenientAccelerator(made.device, clock, seed=6), made.device, clock=clock) as session:
        assert session.open().status is Status.OK
        asked = session.stage_statistics(0, 0).result
        assert asked.threshold == BY_CLASS
        assert [session.infer(0, images[one]).result.stage for one in (0, 1)] == [1, 0]
        assert session.set_threshold(0, 0, 0).status is Status.OK
        assert [session.infer(0, images[one]).result.answer for one in (0, 1)] == [0, 3]
        asked = session.stage_statistics(0, 0).result
        assert (asked.threshold, asked.answers) == (0, 3)
        assert session.set_threshold(0, 0, BY_CLASS).status is Status.OK
        assert [session.infer(0, images[one]).result.stage for one in (0, 1)] == [1, 0]
        session.close()


def test_a_stage_that_is_forced_says_that_its_class_means_nothing(tmp_path: Path) -> None:
    made = plan_of(write_gate(tmp_path, GATE + WORDS, NAMES))
    elf = checked_firmware(made, tmp_path)
    evaluation = evaluate_plan(made.plan)
    assert evaluation is not None
    loud = evaluation.data.x[int(np.flatnonzero(evaluation.profiled.classes[0] == 1)[0])].tobytes()
    clock = Clock(made.device)
    with Session(elf, LenientAccelerator(made.device, clock, seed=7), made.device, clock=clock) as session:
        assert session.open().status is Status.OK and session.force_stage(0, 0).status is Status.OK
        result = session.infer(0, loud).result
        assert (result.stage, result.answer, result.class_index) == (0, 0xFFFFFFFF, 1)
        session.close()


def test_a_gate_before_a_tensor(tmp_path: Path) -> None:
    """Who gets to the tensor loses nothing; who is sent away with `nothing` is right or wrong."""
    stages = "  - {network: gate, answers: {quiet: nothing}, exit: {confidence: margin}}\n"
    more = "answers: [nothing, something]\ncalibrate: {data: calibration, accuracy_drop: 20}\n"
    path = write_gate(tmp_path, f"{stages}  - {{network: map, answers: something}}\n", more, answers=2, words="map")
    made = plan_of(path)
    assert made.chain.exits[-1].exit is None and made.chain.exits[-1].answers == (1,)
    evaluation = evaluate_plan(made.plan)
    assert evaluation is not None
    labels = np.load(tmp_path / "test.npz")["y"]
    assert evaluation.accuracy == ((evaluation.exit_index == 1) | (labels == 0)).mean()
    assert evaluation.accuracy_alone(-1) == 1.0
    calibration = made.plan.calibration
    assert calibration is not None and calibration.accuracy.full == 1.0
    assert 0.8 <= calibration.accuracy.staged < 1.0 and calibration.method == "exact"
    checked_firmware(made, tmp_path)


def test_a_build_says_what_was_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = NAMES + "calibrate: {data: calibration, accuracy_drop: 30}\n"
    gate = '  - {network: gate, answers: {quiet: nothing, loud: "no"}, exit: {confidence: entropy, per_class: true}}\n'
    path = write_gate(tmp_path, gate + WORDS, more)
    assert main(["build", str(path), "-o", str(tmp_path / "out"), "--images", "all"]) == 0
    said = capsys.readouterr().out
    assert "quiet: nothing (entropy <= " in said and "loud: no (entropy <= " in said
    assert main(["run", str(tmp_path / "out"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {"answer", "class"} < printed["answers"][0].keys()
    saved = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert saved["stages"][0]["threshold"] is None and len(saved["stages"][0]["class_thresholds"]) == 2
    assert saved["calibration"]["thresholds"] == [None] and saved["calibration"]["method"] == "exact"
    made = plan_of(path)
    read = load_plan(tmp_path / "out" / "plan.json", made.device)
    assert [stage.exit for stage in read.chain.exits] == [stage.exit for stage in made.chain.exits]


@pytest.mark.parametrize("per_class", [False, True])
def test_thresholds_by_class_are_at_least_as_good(per_class: bool, tmp_path: Path) -> None:
    exits = f"exit: {{confidence: margin, per_class: {str(per_class).lower()}}}"
    gate = f"  - {{network: gate, answers: {{quiet: nothing, loud: stop}}, {exits}}}\n"
    more = NAMES + "calibrate: {data: calibration, accuracy_drop: 5}\n"
    calibration = plan_of(write_gate(tmp_path, gate + WORDS, more)).plan.calibration
    plain = plan_of(write_gate(tmp_path, gate.replace(exits, "exit: {confidence: margin}") + WORDS, more))
    assert calibration is not None and plain.plan.calibration is not None
    assert calibration.mean_cycles <= plain.plan.calibration.mean_cycles


def test_a_gate_may_read_some_rows_only(tmp_path: Path) -> None:
    """Those in the middle, at half the resolution, of the input that the next stage reads as a whole."""
    path = write_gate(tmp_path, GATE + WORDS, NAMES)
    rows = LOOK.replace("pad: 1", "pad: 1, in_crop: [2, 2], in_offset: 0x40")
    write_network(tmp_path, "gate", rows + logits().removeprefix(LOOK), ((4, 2, 3, 3), (2, 32)), seed=13)
    made = plan_of(path)
    assert str(made.chain.stages[0].slots[0].layer.out_shape) == "4x2x4"
    checked_firmware(made, tmp_path)


AUTO = """\
exits: auto
main: words
main_answers: {0: "yes", 1: stop, 2: "no"}
candidates:
  - {front: gate, answers: {quiet: nothing}}
choose: {data: calibration, accuracy_drop: 60}
"""


def test_a_gate_is_a_candidate(tmp_path: Path) -> None:
    path = write_gate(tmp_path, "", NAMES)
    path.write_text(path.read_text().replace("stages:\n", AUTO))
    made = plan_of(path)
    assert made.plan.choice is not None
    assert [stage.name for stage in made.chain.stages] == list(made.plan.choice.chosen.stages) == ["gate", "words"]
    data = np.load(tmp_path / "calibration.npz")
    evaluation = evaluate_plan(made.plan)
    assert evaluation is not None and made.plan.choice.chosen.accuracy >= made.plan.choice.full_accuracy - 0.6
    gated = evaluation.exit_index == 0
    assert gated.any() and (evaluation.profiled.classes[0][gated] == 0).all() and len(data["y"]) == IMAGES
    checked_firmware(made, tmp_path)


BOTH = AUTO.replace("{quiet: nothing}", "{quiet: nothing, loud: stop}") + "confidence: margin\n"
BY_CLASS_TOO = BOTH.replace("accuracy_drop: 60", "accuracy_drop: 60, per_class: true")


def auto_plan(folder: Path, stages: str) -> Planned:
    path = write_gate(folder, "", NAMES)
    path.write_text(path.read_text().replace("stages:\n", stages))
    return plan_of(path)


def test_stages_are_chosen_with_thresholds_by_class(tmp_path: Path) -> None:
    """The same thresholds as of the given chain; and no more cycles than with one threshold for all classes."""
    made, plain = auto_plan(tmp_path, BY_CLASS_TOO), auto_plan(tmp_path, BOTH)
    choice = made.plan.choice
    assert choice is not None and plain.plan.choice is not None
    assert choice.method == "exact" and choice.chosen.stages == ("gate", "words")
    assert choice.chosen.thresholds == (None,) and len(made.chain.exits[0].rule.by_class) == 2
    assert choice.chosen.mean_cycles <= plain.plan.choice.chosen.mean_cycles
    checked_firmware(made, tmp_path)
    exits = "exit: {confidence: margin, per_class: true}"
    gate = f"  - {{network: gate, answers: {{quiet: nothing, loud: stop}}, {exits}}}\n"
    more = NAMES + "calibrate: {data: calibration, accuracy_drop: 60}\n"
    given = plan_of(write_gate(tmp_path, gate + WORDS, more)).plan.calibration
    assert given is not None and given.mean_cycles == choice.chosen.mean_cycles


def test_what_is_chosen_by_class_can_be_tested(tmp_path: Path) -> None:
    """The guarantee is that of a given chain: more thresholds than one are learned on a part of the images."""
    tested = BY_CLASS_TOO.replace("per_class: true", "per_class: true, risk: {delta: 0.2}")
    choice = auto_plan(tmp_path, tested).plan.choice
    assert choice is not None and choice.method == "tested" and choice.risk is not None
    assert "learned" in choice.risk.method and choice.risk.images < IMAGES
    assert choice.risk.p_value <= 0.2 and choice.risk.losses <= choice.risk.allowed
    assert choice.chosen.stages == ("gate", "words")


def test_the_models_of_an_image_keep_thresholds_by_class(tmp_path: Path) -> None:
    alone = auto_plan(tmp_path, BY_CLASS_TOO)
    (tmp_path / "other").mkdir()
    other = write_gate(tmp_path / "other", GATE + WORDS, NAMES)
    other.write_text(other.read_text().replace("name: gated", "name: other"))
    files = ModelFiles(None, (tmp_path / "spec.yaml", other))
    image = make_image(files, [alone.device] * 2, SILENT)
    assert image.models[0].chain.exits[0].exit == alone.chain.exits[0].exit


def test_by_class_one_measure_is_chosen_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_gate(tmp_path, "", NAMES)
    path.write_text(path.read_text().replace("stages:\n", BY_CLASS_TOO.replace("confidence: margin\n", "")))
    assert main(["plan", str(path)]) == 2
    said = capsys.readouterr().err
    assert "`per_class` takes one measure of the core: state one as `confidence`" in said and "spec.yaml:" in said


WRONG = [
    (GATE + WORDS, "answers: [nothing, yes, no]\n", "YAML takes yes, no, on and off for true and false"),
    (GATE + WORDS, "", "the spec needs a list of all `answers`"),
    (GATE + WORDS, NAMES + "labels: [a, b, c, d]\n", "`labels` name classes that are the answers"),
    (GATE + WORDS, "answers: [nothing, nothing, stop]\n", "`answers` has `nothing` twice"),
    (GATE.replace("quiet", "silent") + WORDS, NAMES, "there is no class `silent`; there are: quiet, loud"),
    (GATE.replace("nothing", "none") + WORDS, NAMES, "there is no answer `none`; there are: nothing, yes, no, stop"),
    (GATE.replace("{quiet: nothing}", "nothing") + WORDS, NAMES, "is not the last one: {class: answer} is expected"),
    (GATE + "  - {network: words, answers: {0: stop}}\n", NAMES, "an answer is missing for class 1, 2"),
    (GATE + "  - {network: words}\n", NAMES, "has 3 classes, but there are 4 answers; `answers` says what"),
    ("  - {network: gate, exit: {confidence: margin, threshold: 1}}\n" + WORDS, NAMES, "no answer is called as its"),
    (GATE.replace("0.05", "{loud: 1}") + WORDS, NAMES, "class quiet has no threshold"),
    (GATE.replace("0.05", "{quiet: 1, loud: 1}") + WORDS, NAMES, "class loud means no answer: no threshold"),
    (GATE.replace("threshold: 0.05", "per_class: true, threshold: 1") + WORDS, NAMES, "`per_class` is for `calibrate`"),
]


@pytest.mark.parametrize(("stages", "more", "message"), WRONG)
def test_mistakes(stages: str, more: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(write_gate(tmp_path, stages, more))]) == 2
    said = capsys.readouterr().err
    assert message in said and "spec.yaml:" in said


def test_labels_are_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(write_gate(tmp_path, GATE + WORDS, NAMES, answers=6))]) == 2
    assert "labels run from 0 to 5; 0..3 are the classes" in capsys.readouterr().err


def test_a_tensor_is_nothing_to_compare_answers_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stages = "  - {network: gate, answers: {quiet: nothing}, exit: {confidence: margin}}\n"
    stages += "  - {network: map, answers: something}\n"
    more = "answers: [nothing, something]\ncalibrate: {data: calibration, accuracy_drop: 5, against: main}\n"
    assert main(["plan", str(write_gate(tmp_path, stages, more, 2, "map"))]) == 2
    assert "gives a tensor, with which answers cannot be compared: `against: labels`" in capsys.readouterr().err
