"""`offramp train` as a whole: what it writes can be built, and is the same however it got there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp.configs.device import load_device
from offramp.configs.errors import CheckFailed, InputError
from offramp.host.progress import SILENT
from offramp.host.workers import executor
from offramp.pipeline.planning import make_plan
from offramp.planner.ai8x.checkpoint import load_checkpoint
from offramp.planner.spec.reader import load_spec
from offramp.planner.tasks.executor import IN_PROCESS, Executor
from offramp.training import proposing, search
from offramp.training.exits import train_exits
from offramp.training.report import TrainReport
from offramp.training.task import TrainingData
from tests.helpers import checkpoints
from tests.helpers.training import CLASSES, SPEC, write_training

DEVICE = load_device()
FEW = 4  # candidates of a kind that are trained
QUICK = SPEC + "fronts: {count: 1}\nheads: none\nbudget: 1 s\n"
BOTH = SPEC + "fronts: {count: 2}\nheads: {count: 1}\nbudget: 1 s\nsingle: true\n"


def train(folder: Path, name: str = "out", tasks: Executor = IN_PROCESS) -> TrainReport:
    return train_exits(folder / "train.yaml", folder / name, DEVICE, tasks, SILENT)


def files(folder: Path) -> dict[str, bytes]:
    """All that was written, the state of the search too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Stopping:
    """Does tasks until it has been asked for training so many times; then it is interrupted."""

    def __init__(self, trainings: int) -> None:
        self.left = trainings

    def map(self, work: Callable[[Any, Any], Any], shared: Any, tasks: Sequence[Any]) -> list[Any]:
        if work.__name__ == "_train":
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
        return IN_PROCESS.map(work, shared, tasks)


class Watching:
    """Does tasks; `seen`: the data that networks were trained on."""

    def __init__(self) -> None:
        self.seen: list[TrainingData] = []

    def map(self, work: Callable[[Any, Any], Any], shared: Any, tasks: Sequence[Any]) -> list[Any]:
        if work.__name__ == "_train":
            self.seen += shared.data.values()
        return IN_PROCESS.map(work, shared, tasks)


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(proposing, "FRONTS", FEW)
        patched.setattr(proposing, "HEADS", FEW)
        patched.setattr(search, "SINGLES", FEW)
        yield


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short search that has ended, in `out`."""
    folder = tmp_path_factory.mktemp("quick")
    write_training(folder, QUICK)
    train(folder)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainReport]:
    """A search with everything that it can have."""
    folder = tmp_path_factory.mktemp("whole")
    write_training(folder, BOTH)
    return folder, train(folder)


@pytest.mark.slow
def test_what_is_written_can_be_planned(whole: tuple[Path, TrainReport]) -> None:
    folder, report = whole
    out = folder / "out"
    made = make_plan(load_spec(out / "spec.yaml", DEVICE), DEVICE, SILENT)
    assert report.plan and report.plan.choice and made.plan.choice == report.plan.choice
    assert report.plan.choice.risk and report.plan.choice.risk.images <= 300
    assert report.plan.accuracy and report.plan.accuracy.images == 100
    assert (out / "main.yaml").read_bytes() == (folder / "main.yaml").read_bytes()
    assert (out / "main.pth.tar").read_bytes() == (folder / "main.pth.tar").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("gate", [True, False])
def test_exits_that_the_accelerator_takes(gate: bool, tmp_path: Path) -> None:
    device = load_device("MAX78002")
    text = QUICK + f"device: MAX78002\nconfidence: hardware\ngate: {str(gate).lower()}\n"
    write_training(tmp_path, text.replace("budget: 1 s", "budget: 4 s"), data_format="HWC")
    report = train_exits(tmp_path / "train.yaml", tmp_path / "out", device, IN_PROCESS, SILENT)
    made = make_plan(load_spec(tmp_path / "out" / "spec.yaml", device), device, SILENT)
    first = made.chain.exits[0]
    assert len(made.chain.stages) == 2 and first.rule.measure == ("gate" if gate else "largest_logit")
    assert made.chain.producers[first.result].layer.out_shape.channels == CLASSES + gate
    assert report.plan and report.plan.choice and made.plan.choice == report.plan.choice
    assert report.plan.choice.chosen.shares[0] > 0.3
    kept = next(one for one in report.candidates if one.kept)
    assert kept.validation and kept.validation.measure == first.rule.measure and kept.validation.own > 0.8


@pytest.mark.slow
def test_a_file_with_another_network_is_main_s_by_the_prefix(tmp_path: Path) -> None:
    """In the spec that is written too: the layers of the other one come first, and one fits none of main's."""
    write_training(tmp_path, QUICK.replace("input: 2x12x12", "input: 2x12x12, prefix: big"))
    path = tmp_path / "main.pth.tar"
    state: dict[str, NDArray[np.float32]] = {"small.layer0.op.weight": np.ones((4, 288), np.float32)}
    for index, layer in enumerate(load_checkpoint(path).layers):
        assert layer.bias is not None
        state[f"big.layer{index}.op.weight"] = layer.weights.astype(np.float32)
        state[f"big.layer{index}.op.bias"] = layer.bias.astype(np.float32) * 128
    checkpoints.save(path, state, "main")
    assert train(tmp_path).plan
    assert "prefix: big" in (tmp_path / "out" / "spec.yaml").read_text()


