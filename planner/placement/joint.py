"""Processors and start columns together: where bundles of weight blocks go among the processors so that all fit.

Three steps. Bounds: areas under dual feasible functions (Fekete, Schepers 2004), in the processors of each position
within a data memory instance, for bundles move by whole instances. Levelling: a local search for first processors that
leave no processor fuller than it can be, after which start columns are an interval problem. CP-SAT for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from offramp.planner.placement.conflicts import weight_items
from offramp.planner.placement.intervals import Arrangement, Limits, arrange
from offramp.planner.placement.problem import Problem, WeightBlock

RESTARTS = 12  # more decided nothing more on the corpus
MOVES = 200  # of each restart
QUICK = 0.02  # solver effort for one choice of first processors, of which there are many
Loads = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bundle:
    """Weight blocks whose processors move together. The blocks' maps are those of first processor 0."""

    name: str
    bases: tuple[int, ...]  # first processors that are allowed
    blocks: tuple[WeightBlock, ...]

    def at(self, base: int) -> tuple[WeightBlock, ...]:
        return tuple(replace(block, processors=block.processors << base) for block in self.blocks)


@dataclass(frozen=True)
class Joint:
    """`bases`: the first processor of each bundle, and `weights` the arrangement there, blocks in the order given.

    `impossible`: it is proved that there is none. Neither: undecided. `proof`: what decided.
    """

    bases: dict[str, int] | None
    weights: Arrangement | None
    impossible: bool
    proof: Literal["bound", "levelling", "solver", "effort"]


