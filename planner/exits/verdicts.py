"""Why each chain and each candidate was chosen or not, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from offramp.planner.exits.choice import Outcome, Verdict
from offramp.planner.spec.spec import ChoiceSpec

UNITS: Mapping[str, int] = {"cycles": 1, "energy": 10**6}  # of a chain's costs (cycles, pJ) in what is shown (uJ)
UNIT_NAMES = {"cycles": "cycles", "energy": "uJ"}


def verdicts(
    goal: ChoiceSpec, chains: Sequence[tuple[tuple[str, ...], str, Outcome | None]], chosen: Outcome
) -> tuple[Verdict, ...]:
    """`chains`: names of the stages, why it cannot be built, and the best settings, of every chain that was placed."""
    return tuple(Verdict(stages, best, reason or _reason(goal, best, chosen)) for stages, reason, best in chains)


def _reason(goal: ChoiceSpec, best: Outcome | None, chosen: Outcome) -> str:
    """Why a chain was not chosen."""
    if best is chosen:
        return "chosen"
    if best is None:
        if goal.budget:
            return "costs more than the budget"
        tested = "not among the settings that were tested and passed; `risk` tests those of one chain only"
        return tested if goal.delta else "no thresholds keep to the limit"
    unused = idle(best)
    if unused:
        return f"no image would leave at {', '.join(unused)}"
    if goal.budget and best.correct < chosen.correct:
        return f"{100 * (chosen.accuracy - best.accuracy):.2f} points less accurate"
    keys = [goal.budget[0]] if goal.budget else list(goal.weights)
    more = ", ".join(f"{best.means[key] / chosen.means[key] - 1:+.1%} {key}" for key in keys)
    return more


def idle(one: Outcome) -> tuple[str, ...]:
    """Early stages at which no image leaves."""
    return tuple(name for name, count in zip(one.stages[:-1], one.exit_counts, strict=False) if not count)


def about(name: str, verdicts: Sequence[Verdict], ranked: Sequence[Outcome]) -> tuple[str, str]:
    """Why a candidate was not chosen: the best chain with it. `ranked`: of all chains, the best first."""
    chosen = ranked[0]
    if name in chosen.stages:
        share = chosen.exit_counts[chosen.stages.index(name)] / chosen.images
        return name, f"chosen, answers {share:.1%} of the images"
    own = [one for one in ranked if name in one.stages]
    best = next((one for one in own if not idle(one)), own[0] if own else None)
    if best is None:
        return name, next(one.reason for one in verdicts if name in one.stages)
    reason = next(one.reason for one in verdicts if one.best is best)
    share = best.exit_counts[best.stages.index(name)] / best.images
    return name, f"at best, as {' > '.join(best.stages)}: {reason}; answers {share:.1%} of the images there"
