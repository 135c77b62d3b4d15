"""`exits: auto`: every chain of the candidates is placed and its cost known; then the best one becomes the plan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from offramp.codegen.lower import Lowered, lower
from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, Infeasible, InputError
from offramp.pipeline.chains import calibration_data, chain_budget
from offramp.planner.allocation.budget import energy_budget
from offramp.planner.allocation.place import place
from offramp.planner.chain.build import build_chain, freed_processors, with_exits
from offramp.planner.chain.sources import Sources, load_compared
from offramp.planner.exits.calibrate import Calibrated
from offramp.planner.exits.candidates import (
    Candidates,
    Early,
    chains_of,
    chosen_spec,
    load_candidates,
    profile_candidates,
)
from offramp.planner.exits.choice import Choice
from offramp.planner.exits.choose import Cost, choose
from offramp.planner.hardware.core import dearest_check
from offramp.planner.ir.chain import with_threshold
from offramp.planner.ir.network import Network
from offramp.planner.plan import Plan
from offramp.planner.rules.check import check_chain, check_network
from offramp.planner.spec.spec import AutoSpec
from offramp.progress import Progress

MOST_CHAINS = 1000
TOLD = 25  # chains between two lines of progress

_FOLDERS = re.compile(r"[^\s(]*/(?=[^\s/]*\.ya?ml\b)")  # a plan is the same wherever its files lie


@dataclass(frozen=True, eq=False)
class Built:
    """A chain of candidates, placed and lowered, and its cost; `lowered` is None where `cost` says why."""

    cost: Cost
    lowered: Lowered | None


def choose_plan(spec: AutoSpec, sources: Sources, device: Device, progress: Progress) -> tuple[Plan, Lowered]:
    """The plan with the best chain, and its programs. OfframpError lists everything that prevents it."""
    candidates = load_candidates(spec, sources, device)
    compared = load_compared(spec, sources, device)
    networks = [candidates.main, *compared.values()]
    problems = [problem for network in networks for problem in check_network(network, device)]
    if problems:
        raise InputError(dict.fromkeys(problems))
    built = build_chains(candidates, sources, device, progress)
    if built[0].lowered is None:
        raise Infeasible(Diagnostic(spec.choice.where, built[0].cost.reason))
    progress.step("running the calibration data through the integer reference")
    data = calibration_data(spec, built[0].lowered.placed.requirements.chain, spec.choice)
    profiles, full = profile_candidates(candidates, data)
    progress.step("choosing stages and thresholds")
    try:
        choice = choose(spec.choice, profiles, full, [one.cost for one in built])
    except ValueError as error:
        raise InputError(Diagnostic(spec.choice.where, str(error))) from error
    return _plan(choice, candidates, built, compared)


def build_chains(candidates: Candidates, sources: Sources, device: Device, progress: Progress) -> tuple[Built, ...]:
    """Every chain that the candidates can form, main alone first. InputError if they are too many to be tried."""
    spec = candidates.spec
    chains = chains_of(candidates.entries)
    if len(chains) > MOST_CHAINS:
        found = f"{len(candidates.entries)} candidates can form {len(chains):,} chains; {MOST_CHAINS:,} are allowed"
        raise InputError(Diagnostic(spec.choice.where, f"{found}: leave some candidates out"))
    built = []
    for number, early in enumerate(chains):
        if number % TOLD == 0:
            rest = f": {number} of {len(chains)} done" if number else ""
            progress.step(f"placing every chain of the candidates{rest}")
        built.append(_build(candidates, sources, early, device))
    return tuple(built)


def _build(candidates: Candidates, sources: Sources, early: Early, device: Device) -> Built:
    stages = [candidates.entries[index].stage for index in early]
    # Which measures are chosen is open; what a check costs is that of the dearest.
    measure = dearest_check(device, candidates.spec.choice.measures)
    spec = chosen_spec(candidates.spec, stages, (measure,) * len(stages))
    # What would fit instead is searched only where it says most: for chains of one candidate.
    alternatives = freed_processors(spec, sources, device) if len(early) <= 1 else ()
    try:
        chain = build_chain(spec, sources, device)
        if problems := check_chain(chain, device):
            raise InputError(problems)
        placed = place(chain, device, alternatives=alternatives)
    except (InputError, Infeasible) as error:
        return Built(Cost(early, {}, f"cannot be built: {_FOLDERS.sub('', str(error))}"), None)
    lowered = lower(placed)
    cycles = chain_budget(lowered)
    energy = energy_budget(placed, cycles)
    return Built(Cost(early, {"cycles": cycles.cost_by_exit, "energy": energy.cost_by_exit}), lowered)


def _plan(
    choice: Choice, candidates: Candidates, built: Sequence[Built], compared: Mapping[str, Network]
) -> tuple[Plan, Lowered]:
    chosen = choice.chosen
    names = [one.name for one in candidates.entries]
    early = tuple(names.index(name) for name in chosen.stages[:-1])
    lowered = next(one.lowered for one in built if one.cost.early == early)
    assert lowered is not None
    placed = lowered.placed
    spec = chosen_spec(candidates.spec, [candidates.entries[index].stage for index in early], chosen.measures)
    thresholds = dict(zip(chosen.stages, chosen.thresholds, strict=False))
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
    )
    placed = placed.with_chain(chain)
    return Plan(spec, placed, compared, calibrated, choice), replace(lowered, placed=placed)
