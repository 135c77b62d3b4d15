"""Place a chain: build the problem, solve it, let the checker judge the answer. There is no way around the check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from offramp.configs.device import Column, Device, Word
from offramp.configs.errors import CheckFailed, Diagnostic, Infeasible
from offramp.planner.allocation.reload import FLASH, Reload, reload_price, with_reload
from offramp.planner.allocation.requirements import (
    MemoryRequirements,
    depthwise_bias,
    placement_problem,
    requirements_of,
)
from offramp.planner.allocation.suggest import Alternative, nearest
from offramp.planner.ir.chain import Chain, Segment, Slot, TensorId
from offramp.planner.placement.check import check
from offramp.planner.placement.problem import BiasPlace, Placement, Problem
from offramp.planner.placement.solve import solve
from offramp.planner.spec.spec import ReloadSpec

NO_RELOAD = "with `reload: allowed` neither: the first stage, and what one layer of a later one needs, are too much"


@dataclass(frozen=True, eq=False)
class Placed:
    """A chain with its checked placement: where every tensor, weight block and bias block lies. `reload`: what is
    written again whenever it is needed; None if everything is resident. Lives are in the parts of this chain, also of a
    model beside others."""

    requirements: MemoryRequirements
    problem: Problem
    placement: Placement
    reload: Reload | None = None

    def with_chain(self, chain: Chain) -> Placed:
        """The same placement of a chain that differs in its exits only, or in where its stages are cut."""
        return replace(self, requirements=replace(self.requirements, chain=chain))

    @cached_property
    def bases(self) -> dict[TensorId, Word]:
        """First word of every tensor, the same in each of its instances."""
        return {
            tensor: self.placement.data[group.name] + start
            for group in self.requirements.groups
            for tensor, start in zip(group.tensors, group.starts, strict=True)
        }

    def kernel_start(self, slot: Slot) -> Column:
        """Start column of a layer's kernels; 0 for a layer without any."""
        owner = self.requirements.kernels.get(slot.name)
        return self.placement.weights[owner] if owner else 0

    def bias(self, slot: Slot, quadrant: int) -> BiasPlace | None:
        """Where a quadrant has biases of a layer; None if it has none."""
        depthwise = self.requirements.layer(slot).layer.depthwise
        place = self.placement.biases.get(depthwise_bias(slot.name, quadrant) if depthwise else slot.name)
        return place if place and place.quadrant == quadrant else None

    def base(self, tensor: TensorId) -> Word:
        return self.bases[tensor]

    def reloaded_weights(self, segment: Segment) -> tuple[str, ...]:
        """The layers whose kernels are written again before a run: it is the first that needs them."""
        names = set(self.reload.weights if self.reload else ())
        return tuple(slot.name for slot in segment.slots if slot.name in names)

    def reloaded_biases(self, segment: Segment) -> tuple[str, ...]:
        """The same of biases."""
        names = set(self.reload.biases if self.reload else ())
        return tuple(slot.name for slot in segment.slots if slot.name in names)

    def read_base(self, slot: Slot) -> Word:
        """The word from which a layer reads, behind what it crops: its first operand's, or that of all parts of a
        concatenation."""
        return min(self.bases[tensor] for tensor in slot.reads) + self.requirements.layer(slot).cropped_words[0]


def place(
    chain: Chain,
    device: Device,
    overlap: bool = False,
    alternatives: Iterable[Alternative] = (),
    reached: Sequence[int] | None = None,
    source: ReloadSpec = FLASH,
) -> Placed:
    """A checked placement of all stages. Infeasible if it is proved that there is none, CheckFailed if ours is wrong.

    `overlap`: the user allows tensors to share words (the vendor tool's --overlap-data). `alternatives`: chains that
    the user could have asked for instead; where this one does not fit, the message names the first that does.
    `reached`: what does not fit may be written again when it is needed; of so many inferences (that of the first stage)
    each stage is reached by as many. `source`: where that comes from.
    """
    requirements = requirements_of(chain, device)
    problem, reload = placement_problem(requirements, overlap), None
    if reached is not None:
        problem, reload = with_reload(requirements, problem, reached, source=source)
    try:
        placement = solve(problem)
    except Infeasible as error:
        suggestion = nearest(chain, problem, device, overlap, alternatives)
        remark = chain.remark if reached is None or reload else "; ".join(filter(None, (chain.remark, NO_RELOAD)))
        price = reload_price(requirements, problem) if reached is None else None
        raise Infeasible(_with_words(error.problems, remark, suggestion, price)) from error
    violations = check(problem, placement)
    if violations:
        raise CheckFailed(
            Diagnostic(None, f"placement: {violation.rule}: {violation.message}") for violation in violations
        )
    return Placed(requirements, problem, placement, reload)


def _with_words(reasons: tuple[Diagnostic, ...], remark: str, *cures: str | None) -> tuple[Diagnostic, ...]:
    """The reasons, the last one with what else there is to say; each cure on a line of its own."""
    message = "; ".join(filter(None, (reasons[-1].message, remark)))
    return (*reasons[:-1], replace(reasons[-1], message="\n  ".join(filter(None, (message, *cures)))))
