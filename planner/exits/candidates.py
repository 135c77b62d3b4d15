"""Stages that may be chosen from: the chains they can form, and what each of them answers on a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import Protocol

import numpy as np
import numpy.typing as npt

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.chain.build import build_chain, cuts_of, exit_rule
from offramp.planner.chain.sources import Sources
from offramp.planner.exits.frontier import NEVER, Bools, Ints, to_scores
from offramp.planner.exits.own_heads import ends_as_heads
from offramp.planner.ir.chain import Chain, ExitRule, ExitStage
from offramp.planner.ir.measure import HARDWARE, LARGEST_LOGIT, MEASURES, NO_ANSWER, Measure
from offramp.planner.ir.network import INPUT, Network
from offramp.planner.reference.confidence import confidence
from offramp.planner.reference.exits import class_numbers
from offramp.planner.reference.layers import Tensor, run_layers
from offramp.planner.reference.sequence import BATCH, run_in_order
from offramp.planner.spec.auto import same_names, with_ending
from offramp.planner.spec.dataset import DataSet, Images
from offramp.planner.spec.spec import AutoSpec, BranchSpec, ExitSpec, HeadSpec, ManualSpec, OpenHeadSpec, StageSpec
from offramp.planner.tasks.executor import IN_PROCESS, Executor

EARLY = 3  # stages before the last one in the chains that are considered

Early = tuple[int, ...]  # numbers of candidates, in the order in which they run before the rest of main


@dataclass(frozen=True, eq=False)
class Candidate:
    """A candidate with its network: a front network, or a head that reads the output of main's layer `cut`.

    `part`: candidates with the same network have the same; a chain has at most one of each part.
    """

    stage: StageSpec
    part: str
    network: Network
    cut: int | None
    rules: tuple[ExitRule, ...]  # one for each measure to choose from
    answers: tuple[int, ...] = ()  # of its classes, as in ExitStage

    @property
    def name(self) -> str:
        return self.stage.name

    @property
    def numbers(self) -> Ints:
        """Which of its classes mean an answer, as of `class_numbers`."""
        return class_numbers(self.answers, self.classes)

    @property
    def classes(self) -> int:
        """How many it has."""
        return self.rules[0].classes(self.network.layers[-1].out_shape.channels)

    def classes_of(self, logits: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The class of each image, (N,), by the outputs of its network, (N, outputs); a gate is none."""
        return _largest(logits[:, : self.classes])

    @property
    def hardware(self) -> bool:
        """Whether the accelerator decides."""
        return self.rules[0].hardware


@dataclass(frozen=True, eq=False)
class Candidates:
    """All candidates, with every head at its cuts, and the main network with its stage, whose answer is the
    reference. `unfit`: name and reason of those that cannot be hardware exits."""

    spec: AutoSpec
    main: Network
    entries: tuple[Candidate, ...]
    last: ExitStage
    unfit: tuple[tuple[str, str], ...] = ()

    @property
    def rolling(self) -> bool:
        """Whether one of them keeps data from one image to the next, so that their order matters."""
        return bool(self.main.buffers) or any(one.network.buffers for one in self.entries)


@dataclass(frozen=True, eq=False)
class CandidateProfile:
    """A candidate on N images. `confidence`: uint32 (N,), for each of its rules; `right`: (N,); `leaves`: where its
    class means an answer, (N,), None: everywhere. `group`: number of the class among those that mean an answer, (N,),
    and `groups` how many there are, where each has a threshold of its own."""

    candidate: Candidate
    confidence: tuple[npt.NDArray[np.uint32], ...]
    right: Bools
    leaves: Bools | None = None
    group: Ints | None = None
    groups: int = 0

    def scores(self) -> tuple[Ints, ...]:
        """For each of its rules; of images that cannot leave one that never does."""
        rules = zip(self.candidate.rules, self.confidence, strict=True)
        return tuple(np.where(self.may_leave, to_scores(rule.measure, values), NEVER) for rule, values in rules)

    @property
    def may_leave(self) -> Bools:
        """Which images could leave at all, (N,): a threshold of a hardware exit is above 0."""
        leaves = np.ones(len(self.right), bool) if self.leaves is None else self.leaves
        return leaves & (self.confidence[0] > 0) if self.candidate.hardware else leaves

    @property
    def groups_met(self) -> Ints:
        """Which of the stage's thresholds an image has to meet, (N,); NO_ANSWER where it cannot leave."""
        return np.where(self.may_leave, 0, NO_ANSWER) if self.group is None else self.group

    def exits(self) -> tuple[tuple[Ints, ...], ...]:
        """The scores by threshold: of all images, or for each class that means an answer of its own images."""
        scores = self.scores()
        if self.group is None:
            return (scores,)
        return tuple(
            tuple(np.where(self.group == number, one, NEVER) for one in scores) for number in range(self.groups)
        )


