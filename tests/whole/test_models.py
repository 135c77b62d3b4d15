"""Several models in one image: each answers as it does alone, whatever ran before it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp import api
from offramp.cli import main
from offramp.codegen.load_images import bias_runs, weight_chunks
from offramp.configs.device import load_device
from offramp.pipeline.compile import compile_firmware, compile_probe
from offramp.pipeline.probe import run_on_board
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.run import run_program
from offramp.simulator.clock import Clock
from tests.helpers.models import write_big, write_model, write_three
from tests.helpers.wrong_accelerators import WrongWrites

DEVICE = load_device()


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_three(tmp_path_factory.mktemp("specs"))


@pytest.fixture(scope="module")
def built(specs: list[Path]) -> api.BuiltImage:
    """All three in one image, verified: the models in turn."""
    return api.build_image(specs, specs[0].parents[1] / "image")


def report_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "report.json").read_text(encoding="utf-8")))


def test_the_models_answer_in_turn_and_weights_are_written_once(built: api.BuiltImage) -> None:
    report = report_of(built.folder)
    verified = report["verified"]
    placed = [made.plan.placed for made in built.planned.models]
    assert (verified["answers"], verified["mismatches"]) == (80, 0)
    assert [one["verified"]["answers"] for one in report["models"]] == [40, 20, 20]
    assert verified["weight_words"] == sum(len(chunk.words) for chunk in weight_chunks(*placed))
    assert verified["bias_words"] == sum(len(run.values) for run in bias_runs(*placed))
    assert report["verified_switches"] == 60  # of three models 20 times in turn, then one is left


def test_a_switch_writes_registers_only(built: api.BuiltImage) -> None:
    for entry, made in zip(report_of(built.folder)["entries"], built.planned.models, strict=True):
        assert (entry["weight_words"], entry["bias_words"]) == (0, 0)
        assert entry["register_writes"] == len(made.lowered.switching.states[0])
        assert entry["reload_words"] > entry["register_writes"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, 2])
def test_answers_are_those_of_each_model_alone(
    number: int, specs: list[Path], built: api.BuiltImage, tmp_path: Path
) -> None:
    spec, name = specs[number], built.planned.names[number]
    alone = api.build(spec, tmp_path / name, images=0)
    x = np.load(spec.parent / "test.npz")["x"][:5]
    one, other = api.simulate(alone.folder, x), api.simulate(built.folder, x, model=name)
    assert (one.mismatches, other.mismatches) == ((), ())
    assert one.answers.exit_index.tolist() == other.answers.exit_index.tolist()
    assert one.answers.confidence.tolist() == other.answers.confidence.tolist()


def test_the_folder_holds_every_models_registers_and_symbols(built: api.BuiltImage) -> None:
    folder = built.folder / "registers"
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.txt")) == [
        "first/front.txt",
        "first/main.txt",
        "second/front.txt",
        "second/main.txt",
        "third/streaming.txt",
    ]
    header = (built.folder / "firmware" / "include" / "first_second_third_image.h").read_text(encoding="utf-8")
    for number, name in enumerate(("FIRST", "SECOND", "THIRD")):
        assert f"#define FIRST_SECOND_THIRD_{name}_MODEL {number}u" in header


@pytest.mark.slow
def test_the_demonstration_asks_every_model(built: api.BuiltImage, tmp_path: Path) -> None:
    compiled = compile_firmware(built.folder / "firmware", tmp_path / "demo.elf", "auto", "src/main.c")
    clock = Clock(DEVICE)
    status, console = run_program(compiled.elf, Accelerator(DEVICE, clock), DEVICE, clock=clock)
    assert status == 0 and console.splitlines()[-1] == "*** PASS ***"
    samples = [made.plan.spec.name for made in built.planned.models for _ in made.chain.stages]
    assert len(console.splitlines()) >= 2 + len(set(samples))


def test_a_plan_of_several_models_is_read_back(built: api.BuiltImage) -> None:
    again = api.load_image(built.folder)
    assert again.names == ("first", "second", "third")
    for one, other in zip(again.models, built.planned.models, strict=True):
        assert one.plan.placed.placement == other.plan.placed.placement
        assert one.lowered.programs == other.lowered.programs


@pytest.mark.slow
def test_the_same_specs_give_the_same_image(specs: list[Path], built: api.BuiltImage, tmp_path: Path) -> None:
    again = api.build_image(specs, tmp_path / "again", images=0)
    source = "firmware/src/first_second_third_image.c"
    assert (again.folder / source).read_bytes() == (built.folder / source).read_bytes()


def test_run_asks_all_models_or_one(built: api.BuiltImage, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(built.folder), "--images", "2", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [(one["model"], len(one["answers"])) for one in content["models"]] == [
        ("first", 2),
        ("second", 2),
        ("third", 2),
    ]
    assert main(["run", str(built.folder), "--images", "2", "--model", "third", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["stages"] == ["streaming"]
    assert main(["run", str(built.folder), "--model", "fourth"]) == 2
    assert "has no model `fourth`; it has: first, second, third" in capsys.readouterr().err
    assert main(["run", str(built.folder), "--trace"]) == 2
    assert "name it with --model" in capsys.readouterr().err


@pytest.mark.slow
def test_cost_and_compare_take_the_image(
    built: api.BuiltImage, specs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", str(built.folder), "--json"]) == 0
    costs = json.loads(capsys.readouterr().out)
    assert main(["cost", *map(str, specs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == costs
    assert [one["name"] for one in costs["models"]] == ["first", "second", "third"]
    assert [one["weight_words"] for one in costs["entries"]] == [0, 0, 0]
    compared = api.compare(built.folder, specs[0])
    image, alone = compared.layouts
    assert len(image.stages) == 5 and len(alone.stages) == 2
    assert image.highest_column == report_of(built.folder)["memory"]["highest_column"]
    assert image.weight_bytes == report_of(built.folder)["memory"]["weight_bytes"]
    assert "third: streaming" in compared.page()


def test_the_probe_runs_the_layers_of_all_models(built: api.BuiltImage, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", str(built.folder), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert {one["outcome"] for one in results} == {"equal", "not visible"}
    layers = [(one["model"], one["layer"]) for one in results]
    chains = [(made.plan.spec.name, slot.name) for made in built.planned.models for slot in made.chain.slots]
    assert list(dict.fromkeys(layers)) == chains
    assert len({one["input"] for one in results}) >= 3  # each model has its own


@pytest.mark.slow
def test_the_probe_says_which_model_fails(
    built: api.BuiltImage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sign of a bias of the second one is wrong."""
    image, device = built.planned, built.planned.device
    chain, placed = image.models[1].chain, image.models[1].plan.placed
    slot = next(slot for slot in reversed(chain.slots) if slot.name in placed.placement.biases)
    place = placed.placement.biases[slot.name]
    clock, elf, log = Clock(device), tmp_path / "probe.elf", tmp_path / "console.txt"
    compile_probe(built.folder / "firmware", elf)
    accelerator = WrongWrites(clock, device, {device.bias_address(place.quadrant, place.start): 0x80})
    log.write_text(run_on_board(elf, image, accelerator, clock))
    assert main(["probe", str(built.folder), "--log", str(log)]) == 1
    assert re.search(rf"model second, stage \w+, layer \d+ \({re.escape(slot.name)}\)", capsys.readouterr().err)


