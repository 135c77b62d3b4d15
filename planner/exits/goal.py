"""What a search looks for: the least cost with enough right answers, or the most right answers within a cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from offramp.planner.exits.frontier import UNREACHED, Ints

EXACT = 1 << 51  # whole numbers up to here, and their sums of two, are exact as floating-point numbers


class Reached(Protocol):
    """Settings and what they give."""

    @property
    def right(self) -> int: ...

    @property
    def cost(self) -> int: ...


class Goal(Protocol):
    """`rank`: of settings, the smaller the better; None if they miss the goal. `limit`: what cost less the price of all
    right answers must be below for settings to be better than `best`. `key`: the best rank that such a value allows."""

    def rank(self, right: int, cost: int) -> tuple[int, int] | None: ...

    def limit(self, price: int, best: Reached | None) -> int: ...

    def key(self, value: int, price: int) -> float: ...

    def value(self, key: float, price: int) -> int | None: ...

    def pick(self, right: Ints, cost: Ints) -> int | None: ...

    def price(self, cost: Ints, most: int) -> int: ...


@dataclass(frozen=True)
class AtLeast:
    """The least cost with `needed` right answers; of equally cheap settings those with more."""

    needed: int

    def rank(self, right: int, cost: int) -> tuple[int, int] | None:
        return (cost, -right) if right >= self.needed else None

    def limit(self, price: int, best: Reached | None) -> int:
        return best.cost - price * self.needed if best else UNREACHED

    def key(self, value: int, price: int) -> float:
        return value + price * self.needed

    def value(self, key: float, price: int) -> int | None:
        """The value whose key this is."""
        return int(key) - price * self.needed

    def pick(self, right: Ints, cost: Ints) -> int | None:
        """Of settings that none of the others beats, by right answers."""
        at = int(right.searchsorted(self.needed))
        return at if at < len(right) else None

    def price(self, cost: Ints, most: int) -> int:
        """The price at which the cheapest of some settings, `cost` by right answers, have about as many as needed."""
        return _bisect(lambda price: cheapest(cost, price) >= self.needed, most)


@dataclass(frozen=True)
class Within:
    """The most right answers for a cost of `most` at most; of equally good settings the cheapest."""

    most: int

    def rank(self, right: int, cost: int) -> tuple[int, int] | None:
        return (-right, cost) if cost <= self.most else None

    def limit(self, price: int, best: Reached | None) -> int:
        if best is None:
            return self.most + 1
        return max(self.most - price * (best.right + 1) + 1, best.cost - price * best.right)

    def key(self, value: int, price: int) -> float:
        return (value - self.most) / price

    def value(self, key: float, price: int) -> int | None:
        """None: a bound of right answers alone says nothing about costs."""
        return None

    def pick(self, right: Ints, cost: Ints) -> int | None:
        """Of settings that none of the others beats, by right answers."""
        at = int(cost.searchsorted(self.most, side="right"))
        return at - 1 if at else None

    def price(self, cost: Ints, most: int) -> int:
        """The price at which the cheapest of some settings, `cost` by right answers, cost about as much as allowed."""
        return _bisect(lambda price: int(cost[cheapest(cost, price)]) > self.most, most)


def cheapest(cost: Ints, price: int) -> int:
    """Right answers of the settings, `cost` by right answers, whose cost less the price of all of them is least."""
    known = (cost < UNREACHED).nonzero()[0]
    return int(known[(cost[known] - price * known).argmin()])


def _bisect(high_enough: Callable[[int], bool], most: int) -> int:
    """The least price from 1 to `most` that is high enough, or `most`."""
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if high_enough(middle) else (middle + 1, high)
    return low
