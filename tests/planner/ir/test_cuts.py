"""Live tensors and legal cuts, and that a legal cut gives the unsplit result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.corpus.case import load_case
from offramp.planner.ir.cuts import boundaries, network_graph
from offramp.planner.ir.network import INPUT, Network, Shape
from offramp.planner.reference.layers import run_layers, run_network
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()


def residual() -> Network:
    """0 -> 1 -> 2, then 3 adds 0 and 2, then 4; layer 4 also concatenates the input."""
    shape = Shape(4, 6, 6)
    layers = [
        make_layer(shape, 4, inputs=(INPUT,)),
        make_layer(shape, 4, inputs=(0,)),
        make_layer(shape, 4, inputs=(1,)),
        make_layer(shape, 0, op="passthrough", operands=2, eltwise="add", inputs=(0, 2)),
        make_layer(Shape(8, 6, 6), 3, inputs=(3, INPUT)),
    ]
    return make_network(*layers, input_shape=shape)


def streaming(count: int, total: int, fifo: bool = False) -> Network:
    layer = make_layer(Shape(3, 8, 8), 3)
    layers = [replace(layer, streaming=index < count) for index in range(total)]
    return make_network(*layers, fifo=fifo)


def test_graph_holds_layers_and_their_tensors() -> None:
    graph = network_graph(residual())
    assert set(graph.edges) == {(INPUT, 0), (0, 1), (1, 2), (0, 3), (2, 3), (3, 4), (INPUT, 4)}
    assert graph.nodes[4]["shape"] == Shape(3, 6, 6) and graph.nodes[INPUT]["shape"] == Shape(4, 6, 6)
    assert graph.edges[2, 3]["positions"] == (1,)
    assert nx.is_directed_acyclic_graph(graph)


def test_one_producer_in_two_places() -> None:
    layer = make_layer(Shape(4, 6, 6), 0, op="passthrough", operands=2, eltwise="add", inputs=(INPUT, INPUT))
    assert network_graph(make_network(layer, make_layer(Shape(4, 6, 6), 2, inputs=(0,)))).edges[INPUT, 0][
        "positions"
    ] == (0, 1)


def test_live_tensors_follow_the_last_reader() -> None:
    network = residual()
    assert [one.live for one in boundaries(network)] == [(INPUT, 0), (INPUT, 0, 1), (INPUT, 0, 2), (INPUT, 3)]


def test_declared_outputs_stay_live() -> None:
    network = residual()
    layers = tuple(replace(layer, output=layer.index == 1) for layer in network.layers)
    assert [one.live for one in boundaries(replace(network, layers=layers))][-1] == (INPUT, 1, 3)


def test_every_cut_of_a_plain_network_is_legal() -> None:
    assert [(one.after, one.legal) for one in boundaries(residual())] == [(k, True) for k in range(4)]
    assert boundaries(make_network(make_layer(Shape(3, 8, 8), 3))) == ()


def test_no_cut_before_the_last_streaming_layer() -> None:
    found = boundaries(streaming(3, 5))
    assert [one.legal for one in found] == [False, False, True, True]
    assert "`2` streams" in found[0].reason


def test_no_cut_where_a_circular_buffer_is_read_later() -> None:
    network = streaming(2, 4)
    last = replace(network.layers[3], inputs=(0,))
    found = boundaries(replace(network, layers=(*network.layers[:3], last)))
    assert [one.legal for one in found] == [False, False, False]
    assert "circular buffer" in found[2].reason


@pytest.mark.parametrize("fifo", [False, True])
def test_no_cut_while_the_fifo_input_is_needed(fifo: bool) -> None:
    network = replace(residual(), fifo=fifo)
    found = boundaries(network)
    assert [one.legal for one in found] == [not fifo] * 4
    assert not fifo or "FIFO" in found[3].reason
    chain = boundaries(streaming(0, 3, fifo=fifo))
    assert all(one.legal for one in chain)


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("net-mnist", 4),
        ("net-kws20_v3", 8),
        ("net-svhn_tinierssd", 19),
        ("net-cats-dogs", 5),
        ("syn-test-resnet-4l", 4),
    ],
)
def test_live_tensors_are_enough_for_the_rest(corpus: Path, name: str, legal: int) -> None:
    """At every legal cut, what is live there and nothing else gives the unsplit result and all declared outputs."""
    case = load_case(corpus / "cases" / name, DEVICE)
    layers = case.network.layers
    whole = run_network(case.network, case.sample[None], keep=range(len(layers)))
    tensors = {INPUT: case.sample[None], **whole}
    cuts = [boundary for boundary in boundaries(case.network) if boundary.legal]
    assert len(cuts) == legal
    for boundary in cuts:
        outputs = {layer.index for layer in layers if layer.output and layer.index > boundary.after}
        given = {index: tensors[index] for index in boundary.live}
        rest = run_layers(layers[boundary.after + 1 :], given, case.network.avg_pool_rounding, outputs)
        assert all(np.array_equal(tensor, whole[index]) for index, tensor in rest.items())
        assert {layer.index for layer in layers if layer.output and layer.index <= boundary.after} <= set(boundary.live)
