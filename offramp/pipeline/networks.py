"""A single network as commands take it: checked, and completed with what its YAML leaves open."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from offramp.configs.device import Device
from offramp.configs.errors import InputError, Where
from offramp.planner.ai8x.load import Options, Source, read_network
from offramp.planner.ai8x.parts import listed
from offramp.planner.allocation.place import Placed, place
from offramp.planner.allocation.reload import FLASH
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.hardware.hw_layer import with_processors
from offramp.planner.ir.chain import whole
from offramp.planner.ir.network import Layer, Network, Shape, UnusedLayers
from offramp.planner.rules.check import check_network
from offramp.planner.spec.keys import shape
from offramp.planner.spec.spec import ReloadSpec

_PARTS = 8  # parts of a checkpoint that are listed


def load_checked(path: Path, source: Source, shape: Shape | None, options: Options, device: Device) -> Network:
    """A network that the device can run. InputError with everything that prevents that."""
    network, problems = read_network(path, source, shape, options, device)
    if network is not None:
        problems += check_network(network, device)
    if problems or network is None:
        raise InputError(problems)
    return network


def unused_text(file: Where, unused: Sequence[UnusedLayers]) -> tuple[str, ...]:
    """A line for each part of a checkpoint that no network takes: perhaps a head, and what to write to use it."""
    more = len(unused) - _PARTS
    rest = (f"{file}: {more} more such parts",) if more > 0 else ()
    return (*(_unused(file, part) for part in unused[:_PARTS]), *rest)


def _unused(file: Where, part: UnusedLayers) -> str:
    count = "1 layer" if len(part.layers) == 1 else f"{len(part.layers)} layers"
    place = f", the distiller's, behind layer `{part.after}`," if part.after else ""
    entry = f"{{network: head.yaml, checkpoint: {Path(file.file).name}, prefix: {json.dumps(part.prefix)}}}"
    return (
        f"{file}: {count} that no network takes: {listed(part.layers)}; if they are a head{place} write a network YAML "
        f"for it and name it in a spec: `head: {entry}` under `networks`"
    )


def placed_alone(network: Network, device: Device, reload: ReloadSpec | None = None) -> Placed:
    """The network with every processor that the planner would choose, placed.

    Weights of which only the shape is known are filled in. `reload`: what does not fit is written again, from there;
    without it everything is resident. InputError and Infeasible as from planning.
    """
    filled = replace(network, layers=tuple(map(_filled, network.layers)))
    whole_network = complete(filled, device, no_columns_occupied(device))
    if problems := check_network(whole_network, device):
        raise InputError(problems)
    reached = (1,) if reload else None
    return place(whole(network.name, whole_network), device, reached=reached, source=reload or FLASH)


def _filled(layer: Layer) -> Layer:
    """The layer with weights, as many as it has; those of two layers differ, since equal ones would be stored once."""
    if layer.weights is not None or not layer.has_weights:
        return layer
    rng = np.random.default_rng(layer.index)
    shape = (layer.out_shape.channels, layer.in_features, *layer.kernel)
    return replace(layer, weights=rng.integers(-1, 1, shape).astype(np.int8))


def parse_shape(text: str) -> Shape:
    """`CxHxW`, or `CxL` for 1-D data. InputError for anything else."""
    try:
        return shape(text)
    except ValueError as error:
        raise InputError(f"--input {text}: {error}") from error


def completed(network: Network, device: Device) -> Network:
    """The network with what the table needs to be computed: zeros for weights of known shape, the lowest processors
    where the planner would choose some."""
    return replace(network, layers=tuple(_complete_layer(layer, device) for layer in network.layers))


def _complete_layer(layer: Layer, device: Device) -> Layer:
    weights = layer.weights
    if weights is None and layer.has_weights:
        weights = np.zeros((layer.out_shape.channels, layer.in_features, *layer.kernel), np.int8)
    return replace(with_processors(layer, device), weights=weights)
