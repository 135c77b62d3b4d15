"""Where a network ends: layers that no other reads.

One of them is its answer. What leads to the others alone is not part of the network that is planned, be it a head that
was trained with it or an output that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.ir.network import INPUT, Layer, Network


@dataclass(frozen=True)
class End:
    """Layers that lead to one end alone, ascending, the end last; `reads`: what they read of the answer's layers, or of
    the input; of a rolling buffer the layer that is the last to write to it."""

    layers: tuple[int, ...]
    reads: frozenset[int]


def answering_layers(network: Network, layers: Collection[int]) -> tuple[int, ...]:
    """Of some layers of a network, those that its answer takes, ascending, the answer last.

    InputError if there are several ends, and `output: true` does not say which is the answer.
    """
    ends = _ends(network, layers)
    marked = [end for end in ends if network.layers[end].output] if len(ends) > 1 else ends
    if len(marked) == 1:
        return tuple(sorted(needed(network, marked[0]) & set(layers)))
    names = " and ".join(f"`{network.layers[end].label}`" for end in marked or ends)
    found = f"network `{network.name}` has several ends, layers that no other reads: {names}"
    wanted = "mark the one that is the network's answer with `output: true`"
    if marked:
        found, wanted = f"{found}, all marked with `output: true`", "only one can be the network's answer"
    message = f"{found}; {wanted}, or say which layers are a head (`head: {{layers: [...]}}`)"
    raise InputError(Diagnostic(network.layers[(marked or ends)[-1]].where, message))


def answering(network: Network) -> Network:
    """The network without the layers that its answer does not take. InputError if it has several ends."""
    return select(network, answering_layers(network, range(len(network.layers))), None)


def other_ends(network: Network) -> Iterator[End]:
    """The ends that are not the answer."""
    everything = range(len(network.layers))
    answer = set(answering_layers(network, everything))
    for end in _ends(network, everything):
        own = tuple(sorted(needed(network, end) - answer))
        if own:
            read = {source for index in own for source in network.layers[index].inputs}
            rolling = {network.layers[index].source for index in own} - {None}
            read |= {network.writers(name)[-1].index for name in rolling if name and network.writers(name)}
            yield End(own, frozenset(read - set(own)))


def _ends(network: Network, layers: Collection[int]) -> list[int]:
    read = {source for index in layers for source in _taken(network, index)}
    return [index for index in layers if index not in read]


def needed(network: Network, end: int) -> set[int]:
    """A layer and all that it takes."""
    found, new = {end}, {end}
    while new:
        new = {source for index in new for source in _taken(network, index)} - found
        found |= new
    return found


def _taken(network: Network, index: int) -> set[int]:
    """Layers that a layer takes its input from: those that it reads, and those that write to the rolling buffer that it
    reads, in this inference or an earlier one."""
    layer = network.layers[index]
    writers = network.writers(layer.source) if layer.source else ()
    return {source for source in layer.inputs if source >= 0} | {writer.index for writer in writers}


def select(network: Network, indices: Sequence[int], cut: int | None) -> Network:
    """Some layers of a network as a network of their own, which reads the output of layer `cut` (None: the input).

    InputError if one of them reads a layer that is neither among them nor the cut, or if a head writes to a rolling
    buffer that others use.
    """
    source = INPUT if cut is None else cut
    number = {index: position for position, index in enumerate(indices)} | {source: INPUT}
    layers = []
    for index in indices:
        layer = network.layers[index]
        outside = [one for one in layer.inputs if one not in number]
        if outside:
            name = "the network's input" if outside[0] == INPUT else f"`{network.layers[outside[0]].label}`"
            message = f"layer `{layer.label}` reads {name}, which is not part of the same head or backbone"
            raise InputError(Diagnostic(layer.where, message))
        layers.append(replace(layer, index=number[index], inputs=tuple(number[one] for one in layer.inputs)))
    used = {name for layer in layers for name in _buffers_of(layer)}
    left_out = [layer for layer in network.layers if layer.index not in indices]
    heads, others = (
        (left_out, used) if cut is None else (layers, {name for one in left_out for name in _buffers_of(one)})
    )
    for layer in heads:
        if layer.target and layer.target.buffer in others:
            message = f"layer `{layer.label}` of a head writes to data buffer `{layer.target.buffer}`, which others use"
            raise InputError(Diagnostic(layer.where, message))
    buffers = tuple(buffer for buffer in network.buffers if buffer.name in used)
    return replace(network, layers=tuple(layers), input_shape=network.shape_of(source), buffers=buffers)


def _buffers_of(layer: Layer) -> tuple[str, ...]:
    return tuple(filter(None, (layer.source, layer.target.buffer if layer.target else None)))
