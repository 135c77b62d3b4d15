"""A chain with its placement: where every tensor, weight block and bias block lies. What the generator works from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from configs.device import Column, Word
from planner.placement.problem import Placement, Problem
from planner.resources import Resources, distances, group_name
from planner.stages import Slot, TensorId


@dataclass(frozen=True, eq=False)
class Placed:
    """A solved and checked placement of a chain's resources."""

    resources: Resources
    problem: Problem
    placement: Placement

    @cached_property
    def bases(self) -> dict[TensorId, Word]:
        """First word of every tensor, the same in each of its instances."""
        bases: dict[TensorId, Word] = {}
        for group in self.resources.groups:
            starts = distances(self.resources, group)
            leads = [self.resources.tensors[tensor].lead for tensor in group]
            lowest = min(start - lead for start, lead in zip(starts, leads, strict=True))
            block = self.placement.data[group_name(group)]
            bases |= {tensor: block + start - lowest for tensor, start in zip(group, starts, strict=True)}
        return bases

    def kernel_start(self, slot: Slot) -> Column:
        """Start column of a layer's kernels; 0 for a layer without any."""
        owner = self.resources.kernels.get(slot.name)
        return self.placement.weights[owner] if owner else 0

    def base(self, tensor: TensorId) -> Word:
        return self.bases[tensor]

    def read_base(self, slot: Slot) -> Word:
        """The word from which a layer reads: its first operand's, or that of all parts of a concatenation."""
        return min(self.bases[tensor] for tensor in slot.reads)
