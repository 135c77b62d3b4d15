"""`clocks` of a spec: what they change and what they do not; and the energy that a report states."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.commands.tables import print_results
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.host.console import make_console
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.images import open_single
from offramp.pipeline.report import report_json
from offramp.planner.allocation.budget import Budget, alone_energy
from offramp.planner.hardware.cycles import Cycles
from offramp.planner.hardware.energy import network_energy
from offramp.planner.plan import plan_json
from offramp.planner.spec.reader import load_spec
from tests.helpers.plans import plan_of
from tests.helpers.specs import write_staged

DEVICE = load_device()

WHOLE = "clocks: {core_hz: 100000000, cnn_hz: 12500000}\n"
HALF = "clocks: {core_hz: 50000000, cnn_hz: 12500000}\n"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("clocks: {cnn_hz: 60000000}\n", "spec.yaml:10: `cnn_hz: 60000000`; a whole number of Hz, 1..50000000"),
        ("clocks: {core_hz: fast}\n", "spec.yaml:10: `core_hz: fast`; a whole number >= 1"),
        ("clocks: {core_hz: 0}\n", "spec.yaml:10: `core_hz: 0`"),
        ("clocks: {core: 1}\n", "spec.yaml:10: unknown key `core`; allowed: core_hz, cnn_hz"),
        (
            "clocks: {cnn_hz: 40000000}\n",
            "spec.yaml:10: `cnn_hz: 40000000`; no setting gives it with the core at 100000000 Hz; "
            "allowed: 50000000, 30000000, 25000000, 15000000, 12500000, 7500000, 6250000, 3750000, 3125000",
        ),
        (
            "clocks: {core_hz: 99000000}\n",
            "spec.yaml:10: `core_hz: 99000000`; no setting gives it; allowed: 100000000, 60",
        ),
        (
            "clocks: {core_hz: 50000000}\n",
            "spec.yaml:10: `core_hz: 50000000`; `cnn_hz` has to be given too, since 50000000 is not possible then",
        ),
        ("clocks: 50\n", "spec.yaml:10: `clocks: 50`; a mapping"),
    ],
)
def test_odd_clocks_are_refused_with_their_line(tmp_path: Path, extra: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_spec(write_staged(tmp_path, extra), DEVICE)
    assert message in str(caught.value)


def test_clocks_that_are_not_given_are_the_devices(tmp_path: Path) -> None:
    device = plan_of(write_staged(tmp_path, "clocks: {cnn_hz: 25000000}\n")).device
    assert device.clocks == {**DEVICE.clocks, "cnn_hz": 25_000_000}
    assert plan_of(write_staged(tmp_path)).device is DEVICE


def of_the_core(budget: Budget[Cycles]) -> list[Cycles]:
    parts = (*budget.loads, *budget.starts, *budget.checks, *budget.forward, *budget.back)
    return [part for part in parts if part.cycles]


def test_a_slower_core_makes_its_work_longer_and_no_layer(tmp_path: Path) -> None:
    default, slow = (plan_of(write_staged(tmp_path, extra)).cycles for extra in (WHOLE, HALF))
    assert slow.stages == default.stages
    for before, after in zip(of_the_core(default), of_the_core(slow), strict=True):
        assert 0 <= 2 * before.cycles - after.cycles <= 1 < before.cycles


def test_a_plan_read_back_has_the_specs_clocks(tmp_path: Path) -> None:
    plan = plan_of(write_staged(tmp_path, HALF))
    path = tmp_path / "plan.json"
    path.write_text(plan_json(plan.plan, tmp_path))
    again = open_single(path, DEVICE)
    assert again.device.clocks["core_hz"] == 50_000_000
    assert again.cycles == plan.cycles


def test_report_states_the_energy_of_stages_and_of_an_inference(tmp_path: Path) -> None:
    plan = plan_of(write_staged(tmp_path))
    evaluated = evaluate_plan(plan.plan)
    assert evaluated
    report = plan_report(plan, evaluated)
    budget = plan.energy
    assert [stage.energy_uj for stage in report.stages] == [one.microjoules for one in budget.stages]
    networks = [network_energy(plan.chain.networks[name], DEVICE) for name in ("front", "main")]
    assert [one.picojoules for one in budget.stages] == [one.picojoules for one in networks]

    share = report.stages[0].share
    assert share and 0 < share < 1
    early, late = budget.cost_by_exit
    assert report.energy.mean_uj is not None
    assert report.energy.mean_uj == pytest.approx((share * early + (1 - share) * late) / 10**6)
    assert report.energy.full_uj == pytest.approx(
        alone_energy(plan.chain.networks["main"], DEVICE).cost_by_exit[0] / 10**6
    )
    assert report.energy.full_uj is not None and report.energy.full_uj > networks[1].microjoules
    assert report.energy.ratio == pytest.approx(report.energy.full_uj / report.energy.mean_uj)
    content = json.loads(report_json(report))
    assert content["energy"]["tag"] == "estimated" and "ekut" in content["energy"]["source"]
    assert content["stages"][0]["energy_uj"] == report.stages[0].energy_uj


def test_results_table_shows_the_energy(tmp_path: Path) -> None:
    plan = plan_of(write_staged(tmp_path))
    report = plan_report(plan, evaluate_plan(plan.plan))
    console = make_console()
    with console.capture() as capture:
        print_results(report, console)
    assert report.energy.mean_uj and f"{report.energy.mean_uj:.2f}" in capture.get()
    assert f"{report.energy.ratio:.2f} times less" in capture.get()


def test_without_test_data_only_the_full_networks_energy_is_known(tmp_path: Path) -> None:
    plan = plan_of(write_staged(tmp_path))
    report = plan_report(replace(plan, plan=replace(plan.plan, spec=replace(plan.plan.spec, data={}))), None)
    assert report.energy.mean_uj is None and report.energy.ratio is None
    assert report.energy.full_uj is not None
    assert report.energy.full_uj > 0 and np.isfinite(report.energy.full_uj)
