"""Which fronts and heads are trained at all: proposed by their cost, placed beside main, and left out with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.chain.build import cuts_of
from offramp.planner.exits.choose import Cost
from offramp.planner.ir.network import INPUT
from offramp.planner.spec.spec import ChoiceSpec
from offramp.planner.tasks.executor import Executor
from offramp.training.candidates import Bench, Priced, Proposal, priced
from offramp.training.costs import DesignCost, spread
from offramp.training.design import Design, with_gate
from offramp.training.fronts import front_designs
from offramp.training.heads import cycles_behind, head_designs
from offramp.training.spec import MAIN

FRONTS = 16  # that are trained at least a little
HEADS = 8
WORTH_IT = 0.9  # of main's cost: what costs more even if every input leaves there is not trained
_LONGEST = 0.6  # of main's cycles: a front that takes more could not save much


@dataclass(frozen=True, eq=False)
class Field:
    """Candidates to be trained, by name, and what was left out: names or numbers of designs, with the reason."""

    priced: Mapping[str, Priced]
    left_out: tuple[tuple[str, str], ...]


def propose_fronts(bench: Bench, tasks: Executor) -> Field:
    """Fronts, the cheapest first. InputError if none fits."""
    designs = designs_within(bench, int(_LONGEST * bench.alone.cost_by_exit["cycles"][0]))
    chosen = spread(designs, FRONTS, by_sight=True)
    names = _names(bench, "front", len(chosen))
    proposals = [Proposal(name, _named(bench, one.design, name)) for name, one in zip(names, chosen, strict=True)]
    left_out = (
        [] if len(designs) == len(chosen) else [(f"{len(designs) - len(chosen)} designs", "others cost about the same")]
    )
    found = _field(bench, proposals, left_out, tasks)
    if not found.priced:
        # What is wrong with all of them is said once.
        reasons = dict.fromkeys(reason.replace(f"`{name}`", "`front-N`") for name, reason in found.left_out)
        why = "; ".join(reasons) or "main is too small for one"
        raise InputError(Diagnostic(bench.spec.main.where, f"no front can run before main: {why}; give `fronts: none`"))
    return found


def designs_within(bench: Bench, most: int, least: int = 0) -> tuple[DesignCost, ...]:
    """Designs of networks that read main's input, whose answers cost from `least` to `most` cycles."""
    first = bench.main.consumers(INPUT)[0]
    classes = bench.main.layers[-1].out_shape.channels
    bits = bench.spec.fronts.bits[0] if bench.spec.fronts else 8
    found = front_designs(bench.main.input_shape, first.data_format, classes, bits, bench.device, most)
    return tuple(one for one in found if one.cycles >= least)


def propose_heads(bench: Bench, tasks: Executor) -> Field:
    """Heads, in the order of their cuts; perhaps none."""
    spec, main = bench.spec, bench.main
    classes, bits = main.layers[-1].out_shape.channels, spec.heads.bits[0] if spec.heads else 8
    proposals, left_out = [], []
    for cut in cuts_of(spec.main, bench.sources[MAIN], [], bench.device):
        limit = cycles_behind(main, cut, bench.device) // 2
        found = head_designs(main.layers[cut].out_shape, classes, bits, limit, bench.device)
        if not found:
            left_out.append(
                (f"heads after layer {cut}", f"none takes at most {limit} cycles, half of what is left of main")
            )
        for number, one in enumerate(found):
            name = f"head-{cut}{chr(ord('a') + number)}"
            proposals.append(Proposal(name, _named(bench, one.design, name), cut))
    every = _field(bench, proposals, left_out, tasks)
    ranked = sorted(every.priced.items(), key=lambda one: least_share(spec.choice, one[1].cost, bench.alone))
    chosen = {name for name, _ in ranked[:HEADS]}
    more = [(name, f"{HEADS} others can save more") for name, _ in ranked[HEADS:]]
    kept = {name: one for name, one in every.priced.items() if name in chosen}
    return Field(kept, (*every.left_out, *more))


def _named(bench: Bench, design: Design, name: str) -> Design:
    named = replace(design, name=name)
    return with_gate(named) if bench.spec.gate else named


def _field(bench: Bench, proposals: Sequence[Proposal], left_out: Sequence[tuple[str, str]], tasks: Executor) -> Field:
    found: dict[str, Priced] = {}
    reasons = list(left_out)
    for proposal, one in zip(proposals, priced(bench, proposals, tasks), strict=True):
        if isinstance(one, str):
            reasons.append((proposal.name, one))
            continue
        share = least_share(bench.spec.choice, one.cost, bench.alone)
        if share > WORTH_IT:
            reasons.append((proposal.name, f"would cost {share:.0%} of main even if every input left there"))
        else:
            found[proposal.name] = one
    return Field(found, tuple(reasons))


def least_share(goal: ChoiceSpec, cost: Cost, alone: Cost) -> float:
    """What an inference that leaves at the candidate costs, as a share of main alone, in what is minimised."""
    weights = {goal.budget[0]: 1.0} if goal.budget else goal.weights
    parts = (weight * cost.cost_by_exit[key][0] / alone.cost_by_exit[key][0] for key, weight in weights.items())
    return sum(parts) / sum(weights.values())


def _names(bench: Bench, kind: str, count: int) -> list[str]:
    return [f"{kind}-{number + 1}" for number in range(count)]
