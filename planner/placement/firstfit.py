"""First fit in several orders: it finds most placements, and the clique bound proves them the lowest possible."""

from __future__ import annotations

from collections.abc import Callable

from offramp.planner.placement.interval_problem import Items

ROUNDS = 20  # of squeezing; more found nothing better on the corpus


def first_fit(items: Items, chosen: list[int], bound: int) -> dict[int, int]:
    """Starts of the chosen items with a low highest end, maybe above the capacity. Stops when `bound` is reached."""
    best: dict[int, int] = {}
    best_end = -1
    for key in _orders(items, chosen):
        starts = _place(items, sorted(chosen, key=key))
        for _ in range(ROUNDS):
            end = _end(items, starts)
            if best_end < 0 or end < best_end:
                best, best_end = starts, end
            if best_end <= bound:
                return best
            squeezed = _place(items, _from_the_top(items, starts))
            if squeezed == starts:
                break
            starts = squeezed
    return best


def _orders(items: Items, chosen: list[int]) -> list[Callable[[int], tuple[int, int]]]:
    """Sort keys: large first, most conflicting cells first, both, most conflicting items first, as given."""
    crowd = {
        item: sum(items.rounded(other) for other in chosen if items.conflicts[item] >> other & 1) for item in chosen
    }
    return [
        lambda item: (-items.rounded(item), -crowd[item]),
        lambda item: (-crowd[item] - items.rounded(item), -items.rounded(item)),
        lambda item: (-crowd[item], item),
        lambda item: (-items.conflicts[item].bit_count(), -items.rounded(item)),
        lambda item: (-crowd[item] * items.rounded(item), item),
        lambda item: (item, 0),
    ]


def _place(items: Items, order: list[int]) -> dict[int, int]:
    """Each item in turn at the lowest start that no fixed and no earlier item denies it."""
    starts: dict[int, int] = {}
    for item in order:
        taken = [*items.busy[item]]
        taken += [(start, start + items.sizes[o]) for o, start in starts.items() if items.conflicts[item] >> o & 1]
        position = 0
        for low, high in sorted(taken):
            if position + items.sizes[item] <= low:
                break
            position = max(position, -(-high // items.multiple) * items.multiple)
        starts[item] = position
    return starts


def _from_the_top(items: Items, starts: dict[int, int]) -> list[int]:
    """Highest end first: turns the arrangement upside down, and first fit then closes its gaps."""
    return sorted(starts, key=lambda item: (-(starts[item] + items.sizes[item]), item))


def _end(items: Items, starts: dict[int, int]) -> int:
    return max(start + items.sizes[item] for item, start in starts.items())
