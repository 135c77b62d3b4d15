"""Which candidates become stages, in which order, with which measures and thresholds (docs/CHOOSING.md).

Every chain that the candidates can form has its exact frontier, the least cost for each number of right answers
(`planner.exits.frontier`); the choice is read off these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np

from offramp.configs.errors import CheckFailed, Diagnostic, Infeasible
from offramp.planner.exits.candidates import CandidateProfile, Early
from offramp.planner.exits.choice import Choice, Outcome, Verdict
from offramp.planner.exits.frontier import (
    LARGEST,
    UNREACHED,
    WORK,
    Bools,
    ExitScores,
    Frontier,
    ThresholdSetting,
    to_scores,
)
from offramp.planner.exits.guarantee import Guarantee, certify
from offramp.planner.exits.search import frontier
from offramp.planner.reference.confidence import to_real
from offramp.planner.spec.keys import QUANTITIES
from offramp.planner.spec.spec import ChoiceSpec

UNITS: Mapping[str, int] = {"cycles": 1, "energy": 10**6}  # of a chain's costs (cycles, pJ) in what is shown (uJ)
UNIT_NAMES = {"cycles": "cycles", "energy": "uJ"}
_SHOWN = 0.05  # fall of accuracy down to which the Pareto front is shown
_RELATIVE = 10**9  # main alone, in a weighted sum


@dataclass(frozen=True)
class Cost:
    """A chain that may be chosen. `cost_by_exit`: by quantity (cycles; energy in pJ), of an inference that leaves at
    each stage; empty where `reason` says why the chain cannot be built."""

    early: Early
    cost_by_exit: Mapping[str, tuple[int, ...]]
    reason: str = ""


@dataclass(frozen=True, eq=False)
class _Case:
    """What a choice is made from; `chains`: those that can be built, main alone first."""

    goal: ChoiceSpec
    profiles: tuple[CandidateProfile, ...]
    full: Bools
    chains: tuple[Cost, ...]

    @property
    def work(self) -> int:
        """For one of the searches of a choice: by each quantity, and by the weighted sum or for the test."""
        return WORK // (len(QUANTITIES) + (len(self.goal.weights) > 1 or self.goal.delta is not None))

    def exits(self, chain: Cost, cost_by_exit: tuple[int, ...]) -> ExitScores:
        early = [self.profiles[index] for index in chain.early]
        scores = tuple(
            tuple(
                to_scores(rule.measure, values)
                for rule, values in zip(one.candidate.rules, one.confidence, strict=True)
            )
            for one in early
        )
        return ExitScores(scores, np.stack([*(one.right for one in early), self.full]), cost_by_exit)

    def frontiers(self, weights: Mapping[str, float], together: bool = False) -> list[Frontier]:
        """Of every chain; `together`: only where it is better than the chains before it. A chain leaves the work that
        it does not need to the next ones."""
        lowest = 0 if self.goal.budget else min(self.needed, floor(self.full.sum() - _SHOWN * len(self.full)))
        found: list[Frontier] = []
        work = self.work
        for number, one in enumerate(self.chains):
            share = work // (len(self.chains) - number)
            known = found[-1].cost if found and together else None
            found.append(frontier(self.exits(one, self.objective(one, weights)), max(0, lowest), share, known))
            work -= share - found[-1].work
        return found

    def objective(self, chain: Cost, weights: Mapping[str, float]) -> tuple[int, ...]:
        """What is minimised, by the stage that is left at: a quantity, or a weighted sum relative to main alone."""
        if len(weights) == 1:
            return chain.cost_by_exit[next(iter(weights))]
        largest = max(weights.values())  # the sum of the weights themselves can overflow
        parts = {key: weight / largest for key, weight in weights.items()}
        shares = {key: part / sum(parts.values()) / self.chains[0].cost_by_exit[key][0] for key, part in parts.items()}
        stages = range(len(chain.early) + 1)
        return tuple(
            round(_RELATIVE * sum(share * chain.cost_by_exit[key][at] for key, share in shares.items()))
            for at in stages
        )

    @property
    def needed(self) -> int:
        """Correct answers that are needed to keep the accuracy."""
        return max(0, int(self.full.sum()) - floor((self.goal.accuracy_drop or 0.0) / 100 * len(self.full) + 1e-9))


@dataclass(frozen=True)
class _Pick:
    """The best settings of a chain, by its number. `rank`: the smaller the better."""

    chain: int
    settings: tuple[ThresholdSetting, ...]
    rank: tuple[int, ...]
    guarantee: Guarantee | None = None


def choose(goal: ChoiceSpec, profiles: Sequence[CandidateProfile], full: Bools, costs: Sequence[Cost]) -> Choice:
    """The chain and settings that meet the goal best. `full`: for which images main is right, (N,). `costs`: of all
    chains, main alone first. Infeasible if main alone cannot be built or no chain keeps to the budget; ValueError if
    there are too few images for the guarantee on new data.
    """
    if costs[0].reason:
        raise Infeasible(Diagnostic(goal.where, costs[0].reason))
    case = _Case(goal, tuple(profiles), full, tuple(one for one in costs if not one.reason))
    weights = {goal.budget[0]: 1.0} if goal.budget else goal.weights
    own = [] if goal.delta else case.frontiers(weights)
    fronts = {
        key: own if own and list(weights) == [key] else case.frontiers({key: 1.0}, together=True) for key in QUANTITIES
    }
    if goal.budget:
        picks, gap = _within_budget(case, own, *goal.budget)
    else:
        picks, gap = _tested(case, goal.delta) if goal.delta else _accurate(case, own)
    ranked = sorted(picks, key=lambda one: one.rank)
    outcomes = {one.chain: _outcome(case, one.chain, one.settings) for one in ranked}
    chosen = outcomes[ranked[0].chain]
    verdicts = _verdicts(case, costs, outcomes, chosen)
    return Choice(
        chosen=chosen,
        runner_up=next((one for one in outcomes.values() if one is not chosen and not _idle(one)), None),
        pareto={key: _pareto(case, fronts[key]) for key in QUANTITIES},
        verdicts=verdicts,
        candidates=tuple(_about(one.candidate.name, verdicts, list(outcomes.values())) for one in profiles),
        method="tested" if goal.delta else "gap" if gap else "exact",
        gap=gap,
        full_correct=int(full.sum()),
        most=max(len(one.early) for one in costs),
        guarantee=ranked[0].guarantee,
    )


def _accurate(case: _Case, fronts: Sequence[Frontier]) -> tuple[list[_Pick], float]:
    """Every chain at its cheapest within the fall of accuracy."""
    picks = []
    for chain, one in enumerate(fronts):
        if one.cost[case.needed] < UNREACHED:
            right = one.best(case.needed)
            picks.append(_Pick(chain, one.setting(right), (int(one.cost[right]), -right, chain)))
    cost = min(one.rank[0] for one in picks)
    bound = min(int(one.bound[case.needed]) for one in fronts)
    return picks, (cost - bound) / cost


def _within_budget(case: _Case, fronts: Sequence[Frontier], quantity: str, amount: float) -> tuple[list[_Pick], float]:
    """Every chain at its most accurate within the budget."""
    images = len(case.full)
    # As the decimal that the user wrote; nothing that is reached costs as much as UNREACHED.
    most = min(floor(Fraction(repr(amount)) * UNITS[quantity] * images), UNREACHED - 1)
    picks = []
    for chain, one in enumerate(fronts):
        if one.cost[0] <= most:
            right = int(np.searchsorted(one.cost, most, side="right")) - 1
            picks.append(_Pick(chain, one.setting(right), (-right, int(one.cost[right]), chain)))
    if not picks:
        raise _too_dear(case, fronts, quantity, amount, most)
    right = -min(one.rank[0] for one in picks)
    bound = max(int(np.searchsorted(one.bound, most, side="right")) - 1 for one in fronts)
    return picks, (bound - right) / images


def _too_dear(
    case: _Case, fronts: Sequence[Frontier], quantity: str, amount: float, most: int
) -> Infeasible | CheckFailed:
    """Infeasible or CheckFailed where nothing keeps to the budget."""
    found = f"`budget` of {amount:g} {UNIT_NAMES[quantity]}"
    if any(one.bound[0] <= most for one in fronts):
        least, reached = min(int(one.cost[0]) for one in fronts), "the least that was found"
        kind: type[Infeasible | CheckFailed] = CheckFailed
    else:
        least, reached, kind = min(int(one.bound[0]) for one in fronts), "the least possible", Infeasible
    shown = ceil(Fraction(1000 * least, len(case.full) * UNITS[quantity])) / 1000  # never below what is possible
    return kind(Diagnostic(case.goal.where, f"{found}; {reached} is {shown:,.3f}"))


def _tested(case: _Case, delta: float) -> tuple[list[_Pick], float]:
    """Every chain at the cheapest settings that passed and keep the accuracy on the given images too, and main alone,
    which loses nothing."""
    given = [case.exits(one, case.objective(one, case.goal.weights)) for one in case.chains]
    chains = [ExitScores(one.scores, one.right | ~case.full, one.cost_by_exit) for one in given]
    picks = {0: _Pick(0, (), (chains[0].cost_by_exit[0] * len(case.full), 0))}
    for passed in certify(chains, (case.goal.accuracy_drop or 0.0) / 100, delta, case.work // len(chains)):
        if given[passed.chain].correct(passed.settings) < case.needed:
            continue
        exit_index = chains[passed.chain].exit_index(passed.settings)
        rank = (int(np.array(chains[passed.chain].cost_by_exit)[exit_index].sum()), passed.chain)
        picks.setdefault(passed.chain, _Pick(passed.chain, passed.settings, rank, passed.guarantee))
    return list(picks.values()), 0.0


def _outcome(case: _Case, chain: int, settings: tuple[ThresholdSetting, ...]) -> Outcome:
    cost = case.chains[chain]
    exits = case.exits(cost, cost.cost_by_exit["cycles"])
    exit_index = exits.exit_index(settings)
    left = np.bincount(exit_index, minlength=len(settings) + 1)
    early = [case.profiles[index].candidate for index in cost.early]
    rules = [one.rules[setting.measure] for one, setting in zip(early, settings, strict=True)]
    thresholds = [
        LARGEST - setting.score if rule.measure == "entropy" else setting.score
        for rule, setting in zip(rules, settings, strict=True)
    ]
    return Outcome(
        stages=_names(case.goal, case.profiles, cost.early),
        measures=tuple(rule.measure for rule in rules),
        thresholds=tuple(thresholds),
        real_thresholds=tuple(
            to_real(rule.measure, value, rule.fraction_bits) for rule, value in zip(rules, thresholds, strict=True)
        ),
        correct=exits.correct(settings),
        exit_counts=tuple(left.tolist()),
        means={
            key: float(left @ np.array(cost.cost_by_exit[key])) / len(exit_index) / UNITS[key] for key in QUANTITIES
        },
    )


def _names(goal: ChoiceSpec, profiles: Sequence[CandidateProfile], early: Early) -> tuple[str, ...]:
    return (*(profiles[index].candidate.name for index in early), goal.main)


def _pareto(case: _Case, fronts: Sequence[Frontier]) -> tuple[Outcome, ...]:
    """The points of some frontiers that no other point beats, the most accurate first."""
    least = np.min([one.cost for one in fronts], axis=0)
    lowest = 0 if case.goal.budget else max(0, min(case.needed, floor(case.full.sum() - _SHOWN * len(case.full))))
    points = []
    for right in range(len(least) - 1, lowest - 1, -1):
        higher = int(least[right + 1]) if right + 1 < len(least) else UNREACHED
        if least[right] < higher:
            chain = next(number for number, one in enumerate(fronts) if one.cost[right] == least[right])
            points.append(_outcome(case, chain, fronts[chain].setting(right)))
    return tuple(points)


def _verdicts(
    case: _Case, costs: Sequence[Cost], outcomes: Mapping[int, Outcome], chosen: Outcome
) -> tuple[Verdict, ...]:
    numbers = {one.early: number for number, one in enumerate(case.chains)}
    verdicts = []
    for one in costs:
        best = outcomes.get(numbers[one.early]) if not one.reason else None
        reason = one.reason or _reason(case.goal, best, chosen)
        verdicts.append(Verdict(_names(case.goal, case.profiles, one.early), best, reason))
    return tuple(verdicts)


def _reason(goal: ChoiceSpec, best: Outcome | None, chosen: Outcome) -> str:
    """Why a chain was not chosen."""
    if best is chosen:
        return "chosen"
    if best is None:
        if goal.budget:
            return "costs more than the budget"
        return "not among the settings that passed the test" if goal.delta else "no thresholds keep to the limit"
    idle = _idle(best)
    if idle:
        return f"no image would leave at {', '.join(idle)}"
    if goal.budget and best.correct < chosen.correct:
        return f"{100 * (chosen.accuracy - best.accuracy):.2f} points less accurate"
    keys = [goal.budget[0]] if goal.budget else list(goal.weights)
    more = ", ".join(f"{best.means[key] / chosen.means[key] - 1:+.1%} {key}" for key in keys)
    return more


def _idle(one: Outcome) -> tuple[str, ...]:
    """Early stages at which no image leaves."""
    return tuple(name for name, count in zip(one.stages[:-1], one.exit_counts, strict=False) if not count)


def _about(name: str, verdicts: Sequence[Verdict], ranked: Sequence[Outcome]) -> tuple[str, str]:
    """Why a candidate was not chosen: the best chain with it. `ranked`: of all chains, the best first."""
    chosen = ranked[0]
    if name in chosen.stages:
        share = chosen.exit_counts[chosen.stages.index(name)] / chosen.images
        return name, f"chosen: answers {share:.1%} of the images"
    own = [one for one in ranked if name in one.stages]
    best = next((one for one in own if not _idle(one)), own[0] if own else None)
    if best is None:
        return name, next(one.reason for one in verdicts if name in one.stages)
    reason = next(one.reason for one in verdicts if one.best is best)
    share = best.exit_counts[best.stages.index(name)] / best.images
    return name, f"at best, as {' > '.join(best.stages)}: {reason}; answers {share:.1%} of the images there"
