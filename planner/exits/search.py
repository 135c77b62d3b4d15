"""The search for the best chain and its thresholds: one queue of boxes of thresholds of all chains, best bound first.

Every box is cut into a grid (`planner.exits.grid`): its corners are settings that are kept if they are good, its cells
have bounds, and those that cannot hold anything better are cut off. Boxes are evaluated in rounds of fixed size; those
of a round know the same settings and are independent tasks, so the result is the same however many are done at once.
If the search is stopped, the bounds of what is left over remain. The price of a right answer, by which bounds are
made, is the best one for what was found so far (Lagrangian relaxation); any price gives valid bounds.

Chains that are not placed are searched with costs that none of theirs is below, and placed only if they would be the
best with these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import prod

import numpy as np

from offramp.planner.exits.best import Best, ChainCosts, Found
from offramp.planner.exits.descent import Descent, descend
from offramp.planner.exits.frontier import UNREACHED, WORK, ExitScores, Frontier, Ints
from offramp.planner.exits.goal import EXACT, AtLeast, Goal
from offramp.planner.exits.grid import ALL, Box, Grid, Task, expand
from offramp.planner.exits.pool import Pool, make_pool
from offramp.planner.tasks.executor import IN_PROCESS, Executor

ROUND = 16  # boxes, or chains, in a round
PLACED = 4  # chains that are placed at once
SEEDS = 4  # chains to start with
SEED_SHARE = 0.1  # of the work
SEED_ROUNDS = 3
SEARCHED = 6  # early exits of a chain; of more, as thresholds by class make, grids have too many kinds of images
REFINED = 3  # times that chains of more exits are bounded at a new price
POLISHED = 32  # chains in which a search that was stopped follows more descents
DESCENTS = 8  # chains in which descents start from their best settings, in a round
PRICES = (4.0, 2.0, 1.0, 0.5, 0.25)  # of these descents, as multiples of the price
WIDE = (16.0, 8.0, 4.0, 2.0, 1.4, 1.0, 0.7, 0.5, 0.25)
SKETCHED = 16  # numbers of right answers at which a front is drawn

Place = Callable[[Sequence[int]], Sequence[ChainCosts | None]]  # costs of chains, None where one cannot be placed


@dataclass(frozen=True)
class Entry:
    """What is left to look at: a box of a chain, None for all its settings. `value`: no settings have less cost less
    `price` for each right answer."""

    chain: int
    costs: ChainCosts
    box: Box | None
    value: int
    price: int


class Search:
    """`best`: settings of the chains that are placed, by quantity; `own`: the best of each chain; `top`: of all.
    `promised`: the best settings of chains that are not placed, at their lower costs.

    `queue`: (key, number, entry), the smallest key first; `wide`: the same of chains of too many exits, which only
    descents look at. `tried`: chains of which all settings were tried. `dropped`:
    the least value of what was cut off, by chain and price. `work`: images and cells that may still be evaluated.
    """

    def __init__(self, pool: Pool, goal: Goal, executor: Executor, work: int) -> None:
        self.pool, self.goal, self.executor, self.work = pool, goal, executor, work
        self.chains: dict[int, ChainCosts] = {}
        self.best: tuple[Best, ...] = ()
        self.own: dict[int, Found] = {}
        self.promised: dict[int, Found] = {}
        self.top: Found | None = None
        self.queue: list[tuple[float, int, Entry]] = []
        self.wide: dict[int, Entry] = {}
        self.pushed = 0
        self.tried: set[int] = set()
        self.dropped: dict[tuple[int, int], int] = {}
        self.price = 1
        self.counts: dict[tuple[int, ...], Ints] = {}

    def add(self, chain: int, costs: ChainCosts, known: float | None = None) -> None:
        """A chain to search, or the costs of one now that it is placed. `known`: no settings of it have a better rank,
        the first part of it."""
        self.best = self.best or tuple(Best(self.pool.images) for _ in costs.costs)
        self.chains[chain] = costs
        self.tried.discard(chain)
        if costs.early:
            self.push_whole(chain, known)
            return
        right = np.array([self.pool.right[-1].sum()])
        totals = [np.array([one[0] * self.pool.images]) for one in costs.costs]
        self.keep(chain, (), [(right, total, np.zeros((1, 0), np.int64)) for total in totals])
        self.tried.add(chain)

    def aim(self, goal: Goal) -> None:
        """Search for something else, knowing what was found."""
        self.goal, self.queue, self.wide, self.own, self.promised, self.dropped = goal, [], {}, {}, {}, {}
        self.top = None
        for found in self.best[0].points(0):
            if goal.rank(found.right, found.cost):
                self.top = self.better(self.top, found)
                self.own[found.chain] = self.better(self.own.get(found.chain), found)
        for chain in self.chains:
            if chain not in self.tried:
                self.push_whole(chain)

    def run(self, share: float = 1.0, place: Place | None = None) -> None:
        """Look at what is left, until nothing can be better or a share of the work is spent."""
        end = round(self.work * (1 - share))
        self.seed(place)
        while self.queue and self.work > end:
            before, known = self.top, self.own.keys() | self.promised.keys()
            entries = self.next_round(lambda chain: self.top)
            self.look(entries, self.top)
            self.near([one for one in dict.fromkeys(one.chain for one in entries) if one not in known])
            self.place(place)
            if self.top != before:
                self.set_price()
        for _ in range(REFINED if self.wide else int(bool(self.queue))):
            self.near([*self.own, *self.promised], POLISHED, tuple(2 ** (step / 4) for step in range(12, -13, -1)))
            self.set_price()
            for chain in list(self.wide):
                self.push_whole(chain)
        while self.place(place):
            pass

    def run_own(self) -> None:
        """Spend what is left on the best settings of every chain that is placed, the same for each."""
        queue = self.queue
        chains = [chain for chain, costs in self.chains.items() if costs.placed and chain not in self.tried]
        for number, chain in enumerate(chains):
            end = self.work - self.work // (len(chains) - number)
            self.queue = []
            self.push_whole(chain)
            while self.queue and self.work > end:
                self.look(self.next_round(self.own.get), self.own.get(chain))
        self.queue = queue

    def try_all(self) -> None:
        """Try all settings of every placed chain that has few, also those that are not better than the best."""
        for chain, costs in self.chains.items():
            if not costs.placed or chain in self.tried or len(costs.early) > SEARCHED or self.work <= 0:
                continue
            boxes = self.boxes(costs)
            if sum(prod(high + 1 for high in box.high) for box in boxes) <= ALL:
                self.look([Entry(chain, costs, box, 0, self.price) for box in boxes], None)
                self.tried.add(chain)

    def sketch(self, quantity: int, floor: int) -> None:
        """Look for settings between `floor` right answers and the most accurate ones that are cheap in a quantity."""
        points = [one for one in self.best[quantity].points(floor) if one.cuts]
        step = max(1, len(points) // SKETCHED)
        starts = points[::step]
        cost, most = self.best[quantity].cost, self.highest(quantity)
        self.descend(starts, [(AtLeast(one.right).price(cost, most),) for one in starts], quantity)

    def next_round(self, reference: Callable[[int], Found | None]) -> list[Entry]:
        """The next entries that may hold something better than the settings that they are compared with."""
        entries: list[Entry] = []
        while self.queue and len(entries) < ROUND:
            entry = heappop(self.queue)[2]
            if entry.costs is not self.chains.get(entry.chain):
                continue  # placed since
            if entry.value >= self.goal.limit(entry.price, reference(entry.chain)):
                self.drop(entry.chain, entry.price, entry.value)
            else:
                entries.append(entry)
        return entries

    def look(self, entries: Sequence[Entry], reference: Found | None) -> None:
        """Cut some entries into grids, without the cells that hold nothing better than the reference."""
        limit = self.goal.limit(self.price, reference)
        owners, tasks = [], []
        for entry in entries:
            costs = entry.costs
            for box in [entry.box] if entry.box else self.deeper(costs, Box((), (), ())):
                owners.append(entry)
                by_exit = tuple(costs.by_exit(quantity, box.measures) for quantity in range(len(costs.costs)))
                tasks.append(Task(box, costs.early, costs.rising, by_exit, self.price, limit))
        for entry, task, grid in zip(owners, tasks, self.executor.map(expand, self.pool, tasks), strict=True):
            self.take(entry, task, grid)

    def deeper(self, costs: ChainCosts, box: Box) -> list[Box]:
        """The box with all thresholds of the next stage, for each of its measures."""
        cuts = self.pool.cuts(costs.rising)[costs.early[len(box.measures)]]
        return [
            Box((*box.measures, measure), (*box.low, 0), (*box.high, len(one.scores) - 1))
            for measure, one in enumerate(cuts)
        ]

    def boxes(self, costs: ChainCosts) -> list[Box]:
        """All thresholds of every choice of measures."""
        boxes = [Box((), (), ())]
        for _ in costs.early:
            boxes = [deeper for box in boxes for deeper in self.deeper(costs, box)]
        return boxes

    def take(self, entry: Entry, task: Task, grid: Grid) -> None:
        """Keep what a grid gives."""
        self.work -= grid.work
        self.keep(entry.chain, task.box.measures, [(one.right, one.cost, one.cuts) for one in grid.fronts])
        if grid.dropped is not None:
            self.drop(entry.chain, task.price, grid.dropped)
        for value, box in grid.boxes:
            known = self.goal.key(entry.value, entry.price) >= self.goal.key(value, task.price)
            bound = (entry.value, entry.price) if known else (value, task.price)
            whole = len(box.measures) == len(entry.costs.early)
            for one in [box] if whole else self.deeper(entry.costs, box):
                self.push(Entry(entry.chain, entry.costs, one, *bound))

    def keep(self, chain: int, measures: tuple[int, ...], fronts: Iterable[tuple[Ints, Ints, Ints]]) -> None:
        """Settings of a chain, by quantity: right answers, costs and cuts."""
        placed = self.chains[chain].placed
        for number, (right, cost, cuts) in enumerate(fronts):
            if placed:
                self.best[number].add(chain, measures, right, cost, cuts)
            at = self.goal.pick(right, cost) if number == 0 else None
            if at is not None:
                found = Found(chain, measures, tuple(cuts[at].tolist()), int(right[at]), int(cost[at]))
                known = self.own if placed else self.promised
                known[chain] = self.better(known.get(chain), found)
                self.top = self.better(self.top, found) if placed else self.top

    def seed(self, place: Place | None) -> None:
        """Settings to start from: of single candidates at prices of all sizes, then of every chain, the most promising
        first, as far as a part of the work goes; at last bounds at the price that these suggest."""
        left = [chain for chain, one in self.chains.items() if one.early and chain not in self.tried]
        short = [chain for chain in left if self.chains[chain].placed]
        prices = tuple(2**power for power in range(0, self.highest().bit_length(), 2))
        first = sorted(short, key=lambda chain: len(self.chains[chain].early))[:SEEDS]
        self.follow(first, prices)
        # Where nobody leaves most is right; from where all leave early single changes may not lead back there.
        self.follow([chain for chain in first if chain in self.wide], prices[::-1])
        if self.top is None:
            return
        self.set_price()
        self.rebound()
        order = [entry.chain for _, _, entry in sorted(self.left())]
        most = int(self.work * SEED_SHARE) // (self.pool.images * 16)
        for _ in range(SEED_ROUNDS):
            values = self.follow(order[:most], (self.price,))
            order = [chain for _, chain in sorted(zip(values, order, strict=False))]
            self.follow(order[:DESCENTS], tuple(max(1, round(self.price * factor)) for factor in WIDE))
            self.place(place)
            self.set_price()
            order, most = order[: max(DESCENTS, len(order) // 4)], len(order)
        self.rebound()

    def follow(self, chains: Sequence[int], prices: tuple[int, ...]) -> list[int]:
        """Descend from where nobody leaves; the least cost less the price of all right answers, by chain."""
        starts = []
        for chain in chains:
            nobody = (0,) * len(self.chains[chain].early)
            starts.append(Found(chain, nobody, nobody, 0, 0))
        return self.descend(starts, [prices] * len(starts))

    def rebound(self) -> None:
        """Bound all that is left of chains at the present price."""
        entries = [one for _, _, one in self.left()]
        self.queue = []
        for chain in dict.fromkeys(entry.chain for entry in entries):
            self.push_whole(chain)

    def near(self, chains: Sequence[int], most: int = DESCENTS, factors: Sequence[float] = PRICES) -> None:
        """Look for better settings near the best ones of some chains, at multiples of the price."""
        known = [found for chain in chains if (found := self.own.get(chain) or self.promised.get(chain))]
        starts = sorted((one for one in known if one.cuts), key=lambda one: (self.rank(one), one.chain))[:most]
        prices = tuple(max(1, round(self.price * factor)) for factor in factors)
        self.descend(starts, [prices] * len(starts))

    def descend(self, starts: Sequence[Found], prices: Sequence[tuple[int, ...]], quantity: int = 0) -> list[int]:
        """Follow descents from some settings, at some prices each, in a quantity. What they reach at the last price."""
        tasks = []
        for one, own in zip(starts, prices, strict=True):
            costs = self.chains[one.chain]
            more = costs.more[quantity] if costs.more else ()
            tasks.append(Descent(costs.early, costs.rising, costs.costs[quantity], more, own, one.measures, one.cuts))
        values = []
        for one, task, points in zip(starts, tasks, self.executor.map(descend, self.pool, tasks), strict=True):
            self.work -= self.pool.images * len(points) * (len(one.cuts) + 1) ** 2
            costs = self.chains[one.chain]
            for point in points:
                totals = [point.cost(costs.by_exit(each, point.measures)) for each in range(len(costs.costs))]
                front = [(np.array([point.right]), np.array([cost]), np.array([point.cuts])) for cost in totals]
                self.keep(one.chain, point.measures, front)
            last = points[-1]
            values.append(last.cost(costs.by_exit(quantity, last.measures)) - task.prices[-1] * last.right)
        return values

    def place(self, place: Place | None) -> bool:
        """Place chains that would be the best with their lower costs. Were there any?"""
        if place is None:
            return False
        wanted = [one.chain for one in sorted(self.promising(), key=self.rank)[:PLACED]]
        for chain, costs in zip(wanted, place(wanted), strict=True):
            known = self.chain_bound(self.promised[chain])
            del self.promised[chain]
            if costs is None:
                del self.chains[chain]
                self.wide.pop(chain, None)
            else:
                self.add(chain, costs, known)
        return bool(wanted)

    def chain_bound(self, promised: Found) -> float:
        """The first part of the rank of any settings of a chain that is not placed, or of the best ones."""
        keys = [key for key, _, entry in self.left() if entry.costs is self.chains[promised.chain]]
        return min([*keys, *(self.rank(one)[0] for one in (promised, self.top) if one)])

    def promising(self) -> list[Found]:
        """Settings of chains that are not placed and would be better than the best, with their lower costs."""
        found = self.promised.values()
        return [one for one in found if self.top is None or self.rank(one) < self.rank(self.top)]

    def rank(self, found: Found) -> tuple[int, int]:
        """The rank of settings that meet the goal."""
        rank = self.goal.rank(found.right, found.cost)
        assert rank is not None
        return rank

    def better(self, one: Found | None, other: Found) -> Found:
        """The better of two settings; of equally good ones those of the chain that comes first."""
        if one is None:
            return other
        ranks = [(*self.rank(each), each.chain) for each in (one, other)]
        return other if ranks[1] < ranks[0] else one

    def set_price(self) -> None:
        """The price at which what was found meets the goal."""
        self.price = self.goal.price(self.best[0].cost, self.highest())

    def highest(self, quantity: int = 0) -> int:
        """The largest price that is of use, and whose sums are exact."""
        most = max(max(one.costs[quantity]) for one in self.chains.values())
        return max(1, min(most * self.pool.images, EXACT // max(1, self.pool.images)))

    def push_whole(self, chain: int, known: float | None = None) -> None:
        """Queue all settings of a chain, bounded as if every image left where it is best, or by what is known."""
        costs = self.chains[chain]
        value = self.oracle(costs)
        better = None if known is None else self.goal.value(known, self.price)
        entry = Entry(chain, costs, None, value if better is None else max(value, better), self.price)
        if len(costs.early) <= SEARCHED:
            self.push(entry)
            return
        before = self.wide.get(chain)
        if before is None or before.costs is not costs or self.key(before) < self.key(entry):
            self.wide[chain] = entry

    def oracle(self, costs: ChainCosts) -> int:
        """Cost less the price of all right answers if every image leaves where that is least."""
        if len(costs.early) > SEARCHED:
            values = np.array(costs.costs[0])[:, None] - self.price * self.pool.right[[*costs.early, -1]]
            for number, one in enumerate(costs.early):
                stays = np.logical_and.reduce([own.level >= len(own.scores) for own in self.pool.every[one]])
                values[number, stays] = UNREACHED
            self.work -= values.size
            return int(values.min(axis=0).sum())
        members = sorted(costs.early)
        counts = self.patterns(tuple(members))
        shifts = [len(members) - members.index(one) for one in costs.early]
        answers = np.arange(len(counts)) >> np.array([*shifts, 0])[:, None] & 1
        values = np.array(costs.costs[0])[:, None] - self.price * answers
        return int((values.min(axis=0) * counts).sum())

    def patterns(self, members: tuple[int, ...]) -> Ints:
        """Images by who of some candidates and main is right, the first one in the highest bit."""
        if members not in self.counts:
            index = np.zeros(self.pool.images, np.int64)
            for one in (*members, -1):
                index = index * 2 + self.pool.right[one]
            self.counts[members] = np.bincount(index, minlength=2 << len(members))
            self.work -= self.pool.images * len(members)
        return self.counts[members]

    def push(self, entry: Entry) -> None:
        heappush(self.queue, (self.key(entry), self.pushed, entry))
        self.pushed += 1

    def key(self, entry: Entry) -> float:
        return self.goal.key(entry.value, entry.price)

    def left(self) -> list[tuple[float, int, Entry]]:
        """What is queued, and the chains of too many exits."""
        return [*self.queue, *((self.key(one), self.pushed + chain, one) for chain, one in self.wide.items())]

    def drop(self, chain: int, price: int, value: int) -> None:
        self.dropped[chain, price] = min(self.dropped.get((chain, price), UNREACHED), value)

    def bound(self) -> float:
        """The first part of the rank of any settings of any chain is not less than this."""
        keys = [key for key, _, _ in self.left()]
        ranks = [self.rank(one)[0] for one in (*self.promising(), *([self.top] if self.top else []))]
        return min([*keys, *ranks], default=float("inf"))

    def frontier(self) -> Frontier:
        """The least costs of all chains that were placed, by right answers."""
        cost = self.best[0].least
        bound, numbers = cost.copy(), np.arange(len(cost))
        left = [(one.chain, one.price, one.value) for _, _, one in self.left()]
        for chain, price, value in [*left, *((*key, value) for key, value in self.dropped.items())]:
            if chain not in self.tried:
                bound = np.minimum(bound, value + price * numbers)
        settings = [
            self.chains[chain].thresholds(self.pool, measures, cuts) for chain, measures, cuts in self.best[0].settings
        ]
        return Frontier(cost, bound, self.best[0].owners(), tuple(settings))


def frontier(exits: ExitScores, floor: int = 0, work: int = WORK, tasks: Executor = IN_PROCESS) -> Frontier:
    """The least costs of a chain by right answers, for `floor` of them the least possible unless the work is spent."""
    pool = make_pool(exits.scores, exits.right)
    search = Search(pool, AtLeast(floor), tasks, work)
    search.add(0, ChainCosts(tuple(range(len(exits.scores))), (exits.cost_by_exit,)))
    search.run()
    search.try_all()
    return search.frontier()
