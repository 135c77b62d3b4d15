"""`reload: external`: what does not fit is read from outside flash when it is needed; answers stay what they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp import api
from offramp.cli import main
from offramp.configs.device import load_device
from offramp.host.build_folder import MANIFEST, manifest_of
from offramp.planner.allocation.budget import switching_cycles
from offramp.planner.hardware.core import CHECKED, FETCH, fetch_cycles
from offramp.planner.plan import load_plan
from tests.helpers.commands import cost_of_changed
from tests.helpers.large import write_large
from tests.helpers.plans import plan_of
from tests.helpers.specs import FRONT, write_spec
from tests.helpers.whole_memory import IMAGES as FEW
from tests.helpers.whole_memory import write_whole

DEVICE = load_device()
MARGIN = 0.22  # that about half of the test images reach
RATE = 1_000_000
KEYS = f"reload: external\nexternal: {{bytes_per_second: {RATE}}}\n"
FILE = "firmware/large_weights.bin"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build; not to be changed."""
    folder = tmp_path_factory.mktemp("external")
    spec = write_large(folder, keys=KEYS, threshold=MARGIN)
    assert main(["build", str(spec), "-o", str(folder / "out"), "--images", "12"]) == 0
    return folder / "out"


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def one_line(text: str) -> str:
    return " ".join(text.split())


# ---- what is built


def test_firmware_answers_as_the_network_does(built: Path) -> None:
    """The command has compared all bits, and what was written and read with what is planned."""
    report = read(built / "report.json")
    assert (report["verified"]["answers"], report["verified"]["mismatches"]) == (12, 0)
    answers = api.simulate(built, np.load(built.parent / "test.npz")["x"][:4])
    assert answers.mismatches == () and len(set(answers.answers.exit_index.tolist())) == 2


def test_the_report_tells_what_is_outside(built: Path) -> None:
    report = read(built / "report.json")
    assert report["reload"]["external_bytes"] == 4 * report["reload"]["worst"] == 4 * 23040
    assert report["reload"]["bytes_per_second"] == RATE
    assert [one["fetched_words"] for one in report["switches"]] == [one["weight_words"] for one in report["switches"]]
    assert sum(one["fetched_words"] for one in report["switches"]) == 23040
    assert FILE in read(built / MANIFEST)["files"]
    assert (built / FILE).stat().st_size >= 4 * 23040


def test_the_terminal_tells_it_too(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(built.parent / "spec.yaml")]) == 0
    printed = one_line(capsys.readouterr().out)
    assert "outside flash: 92,160 bytes of these weights, read at 1,000,000 bytes a second" in printed
    assert "words from" in printed
    assert main(["plan", str(write_large(tmp_path, keys="reload: external\n"))]) == 0
    assert "whose reading is not in the cycles: `external: {bytes_per_second: N}`" in one_line(capsys.readouterr().out)


def test_only_where_they_come_from_differs_from_flash(built: Path, tmp_path: Path) -> None:
    """The same choice and placement; the image in flash lacks the words."""
    inside, outside = plan_of(write_large(tmp_path)).plan, load_plan(built / "plan.json", DEVICE)
    assert inside.placed.reload and outside.placed.reload
    assert inside.placed.reload.weights == outside.placed.reload.weights
    assert inside.placed.placement == outside.placed.placement
    assert outside.placed.reload.external and not inside.placed.reload.external


def test_a_comparison_counts_the_writes_of_all_runs(built: Path) -> None:
    """The last stage has several runs: from each to the next, and from the last one back."""
    switches = read(built / "report.json")["switches"]
    assert len(switches) > 2
    (layout,) = api.compare(built).layouts
    assert layout.switch_writes == sum(
        one["register_writes"] + one["weight_words"] + one["bias_words"] for one in switches
    )


def test_what_fits_is_in_flash(tmp_path: Path) -> None:
    """The same plan and files with and without the key."""
    plain = plan_of(write_spec(tmp_path, FRONT))
    allowed = plan_of(write_spec(tmp_path, FRONT.replace("stages:", f"{KEYS}stages:")))
    assert allowed.plan.placed.reload is None
    assert allowed.plan.placed.placement == plain.plan.placed.placement


