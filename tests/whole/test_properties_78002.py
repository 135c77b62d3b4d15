"""Random networks on the MAX78002: generated programs give what the integer reference gives, cut or not.

Searched further as `test_properties.py` is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from offramp.configs.device import load_device
from offramp.configs.errors import Infeasible, InputError
from offramp.corpus.cuts import judge_both_ways
from offramp.planner.allocation.place import Placed, place
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.ir.chain import Chain, cut, whole
from offramp.planner.ir.cuts import legal_cuts
from offramp.planner.ir.network import Layer, Network, Shape
from offramp.planner.reference.layers import run_network
from offramp.planner.rules.check import check_network
from tests.helpers.networks import make_layer, make_network
from tests.helpers.random_networks import networks
from tests.helpers.random_special import streaming_networks
from tests.helpers.searches import SETTINGS

DEVICE = load_device("MAX78002")
CONVOLUTIONS = ("conv2d", "conv1d", "convtranspose2d")


@st.composite
def other_kinds(draw: st.DrawFn) -> Network:
    """Random networks whose layers are of kinds, too, that only this device has."""
    network = draw(networks())
    binary = draw(st.booleans())
    return replace(network, layers=tuple(_other_kind(draw, layer, binary) for layer in network.layers))


def _other_kind(draw: st.DrawFn, layer: Layer, binary: bool) -> Layer:
    if layer.weights is None:
        return layer
    changes: dict[str, Any] = {}
    channels = layer.in_shape.channels
    kind = draw(st.sampled_from(("plain", "depthwise", "four", "bypass")))
    if kind == "depthwise" and 1 < channels == layer.out_shape.channels and layer.op in CONVOLUTIONS:
        changes = {"groups": channels, "weights": layer.weights[:, :1]}
    elif kind == "four":
        changes = {"calcx4": True}
    elif kind == "bypass" and layer.op in CONVOLUTIONS and layer.bias is None:
        ones = np.ones_like(layer.weights)
        return replace(layer, weights=ones, bypass=True, weight_bits=8, output_shift=draw(st.integers(-2, 3)))
    if layer.weight_bits == 1 and binary:
        weights = changes.get("weights", layer.weights)
        changes |= {"binary": True, "weights": (2 * weights + 1).astype(np.int8)}
    return replace(layer, **changes)


def placed(chain: Chain) -> Placed:
    try:
        return place(chain, DEVICE)
    except (InputError, Infeasible):
        assume(False)
        raise


@pytest.mark.slow
@settings(SETTINGS, max_examples=max(1, SETTINGS.max_examples // 2))
@given(other_kinds(), st.data())
def test_generated_programs_give_the_reference_cut_or_not(network: Network, data: st.DataObject) -> None:
    check_answers(network, data)


@pytest.mark.slow
@settings(SETTINGS, max_examples=max(1, SETTINGS.max_examples // 3))
@given(streaming_networks(), st.data())
def test_so_do_programs_that_stream(network: Network, data: st.DataObject) -> None:
    check_answers(network, data)


def check_answers(network: Network, data: st.DataObject) -> None:
    """The whole network, and cut after one of the layers where that is legal."""
    try:
        network = complete(network, DEVICE, no_columns_occupied(DEVICE))
    except (InputError, Infeasible):
        assume(False)
    assume(not check_network(network, DEVICE))
    for layer in network.layers:
        kind = "depthwise" if layer.depthwise else "x4" if layer.calcx4 else "bypass" if layer.bypass else layer.op
        note(f"{layer.index}: {kind} {layer.in_shape} -> {layer.out_shape} {layer.weight_bits} bits of {layer.inputs}")
    rng = np.random.default_rng(1)
    shape = network.input_shape
    x = rng.integers(-128, 128, (2, shape.channels, shape.rows, shape.cols)).astype(np.int8)
    answers = list(run_network(network, x)[network.layers[-1].index].astype(np.int32))
    assert judge_both_ways(placed(whole("network", network)), list(x), answers, rng) == ()
    cuts = legal_cuts(network)
    if cuts:
        chain = cut("network", network, data.draw(st.sampled_from(cuts), "cut after"))
        assert judge_both_ways(placed(chain), list(x), answers, rng) == ()


def fifo_network(*layers: Layer, channels: int = 4) -> Network:
    shape = replace(layers[0].in_shape, channels=channels)
    return complete(make_network(*layers, input_shape=shape, fifo=True), DEVICE, no_columns_occupied(DEVICE))


def answers_right(network: Network) -> bool:
    assert not check_network(network, DEVICE)
    rng = np.random.default_rng(2)
    shape = network.input_shape
    x = rng.integers(-128, 128, (2, shape.channels, shape.rows, shape.cols)).astype(np.int8)
    answers = list(run_network(network, x)[network.layers[-1].index].astype(np.int32))
    return judge_both_ways(place(whole("network", network), DEVICE), list(x), answers, rng) == ()


@pytest.mark.parametrize("pad", [0, 1, 2])
def test_streams_through_transposed_convolutions(pad: int) -> None:
    """The hardware counts the padding of these from the other side."""
    first = make_layer(Shape(4, 6, 6), 4, pad=(1, 1), streaming=True, output_shift=-2)
    second = make_layer(first.out_shape, 4, op="convtranspose2d", pad=(pad, pad), streaming=True, output_shift=-2)
    third = make_layer(second.out_shape, 4, pad=(1, 1), output_shift=-2)
    assert answers_right(fifo_network(first, second, third))


@pytest.mark.parametrize("streaming", [False, True])
def test_operands_through_the_fifo(streaming: bool) -> None:
    changes: dict[str, Any] = {"operands": 2, "eltwise": "add", "output_shift": -2, "streaming": streaming}
    first = make_layer(Shape(4, 6, 6), 4, pad=(1, 1), **changes)
    second = make_layer(first.out_shape, 4, pad=(1, 1), output_shift=-2)
    assert answers_right(fifo_network(first, second, channels=8))
