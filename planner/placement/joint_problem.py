"""Weight blocks that may move among the processors, as values: bundles on a board of processors by start units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from offramp.planner.placement.problem import Problem, WeightBlock

Loads = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bundle:
    """Weight blocks whose processors move together. The blocks' maps are those of first processor 0."""

    name: str
    bases: tuple[int, ...]  # first processors that are allowed
    blocks: tuple[WeightBlock, ...]

    def at(self, base: int) -> tuple[WeightBlock, ...]:
        return tuple(replace(block, processors=block.processors << base) for block in self.blocks)


@dataclass(frozen=True, eq=False)
class Board:
    """Bundles on the processors. Heights are in start units: kernel columns divided by the multiple of starts. Of
    `problem` the size of the memory counts."""

    bundles: tuple[Bundle, ...]
    problem: Problem
    processors: int
    per_instance: int

    @property
    def height(self) -> int:
        return -(-self.problem.columns // self.problem.start_multiple)

    def units(self, block: WeightBlock) -> int:
        return -(-block.columns // self.problem.start_multiple) * len(block.copies)

    @cached_property
    def loads(self) -> tuple[Loads, ...]:
        """Per bundle: start units taken of each processor (bases, processors)."""
        return tuple(self._loads(bundle) for bundle in self.bundles)

    def _loads(self, bundle: Bundle) -> Loads:
        loads = np.zeros((len(bundle.bases), self.processors), np.int64)
        for row, base in zip(loads, bundle.bases, strict=True):
            for block in bundle.blocks:
                bits = block.processors << base
                row += self.units(block) * np.array([bits >> one & 1 for one in range(self.processors)])
        return loads

    def blocks(self, bases: Mapping[str, int]) -> tuple[WeightBlock, ...]:
        return tuple(block for bundle in self.bundles for block in bundle.at(bases[bundle.name]))
