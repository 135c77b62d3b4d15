"""`offramp cost`: what it says of cases, networks, specs and plans; agreement with the vendor and silicon."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench.cycles import SILICON, Measured, compare
from offramp.cli import main
from offramp.commands.cost import case_costs
from offramp.commands.cost_json import costs_json
from offramp.configs.device import load_device
from offramp.pipeline.figures import plan_report
from offramp.planner.plan import plan_json
from tests.helpers.commands import cost
from tests.helpers.plans import plan_of
from tests.helpers.specs import write_staged

# The network `main` of STAGED; processors say how many channels there are.
BARE = """\
arch: main
dataset: none
layers:
  - {op: conv2d, name: wide, processors: 0x3f, pad: 1, activate: ReLU, data_format: HWC}
  - {op: conv2d, name: narrow, processors: 0xffffffffff, kernel_size: 1x1, pad: 0, activate: ReLU, max_pool: 2,
     pool_stride: 2}
  - {op: mlp, name: answer, processors: 0xff, output_processors: 0xf, flatten: true, output_width: 32}
"""


def comparable(corpus: Path) -> list[Path]:
    """Case folders with a network whose cycles the vendor's tool states without guessing."""
    found = []
    for path in sorted(corpus.glob("cases/*/meta.json")):
        latency = json.loads(path.read_text())["latency"]
        if (path.parent / "weights.npz").exists() and not latency["total_is_estimate"]:
            found.append(path.parent)
    return found


@pytest.mark.slow
def test_cycles_equal_the_vendors_in_every_case_that_does_not_stream(corpus: Path) -> None:
    folders, different = comparable(corpus), []
    for folder in folders:
        meta = json.loads((folder / "meta.json").read_text())
        costs = case_costs(folder, load_device())
        cycles = costs_json(costs)["cycles"]
        vendors = [entry["cycles"] for entry in meta["latency"]["layers"]]
        if (cycles["total"], [layer["cycles"] for layer in cycles["layers"]]) != (meta["latency"]["total"], vendors):
            different.append(folder.name)
        assert cycles["tag"] == "simulated"
        assert sum(layer.macs for layer in costs.layers) == meta["macc_total"], folder.name
    assert not different
    assert len(folders) >= 253


@pytest.mark.parametrize("row", [row for row in SILICON if row.mhz == 50], ids=str)
def test_times_within_half_a_percent_of_silicon(
    corpus: Path, capsys: pytest.CaptureFixture[str], row: Measured
) -> None:
    content = cost(capsys, corpus / "cases" / row.case)
    time = content["time_us"] if row.layers is None else sum(one["time_us"] for one in content["layers"][: row.layers])
    assert time == pytest.approx(row.microseconds, rel=0.005)


