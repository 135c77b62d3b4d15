"""Processors and start columns together: where bundles of weight blocks go among the processors so that all fit.

Three steps. Bounds: areas under dual feasible functions (Fekete, Schepers 2004), in the processors of each position
within a data memory instance, because bundles move by whole instances. Levelling: a local search for first processors
that leave no processor overfull, after which start columns are an interval problem. CP-SAT decides the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from offramp.configs.device import Column
from offramp.planner.placement.answer import Answer, Found, Impossible, Undecided
from offramp.planner.placement.columns import start_columns
from offramp.planner.placement.interval_problem import Limits
from offramp.planner.placement.joint_problem import Board, Loads
from offramp.planner.placement.problem import WeightBlock

RESTARTS = 12  # more decided no further case of the corpus
MOVES = 200  # of each restart
QUICK = 0.02  # solver effort for one choice of first processors, of which there are many


@dataclass(frozen=True)
class Joint:
    """`bases`: the first processor of each bundle. `starts`: columns of the board's blocks there, in order. `by`: the
    step that found them."""

    bases: dict[str, int]
    starts: tuple[Column, ...]
    by: Literal["levelling", "solver"]


def place_jointly(board: Board, limits: Limits) -> Answer[Joint]:
    """First processors with which all weights fit; `limits` bound each of two solver runs. Deterministic."""
    if any(not bundle.bases for bundle in board.bundles) or over_area(board):
        return Impossible("bound")
    for choice in levelled(board, limits.seed):
        if found := _arranged(board, choice, Limits(QUICK, limits.seed), "levelling"):
            return Found(found)
    from offramp.planner.placement.cpsat import (
        choose_bases,  # OR-Tools takes longer to import than most boards to place
    )

    answer = choose_bases(board, limits)
    if not isinstance(answer, Found):
        return answer
    found = _arranged(board, answer.value, limits, "solver")
    return Found(found) if found else Undecided()


def _arranged(board: Board, choice: Sequence[int], limits: Limits, by: Literal["levelling", "solver"]) -> Joint | None:
    bases = {bundle.name: bundle.bases[one] for bundle, one in zip(board.bundles, choice, strict=True)}
    answer = start_columns(board.blocks(bases), board.problem, limits, lowest=True)
    return Joint(bases, answer.value, by) if isinstance(answer, Found) else None


def over_area(board: Board) -> bool:
    """Whether the blocks take more area than the memory has under some pair of dual feasible functions."""
    across = board.processors // board.per_instance
    blocks = [block for bundle in board.bundles for block in bundle.blocks]
    heights = np.array([board.units(block) for block in blocks])
    for lane in range(board.per_instance):
        widths = np.array([_instances(block, lane, board.per_instance) for block in blocks])
        solid = np.array([_is_run(block, lane, board.per_instance) for block in blocks])
        for x, (wide, full) in enumerate(_functions(widths, across)):
            for y, (tall, top) in enumerate(_functions(heights, board.height)):
                rectangles = solid | (x * y == 0)  # functions in both directions hold for rectangles only
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
    """Sizes and room under dual feasible functions, first the identity: sizes that fit the room still fit it."""
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
        choice = _levelled_start(board, [int(one) for one in np.argsort(-sizes * noise, kind="stable")])
        if _level(board, choice, random):
            yield choice


def _levelled_start(board: Board, order: list[int]) -> list[int]:
    """Bundles in turn, each where its fullest processor is filled least."""
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
    """(columns above the height, bundle, its base) for the best other base of a bundle; ties are broken at random."""
    loads = board.loads[bundle]
    rest = total - loads[choice[bundle]]
    excess = np.maximum(rest + loads - board.height, 0).sum(axis=1) + random.uniform(0, 0.5, len(loads))
    excess[choice[bundle]] = np.inf
    base = int(np.argmin(excess))
    return float(excess[base]), bundle, base
