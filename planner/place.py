"""Place a chain: build the problem, solve it, let the checker judge the answer. There is no way around the check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from configs.device import Device
from configs.errors import CheckFailed, Infeasible
from configs.errors import Problem as Wrong
from planner.placed import Placed
from planner.placement.check import check
from planner.placement.solve import solve
from planner.resources import placement_problem, resources_of
from planner.stages import Chain
from planner.suggest import Alternative, nearest


def place(chain: Chain, device: Device, overlap: bool = False, alternatives: Iterable[Alternative] = ()) -> Placed:
    """A checked placement of all stages. Infeasible if it is proved that there is none, CheckFailed if ours is wrong.

    `overlap`: the user allows tensors to share words (the vendor tool's --overlap-data). `alternatives`: chains that
    the user could have asked for instead; the first that fits is told where this one does not.
    """
    resources = resources_of(chain, device)
    problem = placement_problem(resources, overlap)
    try:
        placement = solve(problem)
    except Infeasible as error:
        suggestion = nearest(chain, problem, device, overlap, alternatives)
        raise Infeasible(_with_words(error.problems, [chain.remark, suggestion or ""])) from error
    violations = check(problem, placement)
    if violations:
        raise CheckFailed(Wrong(None, f"placement: {violation.rule}: {violation.message}") for violation in violations)
    return Placed(resources, problem, placement)


def _with_words(reasons: tuple[Wrong, ...], words: Iterable[str]) -> tuple[Wrong, ...]:
    """The reasons, the last one with what else there is to say."""
    message = "; ".join(filter(None, (reasons[-1].message, *words)))
    return (*reasons[:-1], replace(reasons[-1], message=message))
