"""Searching thresholds of long chains on many images: time, and what is proved.

    python -m bench.thresholds

Confidences and answers are drawn at random: as of networks of rising ability that are unsure about what is hard
(`informed`), or without any relation (`none`), where least can be said in advance.
"""

from __future__ import annotations

import time

import numpy as np

from offramp.planner.exits.frontier import ExitScores
from offramp.planner.exits.search import frontier

CHAINS = ((500, 3, 3), (2000, 2, 3), (2000, 3, 3), (60_000, 2, 1))  # images, early stages, measures
DROPS = (0.0, 0.01, 0.03)
COSTS = (4_000, 16_000, 41_000)  # cycles of an inference that leaves at each early stage
MAIN = 111_000


def main() -> None:
    print(
        f"{'confidence':<10} {'images':>7} {'stages':>6} {'measures':>8} {'drop':>6} {'cycles':>9} {'gap':>6} {'s':>6}"
    )
    for kind in ("informed", "none"):
        for images, early, measures in CHAINS:
            exits = draw(kind, images, early, measures)
            right = int(exits.right[-1].sum())
            for drop in DROPS:
                needed = right - int(drop * images)
                begin = time.perf_counter()
                found = frontier(exits, needed)
                seconds = time.perf_counter() - begin
                gap = 1 - found.bound[needed] / found.cost[needed]
                figures = f"{found.cost[needed] / images:>9,.0f} {gap:>6.2%} {seconds:>6.2f}"
                print(f"{kind:<10} {images:>7,} {early + 1:>6} {measures:>8} {drop:>6.0%} {figures}")


def draw(kind: str, images: int, early: int, measures: int) -> ExitScores:
    """A chain; the same arguments give the same."""
    rng = np.random.default_rng(0)
    hardness = rng.normal(size=images)
    right, scores = [], []
    for ability in np.linspace(1.0, 2.2, early + 1):
        margin = ability - hardness + rng.normal(size=images) / 2
        right.append(margin > 0)
        sure = np.abs(margin) if kind == "informed" else np.zeros(images)
        noisy = [sure + rng.normal(size=images) / 2 for _ in range(measures)]
        scores.append(tuple(((one + 10) * 10**6).astype(np.int64) for one in noisy))
    return ExitScores(tuple(scores[:early]), np.stack(right), (*COSTS[:early], MAIN))


if __name__ == "__main__":
    main()
