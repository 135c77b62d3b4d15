"""What is written again where not everything fits: from a chain to the choice (`placement.reload`), and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from offramp.configs.errors import OfframpError
from offramp.planner.allocation.requirements import MemoryRequirements, streaming_bias_lead
from offramp.planner.hardware.hw_layer import WORD_BYTES, HwLayer, ceil_div
from offramp.planner.ir.cuts import segment_cuts
from offramp.planner.placement.answer import Impossible, Undecided
from offramp.planner.placement.cpsat_reload import Chosen, Reloadable
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS, Limits
from offramp.planner.placement.problem import Problem
from offramp.planner.placement.reload import choose_biases, choose_weights, with_lives
from offramp.planner.placement.solve import solve
from offramp.planner.spec.spec import ReloadSpec

FLASH = ReloadSpec()
BRIEF = Limits(effort=0.5)  # for what is only told


@dataclass(frozen=True)
class Reload:
    """Layers whose weights, and whose biases, are written again whenever their run is reached.

    `words`: written for that in `inferences` inferences together, of which each stage is reached by as many as the
    choice was made for; `bound`: no choice takes fewer; `everything`: all that may be written again. `external`: the
    weights are in a file outside flash, read at so many `bytes_per_second` if that is known.
    """

    weights: tuple[str, ...]
    biases: tuple[str, ...]
    words: int
    bound: int
    everything: int
    inferences: int
    external: bool = False
    bytes_per_second: int | None = None


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
    weights, biases = candidates_of(requirements, reached)
    first = choose_weights(problem, weights, limits)
    second = choose_biases(problem, biases, limits)
    if isinstance(first, Undecided) or isinstance(second, Undecided):
        raise OfframpError(f"choosing what is written again is undecided after a solver effort of {limits.effort:g}")
    if isinstance(first, Impossible) or isinstance(second, Impossible):
        return problem, None
    if not first.value.names and not second.value.names:
        return problem, None
    found = replace(
        problem,
        weights=with_lives(problem.weights, weights, first.value),
        biases=with_lives(problem.biases, biases, second.value),
    )
    return found, Reload(
        weights=tuple(block.name for block in problem.weights if block.name in first.value.names),
        biases=tuple(block.name for block in problem.biases if block.name in second.value.names),
        words=first.value.cost + second.value.cost,
        bound=first.value.bound + second.value.bound,
        everything=sum(one.cost for one in (*weights.values(), *biases.values())),
        inferences=reached[0],
        external=source.external and bool(first.value.names),
        bytes_per_second=source.bytes_per_second if first.value.names else None,
    )


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


def reloaded(requirements: MemoryRequirements, problem: Problem, reload: Reload) -> Problem:
    """The problem with what a plan says is written again. ValueError if it cannot be."""
    reached = [0] * len(requirements.chain.stages)
    weights, biases = candidates_of(requirements, reached)
    if not (set(reload.weights) <= weights.keys() and set(reload.biases) <= biases.keys()):
        raise ValueError("layers of the first stage are resident")
    return replace(
        problem,
        weights=with_lives(problem.weights, weights, Chosen(frozenset(reload.weights), 0, 0)),
        biases=with_lives(problem.biases, biases, Chosen(frozenset(reload.biases), 0, 0)),
    )


def candidates_of(
    requirements: MemoryRequirements, reached: Sequence[int]
) -> tuple[Mapping[str, Reloadable], Mapping[str, Reloadable]]:
    """Weights and biases that may be written again, by layer, with the words that this takes in all inferences.

    Those of the first stage are resident: it never waits. In a chain of one stage that is what runs up to the first
    place where it can be cut.
    """
    chain = requirements.chain
    parts, stages = _parts(requirements), {slot.name: n for n, stage in enumerate(chain.stages) for slot in stage.slots}
    users: dict[str, list[str]] = {}
    for name, owner in requirements.kernels.items():
        users.setdefault(owner, []).append(name)

    def waits(name: str) -> bool:
        return stages[name] > 0 or (len(chain.stages) == 1 and parts[name] > 0)

    weights, biases = {}, {}
    for slot in chain.slots:
        hw = requirements.layer(slot)
        own = users.get(slot.name, [])
        if own and all(map(waits, own)):
            life = (min(parts[name] for name in own), max(parts[name] for name in own))
            weights[slot.name] = Reloadable(life, weight_words(hw) * reached[stages[own[0]]])
        if hw.bias_bytes and waits(slot.name):
            life = (parts[slot.name], parts[slot.name])
            length = hw.bias_bytes + streaming_bias_lead(requirements.stage_of[slot.writes], slot)
            biases[slot.name] = Reloadable(life, length * reached[stages[slot.name]])
    return weights, biases


def external_bytes(requirements: MemoryRequirements, names: Iterable[str]) -> int:
    """What the file outside flash has of the kernels of some layers."""
    slots = {slot.name: slot for slot in requirements.chain.slots}
    return WORD_BYTES * sum(weight_words(requirements.layer(slots[name])) for name in names)


def weight_words(hw: HwLayer) -> int:
    """Words that hold a layer's kernels as they are sent."""
    column_bytes = hw.device.memories["weights"].word_bytes
    return hw.processors.bit_count() * ceil_div(hw.columns * column_bytes, WORD_BYTES)


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
