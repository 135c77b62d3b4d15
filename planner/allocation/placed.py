"""A chain with its placement: where every tensor, weight block and bias block lies. What the generator works from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from offramp.configs.device import Column, Word
from offramp.planner.allocation.requirements import MemoryRequirements, distances, group_name
from offramp.planner.ir.chain import Slot, TensorId
from offramp.planner.placement.problem import Placement, Problem


@dataclass(frozen=True, eq=False)
class Placed:
    """A solved and checked placement of a chain's requirements."""

    requirements: MemoryRequirements
    problem: Problem
    placement: Placement

    @cached_property
    def bases(self) -> dict[TensorId, Word]:
        """First word of every tensor, the same in each of its instances."""
        bases: dict[TensorId, Word] = {}
        for group in self.requirements.groups:
            starts = distances(self.requirements, group)
            leads = [self.requirements.tensors[tensor].lead for tensor in group]
            lowest = min(start - lead for start, lead in zip(starts, leads, strict=True))
            block = self.placement.data[group_name(group)]
            bases |= {tensor: block + start - lowest for tensor, start in zip(group, starts, strict=True)}
        return bases

    def kernel_start(self, slot: Slot) -> Column:
        """Start column of a layer's kernels; 0 for a layer without any."""
        owner = self.requirements.kernels.get(slot.name)
        return self.placement.weights[owner] if owner else 0

    def base(self, tensor: TensorId) -> Word:
        return self.bases[tensor]

    def read_base(self, slot: Slot) -> Word:
        """The word from which a layer reads: its first operand's, or that of all parts of a concatenation."""
        return min(self.bases[tensor] for tensor in slot.reads)
