"""Place a chain: build the problem, solve it, let the checker judge the answer. There is no way around the check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from offramp.configs.device import Device
from offramp.configs.errors import CheckFailed, Diagnostic, Infeasible
from offramp.planner.allocation.placed import Placed
from offramp.planner.allocation.requirements import placement_problem, requirements_of
from offramp.planner.allocation.suggest import Alternative, nearest
from offramp.planner.ir.chain import Chain
from offramp.planner.placement.check import check
from offramp.planner.placement.solve import solve


def place(chain: Chain, device: Device, overlap: bool = False, alternatives: Iterable[Alternative] = ()) -> Placed:
    """A checked placement of all stages. Infeasible if it is proved that there is none, CheckFailed if ours is wrong.

    `overlap`: the user allows tensors to share words (the vendor tool's --overlap-data). `alternatives`: chains that
    the user could have asked for instead; the first that fits is told where this one does not.
    """
    requirements = requirements_of(chain, device)
    problem = placement_problem(requirements, overlap)
    try:
        placement = solve(problem)
    except Infeasible as error:
        suggestion = nearest(chain, problem, device, overlap, alternatives)
        raise Infeasible(_with_words(error.problems, [chain.remark, suggestion or ""])) from error
    violations = check(problem, placement)
    if violations:
        raise CheckFailed(
            Diagnostic(None, f"placement: {violation.rule}: {violation.message}") for violation in violations
        )
    return Placed(requirements, problem, placement)


def _with_words(reasons: tuple[Diagnostic, ...], words: Iterable[str]) -> tuple[Diagnostic, ...]:
    """The reasons, the last one with what else there is to say."""
    message = "; ".join(filter(None, (reasons[-1].message, *words)))
    return (*reasons[:-1], replace(reasons[-1], message=message))
