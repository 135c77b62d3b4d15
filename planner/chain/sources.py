"""The files of a spec's networks, read once a command; networks of any input shape are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.planner.ai8x.checkpoint import Checkpoint, load_checkpoint
from offramp.planner.ai8x.description import Description, read_description
from offramp.planner.ai8x.load import Options, infer_network
from offramp.planner.ai8x.parts import check_part
from offramp.planner.chain.bundles import forget_offsets, forget_processors
from offramp.planner.chain.ends import answering
from offramp.planner.ir.network import Network, Shape
from offramp.planner.spec.spec import NetworkSpec, Spec


@dataclass(frozen=True, eq=False)
class NetworkSource:
    """A network's YAML and checkpoint as they stand in their files."""

    description: Description
    checkpoint: Checkpoint


Sources = Mapping[str, NetworkSource]  # by the name that the spec gives the network


def read_sources(spec: Spec, device: Device) -> Sources:
    """Read the files of all networks of a spec. InputError with everything that is wrong with any of them."""
    sources: dict[str, NetworkSource] = {}
    problems: list[Diagnostic] = []
    read: dict[Path, Checkpoint] = {}
    for name, entry in spec.networks.items():
        try:
            file = entry.checkpoint.resolve()
            read[file] = read[file] if file in read else load_checkpoint(entry.checkpoint)
            sources[name] = _read(entry, _part(entry, spec, read[file]), device)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(dict.fromkeys(problems))
    return sources


def _part(entry: NetworkSpec, spec: Spec, checkpoint: Checkpoint) -> Checkpoint:
    """What of a file is the network's: not what other networks have as their part of it."""
    file = entry.checkpoint.resolve()
    others = [one.prefix for one in spec.networks.values() if one.prefix and one.checkpoint.resolve() == file]
    part = replace(checkpoint, where=Where(str(entry.checkpoint)), prefix=entry.prefix, without=tuple(others))
    check_part(part, entry.where)
    return part


def _read(entry: NetworkSpec, checkpoint: Checkpoint, device: Device) -> NetworkSource:
    description, problems = read_description(entry.network)
    if description is None or problems:
        raise InputError(infer_network(description, problems, checkpoint, None, Options(), device)[1])
    return NetworkSource(description, checkpoint)


def load(entry: NetworkSpec, source: NetworkSource, device: Device, head_input: Shape | None = None) -> Network:
    """The network of a spec's entry. `head_input`: the shape of the tensor that it reads where it is a head; else it
    reads the input. InputError lists all that is wrong with it."""
    options = Options(fifo=entry.fifo, avg_pool_rounding=entry.avg_pool_rounding)
    shape = head_input or entry.input_shape
    network, problems = infer_network(source.description, (), source.checkpoint, shape, options, device)
    if problems or network is None:
        raise InputError(problems)
    if not entry.keep_offsets:
        network = forget_offsets(network, head_input is not None)
    return network if entry.keep_processors else forget_processors(network, head_input is not None)


def load_compared(spec: Spec, sources: Sources, device: Device) -> dict[str, Network]:
    """The networks that the spec only wants compared with the chain, as their YAML has them, and what their answers
    take of them."""
    return {
        name: answering(load(replace(spec.networks[name], keep_processors=True), sources[name], device))
        for name in spec.compare
    }
