"""Layouts: what a plan's and a vendor program's say, held against the placement, the program and the report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.codegen.program import Key
from offramp.comparison.layout_plan import layout_of_plan
from offramp.comparison.layout_vendor import layout_of_case, vendor_weights
from offramp.comparison.layouts import Layout, Point, SwitchUse, WeightUse, front
from offramp.comparison.read import read_layout
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.corpus.case_files import WRITE, WRITE_BYTE
from offramp.host.progress import SILENT
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.planning import Planned
from offramp.pipeline.report import Report
from offramp.planner.exits.guarantee import Guarantee
from offramp.planner.exits.records import ChoiceRecord, OutcomeRecord
from tests.helpers.layouts import small_layout
from tests.helpers.plans import plan_of
from tests.helpers.specs import write_staged

DEVICE = load_device()
# Kernels of 9 bytes, of 1, of 3 and 5, 4-bit ones, several quadrants, streaming with bias; no dummy or padding columns.
CASES = (
    "net-mnist",
    "net-cats-dogs",
    "net-kws20_v3",
    "net-kws20_v3__no-mexpress",
    "test-conv1d-5",
    "test-conv1d-3-bias",
    "test-mlpflatten768to10",
    "test-passthrough",
    "test-upsample",
)


def report_of(plan: Planned) -> Report:
    return plan_report(plan, evaluate_plan(plan.plan))


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    return plan_of(write_staged(tmp_path_factory.mktemp("layout")))


@pytest.fixture(scope="module")
def layout(plan: Planned) -> Layout:
    return layout_of_plan(plan, report_of(plan), "spec", "spec.yaml")


def test_layers_and_stages_are_those_of_the_chain(plan: Planned, layout: Layout) -> None:
    assert [layer.name for layer in layout.layers] == [slot.name for slot in plan.chain.slots]
    assert [layer.stage for layer in layout.layers] == [0, 0, 1, 1, 1]
    for number, stage in enumerate(layout.stages):
        assert stage.cycles == 1 + sum(layer.cycles for layer in layout.layers if layer.stage == number)


def test_sums_are_those_of_the_report(plan: Planned, layout: Layout) -> None:
    report = report_of(plan)
    assert layout.weight_bytes == report.memory.weight_bytes
    assert layout.highest_column == report.memory.highest_column
    assert layout.bias_bytes == report.memory.bias_bytes
    assert layout.worst_cycles == report.cycles.worst
    assert layout.mean_cycles == report.cycles.mean
    assert layout.mean_energy == pytest.approx(report.energy.mean_uj)
    assert report.accuracy and layout.accuracy == report.accuracy.staged
    assert layout.switch_writes == sum(switch.register_writes for switch in report.switches)


def test_layers_in_the_mean_are_the_mean_of_the_report(plan: Planned, layout: Layout) -> None:
    assert layout.layer_means is not None
    starts = 1 + (1 - (layout.stages[0].share or 0))  # a cycle for each stage that runs
    assert 0 < (layout.stages[0].share or 0) < 1
    report = report_of(plan)
    assert sum(layout.layer_means) + starts == pytest.approx(report.cycles.accelerator_mean)


def test_points_are_what_is_known(layout: Layout) -> None:
    names = [point.name for point in layout.points]
    planned = "as planned: front (margin 0.02002) > main"
    assert names == ["all leave at front", "all leave at main", planned, "main alone"]
    assert [point.chosen for point in layout.points] == [False, False, True, False]
    assert layout.points[1].accuracy == layout.points[3].accuracy
    assert (layout.points[1].energy or 0) > (layout.points[3].energy or 0) > 0  # the front stage runs too


def test_a_network_alone_is_one_point(tmp_path: Path) -> None:
    spec = write_staged(tmp_path)
    spec.write_text(spec.read_text().split("stages:")[0] + "stages: [{network: main}]\ncompare: [front]\n")
    names = [point.name for point in read_layout(spec, SILENT).points]
    assert names == ["as planned: main", "front alone"]


OUTCOME = OutcomeRecord(("front", "main"), ("margin",), (0.5,), 0.9, (0.5, 0.5), 10.0, 2.0)


def chosen(*front: OutcomeRecord, risk: Guarantee | None = None) -> ChoiceRecord:
    pareto = {"cycles": front, "energy": front[:1]}
    return ChoiceRecord(front[0], None, "exact", 0.0, 40, 0.9, 3, 0, risk, "labels", (), (), pareto)


def test_a_choice_gives_the_points(plan: Planned) -> None:
    other = replace(OUTCOME, thresholds=(0.25,), mean_cycles=8.0, accuracy=0.8)
    report = replace(report_of(plan), choice=chosen(OUTCOME, other))
    layout = layout_of_plan(plan, report, "spec", "spec.yaml")
    assert layout.points_note == ""
    assert layout.points == (
        Point("front (margin 0.5) > main", 0.9, 10.0, 2.0, True),
        Point("front (margin 0.25) > main", 0.8, 8.0, 2.0, False),
    )


def test_a_bound_on_the_risk_is_told(plan: Planned) -> None:
    risk = Guarantee(0.01, 0.05, "a test", 40, 0, 1, 0.01, 1)
    report = replace(report_of(plan), choice=chosen(OUTCOME, risk=risk))
    layout = layout_of_plan(plan, report, "spec", "spec.yaml")
    assert "falls by more than 1 point with probability at most 0.05" in layout.points_note


def test_the_longest_run_of_free_columns_is_found() -> None:
    one, other = WeightUse((0,), 1, 4, 10), WeightUse((1,), 2, 10, 700)
    assert replace(small_layout(), weights=(other, one)).free_columns == (710, 58)
    assert replace(small_layout(), weights=(WeightUse((0,), 1, 500, 268),)).free_columns == (0, 500)
    assert replace(small_layout(), weights=(WeightUse((0,), 1, 0, 768),)).free_columns[1] == 0
    assert replace(small_layout(), weights=()).free_columns == (0, 768)


def test_tensors_are_live_while_their_layers_run(plan: Planned, layout: Layout) -> None:
    tensors = {one.layer: one for one in layout.data}
    numbers = {slot.writes: number for number, slot in enumerate(plan.chain.slots)}
    for slot in plan.chain.slots:
        step = layout.steps.index(f"run {slot.name}")
        for tensor in (slot.writes, *slot.reads):
            used = tensors[numbers.get(tensor)]
            assert used.first <= step <= used.last


def cells(layout: Layout) -> Iterator[tuple[int, int]]:
    """(processor, column) of every weight block."""
    for block in layout.weights:
        for processor in range(64):
            if block.processors >> processor & 1:
                yield from ((processor, column) for column in range(block.start, block.start + block.columns))


def test_no_two_blocks_overlap(layout: Layout) -> None:
    taken = list(cells(layout))
    assert len(taken) == len(set(taken)) == layout.weight_bytes // 9


def test_bytes_that_tensors_share_count_once() -> None:
    # Step 2: 50 words of the input, 2 x 120, and 40 of which 20 are in both.
    assert small_layout().data_bytes == 4 * (50 + 240 + 20)


def test_switch_writes_go_forward_and_back_once() -> None:
    layout = small_layout()
    assert layout.switch_writes == 50
    middle = replace(layout.switches[1], source="middle", writes=1000)  # back from a stage that an inference passes
    assert replace(layout, switches=(*layout.switches, middle)).switch_writes == 50


def test_switch_writes_go_through_all_runs_of_a_stage() -> None:
    layout = small_layout()
    stages = (layout.stages[0], replace(layout.stages[1], runs=("main (1 of 2)", "main (2 of 2)")))
    way = ["front", "main (1 of 2)", "main (2 of 2)", "front"]
    pairs = zip(way, way[1:], [30, 7, 20], strict=False)
    switches = tuple(SwitchUse(source, target, writes) for source, target, writes in pairs)
    assert replace(layout, stages=stages, switches=switches).switch_writes == 57


def test_worst_cycles_are_unknown_if_one_stage_is() -> None:
    layout = small_layout()
    assert layout.worst_cycles == 600
    unknown = replace(layout.stages[0], cost_by_exit=None)
    assert replace(layout, stages=(unknown, layout.stages[1])).worst_cycles is None


def test_front_keeps_what_nothing_beats() -> None:
    cheap, dear, worse, same = (
        Point("cheap", 0.8, 10, 9, False),
        Point("dear", 0.9, 20, 5, True),
        Point("worse", 0.7, 15, 7, False),
        Point("same", 0.9, 25, 6, False),
    )
    assert front((same, worse, dear, cheap)) == (cheap, dear)
    assert front((same, worse, dear, cheap), energy=True) == (dear,)


def program_of(case: Path, phase: str) -> list[int]:
    """Addresses that a phase of a case's program writes."""
    with np.load(case / "program.npz", allow_pickle=False) as program:
        if f"{phase}_addr" not in program:
            return []
        return [int(one) for one in program[f"{phase}_addr"][program[f"{phase}_kind"] == WRITE]]


