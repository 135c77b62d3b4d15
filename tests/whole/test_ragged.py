"""Channels that do not fill the last pass: what lies in their places was never written, and nothing depends on it."""

from __future__ import annotations

from collections.abc import Callable
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
from offramp.planner.ir.network import INPUT, Layer, Network, Shape
from offramp.planner.reference.layers import run_network
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()


def answers_both_ways(network: Network) -> None:
    """Memories untouched and full of junk, whole and cut after every layer where that is legal."""
    network = complete(network, DEVICE, no_columns_occupied(DEVICE))
    rng = np.random.default_rng(1)
    shape = network.input_shape
    x = rng.integers(-128, 128, (shape.channels, shape.rows, shape.cols)).astype(np.int8)
    answer = run_network(network, x[None])[len(network.layers) - 1][0].astype(np.int32)
    assert np.count_nonzero(answer) > answer.size // 8
    assert judge_both_ways(place(whole("network", network), DEVICE), [x], [answer], rng) == ()
    for after in legal_cuts(network):
        assert judge_cut(network, after, [x, x], [answer, answer], DEVICE) == ()


def scaled(layer: Layer) -> Layer:
    """With a shift that keeps results away from the ends of 8 bits."""
    assert layer.weights is not None
    taps = layer.in_features * layer.weights[0, 0].size
    spread = taps**0.5 * 0.6 * 2 ** (layer.weight_bits - 1) * 40 / 128
    return replace(layer, output_shift=-max(0, round(np.log2(spread / 40))))


MIDDLE: dict[str, Callable[[Shape], Layer]] = {
    "point": lambda shape: make_layer(shape, 70, kernel=(1, 1), pad=(0, 0)),
    "three by three": lambda shape: make_layer(shape, 70),
    "transposed": lambda shape: make_layer(shape, 66, op="convtranspose2d"),
    "pooled": lambda shape: make_layer(shape, 131, pool=(2, 2), pool_stride=2),
    "biased": lambda shape: replace(make_layer(shape, 65), bias=np.arange(-30, 35, dtype=np.int8)),
    "copied": lambda shape: make_layer(shape, shape.channels, op="passthrough"),
    "averaged": lambda shape: make_layer(shape, 0, op="passthrough", pool=(4, 4), pool_stride=4, pool_average=True),
}


@pytest.mark.parametrize(("channels", "bits"), [(65, 8), (100, 1), (150, 8)])
@pytest.mark.parametrize("middle", MIDDLE)
def test_networks_with_ragged_passes_answer(middle: str, channels: int, bits: int) -> None:
    first = scaled(make_layer(Shape(5, 4, 4), channels, kernel=(1, 1), pad=(0, 0), weight_bits=bits))
    layers = [first, MIDDLE[middle](first.out_shape)]
    layers[1] = scaled(layers[1]) if layers[1].has_weights else layers[1]
    last = layers[-1].out_shape
    layers.append(make_layer(last, 3, op="linear", flatten=last.pixels > 1, output_width=32, weight_bits=bits))
    answers_both_ways(make_network(*layers))


@pytest.mark.parametrize("channels", [66, 100, 130])
def test_so_do_one_dimensional_ones_with_a_ragged_input(channels: int) -> None:
    changes: dict[str, Any] = {"op": "conv1d", "kernel": (5, 1), "pad": (2, 0)}
    first = scaled(make_layer(Shape(channels, 9, 1), channels, **changes))
    second = scaled(make_layer(first.out_shape, 20, op="conv1d", kernel=(3, 1), pad=(0, 0), dilation=2))
    answers_both_ways(make_network(first, second))


@pytest.mark.parametrize("parts", [(64, 60), (36, 34), (48, 45)])
def test_so_do_parts_joined_beyond_one_pass(parts: tuple[int, int]) -> None:
    shape = Shape(4, 3, 3)
    made = [scaled(make_layer(shape, count, kernel=(1, 1), pad=(0, 0), inputs=(INPUT,))) for count in parts]
    joined = scaled(make_layer(Shape(sum(parts), 3, 3), 9, inputs=(0, 1)))
    answers_both_ways(make_network(*made, joined, input_shape=shape))


@pytest.mark.parametrize("operands", [2, 3])
def test_so_do_sums_of_ragged_operands(operands: int) -> None:
    shape = Shape(6, 3, 3)
    made = [scaled(make_layer(shape, 90, kernel=(1, 1), pad=(0, 0), inputs=(INPUT,))) for _ in range(operands)]
    changes: dict[str, Any] = {"operands": operands, "eltwise": "add", "inputs": tuple(range(operands))}
    total = make_layer(Shape(90, 3, 3), 90, op="passthrough", **changes)
    after = scaled(make_layer(total.out_shape, 7, kernel=(1, 1), pad=(0, 0), inputs=(operands,)))
    answers_both_ways(make_network(*made, total, after, input_shape=shape))
