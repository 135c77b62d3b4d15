"""A spec becomes firmware that answers bit for bit like the integer reference, or no build at all."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import offramp
from offramp.cli import main
from offramp.codegen.load_images import weight_chunks
from offramp.commands.build import parse_images
from offramp.configs.device import load_device
from offramp.configs.errors import CheckFailed, InputError
from offramp.host.build_folder import MANIFEST, manifest_of
from offramp.pipeline import building
from offramp.pipeline.emulate import verify_together
from offramp.planner.plan import load_plan, plan_json
from tests.helpers.flash import with_changed_image
from tests.helpers.specs import THREE, TINY, write_spec

if not importlib.util.find_spec("ziglang") and not shutil.which("arm-none-eabi-gcc"):
    pytest.skip("neither ziglang nor arm-none-eabi-gcc is installed", allow_module_level=True)

LABELS = "labels: [zero, '%s', /* é]\n"  # what C must not take for more than text
SPEC = LABELS + THREE.replace("threshold: 0.5", "threshold: 0.12").replace("threshold: 0.6", "threshold: 1.03")

# The keys that issue readers count on (docs/REPORT.md), by section
KEYS: dict[str, set[str]] = {
    "verified": {"answers", "mismatches"},
    "stages": {"name", "share", "accuracy", "cycles", "weight_columns", "weight_bytes", "bias_bytes"},
    "accuracy": {"staged", "full", "images"},
    "cycles": {"mean", "worst", "full"},
    "switches": {"from", "to", "register_writes", "weight_words", "bias_words"},
    "firmware": {"flash_bytes", "ram_bytes", "compiler", "footprint"},
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of three stages, all of which some image leaves at; not to be changed."""
    folder = tmp_path_factory.mktemp("built")
    assert main(["build", str(write_spec(folder, SPEC)), "-o", str(folder / "out"), "--images", "all"]) == 0
    return folder / "out"


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    """The build and its spec in another place."""
    shutil.copytree(built.parent, tmp_path / "copy")
    return tmp_path / "copy" / "out"


