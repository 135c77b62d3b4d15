"""Two-stage inference on recorded logits: thresholds from the calibration set, figures on any set.

The first stage answers when its margin (largest minus second largest logit, in units of the raw accumulator) reaches a
threshold; otherwise the second stage runs as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from data import Labels
from integer_net import Integers
from latency import Cost

SWITCH_CYCLES = 1000  # allowance for reconfiguring between the stages, paid by every sample that falls through


@dataclass(frozen=True)
class Recorded:
    """Both stages' logits on the same samples, int64 (N, classes), and the labels."""

    first: Integers
    second: Integers
    labels: Labels


@dataclass(frozen=True)
class StageCosts:
    """What each stage costs; `second` is what still lies ahead when the first stage has not decided."""

    first: Cost
    second: Cost
    full: Cost  # the network without exits


@dataclass(frozen=True)
class Outcome:
    """Figures of a two-stage run at one threshold."""

    threshold: int
    share_early: float  # 0..1
    accuracy: float  # percent
    mean: Cost
    speed_up: float  # full / mean, in cycles


def accuracy(logits: Integers, labels: Labels) -> float:
    """Top-1 accuracy in percent."""
    return float((logits.argmax(axis=1) == labels).mean() * 100)


def margins(logits: Integers) -> Integers:
    """Largest minus second largest logit, (N,)."""
    ordered = np.sort(logits, axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])


def pair_accuracy(recorded: Recorded, threshold: int) -> float:
    """Accuracy in percent of both stages together."""
    early = margins(recorded.first) >= threshold
    answer = np.where(early, recorded.first.argmax(axis=1), recorded.second.argmax(axis=1))
    return float((answer == recorded.labels).mean() * 100)


def run(recorded: Recorded, costs: StageCosts, threshold: int) -> Outcome:
    """Apply one threshold to recorded logits."""
    early = float((margins(recorded.first) >= threshold).mean())
    mean = Cost(
        costs.first.cycles + (1 - early) * (costs.second.cycles + SWITCH_CYCLES),
        costs.first.microjoules + (1 - early) * costs.second.microjoules,
    )
    return Outcome(threshold, early, pair_accuracy(recorded, threshold), mean, costs.full.cycles / mean.cycles)


def choose_threshold(recorded: Recorded, allowed_loss: float) -> int:
    """The lowest threshold that is expected to cost at most `allowed_loss` points of accuracy on new samples.

    A sample is harmed when the first stage would answer wrongly where the second is right.  With h harmed samples of n
    the expected share on a new sample is at most (h + 1) / (n + 1): the bound of conformal risk control (Angelopoulos,
    Bates, Fisch, Lei, Schuster, 2022).  The plain share h / n is too hopeful where h is small.
    """
    first_wrong = recorded.first.argmax(axis=1) != recorded.labels
    second_right = recorded.second.argmax(axis=1) == recorded.labels
    margin = margins(recorded.first)
    harmed = np.sort(margin[first_wrong & second_right])[::-1]
    permitted = math.floor(allowed_loss / 100 * (len(margin) + 1) + 1e-9) - 1
    if permitted < 0:
        return int(margin.max()) + 1  # too few samples to promise so little: nothing leaves early
    return int(harmed[permitted]) + 1 if permitted < len(harmed) else 0
