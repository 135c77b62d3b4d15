"""A box of thresholds of one chain, cut into a grid: what its corners give, and bounds of what lies between.

A box is a range of cuts for every early stage. Corners of the grid are settings, so their costs and right answers are
exact; a box of few settings has all of them on the grid. In a cell between corners it is open where some images leave;
an oracle sends each of these to the stage, among those it could leave at, where cost less the price of a right answer
(Lagrange's multiplier) is least. The sum bounds the same of all settings in the cell. Images are counted once by place
in the grid and by who answers them rightly; all cells are bounded at once, by sums over that table.

A box can leave the later stages of a chain open: then images that reach them go where the oracle wants.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from offramp.planner.exits.frontier import UNREACHED, Bools, Ints
from offramp.planner.exits.pool import Pool

ALL = 1 << 14  # settings of a box that are all tried
CELLS = 1728
MANY = 10_000
OVERHEAD = 30_000  # images and cells in whose time the smallest box is looked at
BLOCK = 8  # a part of the grid of at least so few that one box takes on

Floats = npt.NDArray[np.float64]
Statuses = tuple[str, ...]  # of an image at the stages of a cell: it leaves (S), does not (N), or may (O)


class Box(NamedTuple):
    """Cuts `low` to `high`, both included, of a measure of each early stage of a chain, or of the first of them."""

    measures: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]


class Task(NamedTuple):
    """A box to look at. `costs`: by exit, for every quantity; the first is minimised. `price`: of a right answer, in
    its unit. `limit`: cells whose bound is not below are of no interest."""

    box: Box
    early: tuple[int, ...]
    rising: bool
    costs: tuple[tuple[int, ...], ...]
    price: int
    limit: int


@dataclass(frozen=True, eq=False)
class Front:
    """Settings of a box that no other one of it beats in one quantity: (points,), `cuts` (points, stages)."""

    right: Ints
    cost: Ints
    cuts: Ints


@dataclass(frozen=True, eq=False)
class Grid:
    """`fronts`: by quantity, none if stages are open or no cell is of interest. `boxes`: what is left to look at, each
    with a bound of cost less the price of all right answers; `dropped`: such a bound of all cells that reached the
    limit. `work`: images and cells evaluated."""

    fronts: tuple[Front, ...]
    boxes: tuple[tuple[int, Box], ...]
    dropped: int | None
    work: int


def expand(pool: Pool, task: Task) -> Grid:
    """Cut a box into a grid."""
    table = _Table(pool, task)
    whole = len(task.box.measures) == len(task.early)
    if whole and all(table.points):
        return Grid(table.fronts(), (), None, table.work)
    bounds = table.bounds()
    alive = bounds < task.limit
    # Where no cell is of interest no corner is.
    fronts = table.fronts() if whole and alive.any() else ()
    unknown = _unknown(table) if whole else np.ones((1,) * len(table.splits), bool)
    rest = bounds[~alive & unknown]
    dropped = int(rest.min()) if len(rest) else None
    boxes = []
    for part in _blocks(alive & unknown, max(1, bounds.size // (BLOCK if whole else 1))):
        low, high = zip(*(table.edges(axis, one) for axis, one in enumerate(part)), strict=True)
        inside = np.where(alive[part] & np.broadcast_to(unknown, alive.shape)[part], bounds[part], UNREACHED)
        boxes.append((int(inside.min()), task.box._replace(low=low, high=high)))
    return Grid(fronts, tuple(boxes), dropped, table.work)


def _unknown(table: _Table) -> Bools:
    """Cells that hold more than their corners."""
    unknown = np.zeros((1,) * len(table.splits), bool)
    for axis, (split, points) in enumerate(zip(table.splits, table.points, strict=True)):
        wide = np.zeros(len(split), bool) if points else np.diff(split) > 1
        unknown = unknown | wide.reshape([-1 if one == axis else 1 for one in range(len(table.splits))])
    return unknown


def _blocks(wanted: Bools, most: int) -> Iterator[tuple[slice, ...]]:
    """Blocks of a grid of at most so many cells each, drawn closely round the wanted cells; none outside of them."""
    if not wanted.any():
        return
    part = []
    for axis in range(wanted.ndim):
        along = np.flatnonzero(wanted.any(axis=tuple(one for one in range(wanted.ndim) if one != axis)))
        part.append(slice(int(along[0]), int(along[-1]) + 1))
    sizes = [one.stop - one.start for one in part]
    if prod(sizes) <= most:
        yield tuple(part)
        return
    axis = int(np.argmax(sizes))
    middle = part[axis].start + sizes[axis] // 2
    for half in (slice(part[axis].start, middle), slice(middle, part[axis].stop)):
        own = (*part[:axis], half, *part[axis + 1 :])
        for block in _blocks(wanted[own], most):
            yield tuple(slice(one.start + at.start, one.start + at.stop) for one, at in zip(own, block, strict=True))


class _Table:
    """The images of a task, counted by the first cut of the grid with which they leave at each stage.

    `splits`: the cuts on the grid, by stage of the box; `points`: whether these are all cuts of the range, so that
    cells have no extent there. `answers`: who is right, (stages of the chain, patterns). `fixed`: images whose stage is
    the same in the whole box, (stages of the box and what comes after them, patterns); the others by `place` in the
    grid and `pattern`, and how many (`number`).
    """

    def __init__(self, pool: Pool, task: Task) -> None:
        self.task, self.depth = task, len(task.box.measures)
        cuts = pool.cuts(task.rising)
        levels = [cuts[one][at].level for one, at in zip(task.early, task.box.measures, strict=False)]
        members = [*task.early, -1]
        patterns = 1 << len(members)
        self.answers = np.arange(patterns) >> np.arange(len(members))[::-1, None] & 1
        pattern = np.zeros(pool.images, np.int64)
        for one in members:
            pattern = pattern * 2 + pool.right[one]
        left, is_open = self._leaving(levels)
        known = left[~is_open] * patterns + pattern[~is_open]
        self.fixed = np.bincount(known, minlength=(self.depth + 1) * patterns).reshape(-1, patterns)
        images = np.flatnonzero(is_open)
        self.splits = _splits(task.box, len(images))
        self.points = [int(one[-1] - one[0]) == len(one) - 1 for one in self.splits]
        self.shape = [len(one) + 1 for one in self.splits]
        index = np.zeros(len(images), np.int64)
        for split, level in zip(self.splits, levels, strict=True):
            codes = np.searchsorted(split, np.arange(split[-1] + 2))
            index = index * (len(split) + 1) + codes[np.minimum(level[images], split[-1] + 1)]
        index = index * patterns + pattern[images]
        self.work = OVERHEAD + (pool.images * (len(levels) + len(members)) + len(images) * len(levels)) // 2
        self.number = np.ones(len(images))
        if len(images) > MANY:
            table = np.bincount(index)
            self.work += len(table)
            index = np.flatnonzero(table)
            self.number = table[index].astype(np.float64)
        self.place, self.pattern = index // patterns, index % patterns

    def _leaving(self, levels: list[npt.NDArray[np.int32]]) -> tuple[Ints, Bools]:
        """Where images leave at the latest, (N,), and whether thresholds of the box decide if they do earlier."""
        left = np.full(len(levels[0]), len(levels))
        is_open = np.zeros(len(levels[0]), bool)
        for stage in reversed(range(len(levels))):
            sure = levels[stage] <= self.task.box.low[stage]
            is_open = (is_open | (levels[stage] <= self.task.box.high[stage])) & ~sure
            left[sure] = stage
        return left, is_open

    def edges(self, axis: int, cells: slice) -> tuple[int, int]:
        """The first and the last cut of neighbouring cells."""
        last = cells.stop - 1 if self.points[axis] else cells.stop
        return int(self.splits[axis][cells.start]), int(self.splits[axis][last])

    def fronts(self) -> tuple[Front, ...]:
        """The best corners, by quantity."""
        shape = [len(one) for one in self.splits]
        counts, rights = self.fixed.sum(axis=1), int((self.fixed * self.answers).sum())
        right = np.full(shape, float(rights))
        costs = [np.full(shape, float(np.dot(counts, by_exit))) for by_exit in self.task.costs]
        everywhere = [True] * len(shape)
        for stage, answers in enumerate(self.answers):
            statuses = ("N",) * stage + ("S",) * (stage < self.depth)
            here = self.sum(np.ones(len(answers)), statuses, everywhere)
            for cost, by_exit in zip(costs, self.task.costs, strict=True):
                cost += here * by_exit[stage]
            right += self.sum(answers, statuses, everywhere)
        answers = right.ravel().astype(np.int64)
        return tuple(self._front(answers, one.ravel().astype(np.int64)) for one in costs)

    def _front(self, right: Ints, cost: Ints) -> Front:
        first = int(right.min())
        least = np.full(int(right.max()) - first + 2, np.iinfo(np.int64).max)
        np.minimum.at(least, right - first, cost)
        better = np.minimum.accumulate(least[::-1])[::-1]
        on = (cost == least[right - first]) & (cost < better[right - first + 1])
        found = np.flatnonzero(on)
        found = found[np.unique(right[found], return_index=True)[1]]
        at = np.unravel_index(found, [len(one) for one in self.splits])
        cuts = np.stack([one[index] for one, index in zip(self.splits, at, strict=True)], axis=1)
        return Front(right[found], cost[found], cuts)

    def bounds(self) -> Ints:
        """Of cost less the price of all right answers, by cell."""
        values = np.array(self.task.costs[0], np.float64)[:, None] - float(self.task.price) * self.answers
        # What comes after the stages of the box is where the oracle wants.
        values = np.concatenate([values[: self.depth], values[self.depth :].min(axis=0, keepdims=True)])
        total = np.full((1,) * self.depth, float((values * self.fixed).sum()))
        for statuses in _classes(self.points):
            exits = [stage for stage, status in enumerate(statuses) if status != "N"]
            exits += [self.depth] * (statuses[-1] != "S")
            total = total + self.sum(values[exits].min(axis=0), statuses, self.points)
        bounds: Ints = np.rint(total).astype(np.int64)
        return bounds

    def sum(self, weights: Floats | Ints, statuses: Statuses, points: list[bool]) -> Floats:
        """Sum, by cell or corner, of weights, by who is right, over the images with these statuses there."""
        shape = self.shape[: len(statuses)]
        place = self.place // prod(self.shape[len(statuses) :])
        sums = np.bincount(place, self.number * weights[self.pattern], minlength=prod(shape))
        table: Floats = sums.astype(np.float64).reshape(shape)
        self.work += len(place) + table.size
        for axis, status in enumerate(statuses):
            table = _along(table, axis, status, points[axis])
        return table.reshape(*table.shape, *[1] * (len(self.shape) - len(shape)))


def _splits(box: Box, images: int) -> tuple[Ints, ...]:
    """All cuts of ranges, or some, closer to each other where few images leave, both ends among them."""
    widths = [high - low + 1 for low, high in zip(box.low, box.high, strict=True)]
    if prod(widths) <= ALL:
        return tuple(np.arange(low, low + width) for low, width in zip(box.low, widths, strict=True))
    most = round((CELLS * (8 if images > MANY else 1)) ** (1 / len(widths))) + 1
    splits = []
    for low, width in zip(box.low, widths, strict=True):
        shares = np.linspace(0, 1, min(width, most)) ** (2 if low == 0 and width > most else 1)
        splits.append(np.unique(low + np.rint((width - 1) * shares).astype(np.int64)))
    return tuple(splits)


def _along(table: Floats, axis: int, status: str, points: bool) -> Floats:
    """Sums along an axis, for each cell, of the images that have the status there."""
    before = (slice(None),) * axis
    if status == "O":
        return table[*before, slice(1, -1)]
    sums = table.cumsum(axis=axis)
    if status == "S":
        return sums[*before, slice(-1 if points else -2)]
    rest: Floats = sums[*before, slice(-1, None)] - sums[*before, slice(-1) if points else slice(1, -1)]
    return rest


def _classes(points: list[bool]) -> Iterator[Statuses]:
    """All statuses of images in a cell, up to the first stage at which they surely leave."""
    undecided = [("N",) if one else ("O", "N") for one in points]
    for depth in range(len(points)):
        for before in product(*undecided[:depth]):
            yield (*before, "S")
    yield from product(*undecided)
