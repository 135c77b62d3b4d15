"""Fronts and heads that are proposed: ordered by what an answer costs, not dominated, runnable, for any input."""

from __future__ import annotations

import pytest

from offramp.configs.device import load_device
from offramp.planner.allocation.budget import alone_budget
from offramp.planner.hardware.cycles import network_cycles
from offramp.planner.ir.network import DataFormat, Shape
from offramp.training.costs import DesignCost, spread
from offramp.training.design import network_of
from offramp.training.fronts import front_designs
from offramp.training.heads import A_CUT, head_designs

DEVICE = load_device()
INPUTS: list[tuple[Shape, DataFormat, int]] = [
    (Shape(1, 28, 28), "CHW", 40_000),
    (Shape(3, 16, 16), "HWC", 40_000),
    (Shape(6, 50, 1), "HWC", 20_000),
]


@pytest.fixture(scope="module", params=INPUTS, ids=lambda one: str(one[0]))
def proposed(request: pytest.FixtureRequest) -> tuple[Shape, DataFormat, int, tuple[DesignCost, ...]]:
    shape, form, most = request.param
    return shape, form, most, front_designs(shape, form, 5, 8, DEVICE, most)


def test_fronts_cost_what_the_budget_of_their_network_says(
    proposed: tuple[Shape, DataFormat, int, tuple[DesignCost, ...]],
) -> None:
    shape, form, most, found = proposed
    assert len(found) > 10
    for one in found[::7]:
        network = network_of(one.design, DEVICE)  # no rule of the device is broken
        assert one.cycles == alone_budget(network, DEVICE).cost_by_exit[0] <= most
        assert network.input_shape == shape and network.layers[0].data_format == form
        assert network.layers[-1].out_shape == Shape(5, 1, 1) and network.layers[-1].output_width == 32
    convolution = "conv1d" if shape.cols == 1 else "conv2d"
    assert {layer.op for one in found for layer in one.design.layers} == {convolution, "linear"}


def test_no_front_is_dominated(proposed: tuple[Shape, DataFormat, int, tuple[DesignCost, ...]]) -> None:
    *_, found = proposed
    assert list(found) == sorted(found, key=lambda one: one.cycles)
    for at, one in enumerate(found):
        assert not any(all(a >= b for a, b in zip(other.size, one.size, strict=True)) for other in found[:at])


def test_bits_change_no_cost() -> None:
    wide, narrow = (front_designs(Shape(1, 12, 12), "CHW", 5, bits, DEVICE, 9_000) for bits in (8, 2))
    assert [one.cycles for one in wide] == [one.cycles for one in narrow]
    assert {layer.bits for one in narrow for layer in one.design.layers} == {2}


@pytest.mark.parametrize("shape", [Shape(60, 28, 28), Shape(12, 4, 4), Shape(100, 64, 1), Shape(64, 1, 1)])
def test_heads_keep_to_their_limit(shape: Shape) -> None:
    found = head_designs(shape, 10, 8, 5_000, DEVICE)
    assert 1 <= len(found) <= A_CUT
    for one in found:
        network = network_of(one.design, DEVICE)
        assert network.input_shape == shape
        assert one.cycles == network_cycles(network, DEVICE).cycles <= 5_000
    assert head_designs(shape, 10, 8, 3, DEVICE) == ()


def test_a_spread_covers_the_range_of_costs() -> None:
    found = front_designs(Shape(1, 28, 28), "CHW", 10, 8, DEVICE, 40_000)
    for count in (1, 4, 16, 1000):
        for by_sight in (False, True):
            picked = spread(found, count, by_sight)
            assert 1 <= len(picked) <= count and list(picked) == sorted(picked, key=lambda one: one.cycles)
    costs = [one.cycles for one in spread(found, 16, True)]
    assert costs[0] < 6_000 and costs[-1] > 25_000
    assert len({one.seen for one in spread(found, 16, True)}) == 3


def test_a_spread_takes_the_most_multiply_accumulates_of_equal_costs() -> None:
    some = front_designs(Shape(1, 28, 28), "CHW", 10, 8, DEVICE, 40_000)[0].design
    equal = [DesignCost(some, 100, 9, macs, 1) for macs in (5, 8, 7)]
    assert spread(equal, 2) == (equal[1],)
