"""What the core adds to an answer, against the published times that there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from offramp.corpus.case import load_case
from offramp.pipeline.networks import load_checked
from offramp.planner.ai8x.load import Options
from offramp.planner.allocation.budget import alone_budget
from offramp.planner.hardware.core import (
    added_by_load,
    check_cycles,
    copy_cycles,
    load_cycles,
    start_cycles,
    switch_cycles,
)
from offramp.planner.hardware.cycles import Cycles, layer_cycles
from offramp.planner.hardware.energy import core_energy
from offramp.planner.hardware.hw_layer import map_layer, with_processors
from offramp.planner.ir.measure import MEASURES
from offramp.planner.ir.network import Network, Shape
from tests.helpers.networks import make_layer, make_network
from tests.helpers.small_firmware import DEVICE

BUS, FIFO = DEVICE.costs["bus_wait_ns"], DEVICE.costs["fifo_wait_ns"]
# The layers of the vendor's faceid network; its input is 3x160x120.
FACEID = """\
arch: ai85faceidnet
dataset: FaceID
layers:
  - {processors: 0x0000000000000007, out_offset: 0x2000, op: conv2d, pad: 1, activate: ReLU, data_format: HWC,
     output_processors: 0x00000000ffff0000, streaming: true}
  - {processors: 0x00000000ffff0000, out_offset: 0, op: conv2d, pad: 1, activate: ReLU, max_pool: 2, pool_stride: 2,
     output_processors: 0xffffffff00000000, streaming: true}
  - {processors: 0xffffffff00000000, out_offset: 0x2000, op: conv2d, pad: 1, activate: ReLU, max_pool: 2,
     pool_stride: 2, output_processors: 0x00000000ffffffff}
  - {processors: 0x00000000ffffffff, out_offset: 0, op: conv2d, pad: 1, activate: ReLU, max_pool: 2, pool_stride: 2,
     output_processors: 0xffffffffffffffff}
  - {processors: 0xffffffffffffffff, out_offset: 0x2000, op: conv2d, pad: 1, activate: ReLU, max_pool: 2,
     pool_stride: 2}
  - {processors: 0xffffffffffffffff, out_offset: 0, op: conv2d, pad: 1, activate: ReLU}
  - {processors: 0xffffffffffffffff, out_offset: 0x2000, op: conv2d, pad: 1, activate: ReLU}
  - {processors: 0xffffffffffffffff, out_offset: 0, op: conv2d, kernel_size: 1x1, pad: 0, max_pool: 2, pool_stride: 2}
  - {processors: 0xffffffffffffffff, out_offset: 0x2000, op: none, avg_pool: [5, 3], pool_stride: 1}
"""


def time(instructions: float, waiting_ns: float) -> float:
    """Cycles at 100 and 50 MHz."""
    return (10 * instructions + waiting_ns) / 20


def test_loading_and_inference_together_are_within_three_percent_of_published_times(
    corpus: Path, tmp_path: Path
) -> None:
    """As the vendor's programs load: packed words, eight instructions each. Of cats-dogs there are two times."""
    (tmp_path / "faceid.yaml").write_text(FACEID)
    shape = Shape(3, 160, 120)
    device = replace(DEVICE, instructions={**DEVICE.instructions, "fifo_packed_100_words": 800})
    faceid = load_checked(tmp_path / "faceid.yaml", None, shape, Options(fifo=True), DEVICE)
    cats_dogs = load_case(corpus / "cases" / "net-cats-dogs", DEVICE).network
    for network, published in ((cats_dogs, 12_481), (cats_dogs, 12_482), (faceid, 14_001)):
        budget = alone_budget(network, device, packed=True)
        model = (budget.loads[0].cycles + budget.stages[0].cycles) / 50
        assert model == pytest.approx(published, rel=0.03)
        assert budget.loads[0].cycles > 0, "the load is what takes longer"


@pytest.mark.parametrize(("case", "core_mhz", "published"), [("net-kws20", 100, 1100), ("net-kws20", 60, 1800)])
def test_packed_loads_are_within_five_percent_of_published_times(
    corpus: Path, case: str, core_mhz: int, published: int
) -> None:
    """AN7417 table 4. The vendor's loop takes four instructions a word, ours 2.75."""
    network = load_case(corpus / "cases" / case, DEVICE).network
    device = replace(DEVICE, clocks={**DEVICE.clocks, "core_hz": core_mhz * 10**6})
    assert load_cycles(device, network, packed=True).microseconds(device) == pytest.approx(published, rel=0.05)


