"""What thresholds can reach: for every number of right answers, the least cost of a chain of exits.

An image leaves at the first stage whose confidence passes the stage's threshold; the last stage answers what is left.
`planner.exits.search` searches all thresholds that matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from offramp.planner.ir.measure import Measure

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

LARGEST = (1 << 32) - 1  # of confidences and thresholds
NEVER = -1  # score of an image that no threshold lets leave
UNREACHED = (1 << 63) - 1  # cost of what no thresholds give
WORK = 4_000_000_000  # images and cells of tables evaluated before a search stops: some 40 s


class ThresholdSetting(NamedTuple):
    """An early stage's measure, as an index into its scores, and the least score that leaves."""

    measure: int
    score: int


@dataclass(frozen=True, eq=False)
class ExitScores:
    """A chain on N images. `scores`: (N,) for every measure of every early stage, higher means more confident.

    `right`: (stages, N), the last stage included. `cost_by_exit`: cost of an inference that leaves at each stage.
    """

    scores: tuple[tuple[Ints, ...], ...]
    right: Bools
    cost_by_exit: tuple[int, ...]

    def exit_index(self, settings: tuple[ThresholdSetting, ...]) -> Ints:
        """Stage at which each image leaves, (N,)."""
        exit_index = np.full(self.right.shape[1], len(self.cost_by_exit) - 1)
        for stage in reversed(range(len(settings))):
            exit_index[self.scores[stage][settings[stage].measure] >= settings[stage].score] = stage
        return exit_index

    def correct(self, settings: tuple[ThresholdSetting, ...]) -> int:
        """Right answers."""
        exit_index = self.exit_index(settings)
        return int(self.right[exit_index, np.arange(len(exit_index))].sum())


@dataclass(frozen=True, eq=False)
class CandidateScores:
    """Candidates on N images. `scores`: (N,) by candidate and measure, the higher the surer. `right`: (candidates + 1,
    N), main last."""

    scores: tuple[tuple[Ints, ...], ...]
    right: Bools

    def exits(self, early: Sequence[int], cost_by_exit: tuple[int, ...]) -> ExitScores:
        """A chain of some candidates and main."""
        return ExitScores(tuple(self.scores[one] for one in early), self.right[[*early, -1]], cost_by_exit)

    def only(self, images: Ints) -> CandidateScores:
        """On some of the images."""
        return CandidateScores(
            tuple(tuple(one[images] for one in stage) for stage in self.scores), self.right[:, images]
        )


@dataclass(frozen=True, eq=False)
class Frontier:
    """Costs of all N images together, by c = 0..N: `cost[c]`, the least that was found with at least c right answers,
    by `settings[owner[c]]`; `bound[c]`: no thresholds cost less. Below the floor of the search nothing is optimal.

    """

    cost: Ints
    bound: Ints
    owner: Ints
    settings: tuple[tuple[ThresholdSetting, ...], ...]

    def best(self, right: int) -> int:
        """The most right answers at the least cost of at least `right` of them."""
        return int(np.searchsorted(self.cost, self.cost[right], side="right")) - 1

    def setting(self, right: int) -> tuple[ThresholdSetting, ...]:
        return self.settings[self.owner[right]]


def to_scores(measure: Measure, values: npt.NDArray[np.uint32]) -> Ints:
    """Confidences in the unit of the measure as scores (higher means more confident), and back."""
    wide = values.astype(np.int64)
    return LARGEST - wide if measure == "entropy" else wide