@pytest.mark.slow
def test_the_report_says_what_became_of_all_candidates(whole: tuple[Path, TrainReport]) -> None:
    folder, report = whole
    kept = {one.name for one in report.candidates if one.kept}
    written = {path.name.removesuffix(".pth.tar") for path in (folder / "out").glob("*.pth.tar")}
    assert report.single and kept | {"main", report.single.name} == written
    assert 1 <= len([name for name in kept if name.startswith("front-")]) <= 2
    assert len(report.candidates) > len(kept) and all(one.reason for one in report.candidates)
    assert {one.cut for one in report.candidates} >= {None, 0}
    first = next(one for one in report.candidates if one.kept)
    assert first.part == 1 and first.validation and first.validation.cycles < report.main.cycles
    assert [one.images for one in report.data] == [540, 60, 300, 100]
    assert report.left_out and report.sources and report.tag == "estimated"
    assert (
        json.loads((folder / "out" / "report.json").read_text())["candidates"][0]["name"] == report.candidates[0].name
    )


@pytest.mark.slow
def test_the_single_network_costs_at_most_what_the_chain_does(whole: tuple[Path, TrainReport]) -> None:
    _, report = whole
    assert report.single and report.plan and report.plan.choice
    assert report.single.limit == report.plan.choice.chosen.mean_cycles >= report.single.cycles
    (beside,) = report.plan.alone
    assert (beside.name, beside.cycles) == (report.single.name, report.single.cycles)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers_gives_the_same_bytes(quick: Path, workers: int) -> None:
    with executor(workers, None, lambda text: None) as tasks:
        train(quick, str(workers), tasks)
    assert files(quick / str(workers)) == files(quick / "out")


@pytest.mark.slow
def test_a_search_that_was_stopped_goes_on_to_the_same_bytes(quick: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(quick, "stopped", Stopping(2))
    so_far = load_spec(quick / "stopped" / "spec.yaml", DEVICE)  # the best so far can be used
    assert make_plan(so_far, DEVICE, SILENT).plan.choice
    assert json.loads((quick / "stopped" / "report.json").read_text())["plan"] is None
    train(quick, "stopped")
    assert files(quick / "stopped") == files(quick / "out")
    train(quick, "stopped")  # nothing is left to do
    assert files(quick / "stopped") == files(quick / "out")


def test_before_the_first_rung_there_is_nothing_to_write(tmp_path: Path) -> None:
    write_training(tmp_path, QUICK)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "out", Stopping(0))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".state"]


