"""Stages that may be chosen from: the chains they can form, and what each of them answers on a data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations

import numpy as np
import numpy.typing as npt

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.chain.build import build_chain, cuts_of, exit_rule
from offramp.planner.chain.sources import Sources
from offramp.planner.exits.frontier import Bools
from offramp.planner.ir.chain import Chain, ExitRule
from offramp.planner.ir.measure import Measure
from offramp.planner.ir.network import INPUT, Network
from offramp.planner.reference.confidence import confidence
from offramp.planner.reference.layers import Tensor, run_layers, run_network
from offramp.planner.reference.profile import BATCH
from offramp.planner.spec.auto import same_names
from offramp.planner.spec.dataset import DataSet
from offramp.planner.spec.spec import CandidateSpec, ChoiceSpec, ExitSpec, HeadSpec, Spec, StageSpec

EARLY = 3  # stages before the last one in the chains that are considered

Early = tuple[int, ...]  # numbers of candidates, in the order in which they run before the rest of main


@dataclass(frozen=True, eq=False)
class Candidate:
    """A candidate with its network: a front network, or a head that reads the output of main's layer `cut`.

    `part`: what a chain has once at most; candidates with the same network have the same.
    """

    name: str
    part: str
    network: Network
    cut: int | None
    rules: tuple[ExitRule, ...]  # one for each measure that is considered


@dataclass(frozen=True, eq=False)
class Candidates:
    """All candidates, and the main network, whose answer is the reference. `spec`: with every head at its cuts."""

    spec: Spec
    main: Network
    entries: tuple[Candidate, ...]


@dataclass(frozen=True, eq=False)
class CandidateProfile:
    """A candidate on N images. `confidence`: uint32 (N,), for each of its rules; `right`: (N,)."""

    candidate: Candidate
    confidence: tuple[npt.NDArray[np.uint32], ...]
    right: Bools


def chosen_spec(spec: Spec, early: Sequence[str], measures: Sequence[Measure]) -> Spec:
    """The spec with some of its candidates, by name, as stages, and main last; thresholds are open."""
    assert spec.choice is not None
    by_name = {one.name: one for one in spec.choice.candidates}
    stages = [_stage(by_name[name], measure) for name, measure in zip(early, measures, strict=True)]
    rule = ExitSpec(spec.choice.where, measures[0] if measures else spec.choice.measures[0], None, 1.0)
    main = StageSpec(spec.choice.main, spec.choice.where, spec.choice.main, None, None, rule)
    used = {spec.choice.main, *spec.compare, *(network for name in early for network in by_name[name].networks)}
    networks = {name: entry for name, entry in spec.networks.items() if name in used}
    idle = _own_heads(one for one in by_name.values() if one.name not in early)
    return replace(spec, networks=networks, stages=(*stages, main), choice=None, left_out=idle)


def _own_heads(candidates: Iterable[CandidateSpec]) -> tuple[tuple[str, HeadSpec], ...]:
    """Heads that are layers of the network they belong to, with its name."""
    return tuple((one.network, one.head) for one in candidates if one.head and one.head.layers)


def with_cuts(spec: Spec, sources: Sources, device: Device) -> Spec:
    """The spec with each head whose cut is left open as several candidates, one for every legal cut that it fits; all
    networks but main where the spec names no candidates.

    InputError if a network fits nowhere, with the reasons.
    """
    choice = spec.choice
    assert choice is not None
    groups = [(one,) for one in choice.candidates] or _every_network(spec, choice)
    wanted = any(_open(one) for group in groups for one in group)
    cuts = (
        cuts_of(replace(spec, left_out=_own_heads(choice.candidates)), sources, choice.main, device) if wanted else ()
    )
    found: list[CandidateSpec] = []
    problems: list[Diagnostic] = []
    for group in groups:
        fitting: list[CandidateSpec] = []
        reasons: list[tuple[Diagnostic, ...]] = []
        for one in group:
            try:
                fitting += _fitting(spec, sources, one, cuts, device)
            except InputError as error:
                reasons.append(error.problems)
        found += fitting
        if not fitting:
            problems += reasons[0] if len(group) == 1 else [_nowhere(choice.main, group[0], reasons)]
    problems += same_names(choice.main, found)
    if problems:
        raise InputError(problems)
    return replace(spec, choice=replace(choice, candidates=tuple(found)))


def _every_network(spec: Spec, choice: ChoiceSpec) -> list[tuple[CandidateSpec, ...]]:
    """Every network but main as a front, and as a head at any cut."""
    others = [entry for name, entry in spec.networks.items() if name != choice.main and name not in spec.compare]
    fronts = [CandidateSpec(one.name, one.where, one.name, None, None, 1.0) for one in others]
    return [(one, replace(one, network=choice.main, head=HeadSpec(one.where, one.name, ()))) for one in fronts]


def _nowhere(main: str, front: CandidateSpec, reasons: Sequence[tuple[Diagnostic, ...]]) -> Diagnostic:
    """A network is neither a front nor a head."""
    why = "; and ".join(problems[0].message for problems in reasons)
    return Diagnostic(front.where, f"network `{front.name}` cannot run before `{main}`: {why}")


def _open(one: CandidateSpec) -> bool:
    return one.head is not None and one.until is None


def _fitting(
    spec: Spec, sources: Sources, one: CandidateSpec, cuts: Sequence[int], device: Device
) -> list[CandidateSpec]:
    """The candidate wherever it fits, untried where the spec names it with its place. InputError if it fits nowhere."""
    assert spec.choice is not None
    if _open(one):
        return _at_cuts(spec, sources, one, cuts, device)
    if not spec.choice.candidates:
        _try(spec, sources, one, one, device)
    return [one]


def _try(spec: Spec, sources: Sources, one: CandidateSpec, at: CandidateSpec, device: Device) -> None:
    """Build main with the candidate `one`, as `at`, before it. InputError if it does not fit."""
    assert spec.choice is not None
    others = (other for other in spec.choice.candidates if other is not one)
    tried = replace(spec, choice=replace(spec.choice, candidates=(*others, at)))
    build_chain(chosen_spec(tried, [at.name], spec.choice.measures[:1]), sources, device)


def _at_cuts(
    spec: Spec, sources: Sources, one: CandidateSpec, cuts: Sequence[int], device: Device
) -> list[CandidateSpec]:
    fitting: list[CandidateSpec] = []
    reasons: dict[str, list[int]] = {}  # why it does not fit, and after which layers
    for cut in cuts:
        candidate = replace(one, name=f"{one.name}-{cut}", until=cut)
        try:
            _try(spec, sources, one, candidate, device)
        except InputError as error:
            reasons.setdefault(error.problems[0].message, []).append(cut)
        else:
            fitting.append(candidate)
    if not fitting:
        listed = "; ".join(f"after layer {', '.join(map(str, where))}: {reason}" for reason, where in reasons.items())
        what = f"head `{one.head.network}`" if one.head and one.head.network else "the head"
        message = f"{what} fits nowhere in `{one.network}`: {listed or 'it has no legal cut'}"
        raise InputError(Diagnostic(one.where, message))
    return fitting


def _stage(one: CandidateSpec, measure: Measure) -> StageSpec:
    return StageSpec(one.name, one.where, one.network, one.until, one.head, _exit(one, measure))


def _exit(one: CandidateSpec, measure: Measure) -> ExitSpec:
    return ExitSpec(one.where, measure, None, one.temperature)


def load_candidates(spec: Spec, sources: Sources, device: Device) -> Candidates:
    """Load every candidate in a chain of its own with main. InputError with the problems of all of them."""
    spec = with_cuts(spec, sources, device)
    choice = spec.choice
    assert choice is not None
    problems: list[Diagnostic] = []
    chains: list[Chain] = []
    for one in choice.candidates:
        try:
            chains.append(build_chain(chosen_spec(spec, [one.name], choice.measures[:1]), sources, device))
        except InputError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise InputError(problems)
    entries = [_candidate(choice, *pair) for pair in zip(choice.candidates, chains, strict=True)]
    return Candidates(spec, chains[0].networks[choice.main], tuple(entries))


def _candidate(choice: ChoiceSpec, one: CandidateSpec, chain: Chain) -> Candidate:
    part = chain.stages[0].slots[-1].network
    network = chain.networks[part]
    # Of a branch's slots the last one that belongs to main is the layer it is cut after.
    own = [slot.layer.index for slot in chain.stages[0].slots if slot.network == choice.main]
    rules = tuple(exit_rule(_exit(one, measure), network.layers[-1]) for measure in choice.measures)
    return Candidate(one.name, part, network, own[-1] if one.head else None, rules)


def chains_of(entries: Sequence[Candidate], most: int = EARLY) -> tuple[Early, ...]:
    """All chains with up to `most` candidates: front networks in any order, then branches in the order of their cuts,
    one at each cut, no network twice. The shortest first."""
    parts = [one.part for one in entries]
    cuts = [one.cut for one in entries]
    fronts = [index for index, cut in enumerate(cuts) if cut is None]
    branches = sorted((cut, index) for index, cut in enumerate(cuts) if cut is not None)
    found: list[Early] = []
    for count in range(most + 1):
        for heads in range(min(count, len(branches)) + 1):
            rests = [rest for rest in combinations(branches, heads) if len({cut for cut, _ in rest}) == heads]
            for order in permutations(fronts, count - heads):
                found += [order + tuple(index for _, index in rest) for rest in rests]
    return tuple(one for one in found if len({parts[index] for index in one}) == len(one))


def profile_candidates(candidates: Candidates, data: DataSet) -> tuple[tuple[CandidateProfile, ...], Bools]:
    """Every candidate on all images, and where main is right: one run of the integer reference, each layer once."""
    parts = [_logits(candidates, data.x[start : start + BATCH]) for start in range(0, len(data.x), BATCH)]
    *early, main = (np.concatenate(one) for one in zip(*parts, strict=True))
    profiles = [
        CandidateProfile(one, tuple(_confidence(rule, logits) for rule in one.rules), logits.argmax(axis=1) == data.y)
        for one, logits in zip(candidates.entries, early, strict=True)
    ]
    return tuple(profiles), main.argmax(axis=1) == data.y


def _confidence(rule: ExitRule, logits: npt.NDArray[np.int32]) -> npt.NDArray[np.uint32]:
    return confidence(rule.measure, logits, rule.fraction_bits, rule.temperature_q16)


def _logits(candidates: Candidates, x: npt.NDArray[np.int8]) -> list[npt.NDArray[np.int32]]:
    """Logits of all candidates and, last, of main, each int32 (N, classes)."""
    main = candidates.main
    inner: Mapping[int, Tensor] = run_network(main, x, [one.cut for one in candidates.entries if one.cut is not None])
    results = []
    for one in candidates.entries:
        if one.cut is None:
            tensor = run_network(one.network, x)
        else:
            tensor = run_layers(one.network.layers, {INPUT: inner[one.cut]}, one.network.avg_pool_rounding)
        results.append(tensor[one.network.layers[-1].index])
    results.append(inner[main.layers[-1].index])
    return [one.astype(np.int32).reshape(len(x), -1) for one in results]
