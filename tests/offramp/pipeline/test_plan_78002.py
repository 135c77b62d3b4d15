"""A spec for the MAX78002: switches that write next to nothing, cycles that nobody has verified, and no energy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from offramp.cli import main
from offramp.comparison.layout_plan import layout_of_plan
from offramp.comparison.layouts import WeightUse
from offramp.configs.device import load_device
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.planning import Planned
from tests.helpers.plans import plan_of
from tests.helpers.specs import STAGED, TINY, write_spec, write_staged

DEVICE = load_device("MAX78002")


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    return plan_of(for_device(write_staged(tmp_path)), DEVICE)


def for_device(spec: Path) -> Path:
    spec.write_text(spec.read_text(encoding="utf-8") + "device: MAX78002\n", encoding="utf-8")
    return spec


def test_a_switch_writes_lcnt_max_alone(planned: Planned) -> None:
    switching, device = planned.lowered.switching, planned.device
    for pair in ((0, 1), (1, 0)):
        writes = switching.transition(*pair)
        assert {found.name for write in writes if (found := device.locate(write.address))} == {"LCNT_MAX"}
    first, second = planned.lowered.programs
    assert second.positions[0] == first.positions[-1] + 1


def test_cycles_are_unverified_and_energy_is_not_stated(planned: Planned) -> None:
    report = plan_report(planned, evaluate_plan(planned.plan))
    assert {stage.cycles_tag for stage in report.stages} == {"unverified"} == {report.cycles.tag}
    assert any("gives none for this device" in source for source in report.cycles.sources)
    assert [stage.energy_uj for stage in report.stages] == [None, None]
    assert (report.energy.mean_uj, report.energy.full_uj, report.energy.ratio) == (None, None, None)
    assert (report.energy.tag, report.energy.source) == ("unknown", "there is no energy model of this device")


def test_costs_show_no_energy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = for_device(write_staged(tmp_path))
    assert main(["cost", str(spec)]) == 0
    shown = capsys.readouterr().out
    assert "unverified (~):" in shown and "there is no energy model" in shown and "mW" not in shown


def test_energy_cannot_be_minimised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "auto.yaml"
    write_staged(tmp_path)
    choose = "choose: {data: calibration, minimise: energy, accuracy_drop: 5}"
    keys = f"exits: auto\nmain: main\ncandidates: [{{front: front}}]\n{choose}\n"
    spec.write_text(STAGED.spec(keys, front="", main="") + "device: MAX78002\n", encoding="utf-8")
    assert main(["plan", str(spec)]) == 2
    told = capsys.readouterr().err
    assert "auto.yaml:" in told and "there is no energy model of the MAX78002" in told
    spec.write_text(spec.read_text(encoding="utf-8").replace("minimise: energy", "minimise: cycles"), encoding="utf-8")
    assert main(["plan", str(spec)]) == 0


@pytest.fixture
def four_at_once(tmp_path: Path) -> Planned:
    """Kernels of the first layer lie in four physical memories."""
    networks = dict(STAGED.networks)
    layers = networks["front"].layers.replace("name: look,", "name: look, calcx4: true, output_processors: 0xf,")
    networks["front"] = replace(networks["front"], layers=layers)
    family = replace(STAGED, networks=networks)
    stages = "stages:\n  - {network: front, exit: {confidence: margin, threshold: 0.5}}\n  - {network: main}\n"
    return plan_of(for_device(write_spec(tmp_path, family.spec(stages, front="", main=""), family)), DEVICE)


def test_all_columns_of_outputs_at_once_count(four_at_once: Planned) -> None:
    report = plan_report(four_at_once, evaluate_plan(four_at_once.plan))
    layout = layout_of_plan(four_at_once, report, "spec", "")
    look = next(one for one in four_at_once.plan.placed.problem.weights if one.name.endswith("look"))
    assert look.copies == (0, 1024, 2048, 3072)
    assert report.stages[0].weight_columns >= 4 * look.columns
    assert layout.weight_bytes == report.memory.weight_bytes
    assert layout.highest_column == report.memory.highest_column == 3072 + look.columns


def test_columns_are_those_of_the_processors_that_are_fullest(four_at_once: Planned) -> None:
    report = plan_report(four_at_once, evaluate_plan(four_at_once.plan))
    assert report.memory.columns == 4096
    layout = layout_of_plan(four_at_once, report, "spec", "")
    assert layout.fullest_height == 4096
    only_zero = replace(layout, weights=(WeightUse((0,), 1, 4500, 8),))
    assert only_zero.fullest_height == 5120
    assert sum(only_zero.free_columns) == 4096


def test_the_page_shows_biases_of_depthwise_layers(tmp_path: Path) -> None:
    """20 channels in two quadrants, which have biases of their own."""
    wide = TINY.networks["wide"]
    first, second, rest = wide.layers.split("\n", 2)
    layers = "\n".join((first, second.replace("pad: 1", "pad: 1, groups: 20"), rest))
    weights = (wide.weights[0], (20, 1, 3, 3), *wide.weights[2:])
    family = replace(TINY, networks={"wide": replace(wide, layers=layers, weights=weights)})
    planned = plan_of(
        for_device(write_spec(tmp_path, family.spec("stages:\n  - {network: wide}\n", wide=""), family)), DEVICE
    )
    layout = layout_of_plan(planned, plan_report(planned, evaluate_plan(planned.plan)), "spec", "")
    assert [(one.quadrant, one.length) for one in layout.biases if one.layer == 1] == [(0, 16), (1, 16)]