def test_a_changed_place_is_noticed(built: api.BuiltImage, tmp_path: Path) -> None:
    """Models that want the same columns, each by itself placed well."""
    path = built.folder / "plan.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    own = content["models"][1]["placement"]["weights"]
    moved = content["models"][0]["placement"]["weights"]
    for name in own:
        own[name] = next(iter(moved.values()))
    kept = path.read_bytes()
    try:
        path.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(api.OfframpError):
            api.load_image(path)
    finally:
        path.write_bytes(kept)


@pytest.mark.slow
def test_a_model_without_test_data_stands_by(tmp_path: Path) -> None:
    first, second = write_model(tmp_path, "first"), write_model(tmp_path, "second")
    text = second.read_text(encoding="utf-8").replace("test: test.npz, ", "")
    second.write_text(text, encoding="utf-8")
    built = api.build_image([first, second], tmp_path / "out", images=3)
    assert [one.verified.answers for one in built.report.models if one.verified] == [3, 0]


def test_models_that_do_not_fit_end_with_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    specs = [write_big(tmp_path, "one", 1), write_big(tmp_path, "two", 2)]
    assert main(["build", *map(str, specs), "-o", str(tmp_path / "out")]) == 3
    error = capsys.readouterr().err
    assert "they need 896 of 768 kernel columns" in error
    assert "one:main/0" in error and "two:main/0" in error
    assert "`one` fits alone; all models would fit with 4-bit weights for one:main/0" in error
    assert not (tmp_path / "out").exists()
