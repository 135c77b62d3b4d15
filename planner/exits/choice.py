"""The choice, its alternatives and the reasons: the values that plan.json, report.json and the terminal show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from offramp.planner.exits.calibrate import Method
from offramp.planner.exits.guarantee import Guarantee
from offramp.planner.exits.records import CandidateRecord, ChainRecord, ChoiceRecord, OutcomeRecord
from offramp.planner.ir.chain import Threshold
from offramp.planner.ir.measure import Measure
from offramp.planner.spec.spec import Against


@dataclass(frozen=True)
class Outcome:
    """A chain with its settings on the N images of the data set.

    `thresholds`: in the unit of the measure, several where each class that means an answer has its own;
    `real_thresholds`: in logits, as probabilities, in nats; None where they differ by class.
    `exit_counts`: images answered by each stage, main last. `means`: cost of an inference by quantity, cycles
    and energy in uJ.
    """

    stages: tuple[str, ...]
    measures: tuple[Measure, ...]
    thresholds: tuple[Threshold, ...]
    real_thresholds: tuple[float | None, ...]
    correct: int
    exit_counts: tuple[int, ...]
    means: Mapping[str, float]

    @property
    def images(self) -> int:
        return sum(self.exit_counts)

    @property
    def accuracy(self) -> float:
        return self.correct / self.images

    def record(self) -> OutcomeRecord:
        """For plan and report."""
        return OutcomeRecord(
            stages=self.stages,
            measures=self.measures,
            thresholds=self.real_thresholds,
            accuracy=self.accuracy,
            shares=tuple(count / self.images for count in self.exit_counts),
            mean_cycles=self.means["cycles"],
            mean_energy_uj=self.means["energy"] or None,
        )


@dataclass(frozen=True)
class Verdict:
    """A chain that was considered: its best settings, None if there are none, and why it was not chosen."""

    stages: tuple[str, ...]
    best: Outcome | None
    reason: str


@dataclass(frozen=True)
class Choice:
    """`method`: `exact`, `gap` (nothing is better by more than `gap`, a share of the cost, or of the images with a
    budget), or `tested` (the cheapest that passed the test for new data).

    `pareto`: by quantity, the fastest or thriftiest outcomes for their accuracy, the most accurate first.
    `candidates`: name and why it was chosen or not. `most`: stages before the last in the longest chains considered.
    `not_placed`: chains that the search had no reason to place.
    """

    chosen: Outcome
    runner_up: Outcome | None
    pareto: Mapping[str, tuple[Outcome, ...]]
    verdicts: tuple[Verdict, ...]
    candidates: tuple[tuple[str, str], ...]
    method: Method
    gap: float
    full_correct: int
    most: int
    not_placed: int
    guarantee: Guarantee | None
    against: Against

    def record(self) -> ChoiceRecord:
        """For plan and report."""
        return ChoiceRecord(
            chosen=self.chosen.record(),
            runner_up=self.runner_up.record() if self.runner_up else None,
            method=self.method,
            gap=self.gap,
            images=self.chosen.images,
            full_accuracy=self.full_correct / self.chosen.images,
            most_early_stages=self.most,
            chains_not_placed=self.not_placed,
            risk=self.guarantee,
            against=self.against,
            candidates=tuple(CandidateRecord(name, reason) for name, reason in self.candidates),
            chains=tuple(
                ChainRecord(one.stages, one.best.record() if one.best else None, one.reason) for one in self.verdicts
            ),
            pareto={key: tuple(one.record() for one in points) for key, points in self.pareto.items()},
        )
