"""Layers that read several tensors side by side: any number of channels, any order, the network's input among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.corpus.cuts import judge_both_ways, judge_cut
from offramp.planner.allocation.place import place
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.ir.chain import whole
from offramp.planner.ir.cuts import legal_cuts
from offramp.planner.ir.network import INPUT, Network, Shape
from offramp.planner.reference.layers import run_network
from offramp.planner.rules.check import check_network
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()
SHAPE = Shape(3, 4, 5)


def joining(parts: Sequence[int], order: Sequence[int], places: Sequence[int] | None = None) -> Network:
    """Layers of so many channels that read the input, and one that joins tensors in this order. `places`: first
    processors of the input and of the parts, at offset 0x1000 all of them; None: open."""
    layers = [
        replace(
            make_layer(SHAPE, count, np.random.default_rng(index), inputs=(INPUT,), output_shift=-2),
            bias=np.arange(count, dtype=np.int8),
        )
        for index, count in enumerate(parts)
    ]
    channels = sum(SHAPE.channels if one == INPUT else parts[one] for one in order)
    joined = make_layer(Shape(channels, 4, 5), 6, inputs=tuple(order), output_shift=-2)
    layers.append(joined)
    if places is not None:
        maps = [((1 << count) - 1) << first for count, first in zip((3, *parts), places, strict=True)]
        union = sum(maps[one + 1] for one in order)
        kept: dict[str, Any] = {"processors": maps[0], "in_offset": 0x1000, "out_offset": 0x1000}
        layers = [replace(one, **kept, output_processors=own) for one, own in zip(layers, maps[1:], strict=False)]
        layers.append(
            replace(joined, processors=union, in_offset=0x1000, out_offset=0x4000, output_processors=0b111111)
        )
    return make_network(*layers, input_shape=SHAPE)


def check_answers(network: Network, least: int = 20) -> None:
    network = complete(network, DEVICE, no_columns_occupied(DEVICE))
    assert check_network(network, DEVICE) == ()
    rng = np.random.default_rng(1)
    x = rng.integers(-128, 128, (3, 4, 5)).astype(np.int8)
    answer = run_network(network, x[None])[len(network.layers) - 1][0].astype(np.int32)
    assert len(np.unique(answer)) > least
    assert judge_both_ways(place(whole("network", network), DEVICE), [x], [answer], rng) == ()
    for after in legal_cuts(network):
        assert judge_cut(network, after, [x, x], [answer, answer], DEVICE) == ()


@pytest.mark.parametrize(
    ("parts", "order"),
    [
        ([5, 5], [0, 1]),
        ([5, 5], [1, 0]),
        ([1, 2, 7], [2, 0, 1]),
        ([4], [INPUT, 0]),
        ([6], [0, INPUT]),
        ([5, 9], [1, INPUT, 0]),
        ([13, 1, 3], [0, INPUT, 2, 1]),
    ],
)
def test_parts_lie_where_the_planner_puts_them(parts: list[int], order: list[int]) -> None:
    check_answers(joining(parts, order))


@pytest.mark.parametrize(
    ("parts", "order", "places"),
    [
        ([5, 5], [0, 1], [40, 0, 8]),
        ([5, 5], [1, 0], [0, 24, 8]),
        ([8, 5], [0, 1], [40, 0, 8]),
        ([4], [INPUT, 0], [0, 4]),
        ([4], [0, INPUT], [20, 0]),
        ([7, 2], [1, INPUT, 0], [20, 40, 16]),
    ],
)
def test_and_where_the_network_says(parts: list[int], order: list[int], places: list[int]) -> None:
    check_answers(joining(parts, order, places))


@pytest.mark.parametrize(
    ("parts", "order", "places", "message"),
    [
        ([5, 5], [0, 1], [0, 16, 21], "what layer 1 writes covers bytes of the output of layer 0"),
        ([4], [INPUT, 0], [16, 19], "what layer 0 writes covers bytes of the network's input"),
        ([4, 4], [0, 1], [0, 24, 16], "the output of layer 0 does not lie in front of the input after it"),
        ([4, 4], [0, 0], [0, 16, 24], "the output of layer 0 twice"),
        ([4], [INPUT, INPUT], [0, 16], "the network's input twice"),
    ],
)
def test_what_cannot_be_joined_is_named(parts: list[int], order: list[int], places: list[int], message: str) -> None:
    found = [problem.message for problem in check_network(joining(parts, order, places), DEVICE)]
    assert any(message in one for one in found), found


def test_a_tensor_may_use_a_parts_place_before_the_part_is_there() -> None:
    """All offsets are the YAML's: each joined tensor lives for its own time."""
    network = joining([4], [INPUT, 0], [0, 4])
    first = make_layer(SHAPE, 4, inputs=(INPUT,), output_shift=-2)
    places: dict[str, Any] = {"processors": 7, "output_processors": 0xF0, "in_offset": 0x1000, "out_offset": 0x1000}
    early = replace(first, **places)
    used = make_layer(early.out_shape, 3, inputs=(0,), output_shift=-2)
    used = replace(used, processors=0xF0, output_processors=0x7 << 8, in_offset=0x1000, out_offset=0x2000)
    part, last = network.layers
    moved = (replace(part, index=2), replace(last, index=3, inputs=(INPUT, 2)))
    layers = (early, replace(used, index=1), *moved)
    check_answers(replace(network, layers=layers))


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
@pytest.mark.parametrize("outputs", [0x11, 0x1B0, 0x100000F, 0xF000E])
def test_point_kernels_with_gaps_between_their_outputs(outputs: int, bits: int) -> None:
    """The vendor's tool packs these as if the kernels were 3x3; the kernel counter does not."""
    count = outputs.bit_count()
    first = make_layer(SHAPE, count, kernel=(1, 1), pad=(0, 0), weight_bits=bits, output_shift=0)
    first = replace(first, bias=np.arange(3, 3 + count, dtype=np.int8), processors=7, output_processors=outputs)
    second = make_layer(first.out_shape, 5, kernel=(1, 1), pad=(0, 0), weight_bits=bits, output_shift=0)
    second = replace(second, processors=outputs, output_processors=0x1F0)
    last = make_layer(second.out_shape, 3, op="linear", flatten=True, weight_bits=bits, output_width=32)
    check_answers(make_network(first, second, replace(last, processors=0x1F0, output_processors=0x15)), least=2)


@pytest.mark.parametrize(("parts", "pool"), [([13, 1], 1), ([5, 6], 2), ([9, 13, 20], 1), ([30, 2, 3], 2)])
def test_a_copy_of_parts_is_packed_in_each_quadrant(parts: list[int], pool: int) -> None:
    network = joining(parts, range(len(parts)))
    *layers, joined = network.layers
    copy = make_layer(joined.in_shape, 0, op="passthrough", inputs=joined.inputs, pool=(pool, pool), pool_stride=pool)
    after = make_layer(copy.out_shape, 6, inputs=(len(parts),), output_shift=-2)
    check_answers(make_network(*layers, copy, after, input_shape=SHAPE), least=10)
