"""The interval problem solved: the arrangement with the lowest highest end, or any that fits, or a proof of neither.

The problem is known as interval colouring of the conflict graph. It is NP-hard, but conflict graphs of networks can be
split: connected components are independent of each other, and components of the complement can only be stacked. What is
left is bounded by cliques and placed by first fit in several orders; where that exceeds the capacity, canonical
arrangements are searched, and where it exceeds the bound, CP-SAT looks for a lower end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from offramp.planner.placement.answer import Answer, Found, Impossible, Undecided
from offramp.planner.placement.cliques import clique_bound, clique_cover
from offramp.planner.placement.firstfit import first_fit
from offramp.planner.placement.interval_problem import Arrangement, Bits, Items, Limits, bits_of, members


def arrange(items: Items, limits: Limits, lowest: bool = True) -> Answer[Arrangement]:
    """Starts of all items with the lowest highest end, as far as `limits` allow; not `lowest`: with any within the
    capacity. Fixed items count in end and bound."""
    if any(not _legal(items, item, start) for item, start in items.fixed.items()) or _collision(items):
        return Impossible("fixed starts")
    found = _solve(_Task(items, limits, lowest), bits_of(items.free))
    if found.end > items.capacity >= found.bound and not lowest:  # layers that fit, but not when stacked
        return arrange(items, limits)
    if found.bound > items.capacity:
        return Impossible("bound")
    if found.end > items.capacity:
        return Undecided(found.bound)
    fixed_end = max((start + items.sizes[item] for item, start in items.fixed.items()), default=0)
    return Found(Arrangement(items.fixed | found.starts, max(found.end, fixed_end), max(found.bound, fixed_end)))


@dataclass(frozen=True)
class _Task:
    items: Items
    limits: Limits
    lowest: bool

    def good_enough(self, end: int, bound: int) -> bool:
        """Whether there is no need to look for a lower end."""
        return end <= (bound if self.lowest else max(bound, self.items.capacity))


def _solve(task: _Task, among: Bits) -> Arrangement:
    """Some of the free items, maybe above the capacity."""
    parts = [_solve_connected(task, component) for component in _components(task.items.conflicts, among)]
    starts = {item: start for part in parts for item, start in part.starts.items()}
    ends, bounds = [part.end for part in parts], [part.bound for part in parts]
    return Arrangement(starts, max(ends, default=0), max(bounds, default=0))


def _solve_connected(task: _Task, among: Bits) -> Arrangement:
    """Items of one connected component."""
    if any(task.items.busy[item] for item in members(among)):
        return _solve_prime(task, among)
    strangers = tuple(~neighbours & ~(1 << item) for item, neighbours in enumerate(task.items.conflicts))
    layers = list(_components(strangers, among))
    if len(layers) == 1 and among.bit_count() > 1:
        return _solve_dominated(task, among)
    if len(layers) == 1:
        item = among.bit_length() - 1
        return Arrangement({item: 0}, task.items.sizes[item], task.items.sizes[item])
    return _stack(task.items, [_solve(*layer) for layer in _separate(task, layers)])


def _separate(task: _Task, layers: list[Bits]) -> Iterator[tuple[_Task, Bits]]:
    """Layers that will be stacked, each with the capacity that the others leave it at best."""
    items = task.items
    bounds = [max(clique_bound(items, clique) for clique in clique_cover(items, layer)) for layer in layers]
    for layer, bound in zip(layers, bounds, strict=True):
        yield replace(task, items=replace(items, capacity=items.capacity - sum(bounds) + bound)), layer


def _stack(items: Items, parts: list[Arrangement]) -> Arrangement:
    """Parts stacked, of which every item conflicts with every item of the others.

    Interleaving them gains nothing: an item never overlaps cells of another part, so parts can be separated again. The
    part that uses least of its last start unit goes to the top.
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
    return Arrangement(starts, base - up[top] + parts[top].end, bound)


def _solve_dominated(task: _Task, among: Bits) -> Arrangement:
    """Leave out items that can share the place of a larger one they do not conflict with; they add no conflicts."""
    items = task.items
    hosts: dict[int, int] = {}
    for item in members(among):
        for host in members(among & ~items.conflicts[item] & ~(1 << item)):
            smaller = (items.sizes[item], item) < (items.sizes[host], host)
            if smaller and not (items.conflicts[item] & among & ~items.conflicts[host]):
                hosts[item] = host
                among &= ~(1 << item)
                break
    if not hosts:
        return _solve_prime(task, among)
    part = _solve(task, among)
    starts = dict(part.starts)
    for item, host in reversed(hosts.items()):  # a host may have been hosted itself, later
        starts[item] = starts[host]
    return replace(part, starts=starts)


def _solve_prime(task: _Task, among: Bits) -> Arrangement:
    """What cannot be split: clique bound, first fit, canonical search if nothing fits, and CP-SAT for less."""
    items = task.items
    cliques = clique_cover(items, among)
    bound = max(clique_bound(items, clique) for clique in cliques)
    best = _measured(items, first_fit(items, members(among), bound), bound)
    if task.good_enough(best.end, bound) or bound > items.capacity:
        return best
    if best.end > items.capacity:
        # numpy takes longer to import than most placements to find
        from offramp.planner.placement.canonical import search
        from offramp.planner.placement.sections import sections_of

        answer = search(sections_of(items, cliques, members(among)), task.limits)
        if isinstance(answer, Impossible):
            return replace(best, bound=items.capacity + 1)
        if isinstance(answer, Found):
            best = _measured(items, answer.value, bound)
        if task.good_enough(best.end, bound):
            return best
    from offramp.planner.placement.cpsat import improve  # OR-Tools takes longer to import than most placements to find

    return improve(items, cliques, best, task.limits)


def _measured(items: Items, starts: dict[int, int], bound: int) -> Arrangement:
    return Arrangement(starts, max(start + items.sizes[item] for item, start in starts.items()), bound)


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


def _collision(items: Items) -> bool:
    """Whether two fixed items overlap that must not."""
    return any(
        items.conflicts[one] >> other & 1
        and start < other_start + items.sizes[other]
        and other_start < start + items.sizes[one]
        for one, start in items.fixed.items()
        for other, other_start in items.fixed.items()
    )