def chosen_spec(spec: AutoSpec, early: Sequence[StageSpec], measures: Sequence[Measure]) -> ManualSpec:
    """The spec with some candidates as stages, and main last; thresholds are open."""
    choice = spec.choice
    # As of a spec that names the stages: the last one reports the first one's measure, if that is of the core.
    reported = next(iter(measures or choice.measures))
    rule = ExitSpec(choice.where, MEASURES[0] if reported in HARDWARE else reported, None, 1.0)
    stages = [
        replace(stage, exit=replace(stage.exit, measure=measure))
        for stage, measure in zip(early, measures, strict=True)
    ]
    used = {choice.main, *spec.compare, *(network for stage in early for network in stage.networks)}
    return ManualSpec(
        name=spec.name,
        where=spec.where,
        networks={name: entry for name, entry in spec.networks.items() if name in used},
        data=spec.data,
        labels=spec.labels,
        answers=spec.answers,
        compare=spec.compare,
        reload=spec.reload,
        asked=spec.asked,
        clocks=spec.clocks,
        places=spec.places,
        stages=(*stages, StageSpec(choice.main, choice.where, choice.main, None, rule, None, choice.main_answers)),
        calibration=None,
        left_out=tuple((choice.main, head) for head in _own_heads(spec)),
    )


def _own_heads(spec: AutoSpec) -> list[HeadSpec]:
    """Heads that are layers of main; no stage but their own runs them."""
    heads = [candidate.head for candidate in spec.choice.candidates]
    return [head for head in heads if head and head.layers]


def stages_to_choose(spec: AutoSpec, sources: Sources, device: Device) -> tuple[StageSpec, ...]:
    """The candidates, those whose cut is left open at every legal cut that they fit; all networks but main where the
    spec names none. Where the core or the accelerator may decide, each is there twice if both can.

    InputError if a network fits nowhere, with the reasons.
    """
    return _to_choose(spec, sources, device)[0]


def _to_choose(
    spec: AutoSpec, sources: Sources, device: Device
) -> tuple[tuple[StageSpec, ...], tuple[tuple[str, str], ...]]:
    """These, and which of them cannot be hardware exits and why."""
    found = list(_places(spec, sources, device))
    problems = same_names(spec.choice.main, found)
    if problems:
        raise InputError(problems)
    both = spec.choice.of_core and LARGEST_LOGIT in spec.choice.measures
    unfit: dict[str, str] = {}
    for stage in [one for one in found if both and one.exit.measure not in HARDWARE]:
        twin = replace(
            stage, name=with_ending(stage.name, "-hardware"), exit=replace(stage.exit, measure=LARGEST_LOGIT)
        )
        reason = _reason(spec, sources, twin, device)
        if not reason:
            found.append(twin)
        elif not _reason(spec, sources, stage, device):
            unfit[twin.name] = reason
    problems = same_names(spec.choice.main, found)
    if unfit and not any(one.exit.measure in HARDWARE for one in found):
        listed = "; ".join(f"`{name}`: {reason}" for name, reason in unfit.items())
        problems = (*problems, Diagnostic(spec.choice.where, f"no candidate can be a hardware exit: {listed}"))
    if problems:
        raise InputError(problems)
    return tuple(found), tuple(unfit.items())


def _reason(spec: AutoSpec, sources: Sources, stage: StageSpec, device: Device) -> str:
    """Why main and a candidate before it are no chain; "" if they are."""
    try:
        _alone(spec, sources, stage, device)
    except InputError as error:
        return "; ".join(one.message for one in error.problems)
    return ""


def _places(spec: AutoSpec, sources: Sources, device: Device) -> Sequence[StageSpec]:
    """Every candidate wherever it fits. InputError as of `stages_to_choose`."""
    choice = spec.choice
    groups = [(candidate,) for candidate in choice.candidates] or _everything(spec, sources, device)
    wanted = any(isinstance(candidate, OpenHeadSpec) for group in groups for candidate in group)
    cuts = cuts_of(spec.networks[choice.main], sources[choice.main], _own_heads(spec), device) if wanted else ()
    found: list[StageSpec] = []
    problems: list[Diagnostic] = []
    for group in groups:
        fitting: list[StageSpec] = []
        reasons: list[tuple[Diagnostic, ...]] = []
        for candidate in group:
            try:
                fitting += _fitting(spec, sources, candidate, cuts, device)
            except InputError as error:
                reasons.append(error.problems)
        found += fitting
        if not fitting:
            problems += reasons[0] if len(group) == 1 else [_nowhere(choice.main, group[0], reasons)]
    if problems:
        raise InputError(problems)
    return found


