"""The choice among many candidates on many images: gap, time and memory, beside a plain Lagrangian descent.

    python -m bench.candidates [--images N ...] [--candidates N ...] [--workers N] [--fronts] [--descent]

Candidates are drawn: heads along main, or fronts, of rising ability that are unsure about what is hard, with three
measures. Chains of up to three early stages are searched; what placing them adds to their costs, switches, is known
only once they are placed. `--descent` follows, in every chain, a coordinate descent at a price of a right answer that
is bisected to meet the accuracy: the plain way, without a bound. Each row is a process of its own, for its memory.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from offramp.host.workers import executor
from offramp.planner.exits.best import ChainCosts
from offramp.planner.exits.candidates import chains_of
from offramp.planner.exits.descent import Stages
from offramp.planner.exits.frontier import UNREACHED, WORK
from offramp.planner.exits.goal import AtLeast
from offramp.planner.exits.pool import Pool, make_pool
from offramp.planner.exits.search import Search
from offramp.planner.tasks.executor import Executor

CASES = ((2_000, 3), (2_000, 10), (2_000, 20), (20_000, 3), (20_000, 10), (200_000, 3))  # images, candidates
DROP = 0.01
MAIN = 111_000  # cycles
SWITCH = 300  # cycles of the switches to a stage at most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="*", default=[])
    parser.add_argument("--candidates", type=int, nargs="*", default=[])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fronts", action="store_true", help="candidates are fronts, in any order, not heads")
    parser.add_argument("--descent", action="store_true", help="follow the plain descent, too")
    args = parser.parse_args()
    cases = [(images, count) for images in args.images for count in args.candidates] or CASES
    print(
        f"{'images':>8} {'candidates':>10} {'chains':>7} {'placed':>6} {'cycles':>9} {'gap':>7} {'s':>7} {'cpu s':>7}",
        f"{'MB':>6}",
        end="",
    )
    print(f"{'descent':>10} {'above':>7} {'s':>7}" if args.descent else "")
    for case in cases:
        process = get_context("spawn").Process(target=row, args=(*case, args.fronts, args.workers, args.descent))
        process.start()
        process.join()


def row(images: int, count: int, fronts: bool, workers: int, descent: bool) -> None:
    pool = draw(images, count)
    chains = costs_of(count, fronts)
    needed = int(pool.right[-1].sum()) - int(DROP * images)
    begin = time.perf_counter()
    with executor(workers) as tasks:
        search, placed = look(pool, chains, needed, tasks)
    seconds = time.perf_counter() - begin
    assert search.top is not None
    gap = 1 - search.bound() / search.top.cost
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    total = (own.ru_maxrss + workers * children.ru_maxrss * (workers > 1)) / 1024
    used = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    figures = f"{search.top.cost / images:>9,.0f} {gap:>7.2%} {seconds:>7.1f} {used:>7.1f} {total:>6,.0f}"
    print(f"{images:>8,} {count:>10} {len(chains):>7,} {placed:>6} {figures}", end="", flush=True)
    if descent:
        begin = time.perf_counter()
        plain = min(plain_descent(pool, chain, needed) for _, chain in chains.values())
        print(
            f"{plain / images:>10,.0f} {plain / search.top.cost - 1:>+7.2%} {time.perf_counter() - begin:>7.1f}", end=""
        )
    print(flush=True)


def look(
    pool: Pool, chains: dict[int, tuple[ChainCosts, ChainCosts]], needed: int, tasks: Executor
) -> tuple[Search, int]:
    """The search as the choice runs it, and how many chains it placed."""
    search = Search(pool, AtLeast(needed), tasks, WORK)
    for number, (lower, _) in chains.items():
        search.add(number, lower)
    placed = {number for number, (lower, _) in chains.items() if lower.placed}

    def place(numbers: Sequence[int]) -> list[ChainCosts | None]:
        placed.update(numbers)
        return [chains[number][1] for number in numbers]

    search.run(place=place)
    return search, len(placed)


def draw(images: int, count: int) -> Pool:
    """Candidates on images; the same arguments give the same."""
    rng = np.random.default_rng(0)
    hardness = rng.normal(size=images)
    right, scores = [], []
    for ability in np.linspace(1.0, 2.2, count + 1):
        margin = ability - hardness + rng.normal(size=images) / 2
        right.append(margin > 0)
        noisy = [np.abs(margin) + rng.normal(size=images) / 2 for _ in range(3)]
        scores.append([((one + 10) * 10**6).astype(np.int64) for one in noisy])
    return make_pool(scores[:count], np.stack(right))


@dataclass(frozen=True)
class Drawn:
    """A candidate, as chains are formed of: a front without `cut`, or a head."""

    part: str
    cut: int | None


def costs_of(count: int, fronts: bool) -> dict[int, tuple[ChainCosts, ChainCosts]]:
    """All chains, with their costs without switches and with them: a head's is main up to its cut and its layers."""
    rng = np.random.default_rng(1)
    own = np.linspace(4_000, 60_000, count) if fronts else np.full(count, 1_500.0)
    until = np.zeros(count) if fronts else np.linspace(3_000, 70_000, count)
    chains = {}
    for number, early in enumerate(chains_of([Drawn(str(at), None if fronts else at) for at in range(count)])):
        spent, done, costs = 0.0, 0.0, []
        for one in early:
            spent += until[one] - done + own[one]
            done = until[one]
            costs.append(spent)
        costs.append(spent + MAIN - done)
        switches = np.cumsum([0, *rng.integers(SWITCH // 3, SWITCH, len(early))]) if early else np.zeros(1)
        known = len(early) < 2  # placed from the beginning
        lower, whole = (tuple(one.astype(int).tolist()) for one in (np.array(costs), np.array(costs) + switches))
        real = ChainCosts(early, (whole,))
        chains[number] = (real if known else ChainCosts(early, (lower,), placed=False), real)
    return chains


def plain_descent(pool: Pool, chain: ChainCosts, needed: int) -> int:
    """The least cost with enough right answers of coordinate descents at bisected prices of a right answer."""
    stages, by_exit = Stages.of(pool, chain.early, chain.rising), chain.costs[0]
    here = stages.point((0,) * len(chain.early), (0,) * len(chain.early))
    best = here.cost(by_exit) if here.right >= needed else UNREACHED
    low, high = 0, max(by_exit) * 1000
    while low < high:
        price = (low + high) // 2
        here = stages.descend(by_exit, price, here)
        if here.right >= needed:
            best, high = min(best, here.cost(by_exit)), price
        else:
            low = price + 1
    return best


if __name__ == "__main__":
    main()
