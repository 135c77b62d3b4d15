"""Place a chain: build the problem, solve it, let the checker judge the answer. There is no way around the check."""

from __future__ import annotations

from configs.device import Device
from configs.errors import CheckFailed
from configs.errors import Problem as Wrong
from planner.placed import Placed
from planner.placement.check import check
from planner.placement.solve import solve
from planner.resources import placement_problem, resources_of
from planner.stages import Chain


def place(chain: Chain, device: Device, overlap: bool = False) -> Placed:
    """A checked placement of all stages. Infeasible if it is proved that there is none, CheckFailed if ours is wrong.

    `overlap`: the user allows tensors to share words (the vendor tool's --overlap-data).
    """
    resources = resources_of(chain, device)
    problem = placement_problem(resources, overlap)
    placement = solve(problem)
    violations = check(problem, placement)
    if violations:
        raise CheckFailed(Wrong(None, f"placement: {violation.rule}: {violation.message}") for violation in violations)
    return Placed(resources, problem, placement)