@dataclass(frozen=True, eq=False)
class Board:
    """Bundles on the processors. Heights are in start units: kernel columns divided by the multiple of starts."""

    bundles: tuple[Bundle, ...]
    problem: Problem
    processors: int
    per_instance: int

    @property
    def height(self) -> int:
        return -(-self.problem.columns // self.problem.start_multiple)

    def units(self, block: WeightBlock) -> int:
        return -(-block.columns // self.problem.start_multiple)

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

    def blocks(self, bases: dict[str, int]) -> tuple[WeightBlock, ...]:
        return tuple(block for bundle in self.bundles for block in bundle.at(bases[bundle.name]))


def place_jointly(board: Board, limits: Limits) -> Joint:
    """First processors with which all weights fit; `limits` bound each of two solver runs. Deterministic."""
    if any(not bundle.bases for bundle in board.bundles) or over_area(board):
        return Joint(None, None, True, "bound")
    for choice in levelled(board, limits.seed):
        if found := _arranged(board, choice, Limits(QUICK, limits.seed)):
            return Joint(*found, False, "levelling")
    from offramp.planner.placement.cpsat_joint import (
        search,  # OR-Tools takes longer to import than most placements to find
    )

    chosen, impossible = search(board, limits)
    if chosen and (found := _arranged(board, chosen, limits)):
        return Joint(*found, False, "solver")
    return Joint(None, None, impossible, "solver" if impossible else "effort")


def _arranged(board: Board, choice: Sequence[int], limits: Limits) -> tuple[dict[str, int], Arrangement] | None:
    bases = {bundle.name: bundle.bases[one] for bundle, one in zip(board.bundles, choice, strict=True)}
    answer = arrange(weight_items(board.blocks(bases), board.problem), limits)
    return None if answer.starts is None else (bases, answer)


def over_area(board: Board) -> bool:
    """Whether the blocks are more than the memory, counted under some pair of dual feasible functions."""
    across = board.processors // board.per_instance
    blocks = [block for bundle in board.bundles for block in bundle.blocks]
    heights = np.array([board.units(block) for block in blocks])
    for lane in range(board.per_instance):
        widths = np.array([_instances(block, lane, board.per_instance) for block in blocks])
        solid = np.array([_is_run(block, lane, board.per_instance) for block in blocks])
        for x, (wide, full) in enumerate(_functions(widths, across)):
            for y, (tall, top) in enumerate(_functions(heights, board.height)):
                rectangles = solid | (x * y == 0)  # both ways at once, functions speak of rectangles only
                if int((wide * tall)[rectangles].sum()) > full * top:
                    return True
    return False


def _lane(block: WeightBlock, lane: int, step: int) -> int:
    """The instances, as a map, of which a block takes the processor at position `lane`."""
    bits = block.processors >> lane
    return sum((bits >> position & 1) << position // step for position in range(0, bits.bit_length(), step))


def _instances(block: WeightBlock, lane: int, step: int) -> int:
    return _lane(block, lane, step).bit_count()


def _is_run(block: WeightBlock, lane: int, step: int) -> bool:
    bits = _lane(block, lane, step)
    return bits & (bits + (bits & -bits)) == 0


def _functions(sizes: Loads, room: int) -> Iterator[tuple[Loads, int]]:
    """Sizes under dual feasible functions, first as they are, with the room: what fits before fits after."""
    yield sizes, room
    for least in sorted({int(size) for size in sizes if 0 < size <= room // 2}):
        large, small = sizes > room - least, sizes < least
        yield np.where(large, room, np.where(small, 0, sizes)), room
    for share in range(1, min(room, 12)):
        whole = sizes * (share + 1) % room == 0
        yield np.where(whole, sizes * share, sizes * (share + 1) // room * room), room * share


def levelled(board: Board, seed: int) -> Iterator[list[int]]:
    """Choices of one base for each bundle that leave no processor above the height, from random starts."""
    random = np.random.default_rng(seed)
    sizes = np.array([loads[0].sum() for loads in board.loads])
    for restart in range(RESTARTS):
        noise = random.uniform(0.6, 1.4, len(sizes)) if restart else np.ones(len(sizes))
        choice = _stacked(board, [int(one) for one in np.argsort(-sizes * noise, kind="stable")])
        if _level(board, choice, random):
            yield choice


def _stacked(board: Board, order: list[int]) -> list[int]:
    """Bundles in turn where the fullest of their processors stays emptiest."""
    total = np.zeros(board.processors, np.int64)
    choice = [0] * len(order)
    for bundle in order:
        loads = board.loads[bundle]
        peaks = np.where(loads > 0, total + loads, 0).max(axis=1)
        choice[bundle] = int(np.argmin(peaks))
        total = total + loads[choice[bundle]]
    return choice


def _level(board: Board, choice: list[int], random: np.random.Generator) -> bool:
    """Move bundles off overfull processors until there are none. A bundle just moved rests for some moves."""
    total = np.sum([loads[one] for loads, one in zip(board.loads, choice, strict=True)], axis=0)
    rests = [0] * len(choice)
    for move in range(MOVES):
        over = total > board.height
        if not over.any():
            return True
        movable = [i for i, one in enumerate(choice) if rests[i] <= move and (board.loads[i][one] > 0)[over].any()]
        movable = [i for i in movable if len(board.loads[i]) > 1]
        if not movable:
            continue
        best = min((_best_move(board, choice, total, i, random) for i in movable), key=lambda one: one[0])
        _, bundle, base = best
        total = total - board.loads[bundle][choice[bundle]] + board.loads[bundle][base]
        choice[bundle] = base
        rests[bundle] = move + 2 + int(random.integers(4))
    return False


def _best_move(
    board: Board, choice: list[int], total: Loads, bundle: int, random: np.random.Generator
) -> tuple[float, int, int]:
    """(what would be too much, bundle, its base) of the best other base of a bundle; chance decides between equals."""
    loads = board.loads[bundle]
    rest = total - loads[choice[bundle]]
    excess = np.maximum(rest + loads - board.height, 0).sum(axis=1) + random.uniform(0, 0.5, len(loads))
    excess[choice[bundle]] = np.inf
    base = int(np.argmin(excess))
    return float(excess[base]), bundle, base
