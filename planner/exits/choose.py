"""Which candidates become stages, in which order, with which measures and thresholds (docs/CHOOSING.md).

All chains that the candidates can form are searched together (`planner.exits.search`); those that are not placed yet
are placed if the search finds that they could be the best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

import numpy as np

from offramp.configs.errors import CheckFailed, Diagnostic, Infeasible
from offramp.planner.exits.best import ByMeasure, ChainCosts, Found, add_measures
from offramp.planner.exits.candidates import CandidateProfile, Early
from offramp.planner.exits.choice import Choice, Outcome
from offramp.planner.exits.frontier import LARGEST, UNREACHED, WORK, Bools, CandidateScores, ThresholdSetting
from offramp.planner.exits.goal import AtLeast, Goal, Within
from offramp.planner.exits.guarantee import Guarantee, Learning, certify_chains
from offramp.planner.exits.pool import make_pool
from offramp.planner.exits.search import Search
from offramp.planner.exits.verdicts import UNIT_NAMES, UNITS, about, idle, verdicts
from offramp.planner.reference.confidence import to_real
from offramp.planner.spec.keys import QUANTITIES
from offramp.planner.spec.spec import ChoiceSpec
from offramp.planner.tasks.executor import IN_PROCESS, Executor

_SHOWN = 0.05  # fall of accuracy down to which the Pareto front is looked for
_POINTS = 250  # of a Pareto front that are shown at most
_RELATIVE = 10**9  # main alone, in a weighted sum
_SHARE = 0.7  # of the work that is for the choice itself, before other chains and the Pareto fronts


@dataclass(frozen=True)
class Cost:
    """A chain that may be chosen. `cost_by_exit`: by quantity (cycles; energy in pJ), of an inference that leaves at
    each stage, with the cheapest measures; empty where `reason` says why the chain cannot be built. `placed`: these are
    its costs; else none of them is more. `more`: by quantity, what measures cost besides, as in ChainCosts."""

    early: Early
    cost_by_exit: Mapping[str, tuple[int, ...]]
    reason: str = ""
    placed: bool = True
    more: Mapping[str, ByMeasure] = field(default_factory=dict)

    def by_exit(self, quantity: str, measures: Sequence[int]) -> tuple[int, ...]:
        """With the measures of all stages."""
        return add_measures(self.cost_by_exit[quantity], self.more.get(quantity, ()), measures)


PlaceChains = Callable[[Sequence[Cost]], Sequence[Cost]]  # the same chains, placed


class _Case:
    """Everything a choice is made from. `costs`: of all chains, main alone first; those that are placed meanwhile
    get theirs."""

    def __init__(
        self,
        goal: ChoiceSpec,
        profiles: Sequence[CandidateProfile],
        full: Bools,
        costs: Sequence[Cost],
        place: PlaceChains | None,
        executor: Executor,
    ) -> None:
        self.goal, self.profiles, self.full, self.executor = goal, profiles, full, executor
        self.costs, self.placing = list(costs), place
        exits = [one.exits() for one in profiles]  # several of a candidate with thresholds by class
        right = [one.right for one, own in zip(profiles, exits, strict=True) for _ in own]
        self.scores = CandidateScores(tuple(one for own in exits for one in own), np.stack([*right, full]))
        ends = np.cumsum([len(own) for own in exits]).tolist()
        self.numbers = [range(end - len(own), end) for end, own in zip(ends, exits, strict=True)]

    @property
    def needed(self) -> int:
        """Right answers that keep the accuracy."""
        return max(0, int(self.full.sum()) - floor((self.goal.accuracy_drop or 0.0) / 100 * len(self.full) + 1e-9))

    @property
    def lowest(self) -> int:
        """Right answers down to which the Pareto fronts are shown."""
        return 0 if self.goal.budget else max(0, min(self.needed, floor(self.full.sum() - _SHOWN * len(self.full))))

    @property
    def aim(self) -> Goal:
        """What the search looks for."""
        if not self.goal.budget:
            return AtLeast(self.needed)
        quantity, amount = self.goal.budget
        # As the decimal that the user wrote; nothing that is reached costs as much as UNREACHED.
        return Within(min(floor(Fraction(repr(amount)) * UNITS[quantity] * len(self.full)), UNREACHED - 1))

    def exits(self, early: Early) -> Early:
        """Numbers of the exits of some candidates, as in `scores`."""
        return tuple(number for one in early for number in self.numbers[one])

    def owners(self, early: Early) -> tuple[int, ...]:
        """The stage of a chain that each of its exits belongs to, main's the last."""
        return (*(stage for stage, one in enumerate(early) for _ in self.numbers[one]), len(early))

    def chains(self) -> dict[int, ChainCosts]:
        """Chains that can be built, as far as is known."""
        return {number: self.chain(one) for number, one in enumerate(self.costs) if not one.reason}

    def chain(self, cost: Cost) -> ChainCosts:
        """What is minimised comes first, then all quantities."""
        quantities = tuple(cost.cost_by_exit[key] for key in QUANTITIES)
        if self.goal.per_class:  # with one measure, which costs nothing besides
            costs = (self.objective(cost.cost_by_exit), *quantities)
            spread = tuple(tuple(own[stage] for stage in self.owners(cost.early)) for own in costs)
            return ChainCosts(self.exits(cost.early), spread, cost.placed)
        more = tuple(cost.more[key] for key in QUANTITIES if cost.more)
        if more:
            stages = [zip(*own, strict=True) for own in zip(*more, strict=True)]
            objective = (
                tuple(self.objective(dict(zip(QUANTITIES, one, strict=True))) for one in own) for own in stages
            )
            more = (tuple(objective), *more)
        return ChainCosts(cost.early, (self.objective(cost.cost_by_exit), *quantities), cost.placed, more)

    def objective(self, cost_by_exit: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """What is minimised, by the stage that is left at: a quantity, or a weighted sum relative to main alone."""
        weights = {self.goal.budget[0]: 1.0} if self.goal.budget else self.goal.weights
        if len(weights) == 1:
            return cost_by_exit[next(iter(weights))]
        largest = max(weights.values())  # the sum of the weights themselves can overflow
        parts = {key: weight / largest for key, weight in weights.items()}
        shares = {key: part / sum(parts.values()) / self.costs[0].cost_by_exit[key][0] for key, part in parts.items()}
        stages = range(len(next(iter(cost_by_exit.values()))))
        return tuple(
            round(_RELATIVE * sum(share * cost_by_exit[key][at] for key, share in shares.items())) for at in stages
        )

    def place(self, numbers: Sequence[int]) -> list[ChainCosts | None]:
        """Place some chains."""
        assert self.placing is not None
        for number, cost in zip(numbers, self.placing([self.costs[number] for number in numbers]), strict=True):
            self.costs[number] = cost
        return [None if self.costs[one].reason else self.chain(self.costs[one]) for one in numbers]

    def search(self, work: int) -> Search:
        """A search of all chains."""
        search = Search(make_pool(self.scores.scores, self.scores.right), self.aim, self.executor, work)
        for number, one in self.chains().items():
            search.add(number, one)
        return search


@dataclass(frozen=True)
class _Pick:
    """The best settings of a chain, by its number. `rank`: the smaller the better."""

    chain: int
    settings: tuple[ThresholdSetting, ...]
    rank: tuple[int, ...]
    guarantee: Guarantee | None = None


def choose(
    goal: ChoiceSpec,
    profiles: Sequence[CandidateProfile],
    full: Bools,
    costs: Sequence[Cost],
    place: PlaceChains | None = None,
    tasks: Executor = IN_PROCESS,
) -> Choice:
    """The chain and settings that serve the goal best.

    `full`: where main is right, (N,). `costs`: of all chains, main alone first and placed. Infeasible if main alone
    cannot be built or no chain keeps to the budget; ValueError if there are too few images for the guarantee on new
    data.
    """
    if costs[0].reason:
        raise Infeasible(Diagnostic(goal.where, costs[0].reason))
    case = _Case(goal, profiles, full, costs, place, tasks)
    passed = _tested(case, goal.delta) if goal.delta else None
    search = case.search(WORK // 2 if passed else WORK)
    search.run(_SHARE, case.place if place and not passed else None)
    if passed is None:
        search.run_own()
    search.try_all()
    for number, _ in enumerate(QUANTITIES):
        search.sketch(1 + number, case.lowest)
    picks, gap = (passed, 0.0) if passed else _found(case, search)
    ranked = sorted(picks, key=lambda one: one.rank)
    outcomes = {one.chain: _outcome(case, one.chain, one.settings) for one in ranked}
    chosen = outcomes[ranked[0].chain]
    listed = verdicts(
        case.goal,
        [
            (_names(case, one.early), one.reason, outcomes.get(number))
            for number, one in enumerate(case.costs)
            if one.placed
        ],
        chosen,
    )
    return Choice(
        chosen=chosen,
        runner_up=next((one for one in outcomes.values() if one is not chosen and not idle(one)), None),
        pareto={key: _pareto(case, search, 1 + number) for number, key in enumerate(QUANTITIES)},
        verdicts=listed,
        candidates=tuple(about(one.candidate.name, listed, list(outcomes.values())) for one in profiles),
        method="tested" if goal.delta else "gap" if gap else "exact",
        gap=gap,
        full_correct=int(full.sum()),
        most=max(len(one.early) for one in costs),
        not_placed=sum(not one.placed for one in case.costs),
        guarantee=ranked[0].guarantee,
        against=goal.against,
    )


def _found(case: _Case, search: Search) -> tuple[list[_Pick], float]:
    """Every chain at its best, and how much better than the best of them anything could be, as a share."""
    if search.top is None:
        raise _too_dear(case)
    picks = [_pick(search, found) for found in search.own.values()]
    best = search.rank(search.top)[0]
    bound = ceil(search.bound())
    return picks, (best - bound) / (len(case.full) if case.goal.budget else max(1, best))


def _pick(search: Search, found: Found) -> _Pick:
    settings = search.chains[found.chain].thresholds(search.pool, found.measures, found.cuts)
    return _Pick(found.chain, settings, (*(search.goal.rank(found.right, found.cost) or ()), found.chain))


def _too_dear(case: _Case) -> Infeasible | CheckFailed:
    """Nothing keeps to a budget: proved, or not found by a search that was stopped."""
    assert case.goal.budget is not None
    quantity, amount = case.goal.budget
    search = case.search(WORK)
    search.aim(AtLeast(0))
    search.run()
    assert search.top is not None
    least, bound = search.top.cost, ceil(search.bound())
    found = f"`budget` of {amount:g} {UNIT_NAMES[quantity]}"
    proved = case.aim.rank(0, bound) is None
    reached = "the least possible" if proved else "the least that was found"
    # Never below what is possible.
    shown = ceil(Fraction(1000 * (bound if proved else least), len(case.full) * UNITS[quantity])) / 1000
    kind: type[Infeasible | CheckFailed] = Infeasible if proved else CheckFailed
    return kind(Diagnostic(case.goal.where, f"{found}; {reached} is {shown:,.3f}"))


def _tested(case: _Case, delta: float) -> list[_Pick]:
    """Every chain at the cheapest settings that passed and keep the accuracy on the given images too, and main alone,
    which loses nothing."""
    kept = CandidateScores(case.scores.scores, case.scores.right | ~case.full)
    learning = Learning(WORK // 2, case.executor, case.place if case.placing else None)
    picks = {0: _Pick(0, (), (case.objective(case.costs[0].cost_by_exit)[0] * len(case.full), 0))}
    rate = (case.goal.accuracy_drop or 0.0) / 100
    for passed in certify_chains(kept, case.chains(), rate, delta, learning):
        chain = case.chain(case.costs[passed.chain])
        by_exit = chain.by_exit(0, [one.measure for one in passed.settings])
        exits = case.scores.exits(chain.early, by_exit)
        if passed.chain not in picks and exits.correct(passed.settings) >= case.needed:
            rank = (int(np.array(by_exit)[exits.exit_index(passed.settings)].sum()), passed.chain)
            picks[passed.chain] = _Pick(passed.chain, passed.settings, rank, passed.guarantee)
    return list(picks.values())


def _outcome(case: _Case, chain: int, settings: tuple[ThresholdSetting, ...]) -> Outcome:
    cost, owners = case.costs[chain], np.array(case.owners(case.costs[chain].early))
    exits = case.scores.exits(case.exits(cost.early), case.chain(cost).costs[0])
    exit_index = owners[exits.exit_index(settings)]
    left = np.bincount(exit_index, minlength=len(cost.early) + 1)
    own = [[one for one, of in zip(settings, owners, strict=False) if of == stage] for stage in range(len(cost.early))]
    chosen = [stage[0].measure for stage in own]
    rules = [case.profiles[one].candidate.rules[at] for one, at in zip(cost.early, chosen, strict=True)]
    thresholds = [
        tuple(LARGEST - one.score if rule.measure == "entropy" else one.score for one in stage)
        for rule, stage in zip(rules, own, strict=True)
    ]
    return Outcome(
        stages=_names(case, cost.early),
        measures=tuple(rule.measure for rule in rules),
        thresholds=tuple(values if case.goal.per_class else values[0] for values in thresholds),
        real_thresholds=tuple(
            None if case.goal.per_class else to_real(rule.measure, values[0], rule.fraction_bits)
            for rule, values in zip(rules, thresholds, strict=True)
        ),
        correct=exits.correct(settings),
        exit_counts=tuple(left.tolist()),
        means={
            key: float(left @ np.array(cost.by_exit(key, chosen))) / len(exit_index) / UNITS[key] for key in QUANTITIES
        },
    )


def _names(case: _Case, early: Early) -> tuple[str, ...]:
    return (*(case.profiles[index].candidate.name for index in early), case.goal.main)


def _pareto(case: _Case, search: Search, quantity: int) -> tuple[Outcome, ...]:
    """Settings that no other ones beat in accuracy and a quantity, the most accurate first; some of them if they are
    many."""
    points = search.best[quantity].points(case.lowest)
    if len(points) > _POINTS:
        points = [points[at] for at in np.linspace(0, len(points) - 1, _POINTS).round().astype(int).tolist()]
    return tuple(
        _outcome(case, one.chain, search.chains[one.chain].thresholds(search.pool, one.measures, one.cuts))
        for one in points
    )
