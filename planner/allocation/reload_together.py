"""What is written again of several models that do not fit together: which layers of which, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import gcd

from offramp.configs.device import Device
from offramp.configs.errors import OfframpError
from offramp.planner.allocation.models import ModelPart, Parts, full_name, joint_problem
from offramp.planner.allocation.reload import BRIEF, Frequency, Reload, Uses, choose, reloaded, uses_of
from offramp.planner.placement.cpsat_reload import Candidates, Chosen, Use
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS, Limits
from offramp.planner.placement.solve import solve

FRACTIONS = 10_000  # to which shares of inferences are rounded
NO_RELOAD = (
    "with `reload: allowed` neither: what the first stage of a model, or one layer of a later one, needs is too much"
)


@dataclass(frozen=True)
class Demand:
    """How often a model is used. `reached`: of so many of its inferences, that of the first stage, each stage is
    reached by as many; `asked`: how often it is asked, beside other models; `allowed`: it may be written again."""

    reached: tuple[int, ...]
    asked: int = 1
    allowed: bool = True


Demands = Mapping[str, Demand]  # by the model's name


def frequencies(demands: Demands) -> tuple[dict[str, Frequency], int]:
    """How often in a number of inferences, which is the second value, stages are reached and models run after another
    one. Which model is asked does not depend on the one before."""
    asked = sum(one.asked for one in demands.values())
    reached = {
        name: [one.asked * asked * _rounded(stage, one.reached[0]) for stage in one.reached]
        for name, one in demands.items()
    }
    entered = {name: one.asked * (asked - one.asked) * FRACTIONS for name, one in demands.items()}
    inferences = asked * asked * FRACTIONS
    unit = gcd(inferences, *entered.values(), *(count for counts in reached.values() for count in counts))
    found = {name: Frequency(tuple(n // unit for n in reached[name]), entered[name] // unit) for name in demands}
    return found, inferences // unit


def _rounded(part: int, whole: int) -> int:
    return (2 * FRACTIONS * part + whole) // (2 * whole)


@dataclass(frozen=True, eq=False)
class _Offer:
    """Blocks of the problem of all models that may be written again. `owners`: of each (model, its own block) the block
    of the problem; `uses`: of each block by model."""

    owners: Mapping[tuple[str, str], str]
    uses: Mapping[str, Mapping[str, Use]]

    @property
    def candidates(self) -> Candidates:
        return {block: tuple(own.values()) for block, own in self.uses.items()}

    def chosen(self, model: str, choice: Chosen, entry: bool) -> tuple[str, ...]:
        """A model's own blocks that are written again: those that are when the model is entered, or the others."""
        found = []
        for (name, block), owner in self.owners.items():
            if name == model and owner in choice.at_entry:
                kept = dict(zip(self.uses[owner], choice.at_entry[owner], strict=True))
                found += [block] if kept[model] == entry else []
        return tuple(found)


@dataclass(frozen=True, eq=False)
class _Choice:
    """What may be written again, weights and biases, and what of both is; None if the models do not fit with any
    choice."""

    offers: tuple[_Offer, _Offer]
    chosen: tuple[Chosen, Chosen] | None
    inferences: int


def reload_together(parts: Parts, demands: Demands, device: Device, limits: Limits = DEFAULT_LIMITS) -> Parts:
    """The models with what is written again, chosen for the fewest words; as they are if all is resident, or if they do
    not fit with any choice. OfframpError if that is undecided.

    Kernels that models share are written again only if all of these allow it.
    """
    found = _choice(parts, demands, device, limits)
    return _with_choice(parts, demands, found, found.chosen) if found.chosen else parts


def _choice(parts: Parts, demands: Demands, device: Device, limits: Limits) -> _Choice:
    often, inferences = frequencies(demands)
    uses = {
        name: _moved(part, uses_of(part.requirements, often[name]))
        for name, part in parts.items()
        if demands[name].allowed
    }
    weights, biases = _weights(parts, uses), _biases(uses)
    chosen = choose(joint_problem(parts, device), weights.candidates, biases.candidates, limits)
    return _Choice((weights, biases), chosen, inferences)


def _with_choice(parts: Parts, demands: Demands, found: _Choice, chosen: tuple[Chosen, Chosen]) -> Parts:
    if not any(one.at_entry for one in chosen):
        return parts
    every = [use for offer in found.offers for own in offer.uses.values() for use in own.values()]
    cost, bound = sum(one.cost for one in chosen), sum(one.bound for one in chosen)
    everything = sum((use.entry if use.again is None else use.again) or 0 for use in every)
    changed = dict(parts)
    for name, part in parts.items():
        if demands[name].allowed:
            kinds = list(zip(found.offers, chosen, strict=True))
            again = [offer.chosen(name, one, entry=False) for offer, one in kinds]
            entry = [offer.chosen(name, one, entry=True) for offer, one in kinds]
            own = Reload(
                again[0],
                again[1],
                cost,
                bound,
                everything,
                found.inferences,
                entry_weights=entry[0],
                entry_biases=entry[1],
            )
            problem = reloaded(part.requirements, part.problem, own, several=True)
            changed[name] = replace(part, problem=problem, reload=own)
    return changed


def _moved(part: ModelPart, uses: Uses) -> Uses:
    """Uses in the parts of all models."""
    kinds = (
        {block: replace(use, needed=part.moved(use.needed), model=part.moved(use.model)) for block, use in kind.items()}
        for kind in (uses.weights, uses.biases)
    )
    return Uses(*kinds)


def _weights(parts: Parts, uses: Mapping[str, Uses]) -> _Offer:
    users: dict[str, dict[str, Use]] = {}
    resident = {owner for name, part in parts.items() if name not in uses for owner in part.owners.values()}
    owners = {(name, block): owner for name in uses for block, owner in parts[name].owners.items()}
    for (name, block), owner in owners.items():
        if owner not in resident:
            users.setdefault(owner, {})[name] = uses[name].weights[block]
    return _Offer(owners, users)


def _biases(uses: Mapping[str, Uses]) -> _Offer:
    owners = {(name, block): full_name(name, block) for name, own in uses.items() for block in own.biases}
    return _Offer(owners, {owner: {name: uses[name].biases[block]} for (name, block), owner in owners.items()})


def price_together(parts: Parts, demands: Demands, device: Device) -> str | None:
    """What `reload: allowed` in all specs would cost, in words for a message; None where it does not help."""
    wanted = {
        name: replace(demands[name], allowed=True)
        if name in demands
        else Demand((1,) * len(part.requirements.chain.stages))
        for name, part in parts.items()
    }
    try:
        found = _choice(parts, wanted, device, BRIEF)
        if found.chosen is None:
            return NO_RELOAD
        solve(joint_problem(_with_choice(parts, wanted, found, found.chosen), device), BRIEF)
    except OfframpError:
        return None
    words = sum(one.cost for one in found.chosen) / found.inferences
    return f"they would fit with `reload: allowed` in their specs: {words:,.0f} words more in the mean inference"