@pytest.mark.parametrize(
    ("network", "name", "words", "wait"),
    [
        (make_network(make_layer(Shape(1, 28, 28), 4, data_format="CHW")), "load_chw", 196, BUS),
        (make_network(make_layer(Shape(3, 32, 32), 4)), "load_hwc", 1024, BUS),
        (make_network(make_layer(Shape(3, 32, 32), 4), fifo=True), "fifo_hwc", 1024, FIFO),
    ],
)
def test_input_loads_word_by_word(network: Network, name: str, words: int, wait: int) -> None:
    counts = DEVICE.instructions
    expected = time(counts[name] + counts[f"{name}_100_words"] * words / 100, words * wait)
    found = load_cycles(DEVICE, network)
    assert found.cycles == pytest.approx(expected, abs=2)
    assert found.tag == "estimated" and "AN7417" in found.source and "counted" in found.source


def test_channels_of_other_instances_take_words_of_their_own() -> None:
    spread = make_network(replace(make_layer(Shape(5, 32, 32), 4), processors=0x10F))
    assert load_cycles(DEVICE, spread).cycles == pytest.approx(
        2 * load_cycles(DEVICE, make_network(make_layer(Shape(3, 32, 32), 4))).cycles, abs=1
    )


def test_a_load_that_is_faster_than_the_streaming_layers_adds_nothing() -> None:
    layer = replace(make_layer(Shape(3, 30, 32), 4, pad=(1, 1)), streaming=True)
    network = make_network(layer, fifo=True)
    hw = map_layer(with_processors(layer, DEVICE), network, DEVICE)
    cost = layer_cycles(layer, network, DEVICE)

    def added(load: int) -> int:
        return added_by_load(Cycles(load, "estimated", "test"), [(hw, cost)]).cycles

    rows_left = -(-2 * cost.cycles // 30)
    assert added(cost.cycles - rows_left) == added(1) == 0
    assert added(cost.cycles + 7) == rows_left + 7
    plain = [(replace(hw, layer=replace(layer, streaming=False)), cost)]
    assert added_by_load(Cycles(1000, "estimated", "test"), plain).cycles == 1000


def test_starts_and_checks_take_counted_instructions_and_accesses() -> None:
    counts = DEVICE.instructions
    assert start_cycles(DEVICE, 1).cycles == pytest.approx(time(counts["start"], 2 * BUS), abs=1)
    more = start_cycles(DEVICE, 3).cycles - start_cycles(DEVICE, 1).cycles
    assert more == pytest.approx(time(2 * counts["start_100_quadrants"] / 100, 2 * BUS), abs=1)
    for measure in MEASURES:
        instructions = counts[f"check_{measure}"] + counts[f"check_{measure}_100_logits"] / 10
        found = check_cycles(DEVICE, measure, 10, 3, 2)  # byte logits: three words
        assert found.cycles == pytest.approx(time(instructions, (1 + 2 + 3) * BUS), abs=2)
        assert found.tag == "estimated"


@pytest.mark.parametrize("bits", [8, 32])
def test_copies_take_a_read_for_each_value(bits: int) -> None:
    counts = DEVICE.instructions
    each = (counts[f"copy_{bits}_100_channels"] * 20 + counts[f"copy_{bits}_100_values"] * 20 * 4) / 100
    found = copy_cycles(DEVICE, 20, 4, bits, 2)
    assert found.cycles == pytest.approx(time(counts[f"copy_{bits}"] + each, (80 + 2) * BUS), abs=2)
    assert found.tag == "estimated"


def test_the_core_takes_its_time_by_its_clock_and_energy_by_its_cycles() -> None:
    half = replace(DEVICE, clocks={**DEVICE.clocks, "core_hz": 50_000_000})
    slow = replace(DEVICE, clocks={**DEVICE.clocks, "cnn_hz": 25_000_000})
    cycles = switch_cycles(DEVICE, 100).cycles
    assert cycles == pytest.approx(time(DEVICE.instructions["switch_100_writes"], 100 * BUS), abs=1)
    assert switch_cycles(half, 100).cycles == pytest.approx(2 * cycles, abs=1)
    assert switch_cycles(slow, 100).cycles == pytest.approx(cycles / 2, abs=1)
    energies = [core_energy(switch_cycles(device, 100), device).picojoules for device in (DEVICE, half, slow)]
    assert max(energies) == pytest.approx(min(energies), rel=0.001)
