"""One-dimensional placement: intervals of cells, some pairs of which must not overlap; lowest highest end.

Weights (cells are kernel columns, blocks with a common processor conflict) and data (cells are words, tensors that are
live together in a common instance conflict) are both this problem, known as interval colouring of the conflict graph.
It is NP-hard, but conflict graphs of networks fall apart: separate components are independent, and components of the
complement can only be stacked. What is left is bounded by cliques and placed by first fit in several orders; where that
exceeds the capacity, canonical arrangements are searched, and where it exceeds the bound, CP-SAT looks for less.

Sets of items are bitmaps: bit i = item i.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from offramp.planner.placement.cliques import Bits, clique_bound, clique_cover, members
from offramp.planner.placement.firstfit import first_fit


@dataclass(frozen=True)
class Items:
    """What to place. Starts are multiples of `multiple`; ends are at most `capacity` (not necessarily a multiple)."""

    sizes: tuple[int, ...]  # cells, at least 1
    starts: tuple[int | None, ...]  # fixed, or None
    conflicts: tuple[Bits, ...]  # per item: those it must not overlap; symmetric, without itself
    ranks: tuple[int, ...]  # items of similar rank conflict more often: the step at which a tensor begins, for instance
    multiple: int
    capacity: int

    def rounded(self, item: int) -> int:
        """Cells from the item's start to the next possible start."""
        return -(-self.sizes[item] // self.multiple) * self.multiple


@dataclass(frozen=True)
class Limits:
    """When the solver gives up: `effort` in CP-SAT's deterministic time; `seed` of its search.

    `lowest` False: whatever lies within the capacity will do.
    """

    effort: float
    seed: int
    lowest: bool = True


@dataclass(frozen=True)
class Arrangement:
    """An answer. `bound`: proved lower bound of the highest end; above the capacity: there is no arrangement at all.

    `starts` is None if none was found, and `end` then 0. Fixed items count in `end` and `bound`.
    """

    starts: tuple[int, ...] | None
    end: int
    bound: int


@dataclass(frozen=True)
class _Part:
    """An answer for some of the items; `starts` may reach above the capacity."""

    starts: dict[int, int]
    end: int
    bound: int


def arrange(items: Items, limits: Limits) -> Arrangement:
    """The arrangement with the lowest highest end of the free items, or just one, as far as `limits` allow."""
    free = [item for item, start in enumerate(items.starts) if start is None]
    fixed = {item: start for item, start in enumerate(items.starts) if start is not None}
    if any(not _legal(items, item, start) for item, start in fixed.items()) or _collision(items, fixed):
        return Arrangement(None, 0, items.capacity + 1)
    part = _solve(_Piece(items, limits, busy_ranges(items)), _bits(free))
    if part.end > items.capacity >= part.bound and not limits.lowest:  # parts that fit, but not upon each other
        return arrange(items, replace(limits, lowest=True))
    if part.end > items.capacity:
        return Arrangement(None, 0, part.bound)
    placed = fixed | part.starts
    fixed_end = max((start + items.sizes[item] for item, start in fixed.items()), default=0)
    starts = tuple(placed[item] for item in range(len(items.sizes)))
    return Arrangement(starts, max(part.end, fixed_end), max(part.bound, fixed_end))


@dataclass(frozen=True)
class _Piece:
    items: Items
    limits: Limits
    busy: tuple[tuple[tuple[int, int], ...], ...]  # per item: cell ranges [from, to) that fixed items deny it


def _solve(piece: _Piece, among: Bits) -> _Part:
    components = list(_components(piece.items.conflicts, among))
    parts = [_solve_connected(piece, component) for component in components]
    starts = {item: start for part in parts for item, start in part.starts.items()}
    return _Part(starts, max((part.end for part in parts), default=0), max((part.bound for part in parts), default=0))


def _solve_connected(piece: _Piece, among: Bits) -> _Part:
    """Items of one connected component."""
    if any(piece.busy[item] for item in members(among)):
        return _solve_prime(piece, among)
    strangers = tuple(~neighbours & ~(1 << item) for item, neighbours in enumerate(piece.items.conflicts))
    layers = list(_components(strangers, among))
    if len(layers) == 1 and among.bit_count() > 1:
        return _solve_dominated(piece, among)
    if len(layers) == 1:
        item = among.bit_length() - 1
        return _Part({item: 0}, piece.items.sizes[item], piece.items.sizes[item])
    return _stack(piece.items, [_solve(*part) for part in _apart(piece, layers)])


def _apart(piece: _Piece, layers: list[Bits]) -> Iterator[tuple[_Piece, Bits]]:
    """Layers that will be stacked, each with the capacity that the others leave it at best."""
    items = piece.items
    bounds = [max(clique_bound(items, clique) for clique in clique_cover(items, layer)) for layer in layers]
    for layer, bound in zip(layers, bounds, strict=True):
        yield replace(piece, items=replace(items, capacity=items.capacity - sum(bounds) + bound)), layer


def _stack(items: Items, parts: list[_Part]) -> _Part:
    """Parts of which every item conflicts with every item of the others: one upon the other.

    Interleaving gains nothing, for an item never spans cells of another part, so parts can be pulled together. The part
    whose last start unit is used least goes to the top.
    """
    up = [-(-part.end // items.multiple) * items.multiple for part in parts]
    least = [-(-part.bound // items.multiple) * items.multiple for part in parts]
    top = min(range(len(parts)), key=lambda index: parts[index].end - up[index])
    starts: dict[int, int] = {}
    base = 0
    for index in [*(index for index in range(len(parts)) if index != top), top]:
        starts |= {item: base + start for item, start in parts[index].starts.items()}
        base += up[index]
    bound = sum(least) + min(part.bound - room for part, room in zip(parts, least, strict=True))
    return _Part(starts, base - up[top] + parts[top].end, bound)


def _solve_dominated(piece: _Piece, among: Bits) -> _Part:
    """Leave out items that can share the place of a larger one they do not conflict with; they add no conflicts."""
    items = piece.items
    hosts: dict[int, int] = {}
    for item in members(among):
        for host in members(among & ~items.conflicts[item] & ~(1 << item)):
            smaller = (items.sizes[item], item) < (items.sizes[host], host)
            if smaller and not (items.conflicts[item] & among & ~items.conflicts[host]):
                hosts[item] = host
                among &= ~(1 << item)
                break
    if not hosts:
        return _solve_prime(piece, among)
    part = _solve(piece, among)
    starts = dict(part.starts)
    for item, host in reversed(hosts.items()):  # a host may have found a host itself, later
        starts[item] = starts[host]
    return _Part(starts, part.end, part.bound)


def _solve_prime(piece: _Piece, among: Bits) -> _Part:
    """What does not fall apart: clique bound, first fit, canonical search if nothing fits, and CP-SAT for less."""
    items = piece.items
    cliques = clique_cover(items, among)
    bound = max(clique_bound(items, clique) for clique in cliques)
    chosen = members(among)
    starts = first_fit(items, piece.busy, chosen, bound)
    end = max(starts[item] + items.sizes[item] for item in chosen)
    if _enough(piece, end, bound) or bound > items.capacity:
        return _Part(starts, end, bound)
    if end > items.capacity:
        from offramp.planner.placement.canonical import search
        from offramp.planner.placement.sections import (
            sections_of,  # numpy takes longer to import than most placements to find
        )

        found = search(sections_of(items, piece.busy, cliques, chosen), piece.limits.effort, piece.limits.seed)
        if found.impossible:
            return _Part(starts, end, items.capacity + 1)
        if found.starts is not None:
            starts = found.starts
            end = max(starts[item] + items.sizes[item] for item in chosen)
        if _enough(piece, end, bound):
            return _Part(starts, end, bound)
    from offramp.planner.placement.cpsat import improve  # OR-Tools takes longer to import than most placements to find

    return _Part(*improve(piece.items, piece.busy, cliques, (starts, end, bound), piece.limits))


def _enough(piece: _Piece, end: int, bound: int) -> bool:
    """Whether there is no need to look for a lower end."""
    return end <= (bound if piece.limits.lowest else max(bound, piece.items.capacity))


def _bits(items: list[int]) -> Bits:
    return sum(1 << item for item in items)


def _components(adjacent: tuple[Bits, ...], among: Bits) -> Iterator[Bits]:
    """Connected components among the given items, by their lowest item."""
    while among:
        component = frontier = among & -among
        while frontier:
            reached = 0
            for item in members(frontier):
                reached |= adjacent[item]
            frontier = reached & among & ~component
            component |= frontier
        yield component
        among &= ~component


def _legal(items: Items, item: int, start: int) -> bool:
    return start >= 0 and start % items.multiple == 0 and start + items.sizes[item] <= items.capacity


def _collision(items: Items, fixed: dict[int, int]) -> bool:
    return any(
        items.conflicts[one] >> other & 1
        and fixed[one] < fixed[other] + items.sizes[other]
        and fixed[other] < fixed[one] + items.sizes[one]
        for one in fixed
        for other in fixed
    )


def busy_ranges(items: Items) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Per item the ranges [from, to) of its fixed neighbours."""
    fixed = {item: start for item, start in enumerate(items.starts) if start is not None}
    return tuple(
        tuple(sorted((start, start + items.sizes[other]) for other, start in fixed.items() if neighbours >> other & 1))
        for neighbours in items.conflicts
    )
