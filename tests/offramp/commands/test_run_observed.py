"""`offramp run --trace` and `--profile`: what a build's firmware does on the bus, and where its instructions go."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.cli import main
from offramp.codegen.load_images import bias_runs, weight_chunks
from offramp.commands import run
from offramp.configs.device import load_device
from offramp.pipeline.emulate import verify, verify_together
from offramp.planner.plan import load_plan
from offramp.planner.reference.profile import profile
from offramp.simulator.board.errors import BoardError, Ending
from offramp.simulator.board.meter import Meter
from offramp.simulator.board.symbols import UNKNOWN, load_functions
from tests.helpers.specs import THREE, TINY, write_spec

if not importlib.util.find_spec("ziglang") and not shutil.which("arm-none-eabi-gcc"):
    pytest.skip("neither ziglang nor arm-none-eabi-gcc is installed", allow_module_level=True)

DEVICE = load_device()
STAGES = ("front", "main-first", "main")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of three stages, all of which some image leaves at; not to be changed."""
    folder = tmp_path_factory.mktemp("built")
    spec = write_spec(
        folder, THREE.replace("threshold: 0.5", "threshold: 0.12").replace("threshold: 0.6", "threshold: 1.03")
    )
    assert main(["build", str(spec), "-o", str(folder / "out"), "--images", "0"]) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def traced(built: Path) -> dict[str, Any]:
    """What --json prints with a trace of all images."""
    return printed(built, "--trace")


@pytest.fixture(scope="module")
def profiled(built: Path) -> dict[str, Any]:
    return printed(built, "--profile")


def printed(built: Path, option: str) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr("sys.stdout.write", written.append)
        assert main(["run", str(built), "--images", "all", "--json", option]) == 0
    return dict(json.loads("".join(written)))


def stages_of(traced: dict[str, Any], image: int) -> list[str]:
    return [entry["stage"] for entry in traced["trace"] if entry["image"] == image and entry["kind"] == "run"]


def test_every_image_runs_the_stages_up_to_the_one_that_answers(traced: dict[str, Any]) -> None:
    for image, answer in enumerate(traced["answers"]):
        assert stages_of(traced, image) == list(STAGES[: STAGES.index(answer["stage"]) + 1])
    assert {answer["stage"] for answer in traced["answers"]} == set(STAGES)


def test_runs_take_the_cycles_that_are_planned(traced: dict[str, Any], built: Path) -> None:
    report = json.loads((built / "report.json").read_text())
    planned = {stage["name"]: stage["cycles"] for stage in report["stages"]}
    for entry in (entry for entry in traced["trace"] if entry["kind"] == "run"):
        assert entry["cycles"] == planned[entry["stage"]]
        assert entry["cycles"] == 1 + sum(layer["cycles"] for layer in entry["layers"])


def test_all_weights_and_biases_are_in_the_trace(traced: dict[str, Any], built: Path) -> None:
    placed = load_plan(built / "plan.json", DEVICE).placed
    chunks = weight_chunks(placed)
    written = {kind: 0 for kind in ("weights", "bias")}
    for entry in traced["trace"]:
        if entry["kind"] == "memory" and entry["name"] in written:
            assert entry["image"] is None and not entry["reads"]
            written[entry["name"]] += entry["writes"]
    words = sum(len(chunk.words) for chunk in chunks)
    assert written == {"weights": words + len(chunks), "bias": sum(len(one.values) for one in bias_runs(placed))}


def test_a_switch_is_told_write_by_write(traced: dict[str, Any], built: Path) -> None:
    report = json.loads((built / "report.json").read_text())
    planned = {(one["from"], one["to"]): one["register_writes"] for one in report["switches"]}
    found: dict[tuple[str, str], set[int]] = {}
    before, writes = "", 0
    for entry in traced["trace"]:
        if entry["kind"] == "run":
            if before and before != entry["stage"]:
                found.setdefault((before, entry["stage"]), set()).add(writes)
            before, writes = entry["stage"], 0
        elif entry["kind"] == "register" and entry["name"] != "CTRL":
            writes += entry["writes"]
    assert found == {pair: {count} for pair, count in planned.items()}


def test_registers_are_told_by_field(traced: dict[str, Any]) -> None:
    for entry in (entry for entry in traced["trace"] if entry["kind"] == "register"):
        register = DEVICE.registers[entry["name"]]
        assert register.encode(entry["fields"]) == entry["value"] and all(entry["fields"].values())
        assert DEVICE.register_address(entry["name"], entry["quadrant"], max(entry["unit"], 0)) == entry["first"]
    counts = [entry["instructions"] for entry in traced["trace"]]
    times = [entry["microseconds"] for entry in traced["trace"]]
    assert counts == sorted(counts) and times == sorted(times)


def test_an_answer_takes_about_the_time_that_the_report_states(traced: dict[str, Any], built: Path) -> None:
    report = json.loads((built / "report.json").read_text())
    first = {entry["image"]: entry["microseconds"] for entry in reversed(traced["trace"])}
    last = {entry["image"]: entry["microseconds"] for entry in traced["trace"]}
    images = range(1, len(traced["answers"]))  # the first one configures
    mean = sum(last[image] - first[image] for image in images) / len(images)
    assert mean == pytest.approx(report["cycles"]["mean"] / 50, rel=0.2)  # 50 MHz; without what decides at the end


