"""What is written again where not everything fits: from chains to the choice (`placement.reload`), and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from offramp.configs.errors import OfframpError
from offramp.planner.allocation.requirements import MemoryRequirements, bias_lead
from offramp.planner.hardware.hw_layer import WORD_BYTES, HwLayer, ceil_div
from offramp.planner.ir.cuts import segment_cuts
from offramp.planner.placement.answer import Impossible, Undecided
from offramp.planner.placement.cpsat_reload import Candidates, Chosen, Use
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS, Limits
from offramp.planner.placement.problem import Problem
from offramp.planner.placement.reload import choose_biases, choose_weights, with_lives
from offramp.planner.placement.solve import solve
from offramp.planner.spec.spec import ReloadSpec

FLASH = ReloadSpec()
BRIEF = Limits(effort=0.5)  # for what is only told


@dataclass(frozen=True)
class Reload:
    """Layers whose weights, and whose biases, are written again whenever their run is reached; and, of a model beside
    others, those that are written when it runs after another one.

    `words`: written for that in `inferences` inferences together, of which each stage is reached by as many as the
    choice was made for; `bound`: no choice takes fewer; `everything`: all that may be written again. `external`: the
    weights are in a file outside flash, read at so many `bytes_per_second` if that is known. Beside other models the
    words are the same for all of them: of inferences of all models.
    """

    weights: tuple[str, ...]
    biases: tuple[str, ...]
    words: int
    bound: int
    everything: int
    inferences: int
    external: bool = False
    bytes_per_second: int | None = None
    entry_weights: tuple[str, ...] = ()
    entry_biases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frequency:
    """How often in a number of inferences each stage of a model is reached, and the model runs after another one, None
    if there is no other."""

    reached: tuple[int, ...]
    entered: int | None = None


@dataclass(frozen=True)
class Uses:
    """What may be written again of a model, by layer."""

    weights: Mapping[str, Use]
    biases: Mapping[str, Use]


def choose(
    problem: Problem, weights: Candidates, biases: Candidates, limits: Limits = DEFAULT_LIMITS
) -> tuple[Chosen, Chosen] | None:
    """Weights and biases to be written again, for the least cost. None: it does not fit with any choice. OfframpError
    if that is undecided."""
    first, second = choose_weights(problem, weights, limits), choose_biases(problem, biases, limits)
    if isinstance(first, Undecided) or isinstance(second, Undecided):
        raise OfframpError(f"choosing what is written again is undecided after a solver effort of {limits.effort:g}")
    if isinstance(first, Impossible) or isinstance(second, Impossible):
        return None
    return first.value, second.value


def with_reload(
    requirements: MemoryRequirements,
    problem: Problem,
    reached: Sequence[int],
    limits: Limits = DEFAULT_LIMITS,
    source: ReloadSpec = FLASH,
) -> tuple[Problem, Reload | None]:
    """The problem with what is written again, chosen for the fewest words. None: everything fits, or it does not fit
    with any choice. OfframpError if that is undecided. `reached`: for each stage the number of inferences that get
    there, the first stage's of all."""
    uses = uses_of(requirements, Frequency(tuple(reached)))
    weights, biases = ({name: (use,) for name, use in kind.items()} for kind in (uses.weights, uses.biases))
    chosen = choose(problem, weights, biases, limits)
    if chosen is None or not any(one.at_entry for one in chosen):
        return problem, None
    first, second = chosen
    found = Reload(
        weights=tuple(block.name for block in problem.weights if block.name in first.at_entry),
        biases=tuple(block.name for block in problem.biases if block.name in second.at_entry),
        words=first.cost + second.cost,
        bound=first.bound + second.bound,
        everything=sum(use.again or 0 for kind in (uses.weights, uses.biases) for use in kind.values()),
        inferences=reached[0],
        external=source.external and bool(first.at_entry),
        bytes_per_second=source.bytes_per_second if first.at_entry else None,
    )
    return reloaded(requirements, problem, found), found


def reload_price(requirements: MemoryRequirements, problem: Problem) -> str | None:
    """What `reload: allowed` would cost, in words for a message; None where it does not help."""
    try:
        changed, reload = with_reload(requirements, problem, [1] * len(requirements.chain.stages), BRIEF)
        if reload:
            solve(changed, BRIEF)
    except OfframpError:
        return None
    if reload is None:
        return None
    kinds = [f"{len(names)} layers' {kind}" for kind, names in (("weights", reload.weights), ("biases", reload.biases))]
    what = " and ".join(kind for kind, names in zip(kinds, (reload.weights, reload.biases), strict=True) if names)
    cost = f"{reload.words:,} words more in an inference that reaches the last stage, for {what}"
    return f"it would fit with `reload: allowed` in a spec: {cost}"


