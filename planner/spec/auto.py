"""`exits: auto` in a spec: the stages to choose from, and the criteria of the choice."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic
from offramp.configs.schema import Entry
from offramp.planner.ir.measure import GATE, LARGEST_LOGIT, Measure
from offramp.planner.spec.entries import Problems, check_name, known, read_answers, read_delta, read_head
from offramp.planner.spec.keys import LONGEST_NAME
from offramp.planner.spec.spec import AnswersSpec, BranchSpec, ChoiceSpec, ExitSpec, OpenHeadSpec, StageSpec


def read_choice(
    entry: Entry, networks: Collection[str], files: Collection[str], device: Device, problems: Problems
) -> ChoiceSpec:
    """The parts of a spec with `exits: auto`."""
    main = known(entry, "main", networks, problems)
    check_measures(entry, device, problems)
    measures = entry["confidence"]
    candidates = tuple(_candidate(item, main, measures, networks, problems) for item in entry["candidates"] if item)
    problems += same_names(main, [candidate for candidate in candidates if isinstance(candidate, StageSpec)])
    _check_networks(entry, main, candidates, networks, problems)
    choose = entry["choose"]
    if choose is None:
        return ChoiceSpec(entry.where, main, candidates, entry["confidence"], "", {}, None, None, None)
    if choose["per_class"] and (len(measures) > 1 or LARGEST_LOGIT in measures):
        found = "`per_class` takes one measure of the core: state one as `confidence`"
        problems.wrong(choose.at("per_class"), found)
    return goal_of(
        choose,
        problems,
        main=main,
        candidates=candidates,
        measures=entry["confidence"],
        data=known(choose, "data", files, problems),
        main_answers=read_answers(entry, "main_answers"),
        per_class=choose["per_class"],
    )


def check_measures(entry: Entry, device: Device, problems: Problems) -> None:
    """`hardware` is for devices with snoop units."""
    if LARGEST_LOGIT in entry["confidence"] and "hardware_exits" not in device.features:
        problems.wrong(entry.at("confidence"), f"`hardware`: the {device.name} has no snoop units")


def without_energy(choice: ChoiceSpec, device: Device) -> tuple[Diagnostic, ...]:
    """Energy is no goal on a device of which there is no energy model."""
    if device.energy or "energy" not in (*choice.weights, *(choice.budget or ())):
        return ()
    found = f"there is no energy model of the {device.name}; only cycles can be minimised or be a budget there"
    return (Diagnostic(choice.where, found),)


def goal_of(
    choose: Entry,
    problems: Problems,
    *,
    main: str,
    candidates: tuple[StageSpec | OpenHeadSpec, ...],
    measures: tuple[Measure, ...],
    data: str,
    main_answers: AnswersSpec | None = None,
    per_class: bool = False,
) -> ChoiceSpec:
    """What a `choose` asks for."""
    if ("accuracy_drop" in choose) == ("budget" in choose):
        problems.wrong(choose.where, "one of `accuracy_drop` and `budget` is needed, and only one")
    if "budget" in choose and ("minimise" in choose or "risk" in choose):
        found = "with a `budget` the loss of accuracy is minimised; no `minimise` and `risk` then"
        problems.wrong(choose.where, found)
    return ChoiceSpec(
        where=choose.where,
        main=main,
        candidates=candidates,
        measures=measures,
        data=data,
        weights=choose["minimise"],
        accuracy_drop=choose["accuracy_drop"],
        budget=choose["budget"],
        delta=read_delta(choose, problems),
        against=choose["against"],
        main_answers=main_answers,
        per_class=per_class,
    )


def _check_networks(
    entry: Entry,
    main: str,
    candidates: Sequence[StageSpec | OpenHeadSpec],
    networks: Collection[str],
    problems: Problems,
) -> None:
    """Every network must have a use: each is a candidate where candidates are named."""
    used = {main, *entry["compare"], *(name for candidate in candidates for name in _networks(candidate))}
    unused = [name for name in networks if name not in used]
    if unused and "candidates" in entry:
        problems.wrong(entry.at("networks"), f"neither `main` nor a candidate: {', '.join(unused)}")


def _networks(candidate: StageSpec | OpenHeadSpec) -> tuple[str, ...]:
    if isinstance(candidate, StageSpec):
        return candidate.networks
    return (candidate.head.network,) if candidate.head.network else ()


def _candidate(
    entry: Entry, main: str, measures: Sequence[Measure], networks: Collection[str], problems: Problems
) -> StageSpec | OpenHeadSpec:
    if ("front" in entry) == ("head" in entry):
        problems.wrong(entry.where, "a candidate has either a `front` or a `head`")
    if "front" in entry and "until" in entry:
        problems.wrong(entry.at("until"), "a front runs before main starts; it has no `until`")
    front, until, head = known(entry, "front", networks, problems), entry["until"], read_head(entry, networks, problems)
    if main and main in (front, head.network if head else None):
        problems.wrong(entry.where, f"`{main}` is the main network; it is no candidate itself")
    if entry["gate"] and LARGEST_LOGIT not in measures:
        problems.wrong(entry.at("gate"), "`gate` is for hardware exits; `confidence: hardware` is expected")
    measure = GATE if entry["gate"] else measures[0]
    rule, answers = ExitSpec(entry.where, measure, None, entry["temperature"]), read_answers(entry)
    if head is None:
        return StageSpec(check_name(entry, front, problems), entry.where, front, None, rule, None, answers)
    if until is None:
        return OpenHeadSpec(check_name(entry, head.network or main, problems), entry.where, head, rule, answers)
    name = check_name(entry, f"{main}-{until}", problems)
    return StageSpec(name, entry.where, main, BranchSpec(until, head), rule, None, answers)


def same_names(main: str, candidates: Sequence[StageSpec]) -> tuple[Diagnostic, ...]:
    """Candidates with the name of main or of an earlier one; of each name the first."""
    used, problems = {main}, dict[str, Diagnostic]()
    for one in candidates:
        if one.name in used:
            message = f"there are several stages named `{one.name}`; give each a `name`"
            problems.setdefault(one.name, Diagnostic(one.where, message))
        used.add(one.name)
    return tuple(problems.values())


def with_ending(name: str, ending: str) -> str:
    """A stage's name with something behind it; of one that would be too long its first part, and digits that tell it
    from others which begin alike."""
    if len(name) + len(ending) <= LONGEST_NAME:
        return name + ending
    digits = f"-{hashlib.sha256(name.encode()).hexdigest()[:6]}{ending}"
    return name[: LONGEST_NAME - len(digits)] + digits