def _everything(spec: AutoSpec, sources: Sources, device: Device) -> list[tuple[StageSpec | OpenHeadSpec, ...]]:
    """What may run before main where the spec does not say: every other network, and main's other ends as heads.
    InputError if there is nothing."""
    found = [*_every_network(spec), *((stage,) for stage in ends_as_heads(spec, sources, device))]
    if not found:
        message = "there is no network besides `main` that could answer early, and no other end of main that is a head"
        raise InputError(Diagnostic(spec.choice.where, message))
    return found


def _every_network(spec: AutoSpec) -> list[tuple[StageSpec | OpenHeadSpec, ...]]:
    """Every network but main as a front, and as a head at any cut."""
    groups: list[tuple[StageSpec | OpenHeadSpec, ...]] = []
    for name, entry in spec.networks.items():
        if name != spec.choice.main and name not in spec.compare:
            rule = ExitSpec(entry.where, spec.choice.measures[0], None, 1.0)
            front = StageSpec(name, entry.where, name, None, rule)
            groups.append((front, OpenHeadSpec(name, entry.where, HeadSpec(entry.where, name, ()), rule)))
    return groups


def _nowhere(main: str, front: StageSpec | OpenHeadSpec, reasons: Sequence[tuple[Diagnostic, ...]]) -> Diagnostic:
    """A network is neither a front nor a head."""
    why = "; and ".join(problems[0].message for problems in reasons)
    return Diagnostic(front.where, f"network `{front.name}` cannot run before `{main}`: {why}")


def _fitting(
    spec: AutoSpec, sources: Sources, candidate: StageSpec | OpenHeadSpec, cuts: Sequence[int], device: Device
) -> list[StageSpec]:
    """The candidate at every place where it fits; it is not tried where the spec gives its place. InputError if it fits
    nowhere.
    """
    if isinstance(candidate, OpenHeadSpec):
        return _at_cuts(spec, sources, candidate, cuts, device)
    if not spec.choice.candidates:
        _alone(spec, sources, candidate, device)
    return [candidate]


def _alone(spec: AutoSpec, sources: Sources, stage: StageSpec, device: Device) -> Chain:
    """Main with one candidate before it. InputError if it does not fit."""
    return build_chain(chosen_spec(spec, [stage], [stage.exit.measure]), sources, device)


def _at_cuts(
    spec: AutoSpec, sources: Sources, candidate: OpenHeadSpec, cuts: Sequence[int], device: Device
) -> list[StageSpec]:
    main, head = spec.choice.main, candidate.head
    fitting: list[StageSpec] = []
    reasons: dict[str, list[int]] = {}  # why it does not fit, and after which layers
    for cut in cuts:
        branch = BranchSpec(cut, head)
        name = with_ending(candidate.name, f"-{cut}")
        stage = StageSpec(name, candidate.where, main, branch, candidate.exit, None, candidate.answers)
        try:
            _alone(spec, sources, stage, device)
        except InputError as error:
            reasons.setdefault(error.problems[0].message, []).append(cut)
        else:
            fitting.append(stage)
    if not fitting:
        listed = "; ".join(f"after layer {', '.join(map(str, where))}: {reason}" for reason, where in reasons.items())
        what = f"head `{head.network}`" if head.network else "the head"
        message = f"{what} fits nowhere in `{main}`: {listed or 'it has no legal cut'}"
        raise InputError(Diagnostic(candidate.where, message))
    return fitting


def load_candidates(spec: AutoSpec, sources: Sources, device: Device) -> Candidates:
    """Load every candidate in a chain of its own with main. InputError with the problems of all of them."""
    stages, unfit = _to_choose(spec, sources, device)
    problems: list[Diagnostic] = []
    chains: list[Chain] = []
    for stage in stages:
        try:
            chains.append(_alone(spec, sources, stage, device))
        except InputError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise InputError(problems)
    entries = [_candidate(spec, stage, chain) for stage, chain in zip(stages, chains, strict=True)]
    return Candidates(spec, chains[0].networks[spec.choice.main], tuple(entries), chains[0].exits[-1], unfit)


def _candidate(spec: AutoSpec, stage: StageSpec, chain: Chain) -> Candidate:
    part = chain.stages[0].slots[-1].network
    network = chain.networks[part]
    # Of a branch's slots the last one that belongs to main is the layer it is cut after.
    own = [slot.layer.index for slot in chain.stages[0].slots if slot.network == spec.choice.main]
    measures = (stage.exit.measure,) if stage.exit.measure in HARDWARE else spec.choice.of_core
    rules = tuple(exit_rule(replace(stage.exit, measure=measure), network.layers[-1]) for measure in measures)
    cut = own[-1] if stage.branch else None
    return Candidate(stage, part, network, cut, rules, chain.exits[0].answers)