def test_the_trace_as_text(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trace.txt"
    assert main(["run", str(built), "--images", "1", "--trace", str(path)]) == 0
    assert f"{path}: " in capsys.readouterr().out.replace("\n", "")
    lines = path.read_text().splitlines()
    assert [line for line in lines if line.startswith("---")] == ["--- start-up", "--- image 0", "--- after image 0"]
    assert sum("  run  " in line and "front: " in line and "cycles (simulated)" in line for line in lines) == 1
    assert sum("write  0x50100000  CTRL q0" in line and "enable=1 clock_enable=1" in line for line in lines) >= 1
    assert sum("data q0 instance 0: 36 words up to 0x" in line for line in lines) == 1  # the input of 6 x 6 pixels


def test_a_trace_of_some_kinds(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(built), "--images", "1", "--trace", "--trace-only", "runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    entries = lines[lines.index("--- image 0") + 1 : lines.index(next(line for line in lines if line.startswith("┏")))]
    assert len(entries) == 1 and "  run  " in entries[0]
    assert main(["run", str(built), "--images", "1", "--trace-only", "runs"]) == 2
    assert "--trace-only needs --trace" in capsys.readouterr().err


def test_a_run_that_fails_leaves_its_trace(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*arguments: Any) -> None:
        verify_together(*arguments)
        raise BoardError(Ending.LIMIT, "20 instructions without an answer", 1, "")

    monkeypatch.setattr(run, "verify_together", failing)
    assert main(["run", str(built), "--images", "1", "--trace", str(tmp_path / "trace.txt")]) == 1
    assert "without an answer" in capsys.readouterr().err
    assert "--- image 0" in (tmp_path / "trace.txt").read_text()


def test_a_profile_counts_every_instruction_once(profiled: dict[str, Any], built: Path) -> None:
    placed = load_plan(built / "plan.json", DEVICE).placed
    x = np.load(built.parent / "test.npz")["x"]
    meter = Meter()
    verify(built / "firmware.elf", x, placed, profile(placed.requirements.chain, x), lambda done: None, meter)
    found = profiled["profile"]
    assert found["instructions"] == meter.instructions
    inside = sum(image["instructions"] for image in found["images"])
    outside = sum(part["instructions"] for part in found["outside_images"])
    assert inside + outside == meter.instructions and len(found["images"]) == TINY.images
    assert sum(part["instructions"] for part in found["parts"]) == inside
    assert sum(one["images"] for one in found["functions"]) == inside
    assert sum(one["outside_images"] for one in found["functions"]) == outside
    for image in found["images"]:
        assert sum(sum(functions.values()) for functions in image["parts"].values()) == image["instructions"]


def test_a_profile_tells_stages_and_switches_apart(profiled: dict[str, Any], built: Path) -> None:
    times = {part["name"]: part["times"] for part in profiled["profile"]["parts"]}
    left = [answer["stage"] for answer in profiled["answers"]]
    ran = {stage: sum(STAGES.index(one) >= index for one in left) for index, stage in enumerate(STAGES)}
    for stage, count in ran.items():
        assert times[f"starting {stage}"] == times[f"deciding after {stage}"] == count
        assert times[f"reading the result of {stage}"] == times[f"waiting for {stage}"] == count
    assert times["switching front -> main-first"] == ran["main-first"]
    assert times["switching main-first -> main"] == ran["main"]
    assert times["loading the input"] == len(left)
    for image, answer in zip(profiled["profile"]["images"], profiled["answers"], strict=True):
        last = STAGES[STAGES.index(answer["stage"])]
        assert f"deciding after {last}" in image["parts"]
    (loading,) = (part for part in profiled["profile"]["outside_images"] if part["name"] == "loading weights")
    report = json.loads((built / "report.json").read_text())
    assert loading["instructions"] > sum(stage["weight_bytes"] for stage in report["stages"]) // 4


def test_functions_are_those_of_the_elf(profiled: dict[str, Any], built: Path) -> None:
    names = {symbol.name for symbol in load_functions(built / "firmware.elf").symbols}
    found = {one["name"]: one for one in profiled["profile"]["functions"]}
    assert found.keys() <= names and UNKNOWN not in found
    assert found["main"]["calls"] == 1 and found["main"]["images"] > 0 and found["main"]["outside_images"] > 0


def test_the_profile_as_tables(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(built), "--images", "2", "--profile"]) == 0
    shown = capsys.readouterr().out
    assert "instructions for 2 images (counted on the virtual board)" in shown
    assert "Functions that are inlined count for their caller" in shown
    for name in ("loading the input", "starting front", "loading weights", "offramp_infer", "by function"):
        assert f"│ {name} " in shown or name == "by function"


def test_a_trace_and_a_profile_are_two_runs(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", str(built), "--trace", "--profile"])
    assert caught.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err
