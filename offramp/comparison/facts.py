"""What a page says of a model of ours besides where it lies in memory."""

from __future__ import annotations

from dataclasses import dataclass

from offramp.comparison.fronts import front_of
from offramp.comparison.reasons import Reasons, reasons_of
from offramp.comparison.samples import StageSamples, samples_of
from offramp.comparison.trial import CALIBRATION, Trial, trial_of
from offramp.comparison.ways import Way, ways_of
from offramp.pipeline.evaluate import Evaluation
from offramp.pipeline.judged import judged_again
from offramp.pipeline.planning import Planned


@dataclass(frozen=True)
class Reached:
    """What thresholds reach on the calibration data: (mean cost, accuracy) by kind of cost; energy in uJ."""

    cycles: tuple[tuple[float, float], ...]
    energy: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Facts:
    """`trial`: or why nothing can be tried. `reached`: None without calibration data. `samples`: of each stage, none
    without test data."""

    model: str
    trial: Trial | str
    reached: Reached | None
    ways: tuple[Way, ...]
    samples: tuple[StageSamples, ...]
    reasons: Reasons

    @property
    def layer_count(self) -> int:
        """Of all stages."""
        return sum(part.layer is not None for part in self.ways[-1].parts)


def facts_of(made: Planned, evaluation: Evaluation | None) -> Facts:
    """Of a model. What its thresholds were chosen on is run again where that was not done just now."""
    shares = tuple(evaluation.share(index) if evaluation else None for index in range(len(made.chain.stages)))
    judged = made.judged or judged_again(made.plan, made.device)
    trial = trial_of(made, evaluation, judged)
    return Facts(
        model=made.plan.spec.name,
        trial=trial,
        reached=None if isinstance(trial, str) else _reached(trial),
        ways=ways_of(made, shares),
        samples=samples_of(made, evaluation) if evaluation else (),
        reasons=reasons_of(made),
    )


def _reached(trial: Trial) -> Reached | None:
    found = next((one for one in trial.sets if one.name == CALIBRATION), None)
    if found is None:
        return None
    energy = front_of(trial, found, trial.picojoules) if any(trial.picojoules) else ()
    return Reached(front_of(trial, found, trial.cycles), tuple((cost / 10**6, right) for cost, right in energy))