def test_without_labels_networks_learn_and_are_judged_by_what_main_answers(tmp_path: Path) -> None:
    write_training(tmp_path, QUICK, labels=False)
    tasks = Watching()
    report = train(tmp_path, "out", tasks)
    seen = tasks.seen
    assert seen and all(data.labels is None and all(copy.taught is not None for copy in data.copies) for data in seen)
    assert report.against == "main" and report.main.accuracy == 1
    found = [one.validation for one in report.candidates if one.validation]
    assert found and all(one.own == one.agreement for one in found)
    assert not any(part.labels for part in report.data)


def test_labels_that_count_must_be_there(tmp_path: Path) -> None:
    write_training(tmp_path, QUICK.replace(", against: main", ""), labels=False)
    with pytest.raises(InputError, match=r"train.yaml:5: the calibration data have no `y`: without labels"):
        train(tmp_path)


def test_a_shared_image_is_refused(tmp_path: Path) -> None:
    write_training(tmp_path, QUICK)
    known = dict(np.load(tmp_path / "training.npz"))
    np.savez(tmp_path / "test.npz", x=known["x"][:5], y=known["y"][:5])
    with pytest.raises(InputError, match="5 images of data set `test` are also in `training`"):
        train(tmp_path)


def test_another_search_has_another_folder(tmp_path: Path) -> None:
    write_training(tmp_path, QUICK)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "out", Stopping(1))
    (tmp_path / "train.yaml").write_text(QUICK + "seed: 2\n")
    with pytest.raises(InputError, match=r"out: is the folder of another training .*: give a new one, or remove it"):
        train(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="mine: exists, and no training has begun there"):
        train(tmp_path, "mine")


def test_a_search_without_a_rung_blocks_no_folder(tmp_path: Path) -> None:
    write_training(tmp_path, QUICK)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "out", Stopping(0))
    known = dict(np.load(tmp_path / "training.npz"))
    np.savez(tmp_path / "training.npz", x=known["x"], y=known["y"] + 9)  # not the data of this network
    with pytest.raises(InputError, match="label"):
        train(tmp_path)
    with pytest.raises(InputError, match="label"):
        train(tmp_path, "new")
    assert not (tmp_path / "new").exists()
    np.savez(tmp_path / "training.npz", x=known["x"][:500], y=known["y"][:500])
    assert train(tmp_path).data[0].images == 450


def test_a_main_that_is_hardly_better_than_chance_is_told(tmp_path: Path) -> None:
    write_training(tmp_path, QUICK)
    known = dict(np.load(tmp_path / "training.npz"))
    np.savez(tmp_path / "training.npz", x=known["x"], y=(known["y"] + 1) % 4)
    warnings: list[str] = []
    progress = replace(SILENT, warn=warnings.append)
    with pytest.raises(KeyboardInterrupt):
        train_exits(tmp_path / "train.yaml", tmp_path / "out", DEVICE, Stopping(0), progress)
    assert warnings == [
        "main answers 0.00% of 60 images of the validation part right, of 4 classes: wrong data, "
        "order of the labels or normalization?"
    ]


def test_a_damaged_state_is_told(tmp_path: Path) -> None:
    write_training(tmp_path, QUICK)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "out", Stopping(1))
    (state,) = (tmp_path / "out" / ".state").glob("*.npz")
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"fronts-1.npz: is not an .npz file with plain arrays, or damaged"):
        train(tmp_path)


def test_it_is_told_when_nothing_saves_anything(tmp_path: Path) -> None:
    text = QUICK.replace("accuracy_drop: 20, risk: {delta: 0.05}", "budget: {cycles: 10}")  # loading takes more
    write_training(tmp_path, text)
    with pytest.raises(CheckFailed, match=r"train.yaml:1: no front or head saves anything within the limit"):
        train(tmp_path)
    assert (tmp_path / "out" / "report.json").is_file() and not (tmp_path / "out" / "spec.yaml").exists()