class Member(Protocol):
    """What chains are formed of, as in Candidate."""

    @property
    def part(self) -> str: ...

    @property
    def cut(self) -> int | None: ...


def chains_of(entries: Sequence[Member], most: int = EARLY) -> tuple[Early, ...]:
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


def profile_candidates(
    candidates: Candidates, data: Images, tasks: Executor = IN_PROCESS
) -> tuple[tuple[CandidateProfile, ...], Bools]:
    """Every candidate on all images, and where main is right (everywhere, if it gives a tensor): one run of the integer
    reference, each layer once.

    What is kept of a batch is answers and confidences, not the logits.
    """
    size = max(len(data.x), 1) if candidates.rolling else BATCH
    batches = [data.x[start : start + size] for start in range(0, len(data.x), size)]
    parts = tasks.map(_answers, candidates, batches)
    answers = np.concatenate([part[0] for part in parts], axis=1)
    confidences = [np.concatenate(one, axis=1) for one in zip(*(part[1] for part in parts), strict=True)]
    classes = np.concatenate([part[2] for part in parts], axis=1)
    truth = data.y if isinstance(data, DataSet) else answers[-1]
    profiles = [
        CandidateProfile(one, tuple(confidence), own == truth, own != NO_ANSWER, *_groups(candidates, one, said))
        for one, confidence, own, said in zip(candidates.entries, confidences, answers, classes, strict=False)
    ]
    return tuple(profiles), (answers[-1] == truth) | (candidates.last.exit is None)


def _groups(candidates: Candidates, one: Candidate, classes: npt.NDArray[np.int32]) -> tuple[Ints | None, int]:
    """The group of each image, given its class, and how many there are; None where a stage has one threshold."""
    if not candidates.spec.choice.per_class:
        return None, 0
    numbers = one.numbers
    return numbers[classes], int(numbers.max()) + 1


def _answers(
    candidates: Candidates, x: npt.NDArray[np.int8]
) -> tuple[npt.NDArray[np.int32], list[npt.NDArray[np.uint32]], npt.NDArray[np.int32]]:
    """Answers of all candidates and, last, of main, (candidates + 1, N), the candidates' confidences, (rules, N) each,
    and the classes of all, (candidates + 1, N)."""
    logits = _logits(candidates, x)
    early = [one.classes_of(own) for one, own in zip(candidates.entries, logits, strict=False)]
    classes = np.stack([*early, _largest(logits[-1])])
    meant = [*(one.answers for one in candidates.entries), candidates.last.answers]
    answers = np.stack([_meant(own, of) for own, of in zip(classes, meant, strict=True)])
    confidences = [
        np.stack([_confidence(rule, own) for rule in one.rules])
        for one, own in zip(candidates.entries, logits, strict=False)
    ]
    return answers, confidences, classes


def _largest(logits: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The class of each image, (N,)."""
    found: npt.NDArray[np.int32] = logits.argmax(axis=1).astype(np.int32)
    return found


def _meant(classes: npt.NDArray[np.int32], answers: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """What a stage answers, (N,)."""
    if len(answers) == 1:
        return np.full(len(classes), answers[0], np.int32)
    return np.array(answers, np.int32)[classes] if answers else classes


def _confidence(rule: ExitRule, logits: npt.NDArray[np.int32]) -> npt.NDArray[np.uint32]:
    return confidence(rule.measure, logits, rule.fraction_bits, rule.temperature_q16)


def _logits(candidates: Candidates, x: npt.NDArray[np.int8]) -> list[npt.NDArray[np.int32]]:
    """Logits of all candidates and, last, of main, each int32 (N, classes)."""
    main = candidates.main
    inner: Mapping[int, Tensor] = run_in_order(main, x, [one.cut for one in candidates.entries if one.cut is not None])
    results = []
    for one in candidates.entries:
        if one.cut is None:
            tensor = run_in_order(one.network, x)
        elif one.network.buffers:
            tensor = run_in_order(one.network, inner[one.cut].astype(np.int8))
        else:
            tensor = run_layers(one.network.layers, {INPUT: inner[one.cut]}, one.network.avg_pool_rounding)
        results.append(tensor[one.network.layers[-1].index])
    results.append(inner[main.layers[-1].index])
    return [one.astype(np.int32).reshape(len(x), -1) for one in results]