def test_reading_costs_what_the_spec_says(built: Path, tmp_path: Path) -> None:
    outside, inside = load_plan(built / "plan.json", DEVICE), plan_of(write_large(tmp_path)).plan
    segments = outside.chain.segments
    costs = [switching_cycles(plan.placed, 0, segments[1]).cycles for plan in (outside, inside)]
    size = 4 * read(built / "report.json")["switches"][0]["fetched_words"]
    assert costs[0] - costs[1] == fetch_cycles(DEVICE, size, RATE).cycles
    core, cnn = DEVICE.clocks["core_hz"], DEVICE.clocks["cnn_hz"]
    checksum = DEVICE.instructions["external_100_words"] * size / 400 / core
    assert fetch_cycles(DEVICE, size, RATE).cycles == pytest.approx((size / RATE + checksum) * cnn, abs=2)
    assert fetch_cycles(DEVICE, size, None).cycles == pytest.approx(checksum * cnn, abs=2)
    assert (fetch_cycles(DEVICE, size, RATE).source, fetch_cycles(DEVICE, size, None).source) == (FETCH, CHECKED)
    assert FETCH in read(built / "report.json")["cycles"]["sources"]


# ---- what can go wrong


@pytest.mark.parametrize("fault", ["external-fails", "external-short", "external-damaged"])
def test_a_reading_that_goes_wrong_is_an_error(fault: str, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One, and answers are right again."""
    assert main(["run", str(built), "--images", "6", "--fault", fault]) == 0
    shown = capsys.readouterr().out
    assert [line.split(": ")[1] for line in shown.splitlines() if line.startswith("image ")] == ["E_EXTERNAL"]
    assert f"{fault}: 5 of 6 answers equal the integer reference, 1 are errors, 0 are wrong without an error" in shown


@pytest.mark.parametrize("change", ["damaged", "gone", "two"])
def test_a_file_that_is_not_the_builds_is_not_run(
    change: str, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(built.parent, tmp_path / "copy")
    copy = tmp_path / "copy" / "out"
    if change == "gone":
        (copy / FILE).unlink()
    elif change == "two":
        shutil.copy(copy / FILE, copy / "firmware" / "old_weights.bin")
    else:
        (copy / FILE).write_bytes((copy / FILE).read_bytes()[:-1] + b"\0")
    assert main(["run", str(copy), "--images", "1"]) == 2
    message = {
        "damaged": f"{FILE}: is damaged: it is not what",
        "gone": "holds no file of weights outside flash",
        "two": "holds several files of weights outside flash, where a build has one: large_weights.bin, old_w",
    }
    assert message[change] in capsys.readouterr().err


def test_a_damaged_file_gives_no_answer_even_if_the_manifest_fits(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own checksum too: that of the image in flash decides."""
    shutil.copytree(built.parent, tmp_path / "copy")
    copy = tmp_path / "copy" / "out"
    (copy / FILE).write_bytes((copy / FILE).read_bytes()[:-1] + b"\0")
    (copy / MANIFEST).write_text(manifest_of(copy))
    assert main(["run", str(copy), "--images", "2"]) == 1
    assert "the firmware returned E_EXTERNAL" in capsys.readouterr().err


def test_the_probe_says_that_it_is_not_for_this(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", str(built)]) == 2
    assert "has weights outside flash (`reload: external`); the probe is for builds" in capsys.readouterr().err


@pytest.mark.parametrize(("key", "value"), [("external", False), ("bytes_per_second", 7)])
def test_a_plan_says_where_weights_come_from(
    key: str, value: object, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = read(built / "plan.json")
    assert content["placement"]["reload"]["external"] is True
    content["placement"]["reload"][key] = value
    assert cost_of_changed(built, content) == 2
    assert "`placement.reload` is not what its spec allows" in capsys.readouterr().err


# ---- a network that is more than all of flash


@pytest.mark.slow
def test_more_than_the_whole_weight_memory(tmp_path: Path) -> None:
    """1.67 times, which does not fit into flash: it links and answers, an early answer without any reading."""
    spec = write_whole(tmp_path, KEYS)
    assert main(["build", str(spec), "-o", str(tmp_path / "out"), "--images", "all"]) == 0
    report = read(tmp_path / "out" / "report.json")
    columns = sum(block.columns for block in load_plan(tmp_path / "out" / "plan.json", DEVICE).placed.problem.weights)
    assert columns > 1.6 * 768 and report["memory"]["weight_bytes"] > 1.6 * DEVICE.weight_memory_bytes
    assert (report["verified"]["answers"], report["verified"]["mismatches"]) == (FEW, 0)
    assert report["stages"][0]["share"] == 0.5
    assert report["firmware"]["flash_bytes"] < DEVICE.core["flash_bytes"]
    reload = report["reload"]
    assert reload["bound"] == reload["words"] < 0.6 * reload["everything"]
