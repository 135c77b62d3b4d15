"""Processors for the networks of a chain, all together, where choosing them one by one leaves weights without room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from offramp.configs.device import Device
from offramp.planner.chain.assign_processors import Tensor
from offramp.planner.chain.bundles import fused, movables_of
from offramp.planner.ir.network import Network, ProcessorMap
from offramp.planner.placement.answer import Answer, Found
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS
from offramp.planner.placement.joint import place_jointly
from offramp.planner.placement.joint_problem import Board
from offramp.planner.placement.problem import Problem

Maps = Mapping[str, Mapping[Tensor, ProcessorMap]]  # by network; of its tensors


@dataclass(frozen=True, eq=False)
class Part:
    """A network before its processors are chosen, and its heads: (name, layer whose output it reads, network)."""

    name: str
    network: Network
    heads: tuple[tuple[str, Tensor, Network], ...]


def maps_together(parts: Sequence[Part], problem: Problem, device: Device, input_map: ProcessorMap) -> Answer[Maps]:
    """Maps of tensors with which all kernels of some networks fit. Of `problem` the size of the memory counts."""
    movables = [
        (part, one)
        for part in parts
        for one in movables_of(
            part.name, fused(part.network, [(cut, head) for _, cut, head in part.heads]), device, input_map
        )
    ]
    geometry = device.geometry
    bundles = tuple(one.bundle for _, one in movables)
    board = Board(bundles, problem, geometry.processors, geometry.processors_per_instance)
    answer = place_jointly(board, DEFAULT_LIMITS)
    if not isinstance(answer, Found):
        return answer
    maps: dict[str, dict[Tensor, ProcessorMap]] = {}
    for part, one in movables:
        for tensor, bits in one.maps.items():
            name, index = _owner(part, tensor)
            maps.setdefault(name, {})[index] = bits << answer.value.bases[one.bundle.name]
    return Found(maps)


def _owner(part: Part, tensor: Tensor) -> tuple[str, Tensor]:
    """The network that a tensor of a fused one comes from, and its number there."""
    first = len(part.network.layers)
    if tensor < first:
        return part.name, tensor
    for name, _, head in part.heads:
        if tensor < first + len(head.layers):
            return name, tensor - first
        first += len(head.layers)
    raise AssertionError(f"{part.name} and its heads have no layer {tensor}")