def test_the_benchmark_counts_cases_and_finds_what_differs(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, case = corpus / "cases" / "net-mnist-extrasmall", tmp_path / "case"
    shutil.copytree(source, case)
    assert compare([case], load_device()) == []
    meta = json.loads((case / "meta.json").read_text())
    meta["latency"]["layers"][1]["cycles"] += 1
    (case / "meta.json").chmod(0o644)
    (case / "meta.json").write_text(json.dumps(meta))
    assert compare([case], load_device()) == ["case"]
    assert "equal to the vendor's cycles: 0 of 1 (4 layers)" in capsys.readouterr().out


def test_every_figure_has_a_tag_and_a_source(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = cost(capsys, corpus / "cases" / "net-kws20_v3")
    tagged = [content, *content["layers"], *content["stages"], *content["overheads"]]
    for part in tagged:
        for figure in (part["time"], part["energy"]):
            assert figure["tag"] in ("simulated", "estimated", "published") and figure["source"]
    assert content["cycles"]["source"] == content["time"]["source"]
    assert content["idle"] == {"uw": 7000, "tag": "published", "source": "difference of AN7417 tables 5 and 6"}
    assert [one["tag"] for one in (content["time"], content["energy"])] == ["simulated", "estimated"]
    loads = {one["name"]: one for one in content["overheads"]}
    assert loads["loading weights"]["time_us"] == pytest.approx(12304.65, rel=0.02)  # measured; and 1.1 ms for KWS20:
    assert loads["loading the input, if it is packed already"]["time_us"] == pytest.approx(1100, rel=0.05)


def test_the_energy_models_error_is_told(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tested = [one for one in load_device().energy_errors if (one.part, one.use) == ("layers", "test")]
    content = cost(capsys, corpus / "cases" / "net-mnist")["energy_error"]
    assert content["rows"] == len(tested) == 8
    assert content["largest"]["error"] == min(one.permille for one in tested) / 1000
    assert main(["cost", str(corpus / "cases" / "net-mnist")]) == 0
    assert f"off by {content['median']:.1%} in the median of 8 measurements" in capsys.readouterr().out


def test_streaming_is_marked_as_an_estimate(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = corpus / "cases" / "net-cats-dogs"
    assert cost(capsys, case)["cycles"]["tag"] == "estimated"
    assert main(["cost", str(case)]) == 0
    assert "estimated (~)" in (text := capsys.readouterr().out) and "streaming layers" in text


PUBLISHED_US = 12_481  # loading and inference of cats-dogs


def test_the_core_loads_all_the_time_while_layers_hide_most_of_it(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = cost(capsys, corpus / "cases" / "net-cats-dogs")
    found = {one["name"]: one for one in content["overheads"]}
    what = "loading the input, beyond the layers it overlaps"
    bytewise, packed = found[what], found[f"{what}, if it is packed already"]
    slower = (load_device().instructions["fifo_packed_100_words"] / 100 - 8) * 16_384 / 2  # than the vendor's loop
    assert packed["cycles"] - slower + content["cycles"]["total"] == pytest.approx(PUBLISHED_US * 50, rel=0.03)
    assert 16_384 * 0.55 < packed["energy_uj"] / 0.012932 < bytewise["energy_uj"] / 0.012932  # 0.55 us a word at least
    (answer,) = content["answers"]
    assert answer["cycles"] > bytewise["cycles"] + content["cycles"]["total"]


def test_stages_of_a_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_staged(tmp_path)
    content = cost(capsys, path)
    plan = plan_of(path)
    budget, report = plan.cycles, plan_report(plan, None)
    stages = content["stages"]
    assert [stage["name"] for stage in stages] == ["front", "main"]
    assert [stage["cycles"]["total"] for stage in stages] == [one.cycles for one in budget.stages]
    assert [stage["energy_uj"] for stage in stages] == [stage.energy_uj for stage in report.stages]
    assert content["cycles"]["total"] == sum(stage["cycles"]["total"] for stage in stages)
    assert content["energy_uj"] == pytest.approx(sum(stage["energy_uj"] for stage in stages))
    names = [layer["name"] for layer in content["cycles"]["layers"]]
    assert names == [name for stage in report.stages for name in stage.layers]
    besides = {one["name"]: one["cycles"] for one in content["overheads"]}
    for index, name in enumerate(("front", "main")):
        assert besides[f"starting {name}"] == budget.starts[index].cycles
        assert besides[f"checking the result of {name}"] == budget.checks[index].cycles
    assert besides["front -> main"] == budget.forward[0].cycles
    assert besides["main -> front"] == budget.back[1].cycles
    assert (
        besides["loading the input"] == budget.loads[0].cycles > besides["loading the input, if it is packed already"]
    )
    answers = {one["name"]: one["cycles"] for one in content["answers"]}
    assert answers == dict(zip(("leaves at front", "leaves at main"), budget.cost_by_exit, strict=True))


def test_slower_clocks_change_times_not_cycles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    default = cost(capsys, write_staged(tmp_path))
    slow = cost(capsys, write_staged(tmp_path, "clocks: {core_hz: 50000000, cnn_hz: 25000000}\n"))
    assert slow["clocks"] == {"core_hz": 50_000_000, "cnn_hz": 25_000_000}
    assert slow["cycles"] == default["cycles"] and slow["energy_uj"] == default["energy_uj"]
    assert slow["time_us"] == pytest.approx(2 * default["time_us"])
    for before, after in zip(default["overheads"], slow["overheads"], strict=True):
        assert after["time_us"] == pytest.approx(2 * before["time_us"])


def test_a_plan_and_a_build_folder_cost_what_their_spec_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_staged(tmp_path)
    folder = tmp_path / "build"
    folder.mkdir()
    (folder / "plan.json").write_text(plan_json(plan_of(path).plan, folder))
    expected = cost(capsys, path)
    assert cost(capsys, folder) == cost(capsys, folder / "plan.json") == expected


def test_a_network_with_and_without_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_staged(tmp_path)
    content = cost(capsys, tmp_path / "main.yaml", "--checkpoint", tmp_path / "main.pth.tar", "--input", "6x12x10")
    assert [layer["name"] for layer in content["layers"]] == ["wide", "narrow", "answer"]
    assert [layer["processors"] for layer in content["layers"]] == [6, 40, 8]
    assert [layer["macs"] for layer in content["layers"]] == [120 * 40 * 6 * 9, 30 * 8 * 40, 4 * 240]
    (tmp_path / "bare.yaml").write_text(BARE)
    bare = cost(capsys, tmp_path / "bare.yaml", "--input", "6x12x10")
    assert bare["cycles"] == content["cycles"] and bare["layers"] == content["layers"]
    assert bare["note"].startswith("Without weights") and content["note"] is None


def test_the_data_set_tells_the_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layer = "{op: conv2d, kernel_size: 3x3, pad: 1, processors: 0x1, data_format: CHW}"
    (tmp_path / "ten.yaml").write_text(f"{{arch: ten, dataset: MNIST, layers: [{layer}]}}")
    assert cost(capsys, tmp_path / "ten.yaml")["layers"][0]["macs"] == 10 * 28 * 28 * 9
    assert cost(capsys, tmp_path / "ten.yaml", "--classes", "4")["layers"][0]["macs"] == 4 * 28 * 28 * 9


def test_the_table_shows_layers_stages_and_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_staged(tmp_path)
    content = cost(capsys, path)
    assert main(["cost", str(path)]) == 0
    text = capsys.readouterr().out
    for layer in content["cycles"]["layers"]:
        (line,) = (line for line in text.splitlines() if layer["name"] in line)
        assert f" {layer['cycles']:,} " in line
    assert f" {content['cycles']['total']:,} " in text
    assert "core 100 MHz, accelerator 50 MHz" in text
    for source in ("cycle model of ai8x-synthesis", "counted on the virtual board", "AN7417 table 4", "netdeployonnx"):
        assert source in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: does not exist; a spec, a network (YAML), a plan"),
        (["."], "is a folder that is none of these; a spec"),
        (["spec.yaml", "--input", "6x12x10"], "--checkpoint, --input, --fifo and --classes are for a network YAML"),
        (["main.yaml"], "input shape of data set `none` is not known"),
        (["odd.json"], "is not a plan"),
    ],
)
def test_odd_subjects_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    write_staged(tmp_path)
    (tmp_path / "odd.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert main(["cost", *arguments]) == 2
    assert message in capsys.readouterr().err
