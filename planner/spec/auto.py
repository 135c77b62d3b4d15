"""`exits: auto` in a spec: the stages that may be chosen from, and what the choice is judged by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offramp.configs.errors import Diagnostic, Where
from offramp.configs.lines import LineList, LineMap
from offramp.planner.ir.measure import MEASURES, Measure
from offramp.planner.spec.head import HeadSpec, read_head
from offramp.planner.spec.reader import Reader, layer_reference, number, one_of, positive

QUANTITIES = ("cycles", "energy")  # what an inference costs: cycles of the accelerator's clock, uJ

NEEDED = ("offramp", "networks", "exits", "main", "choose")
OPTIONAL = ("candidates", "name", "data", "confidence", "labels", "compare", "clocks", "device")


@dataclass(frozen=True)
class CandidateSpec:
    """A stage that may run before the rest of the main network.

    `network`: the front network (`until` and `head` None), or main, cut after layer `until`, with an exit head. `until`
    None with a head: wherever main can be cut and the head fits; `name` is only the beginning of a name then.
    """

    name: str
    where: Where
    network: str
    until: str | int | None
    head: HeadSpec | None
    temperature: float

    @property
    def networks(self) -> tuple[str, ...]:
        """Networks that a chain with the candidate needs."""
        return (self.network, self.head.network) if self.head and self.head.network else (self.network,)


@dataclass(frozen=True)
class ChoiceSpec:
    """What to choose, on data set `data`.

    Either `accuracy_drop` (percentage points) is kept and the cost `weights` (by quantity; several: relative to main
    alone) minimised, or `budget` (quantity, mean of an inference) is kept and the loss of accuracy minimised.
    No `candidates`: every other network is one, as a front or as a head, wherever it fits.
    `delta`: the loss on new data may exceed `accuracy_drop` with at most this probability; None: no guarantee.
    """

    where: Where
    main: str
    candidates: tuple[CandidateSpec, ...]
    measures: tuple[Measure, ...]
    data: str
    weights: Mapping[str, float]
    accuracy_drop: float | None
    budget: tuple[str, float] | None
    delta: float | None


def read_choice(reader: Reader, data: LineMap, networks: Collection[str], files: Collection[str]) -> ChoiceSpec:
    """The parts of a spec with `exits: auto`; problems go to the reader."""
    if data.get("exits") != "auto":
        reader.wrong(data.at("exits"), f"`exits` is {data.get('exits')!r}; only `auto` is allowed, or no `exits`")
    main = _known(reader, data, "main", networks)
    candidates = _candidates(reader, data, main, networks) if "candidates" in data else ()
    used = {main} | {name for one in candidates for name in one.networks}
    unused = [name for name in networks if name not in used and name not in reader.names(data, "compare")]
    if unused and "candidates" in data:
        reader.wrong(data.at("networks"), f"neither `main` nor a candidate: {', '.join(unused)}")
    if not unused and "candidates" not in data:
        reader.wrong(data.at("networks"), "there is no network besides `main` that could answer early")
    if not isinstance(data.get("choose"), LineMap):
        reader.wrong(data.at("choose"), "`choose` is a mapping with `data`, and `accuracy_drop` or `budget`")
    choose = reader.section(data, "choose") if isinstance(data.get("choose"), LineMap) else LineMap(data.where)
    reader.keys(choose, ("data",), ("minimise", "accuracy_drop", "budget", "risk"))
    if ("accuracy_drop" in choose) == ("budget" in choose):
        reader.wrong(choose.where, "one of `accuracy_drop` and `budget` is needed, and only one")
    if "budget" in choose and ("minimise" in choose or "risk" in choose):
        reader.wrong(choose.where, "with a `budget` the loss of accuracy is minimised; no `minimise` and `risk` then")
    drop = reader.value(choose, "accuracy_drop", number, "a number of percentage points >= 0")
    return ChoiceSpec(
        where=choose.where,
        main=main,
        candidates=candidates,
        measures=_measures(reader, data),
        data=_known(reader, choose, "data", files),
        weights=_weights(reader, choose),
        accuracy_drop=drop,
        budget=_budget(reader, choose),
        delta=read_delta(reader, choose, drop),
    )


def read_delta(reader: Reader, data: LineMap, accuracy_drop: float | None) -> float | None:
    """`risk: {delta: 0.05}`, None where there is none."""
    if "risk" not in data:
        return None
    value = data["risk"]
    if not isinstance(value, LineMap):
        reader.wrong(data.at("risk"), "`risk` is a mapping with `delta`, as in {delta: 0.05}")
        return None
    reader.keys(value, ("delta",), ())
    if accuracy_drop is not None and not 0 < accuracy_drop / 100 < 1:
        reader.wrong(data.at("risk"), "a guarantee on new data needs an `accuracy_drop` between 0 and 100 points")
    delta: float | None = reader.value(value, "delta", _probability, "a probability between 0 and 1")
    return delta


def _probability(value: object) -> float:
    if not 0 < (result := number(value)) < 1:
        raise ValueError
    return result


def _known(reader: Reader, data: LineMap, key: str, names: Collection[str]) -> str:
    name = str(data.get(key, ""))
    if key in data and name not in names:
        reader.wrong(data.at(key), f"`{key}`: there is no `{name}`; there are: {', '.join(names) or 'none'}")
    return name


def _candidates(reader: Reader, data: LineMap, main: str, networks: Collection[str]) -> tuple[CandidateSpec, ...]:
    items = data.get("candidates", [])
    if not isinstance(items, LineList) or not all(isinstance(one, LineMap) for one in items) or not items:
        reader.wrong(data.at("candidates"), "`candidates` is a list of {front: network} and {head: network}")
        return ()
    found = tuple(_candidate(reader, one, main, networks) for one in items)
    for problem in same_names(main, [one for one in found if one.until is not None or one.head is None]):
        reader.wrong(problem.where or data.where, problem.message)
    return found


def same_names(main: str, candidates: Sequence[CandidateSpec]) -> tuple[Diagnostic, ...]:
    """Candidates that cannot be told apart, from each other or from main."""
    names = [main, *(one.name for one in candidates)]
    return tuple(
        Diagnostic(one.where, f"there are several stages named `{one.name}`; give each a `name`")
        for one in candidates
        if names.count(one.name) > 1
    )


def _candidate(reader: Reader, data: LineMap, main: str, networks: Collection[str]) -> CandidateSpec:
    temperature = reader.value(data, "temperature", positive, "a number > 0")
    network, until, head = main, None, None
    if "front" in data:
        reader.keys(data, ("front",), ("name", "temperature"))
        default = network = _known(reader, data, "front", networks)
    else:
        reader.keys(data, ("head",), ("until", "name", "temperature"))
        until = reader.value(data, "until", layer_reference, "a layer's name or number")
        head = read_head(reader, data, networks) if "head" in data else None
        default = f"{main}-{until}" if until is not None else (head and head.network) or main
    if main in (head.network if head else None, data.get("front")):
        reader.wrong(data.where, f"`{main}` is the main network; it is no candidate itself")
    name = reader.name(data, default)
    return CandidateSpec(name, data.where, network, until, head, 1.0 if temperature is None else temperature)


def _measures(reader: Reader, data: LineMap) -> tuple[Measure, ...]:
    """`confidence`: one measure or a list of them; all where it is not given."""
    value = data.get("confidence", list(MEASURES))
    named = value if isinstance(value, list) else [value]
    measures = tuple(one for one in MEASURES if one in named)
    if not measures or len(measures) != len(named):
        reader.wrong(data.at("confidence"), f"`confidence` is one of {', '.join(MEASURES)}, or a list of some")
    return measures


def _weights(reader: Reader, data: LineMap) -> Mapping[str, float]:
    value = data.get("minimise", QUANTITIES[0])
    if isinstance(value, LineMap) and value:
        reader.keys(value, (), QUANTITIES)
        weights = {key: reader.value(value, key, positive, "a weight > 0") or 1.0 for key in QUANTITIES if key in value}
        return weights or {QUANTITIES[0]: 1.0}
    name: Any = reader.value(data, "minimise", one_of(*QUANTITIES), "`cycles`, `energy`, or weights for both")
    return {name or QUANTITIES[0]: 1.0}


def _budget(reader: Reader, data: LineMap) -> tuple[str, float] | None:
    if "budget" not in data:
        return None
    value = data["budget"]
    if not isinstance(value, LineMap) or len(value) != 1:
        reader.wrong(data.at("budget"), "`budget` is {cycles: number} or {energy: uJ}, the mean of an inference")
        return None
    reader.keys(value, (), QUANTITIES)
    key = next(iter(value))
    amount = reader.value(value, key, positive, "a number > 0")
    return (str(key), amount) if amount else None
