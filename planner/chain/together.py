"""Chains of several specs that are the models of one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from offramp.configs.device import Device
from offramp.planner.allocation.suggest import Alternative
from offramp.planner.allocation.together import problem_together
from offramp.planner.chain.assign_processors import ColumnOccupancy, no_columns_occupied
from offramp.planner.chain.build import build_chain, freed_processors
from offramp.planner.chain.sources import Sources
from offramp.planner.hardware.hw_layer import set_bits
from offramp.planner.ir.chain import Chain
from offramp.planner.placement.columns import weights_fit
from offramp.planner.spec.spec import ManualSpec


@dataclass(frozen=True, eq=False)
class Part:
    """A spec whose stages are known, and its files."""

    spec: ManualSpec
    sources: Sources


def build_together(parts: Mapping[str, Part], device: Device) -> dict[str, Chain]:
    """The chain of each model, by its name. InputError as from `build_chain`.

    Processors that YAMLs leave open are chosen for each model alone; if the weights of all do not fit then, once more,
    for one model after the other, beside the kernels of those before it.
    """
    chains = {name: build_chain(part.spec, part.sources, device) for name, part in parts.items()}
    if len(parts) == 1 or weights_fit(problem_together(chains, device)):
        return chains
    beside = dict[str, Chain]()
    for name, part in parts.items():
        beside[name] = build_chain(part.spec, part.sources, device, columns_of(beside, device))
    return beside


def columns_of(chains: Mapping[str, Chain], device: Device) -> ColumnOccupancy:
    """Kernel columns that models take, by processor."""
    used = no_columns_occupied(device)
    for block in problem_together(chains, device).weights if chains else ():
        used[list(set_bits(block.processors))] += block.columns
    return used


def alternatives_of(
    parts: Mapping[str, Part], chains: Mapping[str, Chain], device: Device
) -> dict[str, list[Alternative]]:
    """How each spec could free processors, beside the kernels of all other models."""
    found = {}
    for name, part in parts.items():
        others = {other: chain for other, chain in chains.items() if other != name}
        found[name] = list(freed_processors(part.spec, part.sources, device, columns_of(others, device)))
    return found
