"""Guarantees on new data, simulated: how often the loss of accuracy exceeds the limit, and what the guarantee costs.

    python -m bench.coverage [--draws N]

A population of 200,000 images is drawn once: labels, answers of main and of one early stage, three measures of how sure
that stage is. Calibration sets are drawn from it with replacement, so the loss of a threshold on new images is known
exactly: it is that on the population. `labels`: images are lost where main is right and the chain is wrong. `main`: no
labels are used, images are lost where the chain answers otherwise than main.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offramp.planner.exits.frontier import Bools, ExitScores, Ints, ThresholdSetting
from offramp.planner.exits.guarantee import certify

POPULATION = 200_000
CLASSES = 10
COSTS = (10_000, 80_000)  # cycles of an inference that leaves at the early stage, and at main
LIMIT, DELTA = 0.01, 0.05
CASES = (("labels", 500), ("main", 500), ("labels", 2_500), ("main", 2_500))  # what is right, images


@dataclass(frozen=True, eq=False)
class Population:
    """`scores`: (N,) by measure; `early`, `main`: where they are right, `same`: where they answer the same, (N,)."""

    scores: tuple[Ints, ...]
    early: Bools
    main: Bools
    same: Bools

    def exits(self, images: Ints, against: str) -> ExitScores:
        """The chain on some images, with those as right that are not lost."""
        kept = self.same if against == "main" else self.early | ~self.main
        right = np.stack([kept[images], np.ones(len(images), bool)])
        return ExitScores((tuple(one[images] for one in self.scores),), right, COSTS)

    def loss(self, setting: ThresholdSetting) -> float:
        """Of accuracy against main."""
        leaving = self.scores[setting.measure] >= setting.score
        return float(self.main.mean() - np.where(leaving, self.early, self.main).mean())

    def ratio(self, setting: ThresholdSetting) -> float:
        """Cycles of main over the mean of the chain."""
        return COSTS[1] / float(np.where(self.scores[setting.measure] >= setting.score, *COSTS).mean())


def draw_population(images: int = POPULATION) -> Population:
    """Main and the early stage find the same images hard; wrong answers are other classes, often the same one."""
    rng = np.random.default_rng(0)
    hardness = rng.normal(size=images)
    margins = [ability - hardness + rng.normal(size=images) / 2 for ability in (1.6, 2.4)]
    labels = rng.integers(0, CLASSES, images)
    likely = (labels + 1 + rng.integers(0, 2, images)) % CLASSES  # what an image looks like that is not its class
    answers = [np.where(margin > 0, labels, likely) for margin in margins]
    sure = np.abs(margins[0])
    scores = tuple(
        ((sure + rng.normal(size=images) * noise + 10) * 10**6).astype(np.int64) for noise in (0.3, 0.3, 0.4)
    )
    return Population(scores, margins[0] > 0, margins[1] > 0, answers[0] == answers[1])


def simulate(population: Population, against: str, images: int, draws: int) -> tuple[float, float, float]:
    """(share of draws whose loss exceeds the limit, median of cycles of main over the mean, largest loss)."""
    losses, ratios = [], []
    for seed in range(draws):
        sample = np.random.default_rng((seed, images)).integers(0, len(population.main), images)
        passed = certify([population.exits(sample, against)], LIMIT, DELTA)
        losses.append(population.loss(passed[0].settings[0]) if passed else 0.0)
        ratios.append(population.ratio(passed[0].settings[0]) if passed else 1.0)
    return float(np.mean(np.array(losses) > LIMIT)), float(np.median(ratios)), max(losses)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1_000)
    draws: int = parser.parse_args(arguments).draws
    population = draw_population()
    print(
        f"{draws:,} draws, limit {LIMIT:.0%}, delta {DELTA:g}; early {population.early.mean():.2%}, main "
        f"{population.main.mean():.2%} right, other answers on {1 - population.same.mean():.2%}"
    )
    print(f"{'against':<8} {'images':>7} {'above the limit':>16} {'largest loss':>13} {'cycles of main over mean':>25}")
    for against, images in CASES:
        above, ratio, largest = simulate(population, against, images, draws)
        print(f"{against:<8} {images:>7,} {above:>15.1%} {largest:>13.2%} {ratio:>25.2f}")


if __name__ == "__main__":
    main()
