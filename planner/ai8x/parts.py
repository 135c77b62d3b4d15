"""Parts of a checkpoint: a network's layers, and those of heads that were trained with it.

The distiller puts an exit behind a module by wrapping it: what was `conv2` is then `conv2.branched_module`, and
`conv2.branch_net` is the head, which reads the module's output (class BranchPoint of distiller/modules/topology.py,
attached in distiller/early_exit.py). Models that make exits of their own name them as they like: there a prefix says
which layers are a head.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import takewhile

from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.planner.ai8x.checkpoint import Checkpoint
from offramp.planner.ai8x.weights import LayerWeights, WeightShape
from offramp.planner.ir.network import AttachedHead, Layer, UnusedLayers

BRANCHED, HEAD = "branched_module", "branch_net"  # names of the distiller's
_PARALLEL = "module"  # in front of all names where a model was trained on several devices
_LISTED = 8  # layers that a message lists

Levels = tuple[str, ...]


def layers_of(checkpoint: Checkpoint) -> dict[str, LayerWeights]:
    """A network's own layers in the file's order, by their names: those of its part of the file, heads left out.

    If a layer occurs twice, with and without `module.` before its name, the first one counts.
    """
    start = len(_levels(checkpoint.prefix))
    own = _part(checkpoint).items()
    return {name: layer for name, layer in own if HEAD not in _levels(name)[start:]}


def check_part(checkpoint: Checkpoint, where: Where) -> None:
    """InputError (`where`: of the prefix) if the checkpoint has no layers with its prefix."""
    if layers_of(checkpoint):
        return
    names = {".".join(_group(_levels(layer.name), 0, ())) for layer in checkpoint.layers}
    file = "" if where == checkpoint.where else f"{checkpoint.where} "
    found = f"{file}has no layers whose names begin with `{checkpoint.prefix}`"
    raise InputError(Diagnostic(where, f"{found}; they begin with {listed(sorted(names))}"))


def unused_layers(
    checkpoint: Checkpoint, layers: Sequence[Layer], found: Mapping[int, WeightShape]
) -> tuple[UnusedLayers, ...]:
    """What a part of a checkpoint holds besides the weights of a network's layers (`found`, by their numbers)."""
    read = {_levels(weights.name): layers[index] for index, weights in found.items() if index < len(layers)}
    groups: dict[Levels, list[str]] = {}
    start = len(_levels(checkpoint.prefix))
    for name, layer in _part(checkpoint).items():
        if _levels(name) not in read:
            text = f"{name} ({'x'.join(map(str, layer.shape))})"
            groups.setdefault(_group(_levels(name), start, read), []).append(text)
    behind = {prefix: _read_from(prefix, read) for prefix in groups}
    return tuple(
        UnusedLayers(".".join(prefix), tuple(texts), after.label if (after := behind[prefix]) else "")
        for prefix, texts in groups.items()
    )


def attached_heads(
    checkpoint: Checkpoint, layers: Sequence[Layer], found: Mapping[int, WeightShape]
) -> tuple[AttachedHead, ...]:
    """The distiller's heads that are parts of other networks, with the layer of this one that each was trained behind.

    `layers`, `found`: as for `unused_layers`."""
    read = {_levels(weights.name): layers[index] for index, weights in found.items() if index < len(layers)}
    behind = {prefix: _read_from(_levels(prefix), read) for prefix in checkpoint.without}
    return tuple(
        AttachedHead(prefix, layer.label, tuple(_places(layers, layer.index)))
        for prefix, layer in behind.items()
        if layer
    )


def _places(layers: Sequence[Layer], index: int) -> Iterator[int | str]:
    """Numbers and names of a layer and of those behind it up to the next one with weights."""
    following = takewhile(lambda layer: not layer.has_weights, layers[index + 1 :])
    for layer in (layers[index], *following):
        yield from (layer.index, layer.label)


def listed(names: Sequence[str]) -> str:
    """Some names of a file in a message."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _levels(name: str) -> Levels:
    levels = tuple(name.split(".")) if name else ()
    return levels[1:] if levels[:1] == (_PARALLEL,) else levels


def _begins(levels: Levels, prefix: Levels) -> bool:
    return levels[: len(prefix)] == prefix


def _part(checkpoint: Checkpoint) -> dict[str, LayerWeights]:
    """All layers with the checkpoint's prefix that it does not leave out, by name, the first of equal names."""
    prefix = _levels(checkpoint.prefix)
    others = [_levels(other) for other in checkpoint.without]
    others = [other for other in others if other != prefix and _begins(other, prefix)]
    part: dict[str, LayerWeights] = {}
    for layer in checkpoint.layers:
        levels = _levels(layer.name)
        if _begins(levels, prefix) and not any(_begins(levels, other) for other in others):
            part.setdefault(".".join(levels), layer)
    return part


def _group(levels: Levels, start: int, used: Collection[Levels]) -> Levels:
    """What the names of a head have in common of which this layer is one: up to the distiller's word, else as little as
    the layers of the network do not begin with, and the number of a module in a list of modules."""
    if HEAD in levels[start:]:
        return levels[: levels.index(HEAD, start) + 1]
    length = start + 1
    while length < len(levels) and any(_begins(name, levels[:length]) for name in used):
        length += 1
    is_list = len(levels) >= length + 3 and levels[length].isdecimal()
    return levels[: length + 1] if is_list else levels[:length]


def _read_from(prefix: Levels, read: Mapping[Levels, Layer]) -> Layer | None:
    """The layer behind which the distiller put a head: the last one of the module that it wrapped. None if the names
    do not tell it. `read`: the network's layers, by their names in the checkpoint."""
    if HEAD not in prefix:
        return None
    outside = prefix[: len(prefix) - 1 - prefix[::-1].index(HEAD)]
    wrapped = outside if outside[-1:] == (BRANCHED,) else (*outside, BRANCHED)
    inside = [layer for name, layer in read.items() if _begins(name, wrapped)]
    return inside[-1] if inside else None
