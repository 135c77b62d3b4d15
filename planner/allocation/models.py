"""The models of an image as parts of one placement problem.

Only one model runs at a time, so the steps of the models come one after the other, and data of different models may lie
in the same words; a buffer that is kept lives through the steps of all. In the problem a block has its model's name in
front: `kws20:main/conv2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from offramp.configs.device import Device
from offramp.planner.allocation.reload import Reload, part_count
from offramp.planner.allocation.requirements import (
    MemoryRequirements,
    kernel_key,
    placement_problem,
    requirements_of,
)
from offramp.planner.ir.chain import Chain
from offramp.planner.placement.problem import Buffer, Life, Problem, Step, WeightBlock

Chains = Mapping[str, Chain]  # by the model's name, in the order of the image


@dataclass(frozen=True, eq=False)
class ModelPart:
    """A model's own requirements and problem. `owners`: for every weight block of it, the block of the problem of all
    models that holds these kernels; `first`, `first_part`: the step, and the part of the chains, with which the model
    begins."""

    requirements: MemoryRequirements
    problem: Problem
    owners: Mapping[str, str]
    first: Step
    first_part: int
    reload: Reload | None = None

    def moved(self, life: Life) -> Life:
        """A life in the parts of this model's chain as one in those of all models."""
        return frozenset(part + self.first_part for part in life)


Parts = Mapping[str, ModelPart]


def parts_of(chains: Chains, device: Device) -> dict[str, ModelPart]:
    """The models, with all resident."""
    first = first_part = 0
    parts = dict[str, ModelPart]()
    known: dict[tuple[object, ...], str] = {}
    for name, chain in chains.items():
        requirements = requirements_of(chain, device)
        problem = placement_problem(requirements)
        slots = {slot.name: slot for slot in chain.slots}
        keys = {block.name: kernel_key(requirements.layer(slots[block.name])) for block in problem.weights}
        owners = {block: known.setdefault(key, full_name(name, block)) for block, key in keys.items()}
        parts[name] = ModelPart(requirements, problem, owners, first, first_part)
        first += max(chain.steps[1].values()) + 1
        first_part += part_count(requirements)
    return parts


def full_name(model: str, block: str) -> str:
    """Of a block in the problem of all models."""
    return f"{model}:{block}"


def joint_problem(parts: Parts, device: Device) -> Problem:
    """The placement problem of all models."""
    weights: dict[str, WeightBlock] = {}
    for part in parts.values():
        for block in part.problem.weights:
            name = part.owners[block.name]
            life = part.moved(block.life) if block.life else None
            same = weights.get(name, replace(block, penalty=0, life=life))
            common = same.life | life if same.life and life else None
            weights[name] = replace(same, name=name, penalty=same.penalty + block.penalty, life=common)
    processors = 0
    for weight in weights.values():
        processors |= weight.processors
    blocks = [(name, part, block) for name, part in parts.items() for block in part.problem.data]
    last = max((part.first + block.last for _, part, block in blocks), default=0)
    return replace(
        next(iter(parts.values())).problem,
        weights=tuple(weights.values()),
        biases=tuple(
            replace(bias, name=full_name(name, bias.name), life=part.moved(bias.life) if bias.life else None)
            for name, part in parts.items()
            for bias in part.problem.biases
        ),
        data=tuple(_shifted(name, part.first, block, last) for name, part, block in blocks),
        columns=device.common_columns(processors),
        overlaps=frozenset(
            frozenset(full_name(name, block) for block in pair)
            for name, part in parts.items()
            for pair in part.problem.overlaps
        ),
    )


def _shifted(model: str, first: Step, block: Buffer, last: Step) -> Buffer:
    """The buffer in the steps of all models."""
    steps = (0, last) if block.kept else (first + block.first, first + block.last)
    return replace(block, name=full_name(model, block.name), first=steps[0], last=steps[1])