def reloaded(requirements: MemoryRequirements, problem: Problem, reload: Reload, several: bool = False) -> Problem:
    """The problem of a chain with what a plan says is written again. ValueError if it cannot be. `several`: the chain
    is a model beside others."""
    uses = uses_of(requirements, Frequency((0,) * len(requirements.chain.stages), 0 if several else None))
    return replace(
        problem,
        weights=with_lives(problem.weights, *_as_planned(uses.weights, reload.weights, reload.entry_weights)),
        biases=with_lives(problem.biases, *_as_planned(uses.biases, reload.biases, reload.entry_biases)),
    )


def _as_planned(uses: Mapping[str, Use], again: Sequence[str], entry: Sequence[str]) -> tuple[Candidates, Chosen]:
    if not all(name in uses and uses[name].again is not None for name in again):
        raise ValueError("layers of the first stage are resident")
    if set(again) & set(entry) or not all(name in uses and uses[name].entry is not None for name in entry):
        raise ValueError("what is written when a model is entered are layers of one of several models")
    at_entry = {name: (name in entry,) for name in (*again, *entry)}
    return {name: (use,) for name, use in uses.items()}, Chosen(at_entry, 0, 0)


def uses_of(requirements: MemoryRequirements, often: Frequency) -> Uses:
    """What may be written again, with the words that this takes in all inferences.

    The first stage never waits for a run of its own model: what it needs is resident or, beside other models, written
    when the model runs after another one. In a chain of one stage that is what runs up to the first place where it can
    be cut.
    """
    chain = requirements.chain
    parts, stages = _parts(requirements), {slot.name: n for n, stage in enumerate(chain.stages) for slot in stage.slots}
    whole = frozenset(parts.values())
    users: dict[str, list[str]] = {}
    for name, owner in requirements.kernels.items():
        users.setdefault(owner, []).append(name)

    def use(names: Sequence[str], words: int) -> Use | None:
        """Of what some layers need, in the order of their runs."""
        waits = all(stages[name] > 0 or (len(chain.stages) == 1 and parts[name] > 0) for name in names)
        needed = frozenset(range(parts[names[0]], max(parts[name] for name in names) + 1))
        again = words * often.reached[stages[names[0]]] if waits else None
        entry = words * often.entered if often.entered is not None else None
        return Use(needed, whole, again, entry) if waits or entry is not None else None

    weights, biases = dict[str, Use | None](), dict[str, Use | None]()
    for slot in chain.slots:
        hw = requirements.layer(slot)
        if slot.name in users:
            weights[slot.name] = use(users[slot.name], weight_words(hw))
        if hw.bias_bytes and not hw.layer.depthwise:  # those of depthwise layers stay
            length = hw.bias_bytes + bias_lead(requirements.stage_of[slot.writes], slot, requirements.device)
            biases[slot.name] = use([slot.name], length)
    return Uses(*({name: one for name, one in kind.items() if one} for kind in (weights, biases)))


def part_count(requirements: MemoryRequirements) -> int:
    """Of a chain."""
    return 1 + max(_parts(requirements).values())


def external_bytes(requirements: MemoryRequirements, names: Iterable[str]) -> int:
    """What the file outside flash has of the kernels of some layers."""
    slots = {slot.name: slot for slot in requirements.chain.slots}
    return WORD_BYTES * sum(weight_words(requirements.layer(slots[name])) for name in names)


def weight_words(hw: HwLayer) -> int:
    """Words that hold a layer's kernels as they are sent."""
    column_bytes = hw.device.memories["weights"].word_bytes
    return hw.processors.bit_count() * ceil_div(hw.all_columns * column_bytes, WORD_BYTES)


def _parts(requirements: MemoryRequirements) -> dict[str, int]:
    """For each layer the number of the part of the chain that it is in: no run can end inside a part."""
    parts, number = {}, 0
    for stage in requirements.chain.stages:
        places = segment_cuts(requirements.chain, stage)
        for position, slot in enumerate(stage.slots):
            number += position in places
            parts[slot.name] = number
        number += 1
    return parts
