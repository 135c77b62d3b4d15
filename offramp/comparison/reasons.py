"""Why a plan is as it is, in words and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from offramp.pipeline.planning import Planned
from offramp.planner.exits.guarantee import in_points
from offramp.planner.exits.records import ChoiceRecord, OutcomeRecord

CHAINS = 40  # in the table; the rest is counted


@dataclass(frozen=True)
class ChainRow:
    """A chain that was compared. `shares`: of the images that leave at each stage. Figures are None where no settings
    of it keep to the goal."""

    stages: str
    reason: str
    accuracy: float | None
    cycles: float | None
    energy: float | None
    shares: str


@dataclass(frozen=True)
class Reasons:
    """`how`: sentences. `candidates`: names and reasons. `more`: chains that are not among `chains`."""

    how: tuple[str, ...]
    candidates: tuple[tuple[str, str], ...]
    chains: tuple[ChainRow, ...]
    more: int


def reasons_of(made: Planned) -> Reasons:
    """Of a plan of ours."""
    plan, choice = made.plan, made.plan.choice
    if choice:
        candidates = tuple((one.name, one.reason) for one in choice.candidates)
        rows = tuple(_chain(one.stages, one.reason, one.best) for one in choice.chains[:CHAINS])
        return Reasons(_chosen(choice), candidates, rows, len(choice.chains) - len(rows))
    if len(made.chain.stages) == 1:
        return Reasons(("There is one stage: nothing was to be chosen.",), (), (), 0)
    return Reasons(_thresholds(made), (), (), 0) if plan.calibration else Reasons((_GIVEN,), (), (), 0)


_GIVEN = "The spec names the stages and gives their thresholds: nothing was chosen."


def _chain(stages: Sequence[str], reason: str, best: OutcomeRecord | None) -> ChainRow:
    name = " > ".join(stages)
    if best is None:
        return ChainRow(name, reason, None, None, None, "")
    shares = ", ".join(f"{share:.1%}" for share in best.shares)
    return ChainRow(name, reason, best.accuracy, best.mean_cycles, best.mean_energy_uj, shares)


def _chosen(choice: ChoiceRecord) -> tuple[str, ...]:
    names, count = " > ".join(choice.chosen.stages), len(choice.candidates)
    many = f"{count:,} candidate{'s' if count != 1 else ''}"
    found = [f"{names} was chosen out of {many} on {choice.images:,} images, {_method(choice.method, choice.gap)}."]
    if choice.runner_up:
        one = choice.runner_up
        more = one.mean_cycles / choice.chosen.mean_cycles - 1
        found.append(f"The best other chain is {' > '.join(one.stages)}, with {more:+.1%} mean cycles.")
    if choice.chains_not_placed:
        found.append(f"{choice.chains_not_placed:,} more chains were not placed: none could be better.")
    return tuple(found)


def _thresholds(made: Planned) -> tuple[str, ...]:
    known = made.plan.calibration
    assert known
    limit = "" if known.accuracy_drop is None else f" within {in_points(known.accuracy_drop / 100)} of accuracy"
    what = f"The spec names the stages; their thresholds are those with the fewest mean cycles{limit}"
    return (f"{what} on {known.images:,} calibration images, {_method(known.method, known.gap)}.",)


def _method(method: str, gap: float) -> str:
    return {
        "exact": "and it is proved that nothing is better there",
        "gap": f"and nothing is better there by more than {gap:.1%}",
        "tested": "of all that passed the test of new data",
    }[method]
