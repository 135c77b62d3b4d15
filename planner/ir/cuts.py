"""The network as a graph, and where it can be cut into stages, and a stage into segments.

A cut after layer k is legal if running layers 0..k, then, in a second run on untouched data memory, the layers after k
gives what one run of all layers gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import networkx as nx

from offramp.planner.ir.chain import Chain, Stage
from offramp.planner.ir.network import INPUT, Network


@dataclass(frozen=True)
class Boundary:
    """The place between layer `after` and the next one.

    `live`: producers (INPUT included) of the tensors that must survive there, ascending: those that a later layer
    reads, and declared outputs. `reason`: why a cut is not legal; empty where it is.
    """

    after: int
    live: tuple[int, ...]
    reason: str

    @property
    def legal(self) -> bool:
        return not self.reason


def network_graph(network: Network) -> nx.DiGraph[int]:
    """Nodes: layer indices and INPUT, with `shape` of what they produce. Edges: producer to consumer, with `positions`,
    the places that the producer takes among the consumer's inputs."""
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_node(INPUT, shape=network.input_shape)
    for layer in network.layers:
        graph.add_node(layer.index, shape=layer.out_shape)
        for producer in layer.inputs:
            positions = tuple(at for at, index in enumerate(layer.inputs) if index == producer)
            graph.add_edge(producer, layer.index, positions=positions)
    return graph


def live_tensors(network: Network, graph: nx.DiGraph[int], after: int) -> tuple[int, ...]:
    """Producers of the tensors that are needed once layer `after` has run, ascending."""
    read = {producer for producer, consumer in graph.edges if producer <= after < consumer}
    declared = {layer.index for layer in network.layers[: after + 1] if layer.output}
    return tuple(sorted(read | declared))


def boundaries(network: Network) -> tuple[Boundary, ...]:
    """Every place where the network could be cut: after layer 0, 1, ... up to the last but one."""
    graph = network_graph(network)
    return tuple(
        Boundary(after, live, _reason(network, after, live))
        for after, live in ((k, live_tensors(network, graph, k)) for k in range(len(network.layers) - 1))
    )


def legal_cuts(network: Network) -> tuple[int, ...]:
    """Layers after which the network can be cut."""
    return tuple(boundary.after for boundary in boundaries(network) if boundary.legal)


def segment_cuts(chain: Chain, stage: Stage) -> tuple[int, ...]:
    """Slots of a stage, by their position, in front of which a new run may begin, ascending."""
    legal = {name: set(legal_cuts(chain.networks[name])) for name in {slot.network for slot in stage.slots}}

    def ends(position: int) -> bool:
        """Whether the slot ends its network, the layers in front of a head, or a part that can be cut off."""
        slot, following = stage.slots[position], stage.slots[position + 1]
        return following.network != slot.network or slot.layer.index in legal[slot.network]

    return tuple(position + 1 for position in range(len(stage.slots) - 1) if ends(position))


def _reason(network: Network, after: int, live: tuple[int, ...]) -> str:
    found = (rule(network, after, live) for rule in _RULES)
    return next((reason for reason in found if reason), "")


def _streaming_ahead(network: Network, after: int, live: tuple[int, ...]) -> str:
    """Streaming layers run interleaved, from the first layer on, through buffers shorter than their tensors."""
    last = max((layer.index for layer in network.layers if layer.streaming), default=-1)
    if after >= last:
        return ""
    return f"layer `{network.layers[last].label}` streams; the first possible cut is after it"


def _circular(network: Network, after: int, live: tuple[int, ...]) -> str:
    """What a streaming layer reads from another layer is never in memory as a whole."""
    for index in live:
        reader = next((layer for layer in network.consumers(index) if layer.streaming), None)
        if reader and index != INPUT:
            name = network.layers[index].label
            return f"the output of layer `{name}` is needed later, but `{reader.label}` reads it from a circular buffer"
    return ""


def _fifo_input(network: Network, after: int, live: tuple[int, ...]) -> str:
    """Input from the FIFO passes through a circular buffer and is not kept."""
    if not network.fifo or INPUT not in live:
        return ""
    later = next(layer for layer in network.consumers(INPUT) if layer.index > after)
    return f"layer `{later.label}` reads the network's input, which comes through the FIFO and is not kept"


_RULES: tuple[Callable[[Network, int, tuple[int, ...]], str], ...] = (_streaming_ahead, _circular, _fifo_input)
