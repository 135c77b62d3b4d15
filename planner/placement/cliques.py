"""Cliques of a conflict graph: items that conflict pairwise can only be stacked, so their sizes add up."""

from __future__ import annotations

from collections.abc import Sequence

from offramp.planner.placement.interval_problem import Bits, Items, members


def clique_bound(items: Items, clique: Bits) -> int:
    """The least end of items that conflict pairwise: all but the topmost one take whole start units."""
    chosen = members(clique)
    return sum(items.rounded(item) for item in chosen) - max(items.rounded(item) - items.sizes[item] for item in chosen)


def clique_cover(items: Items, among: Bits) -> list[Bits]:
    """Cliques, none part of another, that together contain every item and every conflict among these items.

    If ranks are the steps at which items begin, these are all maximal cliques.
    """
    order = sorted(members(among), key=lambda item: (-items.rounded(item), item))
    covered = [0] * len(items.sizes)
    cliques = _begun(items, among)
    for clique in cliques:
        _cover(covered, clique)
    for one in order:
        alone = not items.conflicts[one] & among
        for other in [one] if alone else order:
            if not alone and not (items.conflicts[one] & ~covered[one]) >> other & 1:
                continue
            clique = _grow(items, 1 << one | 1 << other, order)
            cliques.append(clique)
            _cover(covered, clique)
    return _maximal(cliques)


def _begun(items: Items, among: Bits) -> list[Bits]:
    """For every item those in conflict with it that rank no higher, if they conflict pairwise: what is live when it
    begins."""
    found, earlier = [], 0
    for item in sorted(members(among), key=lambda item: (items.ranks[item], item)):
        crowd = items.conflicts[item] & earlier | 1 << item
        earlier |= 1 << item
        if all(not crowd & ~items.conflicts[one] & ~(1 << one) for one in members(crowd)):
            found.append(crowd)
    return found


def _cover(covered: list[Bits], clique: Bits) -> None:
    for item in members(clique):
        covered[item] |= clique


def _grow(items: Items, clique: Bits, order: Sequence[int]) -> Bits:
    for item in order:
        if not clique >> item & 1 and not clique & ~items.conflicts[item]:
            clique |= 1 << item
    return clique


def _maximal(cliques: Sequence[Bits]) -> list[Bits]:
    """Without those that are part of another, the largest first."""
    kept: list[Bits] = []
    for one in sorted(set(cliques), key=lambda one: (-one.bit_count(), one)):
        if not any(one & ~other == 0 for other in kept):
            kept.append(one)
    return kept