def loaded_columns(case: Path) -> set[tuple[int, int]]:
    """(processor, column) that the program writes: a byte write sets the column, every 9 bytes fill one; without such
    writes every column has an address of its own."""
    with np.load(case / "program.npz", allow_pickle=False) as program:
        if "weights_addr" not in program:
            return set()
        entries = list(zip(program["weights_addr"].tolist(), program["weights_kind"].tolist(), strict=True))
    express = any(kind == WRITE_BYTE for _, kind in entries)
    loaded, chunk, count = set(), 0, 0
    for address, kind in entries:
        place = DEVICE.locate(address & ~3)
        assert place is not None and place.kind == "weights"
        processor = place.quadrant * DEVICE.geometry.processors_per_quadrant + place.unit
        if not express:
            loaded.add((processor, place.index // DEVICE.memories["weights"].word_stride))
        elif kind == WRITE_BYTE:
            chunk, count = place.index // DEVICE.express_stride, 0
        else:
            count += 4
            loaded |= {(processor, chunk + column) for column in range(count // 9)}
    return loaded


@pytest.mark.parametrize("name", CASES)
def test_vendor_blocks_are_what_its_program_loads(corpus: Path, name: str) -> None:
    case = corpus / "cases" / name
    layout = layout_of_case(case, DEVICE)
    assert set(cells(layout)) == loaded_columns(case)
    biases = {(one.quadrant, byte) for one in layout.biases for byte in range(one.start, one.start + one.length)}
    places = [DEVICE.locate(address) for address in program_of(case, "bias")]
    assert biases == {(place.quadrant, place.index) for place in places if place}


@pytest.mark.parametrize("name", CASES)
def test_vendor_tensors_are_where_its_program_writes_and_looks(corpus: Path, name: str) -> None:
    case = corpus / "cases" / name
    layout = layout_of_case(case, DEVICE)
    words = {
        one.layer: {(instance, word) for instance in one.instances for word in range(one.start, one.start + one.words)}
        for one in layout.data
    }

    def places(addresses: list[int]) -> set[tuple[int, int]]:
        found = [place for place in map(DEVICE.locate, addresses) if place and place.kind == "data"]
        return {(one.quadrant * DEVICE.geometry.instances_per_quadrant + one.unit, one.index) for one in found}

    assert places(program_of(case, "input")) <= words[None]
    with np.load(case / "expected.npz", allow_pickle=False) as expected:
        looked = places(expected["addr"].tolist())
    assert looked and looked <= words[len(layout.layers) - 1]


def test_vendor_cycles_are_its_own(corpus: Path) -> None:
    case = corpus / "cases" / "net-cats-dogs"
    latency = json.loads((case / "meta.json").read_text())["latency"]
    layout = layout_of_case(case, DEVICE)
    assert layout.stage_cycles == latency["total"]
    assert [layer.cycles for layer in layout.layers] == [one["cycles"] for one in latency["layers"]]
    assert layout.mean_cycles is layout.accuracy is None


def test_a_vendor_block_that_two_layers_use_is_one_block() -> None:
    image = {Key(0, layer, "EN"): 0xF << 16 for layer in (0, 1)} | {
        Key(0, layer, "MCNT"): 8 * 4 << 16 | 8 * 7 for layer in (0, 1)
    }
    (block,) = vendor_weights(image, 2, DEVICE)
    assert (block.layers, block.processors, block.start, block.columns) == ((0, 1), 0xF, 4, 4)


def test_a_case_without_cycles_is_refused(corpus: Path, tmp_path: Path) -> None:
    source = corpus / "cases" / "test-passthrough"
    for name in ("network.yaml", "weights.npz", "input.npy", "program.npz"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    meta = json.loads((source / "meta.json").read_text())
    del meta["latency"]
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match=r"has no `latency`"):
        read_layout(tmp_path, SILENT)
