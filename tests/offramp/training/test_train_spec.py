"""Reading a training spec: what it means, and a message with the line for everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.configs.device import Device, load_device
from offramp.configs.errors import InputError
from offramp.training.spec import TrainSpec, load_train_spec
from tests.helpers import specs

DEVICE = load_device()
SPEC = """\
train: 1
main: {network: main.yaml, checkpoint: main.pth.tar, input: 4x6x6}
data: {training: test.npz, calibration: calibration.npz}
choose: {accuracy_drop: 0.5, risk: {delta: 0.05}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    specs.write_files(tmp_path)
    return tmp_path


def read(folder: Path, text: str, device: Device = DEVICE) -> TrainSpec:
    path = folder / "train.yaml"
    path.write_text(text, encoding="utf-8")
    return load_train_spec(path, device)


def refused(folder: Path, text: str, device: Device = DEVICE) -> str:
    with pytest.raises(InputError) as error:
        read(folder, text, device)
    return str(error.value).replace(f"{folder}/", "")


def test_what_is_not_said_has_a_default(folder: Path) -> None:
    spec = read(folder, SPEC)
    assert spec.fronts and (spec.fronts.count, spec.fronts.bits, spec.fronts.augment) == (3, (8, 4, 2, 1), "none")
    assert spec.heads and (spec.heads.count, spec.heads.bits) == (2, (8, 4, 2, 1))
    assert (spec.budget, spec.seed, spec.single) == (600, 1, False)
    assert spec.choice.accuracy_drop == 0.5 and spec.choice.delta == 0.05
    assert spec.data == {"training": folder / "test.npz", "calibration": folder / "calibration.npz"}


def test_everything_can_be_said(folder: Path) -> None:
    more = "fronts: {count: 1, bits: 4, augment: images}\nheads: none\nbudget: 2 h\nseed: 7\nsingle: true\nname: mine\n"
    spec = read(folder, SPEC + more)
    assert spec.fronts and (spec.fronts.count, spec.fronts.bits, spec.fronts.augment) == (1, (4,), "images")
    assert (spec.heads, spec.budget, spec.seed, spec.single, spec.name) == (None, 7200, 7, True, "mine")


@pytest.mark.parametrize("text, seconds", [("90 s", 90), ("15 min", 900), ("15min", 900), ("1 h", 3600)])
def test_a_budget_is_a_time(folder: Path, text: str, seconds: int) -> None:
    assert read(folder, SPEC + f"budget: {text}\n").budget == seconds


@pytest.mark.parametrize(
    "text, line, message",
    [
        (
            "budget: 15\n",
            5,
            "`budget: 15`; a time such as `90 s`, `15 min` or `2 h`, at least 1 s and at most 168 h, is expected",
        ),
        ("budget: 0\n", 5, "at least 1 s and at most 168 h"),
        ("budget: 200 h\n", 5, "at most 168 h, is expected"),
        ("fronts: some\n", 5, "`fronts: some`; `none`, or a mapping with optionally `count`, `bits`, `augment`"),
        ("fronts: {count: 0}\n", 5, "`count: 0`; a whole number from 1 to 8 is expected"),
        ("fronts: {bits: [8, 3]}\n", 5, "one of 8, 4, 2, 1, or a list of some, is expected"),
        ("fronts: {augment: more}\n", 5, "allowed: none, images, flips, series"),
        ("fronts: none\nheads: none\n", 6, "leave nothing to find"),
        ("confidence: hardware\n", 5, "`hardware`: the MAX78000 has no snoop units"),
        ("confidence: [margin, hardware]\n", 5, "either `hardware` or measures of the core"),
        ("gate: true\n", 5, "`gate` is for hardware exits; `confidence: hardware` is expected"),
        ("layers: 3\n", 5, "unknown key `layers`; allowed: train, name, main,"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(folder: Path, text: str, line: int, message: str) -> None:
    found = refused(folder, SPEC + text)
    assert found.startswith(f"train.yaml:{line}: ") and message in found


def test_a_front_needs_an_input_that_is_kept(folder: Path) -> None:
    text = SPEC.replace("input: 4x6x6", "input: 4x6x6, fifo: true")
    assert "comes through the FIFO and is not kept for it after a front: give `fronts: none`" in refused(folder, text)
    assert read(folder, text + "fronts: none\n").fronts is None


def test_the_fifo_leaves_no_hardware_exits(folder: Path) -> None:
    text = SPEC.replace("input: 4x6x6", "input: 4x6x6, fifo: true") + "fronts: none\nconfidence: hardware\n"
    found = refused(folder, text, load_device("MAX78002"))
    assert found.startswith("train.yaml:6: `hardware`: the input of main comes through the FIFO, which the core fills")


@pytest.mark.parametrize("goal", ["minimise: energy, accuracy_drop: 1", "budget: {energy: 5}"])
def test_energy_is_no_goal_where_it_is_not_known(folder: Path, goal: str) -> None:
    text = SPEC.replace("accuracy_drop: 0.5, risk: {delta: 0.05}", goal)
    found = refused(folder, text, load_device("MAX78002"))
    assert found.startswith("train.yaml:4: there is no energy model of the MAX78002")


def test_all_that_is_wrong_is_told_at_once(folder: Path) -> None:
    found = refused(folder, "train: 2\ndata: {training: nowhere.npz}\nchoose: {risk: {delta: 2}}\n").splitlines()
    assert [line.split(":")[1] for line in found] == ["1", "1", "2", "2", "3", "3"]
    assert "this program reads format 1 of training specs" in found[0] or "this program" in found[1]
    assert any("there is no file" in line for line in found)