def report_of(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


def test_fewer_test_images_than_asked_for_are_no_secret(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = len(np.load(built.parent / "test.npz")["x"])
    note = f"there are only {count} test images: all of them were run, not 100,000"
    assert main(["run", str(built), "--images", "100000"]) == 0
    assert note in capsys.readouterr().out
    assert main(["build", str(built.parent / "spec.yaml"), "-o", str(tmp_path / "out"), "--images", "100000"]) == 0
    printed = capsys.readouterr().out
    assert note in printed and "running the firmware on the virtual board ..." in printed
    assert main(["run", str(built), "--images", str(count)]) == 0
    assert "there are only" not in capsys.readouterr().out


def test_an_accuracy_says_of_how_many_images_it_is(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of(built)
    count = report["accuracy"]["images"]
    assert main(["plan", str(built.parent / "spec.yaml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    for stage in report["stages"]:
        row = next(line for line in lines if f"leaves at {stage['name']} " in line).split("│")
        assert row[3].strip() == f"{stage['accuracy']:.2%} of {stage['share'] * count:.0f}"


def test_a_build_holds_everything(built: Path) -> None:
    assert sorted(path.name for path in built.parent.iterdir() if path.name.startswith(("out", ".out"))) == ["out"]
    names = {path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file()}
    assert {
        "plan.json",
        "report.json",
        "report.html",
        "firmware.elf",
        "firmware/src/tiny_image.c",
        "firmware/README.txt",
    } <= names
    assert {f"registers/{stage}.txt" for stage in ("front", "main-first", "main")} <= names
    assert (built / "registers" / "main.txt").read_text().startswith("stage main: quadrants [0], 3 layers\n")


def test_a_build_leaves_a_page(built: Path) -> None:
    """What `compare` shows of it, without its path; small, and of this build."""
    page = (built / "report.html").read_text(encoding="utf-8")
    assert page == offramp.compare(built).page().replace(str(built), "")
    assert len(page.encode()) <= 2_000_000 and str(built.parent) not in page
    assert f"{TINY.images} verified" in page and "<h2>Try a threshold</h2>" in page


def test_the_report_holds_what_is_documented(built: Path) -> None:
    report = report_of(built)
    assert report["format"] == 1
    for section, keys in KEYS.items():
        entries = report[section] if isinstance(report[section], list) else [report[section]]
        assert entries
        assert all(keys <= set(entry) for entry in entries), section


def test_all_answers_are_verified(built: Path) -> None:
    report = report_of(built)
    assert (report["verified"]["answers"], report["verified"]["mismatches"]) == (TINY.images, 0)
    shares = [stage["share"] for stage in report["stages"]]
    assert sum(shares) == pytest.approx(1)
    assert all(share > 0 for share in shares)
    assert [stage["threshold"] for stage in report["stages"]] == [
        pytest.approx(0.12, abs=1e-3),
        pytest.approx(1.03, abs=1e-3),
        None,
    ]


def test_switches_write_registers_only(built: Path) -> None:
    switches = report_of(built)["switches"]
    pairs = [(switch["from"], switch["to"]) for switch in switches]
    assert pairs == [("front", "main-first"), ("main-first", "main"), ("main-first", "front"), ("main", "front")]
    for switch in switches:
        assert 0 < switch["register_writes"] < switch["reload_words"]
        assert (switch["weight_words"], switch["bias_words"]) == (0, 0)


def test_the_same_spec_gives_the_same_bytes(built: Path) -> None:
    again = built.with_name("again")
    assert main(["build", str(built.parent / "spec.yaml"), "-o", str(again), "--images", "all"]) == 0
    names = sorted(path.relative_to(built) for path in built.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    different = [name for name in names if (built / name).read_bytes() != (again / name).read_bytes()]
    assert different == []
    assert str(built.parent).encode() not in (built / "firmware.elf").read_bytes()


def test_run(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(built), "--images", "5"]) == 0
    shown = capsys.readouterr().out
    assert "verified: 5 answers equal the integer reference, bit for bit" in shown
    assert "margin" in shown


def test_run_on_an_input_of_ones_own(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", np.full((4, 6, 6), 3, np.int64))
    assert main(["run", str(built), "--input", str(tmp_path / "x.npy")]) == 0
    assert "verified: 1 answer equals the integer reference" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.zeros((4, 6, 5), np.int8), r"holds int8 (4, 6, 5); integers (4, 6, 6) or (N, 4, 6, 6) are expected"),
        (np.zeros((1, 1, 4, 6, 6), np.int8), r"holds int8 (1, 1, 4, 6, 6)"),
        (np.zeros((4, 6, 6)), "holds float64"),
        (
            np.full((4, 6, 6), 128),
            "holds values from 128 to 128; -128..127 are allowed (pixels 0..255 go in as pixel - 128)",
        ),
        (np.full((4, 6, 6), -129), "holds values from -129 to -129; -128..127 are allowed\n"),
        (np.zeros((0, 4, 6, 6), np.int8), "is empty"),
    ],
)
def test_inputs_that_do_not_fit(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], array: Any, complaint: str
) -> None:
    np.save(tmp_path / "x.npy", array)
    assert main(["run", str(built), "--input", str(tmp_path / "x.npy")]) == 2
    assert f"x.npy: {complaint}" in capsys.readouterr().err


def test_an_input_that_is_no_array(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.npy").write_text("not an array")
    assert main(["run", str(built), "--input", str(tmp_path / "x.npy")]) == 2
    assert "x.npy: is not a .npy file with a plain array" in capsys.readouterr().err
    assert main(["run", str(built), "--input", str(tmp_path / "gone.npy")]) == 2
    assert "gone.npy: cannot be read: No such file or directory" in capsys.readouterr().err


def test_the_judge_finds_a_wrong_weight(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One bit of one weight in the ELF, which the build may have written: answers differ, exit code 1. The firmware
    itself finds it by the checksum, unless that is right."""
    words = weight_chunks(load_plan(copy / "plan.json", load_device()).placed)[0].words
    elf = (copy / "firmware.elf").read_bytes()
    changed = words.copy()
    changed[0] ^= 1 << 30  # of the first byte sent, a weight's second highest bit
    tables = words.astype("<u4").tobytes(), changed.astype("<u4").tobytes()
    assert elf.count(tables[0]) == 1
    (copy / "firmware.elf").write_bytes(elf.replace(*tables))
    assert main(["run", str(copy), "--images", "all"]) == 2
    assert "firmware.elf: is damaged: it is not what manifest.json lists" in capsys.readouterr().err
    (copy / MANIFEST).write_text(manifest_of(copy))
    assert main(["run", str(copy), "--images", "all"]) == 1
    assert "offramp_open returned E_IMAGE" in capsys.readouterr().err
    (copy / "firmware.elf").write_bytes(with_changed_image(elf, *tables))
    (copy / MANIFEST).write_text(manifest_of(copy))
    assert main(["run", str(copy), "--images", "all", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["mismatches"] > 0
    assert main(["run", str(copy), "--images", "all"]) == 1
    captured = capsys.readouterr()
    assert "answers differ from the integer reference" in captured.err
    assert "values is [" in captured.err or "confidence is" in captured.err
    assert "verified" not in captured.out


def test_the_judge_finds_a_wrong_threshold(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan says another threshold than the firmware has, and its digest agrees."""
    plan = json.loads((copy / "plan.json").read_text())
    plan["stages"][0]["threshold"] = 0
    (copy / "plan.json").write_text(json.dumps(plan))
    monkeypatch.setattr("offramp.planner.plan.plan_digest", lambda changed: plan["digest"])
    assert main(["run", str(copy), "--images", "all"]) == 2
    assert "plan.json: is damaged: it is not what manifest.json lists" in capsys.readouterr().err
    (copy / MANIFEST).write_text(manifest_of(copy))
    assert main(["run", str(copy), "--images", "all"]) == 1
    assert "stage is 1, expected 0" in capsys.readouterr().err


def test_a_build_whose_answers_differ_leaves_nothing(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here it is the reference that is made wrong."""

    def with_other_logits(elf: Path, tasks: Any, progress: Any) -> Any:
        for logits in tasks[0].expected.results:
            logits += 1
        return verify_together(elf, tasks, progress)

    monkeypatch.setattr(building, "verify_together", with_other_logits)
    path = built.parent / "spec.yaml"
    assert main(["build", str(path), "-o", str(tmp_path / "out"), "--images", "all"]) == 1
    assert "answers differ from the integer reference" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_fails_midway_leaves_the_earlier_one(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise CheckFailed("the compiler refuses")

    monkeypatch.setattr(building, "compile_firmware", refuse)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert main(["build", str(copy.parent / "spec.yaml"), "-o", str(copy)]) == 1
    assert "the compiler refuses" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    assert not list(copy.parent.glob(".out*"))


def test_a_build_without_test_data_says_that_it_is_not_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_spec(tmp_path, SPEC.replace("data: {test: test.npz, calibration: calibration.npz}\n", ""))
    assert main(["build", str(path), "-o", str(tmp_path / "out")]) == 0
    assert "not verified: the firmware was not run" in capsys.readouterr().out
    report = report_of(tmp_path / "out")
    assert (report["verified"], report["accuracy"], report["cycles"]["mean"]) == (None, None, None)
    assert main(["run", str(tmp_path / "out")]) == 2
    assert "names no data set `test`; give an input with --input" in capsys.readouterr().err


def test_a_foreign_folder_is_not_overwritten(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    assert main(["build", str(built.parent / "spec.yaml"), "-o", str(tmp_path)]) == 2
    assert "exists and is not the folder of an earlier build" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("name", ["main.pth.tar", "front.yaml", "test.npz", "spec.yaml"])
def test_a_build_is_of_its_inputs_only(copy: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    path = copy.parent / name
    path.write_bytes(path.read_bytes() + b"\n")
    assert main(["run", str(copy)]) == 2
    errors = capsys.readouterr().err
    assert f"{name}: is missing or has changed since the plan was made; build again" in errors
    path.unlink()
    assert main(["run", str(copy)]) == 2


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"format": 2}', '{"format": 1}', '{"format": 1, "digests": {}}', '{"format": 1, "digests": 3}'],
)
def test_a_plan_that_is_none(copy: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    (copy / "plan.json").write_text(content)
    assert main(["run", str(copy)]) == 2
    assert "plan.json: is not a plan" in capsys.readouterr().err


def test_a_plan_of_an_earlier_version(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = json.loads((copy / "plan.json").read_text())
    plan["placement"]["objectives"].append({"name": "columns up to the last used", "value": 9, "bound": 9})
    (copy / "plan.json").write_text(json.dumps(plan))
    assert main(["run", str(copy)]) == 2
    assert "plan.json: another version made it: its `placement.objectives` are not " in capsys.readouterr().err


def test_a_placement_that_was_tampered_with(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = json.loads((copy / "plan.json").read_text())
    names = list(plan["placement"]["weights"])
    plan["placement"]["weights"][names[0]] = plan["placement"]["weights"][names[2]]
    (copy / "plan.json").write_text(json.dumps(plan))
    assert main(["run", str(copy)]) == 1
    assert "plan.json: " in capsys.readouterr().err


def test_a_folder_without_firmware(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path)]) == 2
    assert "holds no firmware.elf" in capsys.readouterr().err


def test_numbers_of_images(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (parse_images("all"), parse_images("12"), parse_images("0")) == (None, 12, 0)
    for text in ("-1", "many", "1.5", "", "\u00b2", "9" * 5000):
        with pytest.raises(InputError, match="a number of up to 9 digits or `all` is expected"):
            parse_images(text)
    assert main(["run", str(built), "--images", "0"]) == 2
    assert "at least one is needed" in capsys.readouterr().err


def test_a_plan_read_back_is_the_plan(built: Path) -> None:
    plan = load_plan(built / "plan.json", load_device())
    saved = json.loads((built / "plan.json").read_text())
    assert [stage.name for stage in plan.chain.stages] == ["front", "main-first", "main"]
    assert dict(plan.placed.placement.weights) == saved["placement"]["weights"]
    assert plan.chain.exits[0].rule.threshold == saved["stages"][0]["threshold"]
    assert all(not Path(name).is_absolute() for name in saved["digests"])
    assert plan_json(plan, built) == (built / "plan.json").read_text()
    assert plan.chain.slots[-1].layer.out_shape.channels == TINY.classes
