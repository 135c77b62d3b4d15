"""The exit head of a branch, as specs name it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from offramp.configs.errors import Where
from offramp.configs.lines import LineMap
from offramp.planner.spec.reader import Reader


@dataclass(frozen=True)
class HeadSpec:
    """The exit head of a branch: a network of its own, or some layers of the network that it belongs to."""

    where: Where
    network: str | None
    layers: tuple[str | int, ...]


def read_head(reader: Reader, data: LineMap, networks: Collection[str]) -> HeadSpec:
    """What `head` says; problems go to the reader."""
    value, where = data["head"], data.at("head")
    if isinstance(value, str):
        if value not in networks:
            reader.wrong(where, f"`head`: there is no network `{value}`; there are: {', '.join(networks)}")
        return HeadSpec(where, value, ())
    layers = value.get("layers") if isinstance(value, LineMap) and set(value) == {"layers"} else None
    if not isinstance(layers, list) or not layers or not all(type(one) in (str, int) for one in layers):
        reader.wrong(where, "`head` is the name of a network, or {layers: [names or numbers]} of the stage's own")
        layers = []
    return HeadSpec(where, None, tuple(layers))
