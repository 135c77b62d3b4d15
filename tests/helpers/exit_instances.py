"""Random small choices: candidates with confidences and answers, and what their chains cost."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from offramp.planner.exits.best import ByMeasure
from offramp.planner.exits.candidates import Candidate, CandidateProfile, Early, chains_of
from offramp.planner.exits.choose import Cost
from offramp.planner.exits.frontier import LARGEST, Bools
from offramp.planner.ir.chain import ExitRule
from offramp.planner.ir.measure import MEASURES, Measure
from offramp.planner.ir.network import Shape
from offramp.planner.reference.confidence import confident
from offramp.planner.spec.spec import ChoiceSpec, ExitSpec, StageSpec
from tests.helpers.networks import NOWHERE, make_layer, make_network

NETWORK = make_network(make_layer(Shape(1, 4, 4), 2))
FRACTION_BITS = 7


def candidate(name: str, cut: int | None, measures: tuple[Measure, ...]) -> Candidate:
    stage = StageSpec(name, NOWHERE, "n", None, ExitSpec(NOWHERE, measures[0], None, 1.0))
    return Candidate(stage, name, NETWORK, cut, tuple(ExitRule(one, None, FRACTION_BITS) for one in measures))


class Instance:
    """A goal, the candidates' profiles, where main is right, and the costs of all chains of up to `most` of them;
    `dear`: the measures differ in cost."""

    def __init__(self, seed: int, most: int = 2, dear: bool = False) -> None:
        rng, self.dear = np.random.default_rng(seed), dear
        self.images = int(rng.choice([1, *rng.integers(1, 41, 4)]))
        self.measures = MEASURES[: int(rng.integers(1, 4))]
        names = [("front", None), ("small", None), ("main-0", 0), ("main-2", 2)]
        kept = [names[at] for at in sorted(rng.choice(4, int(rng.integers(1, 4)), replace=False))]
        entries = tuple(candidate(name, cut, self.measures) for name, cut in kept)
        levels = int(rng.integers(2, 12))  # few: many images share a confidence
        self.profiles = tuple(
            CandidateProfile(
                one,
                tuple(self._confidence(levels, rng) for _ in self.measures),
                rng.random(self.images) < rng.choice([0.5, 0.8, 0.95, 1.0]),
            )
            for one in entries
        )
        self.full: Bools = rng.random(self.images) < rng.choice([0.0, 0.9, 0.9, 0.9, 1.0])
        self.costs = [self._cost(early, rng) for early in chains_of(entries, most)]
        self.drop = float(rng.choice([0.0, 5.0, 20.0]))

    def _confidence(self, levels: int, rng: np.random.Generator) -> npt.NDArray[np.uint32]:
        """Now and then all the same, or at both ends of what 32 bits hold, where no threshold keeps everybody."""
        values = rng.integers(0, rng.choice([1, levels, levels, levels]), self.images)
        return np.where(rng.random() < 0.1, values % 2 * LARGEST, values).astype(np.uint32)

    def _cost(self, early: Early, rng: np.random.Generator) -> Cost:
        """Costs that mostly rise from stage to stage; the way back can make an early one dearer, now and then all."""
        steps = rng.integers(1, 60, (2, len(early) + 1))
        back = rng.integers(0, 20, (2, len(early) + 1))
        costs = np.cumsum(steps, axis=1) + back
        cycles, energy = (costs[:, ::-1] if rng.random() < 0.1 else costs).tolist()
        by_exit = {"cycles": tuple(cycles), "energy": tuple(energy)}
        return Cost(early, by_exit, more={key: self._more(len(early), rng) for key in by_exit} if self.dear else {})

    def _more(self, early: int, rng: np.random.Generator) -> ByMeasure:
        """What measures cost besides: at their stage and all later ones, the first one's also at the last."""
        found = []
        for stage in range(early):
            own, last = rng.integers(0, 15, (2, len(self.measures))).tolist()
            added = last if stage == 0 else [0] * len(own)
            vectors = [(0,) * stage + (a,) * (early - stage) + (a + b,) for a, b in zip(own, added, strict=True)]
            found.append(tuple(vectors))
        return tuple(found)

    def goal(self, budget: tuple[str, float] | None = None, **weights: float) -> ChoiceSpec:
        stages = tuple(one.candidate.stage for one in self.profiles)
        drop = None if budget else self.drop
        return ChoiceSpec(NOWHERE, "main", stages, self.measures, "calibration", weights, drop, budget, None)

    def outcomes(self) -> list[tuple[int, int, int, tuple[int, ...]]]:
        """(cycles, energy, right answers, candidates) of all chains with all settings, image by image."""
        found = []
        for cost in self.costs:
            for settings in product(*(self._settings(index) for index in cost.early)):
                found.append(self._follow(cost, settings))
        return found

    def _settings(self, index: int) -> list[tuple[int, int]]:
        """Every measure with every threshold that makes a difference, nobody and everybody included where possible."""
        found = []
        for measure, values in enumerate(self.profiles[index].confidence):
            near = {int(value) + step for value in values for step in (-1, 0, 1)}
            found += [(measure, threshold) for threshold in sorted(near) if 0 <= threshold <= LARGEST]
        return found

    def _follow(self, cost: Cost, settings: tuple[tuple[int, int], ...]) -> tuple[int, int, int, tuple[int, ...]]:
        cycles = energy = right = 0
        exit_index = np.full(self.images, len(settings))
        for stage in reversed(range(len(settings))):
            measure, threshold = settings[stage]
            values = self.profiles[cost.early[stage]].confidence[measure]
            exit_index[confident(self.measures[measure], values, threshold)] = stage
        by_measure = [one for one, _ in settings]
        cycles_by_exit, energy_by_exit = (list(cost.cost_by_exit[key]) for key in ("cycles", "energy"))
        for stage, measure in enumerate(by_measure):
            for at in range(len(settings) + 1):
                if cost.more:
                    cycles_by_exit[at] += cost.more["cycles"][stage][measure][at]
                    energy_by_exit[at] += cost.more["energy"][stage][measure][at]
        for stage in range(len(settings) + 1):
            here = exit_index == stage
            answers = self.profiles[cost.early[stage]].right if stage < len(settings) else self.full
            cycles += int(here.sum()) * cycles_by_exit[stage]
            energy += int(here.sum()) * energy_by_exit[stage]
            right += int(answers[here].sum())
        return cycles, energy, right, cost.early
