"""Several chains placed together, as the models of one image: one problem over all of them (`models`).

Weights and biases of all models are resident, but for those that may be written again and do not fit, equal kernels
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, islice

from offramp.configs.device import Device
from offramp.configs.errors import CheckFailed, Diagnostic, Infeasible, OfframpError
from offramp.planner.allocation.models import Chains, ModelPart, Parts, full_name, joint_problem, parts_of
from offramp.planner.allocation.place import Placed, place
from offramp.planner.allocation.reload_together import Demands, price_together, reload_together
from offramp.planner.allocation.suggest import (
    ATTEMPTS,
    LIMITS,
    Alternative,
    freed_offsets,
    halved,
    halved_words,
    smaller_sets,
)
from offramp.planner.ir.chain import Chain
from offramp.planner.placement.check import check
from offramp.planner.placement.columns import objectives_of
from offramp.planner.placement.problem import Objective, Placement, Problem, Violation
from offramp.planner.placement.solve import solve
from offramp.planner.rules.check import check_chain

Alternatives = Mapping[str, Iterable[Alternative]]  # by model: what could be different, and its chain with it


@dataclass(frozen=True, eq=False)
class PlacedTogether:
    """Models with their parts of one checked placement. `objectives`: of all weights together."""

    models: Mapping[str, Placed]
    objectives: tuple[Objective, ...]


def problem_together(chains: Chains, device: Device) -> Problem:
    """The placement problem of all models."""
    return joint_problem(parts_of(chains, device), device)


def place_together(
    chains: Chains, device: Device, alternatives: Alternatives | None = None, demands: Demands | None = None
) -> PlacedTogether:
    """A checked placement of all models. Infeasible, with which of them would fit and what else would, if it is proved
    that there is none; CheckFailed if ours is wrong. `demands`: how often models are used, of which those that allow it
    may be written again.

    A single model is placed as it is alone.
    """
    if len(chains) == 1:
        ((name, chain),) = chains.items()
        alone = place(chain, device, alternatives=(alternatives or {}).get(name, ()))
        return PlacedTogether({name: alone}, alone.placement.objectives)
    resident = parts_of(chains, device)
    parts = reload_together(resident, demands, device) if demands else resident
    problem = joint_problem(parts, device)
    try:
        placement = solve(problem)
    except Infeasible as error:
        found = _what_fits(chains, problem, device, alternatives or {})
        price = price_together(resident, demands or {}, device)
        cures = replace(found, message="\n  ".join(filter(None, (found.message, price))))
        raise Infeasible((*error.problems, cures)) from error
    placed = {name: _own(name, part, placement) for name, part in parts.items()}
    return check_together(placed, placement.objectives)


def check_together(models: Mapping[str, Placed], objectives: tuple[Objective, ...]) -> PlacedTogether:
    """The models, once it is checked that each is placed well and that no two want the same bytes. CheckFailed."""
    if len(models) > 1:
        device = next(iter(models.values())).requirements.device
        whole = parts_of({name: placed.requirements.chain for name, placed in models.items()}, device)
        parts = {name: replace(part, problem=models[name].problem) for name, part in whole.items()}
        joined = _joined(parts, models, objectives)
        violations = [*check(joint_problem(parts, device), joined), *_apart(parts, joined, models)]
        violations += [found for placed in models.values() for found in check(placed.problem, placed.placement)]
        if violations:
            raise CheckFailed(Diagnostic(None, f"placement: {found.rule}: {found.message}") for found in violations)
    return PlacedTogether(models, objectives)


def _own(name: str, part: ModelPart, placement: Placement) -> Placed:
    """A model's part of the placement. Its objectives are those of its own weights, with nothing proved."""
    weights = {block: placement.weights[owner] for block, owner in part.owners.items()}
    own = Placement(
        weights=weights,
        biases={block.name: placement.biases[full_name(name, block.name)] for block in part.problem.biases},
        data={block.name: placement.data[full_name(name, block.name)] for block in part.problem.data},
        objectives=objectives_of(part.problem.weights, [weights[block.name] for block in part.problem.weights]),
    )
    return Placed(part.requirements, part.problem, own, part.reload)


def _joined(parts: Parts, models: Mapping[str, Placed], objectives: tuple[Objective, ...]) -> Placement:
    weights, places = dict[str, int](), [(name, models[name].placement) for name in parts]
    for name, own in places:
        for block, start in own.weights.items():
            weights.setdefault(parts[name].owners.get(block, full_name(name, block)), start)
    return Placement(
        weights=weights,
        biases={full_name(name, block): place for name, own in places for block, place in own.biases.items()},
        data={full_name(name, block): word for name, own in places for block, word in own.data.items()},
        objectives=objectives,
    )


def _apart(parts: Parts, joined: Placement, models: Mapping[str, Placed]) -> Iterator[Violation]:
    """Kernels that models share lie in the same columns for all of them."""
    for name, part in parts.items():
        for block, owner in part.owners.items():
            start = models[name].placement.weights.get(block)
            if start is not None and start != joined.weights[owner]:
                found = f"weights {full_name(name, block)} start at column {start}, the same ones of {owner} at"
                yield Violation("kernels_shared", f"{found} {joined.weights[owner]}")


def _what_fits(chains: Chains, problem: Problem, device: Device, alternatives: Alternatives) -> Diagnostic:
    """Which models fit, and the first change found with which all do. Both are tried, not guessed."""
    subsets = (names for size in range(len(chains) - 1, 0, -1) for names in combinations(chains, size))
    tried = islice(subsets, ATTEMPTS)
    fitting = next((names for names in tried if _fits({name: chains[name] for name in names}, device)), ())
    found = "none of the models is found to fit, not even alone"
    if fitting:
        found = (
            f"{' and '.join(f'`{name}`' for name in fitting)} {'fits alone' if len(fitting) == 1 else 'fit together'}"
        )
    for words, name, changed in _changes(chains, problem, alternatives):
        if _fits(chains, device, (name, changed)):
            return Diagnostic(None, f"{found}; all models would fit with {words}")
    return Diagnostic(None, f"{found}; no small change is found with which all models would")


def _changes(
    chains: Chains, problem: Problem, alternatives: Alternatives
) -> Iterator[tuple[str, str, Callable[[], Chain]]]:
    """What could be different in one model: words, the model, its chain with it."""
    for name, chain in chains.items():
        for words, changed in (*freed_offsets(chain), *alternatives.get(name, ())):
            yield f"{words} of `{name}`", name, changed
    slots = {full_name(name, slot.name): slot for name, chain in chains.items() for slot in chain.slots}
    for names in smaller_sets(slots, problem):
        owners = {name.split(":")[0] for name in names}
        if len(owners) == 1:
            (owner,) = owners
            own = [name.removeprefix(f"{owner}:") for name in names]
            yield halved_words(slots, names), owner, partial(halved, chains[owner], own)


def _fits(chains: Chains, device: Device, change: tuple[str, Callable[[], Chain]] | None = None) -> bool:
    try:
        if change:
            name, changed = change
            chains = {**chains, name: changed()}
        if any(check_chain(chain, device) for chain in chains.values()):
            return False
        solve(problem_together(chains, device), LIMITS)
    except OfframpError:
        return False
    return True
