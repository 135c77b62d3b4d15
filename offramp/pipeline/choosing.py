"""`exits: auto`: chains of the candidates are placed where they may be the best, and the best one becomes the plan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from offramp.codegen.lower import Lowered, lower, with_thresholds
from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, Infeasible, InputError
from offramp.host.progress import Progress
from offramp.pipeline.chains import IN_ORDER, calibration_data, chain_budget
from offramp.pipeline.judged import Judged
from offramp.pipeline.warnings import data_warnings
from offramp.planner.allocation.budget import Budget, checking, energy_budget
from offramp.planner.allocation.place import place
from offramp.planner.allocation.reload import FLASH
from offramp.planner.chain.build import build_chain, freed_processors, with_exits
from offramp.planner.chain.sources import Sources, load_compared
from offramp.planner.exits.best import ByMeasure
from offramp.planner.exits.calibrate import Calibrated
from offramp.planner.exits.candidates import (
    CandidateProfile,
    Candidates,
    Early,
    chains_of,
    chosen_spec,
    load_candidates,
    profile_candidates,
)
from offramp.planner.exits.choice import Choice
from offramp.planner.exits.choose import Cost, choose
from offramp.planner.exits.frontier import Bools
from offramp.planner.hardware.cycles import START_CYCLES, Cycles
from offramp.planner.hardware.energy import Energy, core_energy
from offramp.planner.ir.chain import with_threshold
from offramp.planner.ir.network import Network
from offramp.planner.plan import Plan
from offramp.planner.reference.exits import by_class
from offramp.planner.rules.check import check_chain, check_network
from offramp.planner.spec.auto import without_energy
from offramp.planner.spec.spec import AutoSpec
from offramp.planner.tasks.executor import IN_PROCESS, Executor

MOST_CHAINS = 20_000
TOLD = 16  # chains that are placed between two lines of progress
PLACED_FIRST = 64  # so many chains are all placed; of more, those with one candidate, and others when they may be best

_FOLDERS = re.compile(r"[^\s(]*/(?=[^\s/]*\.ya?ml\b)")  # a plan is the same wherever its files lie


Checks = tuple[tuple[int, ...], ...]  # what looking at each stage's logits costs, by measure and stage


@dataclass(frozen=True, eq=False)
class Built:
    """A chain of candidates, placed and lowered, and its cost; `lowered` is None where `cost` says why. By quantity:
    `budgets`, with the cheapest measures and every stage in a single run, and `checks`."""

    cost: Cost
    lowered: Lowered | None
    budgets: Mapping[str, Budget[Cycles] | Budget[Energy]]
    checks: Mapping[str, Checks]


@dataclass(frozen=True, eq=False)
class Setting:
    """What placing a chain needs. `suggests`: where it cannot be built, the reason says what would fit instead."""

    candidates: Candidates
    sources: Sources
    device: Device
    suggests: bool = True


class Builder:
    """Places chains, `built`, as they are asked for. `chains`: all of them, main alone first."""

    def __init__(
        self, candidates: Candidates, sources: Sources, device: Device, progress: Progress, tasks: Executor = IN_PROCESS
    ) -> None:
        """Places the first chains. InputError if there are too many to be searched."""
        self.setting, self.progress, self.tasks = Setting(candidates, sources, device), progress, tasks
        self.chains = chains_of(candidates.entries)
        self.built: dict[Early, Built] = {}
        if len(self.chains) > MOST_CHAINS:
            count = len(candidates.entries)
            found = f"{count} candidates can form {len(self.chains):,} chains; {MOST_CHAINS:,} are allowed"
            raise InputError(Diagnostic(candidates.spec.choice.where, f"{found}: leave some candidates out"))
        few = len(self.chains) <= PLACED_FIRST
        self._build([chain for chain in self.chains if few or len(chain) < 2])

    def costs(self) -> list[Cost]:
        """Of all chains, as far as they are known."""
        return [self.built[chain].cost if chain in self.built else self._lower(chain) for chain in self.chains]

    def place(self, costs: Sequence[Cost]) -> list[Cost]:
        """Place some chains."""
        self._build([one.early for one in costs])
        return [self.built[cost.early].cost for cost in costs]

    def _build(self, chains: Sequence[Early]) -> None:
        wanted = [chain for chain in chains if chain not in self.built]
        for start in range(0, len(wanted), TOLD):
            part = wanted[start : start + TOLD]
            self.progress.count(
                "placing chains of the candidates", len(self.built), len(self.built) + len(wanted) - start
            )
            self.built |= zip(part, self.tasks.map(built_chain, self.setting, part), strict=True)

    def _lower(self, early: Early) -> Cost:
        """Costs of a chain without its switches, from the chains with one candidate each."""
        single = [self.built[one,] for one in early]
        failed = next((one.cost.reason for one in single if one.cost.reason), "")
        if failed:
            return Cost(early, {}, failed)
        hardware = [self.setting.candidates.entries[one].hardware for one in early]
        costs, more = {}, {}
        for key, first in single[0].budgets.items():
            budgets = [one.budgets[key] for one in single]
            looks = _looks([one.checks[key] for one in single], hardware[0])
            # Of each stage its start, which there is none of behind a hardware exit, and check; of the last one those
            # it has after the last candidate.
            starts = [0 if on else one.starts[0].amount for one, on in zip(budgets, (False, *hardware), strict=False)]
            starts.append(budgets[-1].starts[-1].amount)
            around = list(zip(starts, map(min, zip(*looks, strict=True)), strict=True))
            stages = [own + sum(more) for own, more in zip(self._stages(early, key), around, strict=True)]
            costs[key] = tuple(first.loads[0].amount + total for total in accumulate(stages))
            more[key] = _more(looks)
        return Cost(early, costs, placed=False, more=more)

    def _stages(self, early: Early, quantity: str) -> list[int]:
        """What each stage takes, if it is one run: where main is cut, the first stage with the head less what ran
        before."""
        entries = self.setting.candidates.entries
        whole = self.built[()].budgets[quantity].stages[0].amount
        stages, rest = [], whole
        for one in early:
            first, last = (part.amount for part in self.built[one,].budgets[quantity].stages)
            stages.append(first if entries[one].cut is None else max(0, first - (whole - rest)))
            rest = rest if entries[one].cut is None else last
        return [*stages, rest]


def choose_plan(
    spec: AutoSpec, sources: Sources, device: Device, progress: Progress, tasks: Executor = IN_PROCESS
) -> tuple[Plan, Lowered, Judged]:
    """The plan with the best chain, its programs, and its stages on the data that it was chosen on. OfframpError lists
    everything that prevents it."""
    if impossible := without_energy(spec.choice, device):
        raise InputError(impossible)
    candidates = load_candidates(spec, sources, device)
    if spec.choice.delta is not None and candidates.rolling:
        raise InputError(Diagnostic(spec.choice.where, IN_ORDER))
    compared = load_compared(spec, sources, device)
    networks = [candidates.main, *compared.values()]
    problems = [problem for network in networks for problem in check_network(network, device)]
    if problems:
        raise InputError(dict.fromkeys(problems))
    builder = Builder(candidates, sources, device, progress, tasks)
    main = builder.built[()]
    if main.lowered is None:
        raise Infeasible(Diagnostic(spec.choice.where, main.cost.reason))
    progress.step("running the calibration data through the integer reference")
    data = calibration_data(spec, main.lowered.placed.requirements.chain, spec.choice)
    profiles, full = profile_candidates(candidates, data, tasks)
    progress.step("choosing stages and thresholds")
    try:
        choice = choose(spec.choice, profiles, full, builder.costs(), builder.place, tasks)
    except ValueError as error:
        raise InputError(Diagnostic(spec.choice.where, str(error))) from error
    choice = replace(choice, candidates=(*choice.candidates, *candidates.unfit))
    plan, lowered = _plan(choice, candidates, builder.built, compared)
    assert plan.calibration is not None
    calibration = replace(plan.calibration, accuracy_drop=spec.choice.accuracy_drop, warnings=data_warnings(data))
    return replace(plan, calibration=calibration), lowered, _judged(spec, choice, profiles, full)


def _judged(spec: AutoSpec, choice: Choice, profiles: Sequence[CandidateProfile], full: Bools) -> Judged:
    """The chosen stages, with the measures that were chosen."""
    by_name = {one.candidate.name: one for one in profiles}
    early = [by_name[name] for name in choice.chosen.stages[:-1]]
    rules = [[rule.measure for rule in one.candidate.rules] for one in early]
    measures = [own.index(one) for own, one in zip(rules, choice.chosen.measures, strict=True)]
    confidence = [one.confidence[measure] for one, measure in zip(early, measures, strict=True)]
    shape = (len(early), len(full))
    return Judged(
        np.array(confidence, np.uint32).reshape(shape),
        np.array([one.groups_met for one in early], np.int64).reshape(shape),
        np.stack([*(one.right for one in early), full]),
    )


def built_chain(setting: Setting, early: Early) -> Built:
    """A chain of candidates, placed and lowered, with its cost, or with the reason why it cannot be built."""
    candidates, sources, device = setting.candidates, setting.sources, setting.device
    entries = [candidates.entries[index] for index in early]
    stages = [one.stage for one in entries]
    # Which measures of the core are chosen is open; what lies where does not depend on it.
    choices = [
        [one.rules[min(number, len(one.rules) - 1)].measure for one in entries]
        for number in range(max((len(one.rules) for one in entries), default=1))
    ]
    specs = [chosen_spec(candidates.spec, stages, one) for one in choices]
    spec = specs[0]
    # What would fit instead is searched only where it says most: for chains of one candidate.
    alternatives = freed_processors(spec, sources, device) if len(early) <= 1 and setting.suggests else ()
    try:
        chain = build_chain(spec, sources, device)
        if problems := check_chain(chain, device):
            raise InputError(problems)
        always = [1] * len(chain.stages) if spec.reload else None
        placed = place(chain, device, alternatives=alternatives, reached=always, source=spec.reload or FLASH)
        lowered = lower(placed)
    except (InputError, Infeasible) as error:
        return Built(Cost(early, {}, f"cannot be built: {_FOLDERS.sub('', str(error))}"), None, {}, {})
    looks = [checking(placed.with_chain(with_exits(chain, one))) for one in specs]
    cheapest = tuple(min(own, key=lambda look: look.cycles) for own in zip(*looks, strict=True))
    placed = lowered.placed
    cycles = replace(chain_budget(lowered), checks=cheapest)
    energy = energy_budget(placed, cycles)
    checks = {
        "cycles": tuple(tuple(one.amount for one in own) for own in looks),
        "energy": tuple(tuple(core_energy(one, device).amount for one in own) for own in looks),
    }
    costs = {"cycles": cycles.cost_by_exit, "energy": energy.cost_by_exit}
    cost = Cost(early, costs, more={key: _more(own) for key, own in checks.items()})
    return Built(cost, lowered, {"cycles": _in_single_runs(lowered, cycles), "energy": energy}, checks)


def _in_single_runs(lowered: Lowered, budget: Budget[Cycles]) -> Budget[Cycles]:
    """The budget as if every stage were one run, however many layers it has."""
    stages = lowered.placed.requirements.chain.stages
    single = tuple(
        replace(cost, cycles=cost.cycles - START_CYCLES * len(stage.cuts))
        for cost, stage in zip(budget.stages, stages, strict=True)
    )
    return replace(budget, stages=single)


def _looks(single: Sequence[Checks], reports_own: bool) -> Checks:
    """What the looks of a chain cost at least, from those of the chains with one of its candidates each: main's after
    the last one, or, with `reports_own`, whatever the measures of others, after the first one if that is less."""
    found = []
    for number in range(max(map(len, single))):
        rows = [own[min(number, len(own) - 1)] for own in single]
        last = min(rows[0][-1], *(row[-1] for row in single[-1])) if reports_own else rows[-1][-1]
        found.append((*(row[0] for row in rows), last))
    return tuple(found)


def _more(checks: Checks) -> ByMeasure:
    """What measures cost above the cheapest. The last stage reports the measure of the first one."""
    above = [tuple(one - min(own) for one in own) for own in zip(*checks, strict=True)]
    *early, last = above
    return tuple(
        tuple(
            (
                *(0 for _ in range(stage)),
                *(own for _ in range(stage, len(early))),
                own + (0 if stage else last[measure]),
            )
            for measure, own in enumerate(measures)
        )
        for stage, measures in enumerate(early)
    )


def _plan(
    choice: Choice, candidates: Candidates, built: Mapping[Early, Built], compared: Mapping[str, Network]
) -> tuple[Plan, Lowered]:
    chosen = choice.chosen
    names = [entry.name for entry in candidates.entries]
    early = tuple(names.index(name) for name in chosen.stages[:-1])
    lowered = built[early].lowered
    assert lowered is not None
    placed = lowered.placed
    entries = [candidates.entries[index] for index in early]
    spec = chosen_spec(candidates.spec, [entry.stage for entry in entries], chosen.measures)
    limits = [by_class(one, entry.numbers) for one, entry in zip(chosen.thresholds, entries, strict=True)]
    thresholds = dict(zip(chosen.stages, limits, strict=False))
    # Placed without knowing the measures; what lies where does not depend on them.
    chain = with_threshold(with_exits(placed.requirements.chain, spec), thresholds)
    calibrated = Calibrated(
        thresholds=chosen.thresholds,
        method=choice.method,
        images=chosen.images,
        correct=chosen.correct,
        full_correct=choice.full_correct,
        exit_counts=chosen.exit_counts,
        cycles=round(chosen.means["cycles"] * chosen.images),
        gap=choice.gap,
        guarantee=choice.guarantee,
        against=choice.against,
    )
    placed = placed.with_chain(chain)
    return Plan(spec, placed, compared, calibrated.record(), choice.record()), with_thresholds(lowered, placed)
