"""What thresholds of a chain can reach on the data that they are chosen on."""

from __future__ import annotations

import numpy as np

from offramp.comparison.trial import Trial, TrialSet
from offramp.planner.exits.frontier import NEVER, UNREACHED, ExitScores, Ints
from offramp.planner.exits.search import frontier

SHOWN = 0.05  # fall of accuracy down to which it is looked for
POINTS = 60
LITTLE_WORK = 40_000_000  # images and cells: under a second; what is found need not be the best there is


def front_of(trial: Trial, images: TrialSet, cost_by_exit: tuple[int, ...]) -> tuple[tuple[float, float], ...]:
    """Mean cost and accuracy (fraction of 1) of settings that no other one found beats in both, the cheapest first."""
    count = images.right.shape[1]
    owner = [slider.stage for slider in trial.sliders] + [len(trial.stages) - 1]
    exits = ExitScores(
        scores=tuple((_scores(trial, images, number),) for number in range(len(trial.sliders))),
        right=images.right[owner],
        cost_by_exit=tuple(cost_by_exit[stage] for stage in owner),
    )
    least = max(0, int(images.right[-1].sum()) - int(SHOWN * count))
    cost = frontier(exits, least, LITTLE_WORK).cost
    better = np.append(cost[1:], UNREACHED) > cost
    found = np.flatnonzero(better & (cost < UNREACHED))
    found = found[found >= least]
    if len(found) > POINTS:
        found = found[np.unique(np.linspace(0, len(found) - 1, POINTS).astype(np.int64))]
    return tuple((float(cost[right]) / count, int(right) / count) for right in found)


def _scores(trial: Trial, images: TrialSet, slider: int) -> Ints:
    """Stops as scores, the strictest the highest; NEVER where no stop of this slider lets an image leave."""
    stops, stage = len(trial.sliders[slider].stops), trial.sliders[slider].stage
    here = (images.slider[stage] == slider) & (images.level[stage] < stops)
    return np.where(here, stops - images.level[stage], NEVER)
