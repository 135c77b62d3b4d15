"""A network alone, for comparison, is written again as the chain is, if the spec's `reload` allows that."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.configs.device import load_device
from offramp.pipeline.costing import chain_costs
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.report import Report
from offramp.planner.hardware.core import weight_load_cycles
from tests.helpers.large import CLASSES, SPEC, STAGES, write_large, write_network
from tests.helpers.plans import plan_of
from tests.helpers.specs import DATA

DEVICE = load_device()
ALLOWED = "reload: allowed\n"
OUTSIDE = "reload: external\nexternal: {bytes_per_second: 1000000}\n"
NETWORK = "  large: {network: large.yaml, checkpoint: large.pth.tar, input: 16x6x6}\n"


def report_of(spec: Path) -> Report:
    made = plan_of(spec)
    return plan_report(made, evaluate_plan(made.plan))


@pytest.mark.parametrize("keys", [ALLOWED, OUTSIDE])
def test_a_chain_of_one_stage_costs_what_its_network_costs_alone(tmp_path: Path, keys: str) -> None:
    spec = write_large(tmp_path, keys=keys)
    head = "  head: {network: head.yaml, checkpoint: head.pth.tar}\n"
    spec.write_text(SPEC.replace(head, "") + DATA + keys + "stages:\n  - {network: large}\n")
    report = report_of(spec)
    assert report.reload and report.reload.words > 20_000
    assert (report.cycles.full, report.cycles.ratio) == (report.cycles.mean, 1)
    assert (report.energy.full_uj, report.energy.ratio) == (report.energy.mean_uj, 1)
    assert report.cycles.full == report.cycles.worst


def test_the_last_network_and_compared_ones_are_written_again_alone(tmp_path: Path) -> None:
    """Beside the early stage less of the last network is written again than of the network alone."""
    again, outside = (
        _compared(tmp_path, keys) for keys in (f"{ALLOWED}compare: [other]\n", f"{OUTSIDE}compare: [other]\n")
    )
    for report in (again, outside):
        assert [(one.cycles, one.energy_uj) for one in report.alone] == [(report.cycles.full, report.energy.full_uj)]
        assert abs(report.cycles.full - report.cycles.worst) < 0.02 * report.cycles.worst
        assert report.warnings == ()
    assert outside.cycles.full > 10 * again.cycles.full


def _compared(folder: Path, keys: str) -> Report:
    spec = write_large(folder, keys=keys)
    spec.write_text(spec.read_text().replace(NETWORK, NETWORK + NETWORK.replace("large:", "other:", 1)))
    return report_of(spec)


@pytest.mark.slow
def test_more_layers_than_a_run_has_may_be_written_again(tmp_path: Path) -> None:
    """33 layers: the network alone takes two runs at least."""
    report = report_of(write_large(tmp_path, pairs=16))
    assert len(report.stages[-1].segments) > 1 and report.reload
    assert abs(report.cycles.full - report.cycles.worst) < 0.02 * report.cycles.worst


def test_a_network_that_does_not_fit_alone_is_told(tmp_path: Path) -> None:
    """Its first layer and its second have 512 columns of 768 each: behind a small stage each is written again, alone
    the first one would be resident."""
    first = "  - {op: conv2d, pad: 1, activate: ReLU, data_format: HWC, processors: 0xffff}"
    second = "  - {op: conv2d, pad: 1, activate: ReLU, processors: 0xffffffffffffffff, max_pool: 2, pool_stride: 2}"
    answer = "  - {op: mlp, flatten: true, output_width: 32}"
    keys = ALLOWED + STAGES.replace("network: large", "network: head").replace(", until: 1, head: head", "")
    spec = write_large(tmp_path)
    write_network(tmp_path, "large", [first, second, answer], [(512, 16, 3, 3), (64, 512, 3, 3), (CLASSES, 64 * 9)])
    shape = "head: {input: 16x6x6, network"
    spec.write_text(SPEC.replace("head: {network", shape) + DATA + keys % ", threshold: 0.1" + "  - {network: large}\n")
    report = report_of(spec)
    assert report.reload
    text = "alone it does not fit, whatever is written again: its costs alone are those of weights that all fit"
    assert report.warnings == (f"network `large`: {text}",)
    assert report.cycles.full < report.cycles.worst / 2


def test_only_what_stays_is_loaded_after_power_up(tmp_path: Path) -> None:
    made = plan_of(write_large(tmp_path))
    placed = made.plan.placed
    assert placed.reload
    hw = {slot.name: placed.requirements.layer(slot) for slot in made.chain.slots}
    stays = sum(layer.weight_bytes for name, layer in hw.items() if name not in placed.reload.weights)
    (loading,) = [one.cycles for one in chain_costs(made).overheads if one.name == "loading weights"]
    assert abs(loading.cycles - weight_load_cycles(DEVICE, stays).cycles) < 0.05 * loading.cycles
    everything = sum(layer.weight_bytes for layer in hw.values())
    assert loading.cycles < 0.6 * weight_load_cycles(DEVICE, everything).cycles
