"""Which layers of a placed stage can be in one run: as many as there are slots, and none that share a place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise, product

from offramp.configs.device import Device
from offramp.planner.allocation.place import Placed
from offramp.planner.ir.chain import Chain, Slot, Stage
from offramp.planner.ir.cuts import segment_cuts


def fits(stage: Stage, ends: Sequence[int]) -> bool:
    """Whether every run of a stage may be one."""
    return all(end <= ends[first] for first, end in pairwise((0, *stage.cuts, len(stage.slots))))


def furthest_ends(placed: Placed, stage: Stage) -> tuple[int, ...]:
    """For each slot of a stage one behind the last slot that a run that begins with it can have. Stages that run
    together share the slots of a run, if the stage can be cut so that there are enough."""
    chain = placed.requirements.chain
    if not chain.hardware:
        return _ends(placed, stage, 0, 0)
    ends = _ends(placed, stage, *_taken_around(placed, stage))
    places = (0, *segment_cuts(chain, stage), len(stage.slots))
    enough = all(following <= ends[place] for place, following in pairwise(places))
    return ends if enough else _ends(placed, stage, 0, 0)


def _ends(placed: Placed, stage: Stage, before: int, behind: int) -> tuple[int, ...]:
    """The same with so many slots taken of the first run, by stages before, and of the last one, by stages behind. What
    runs together has one slot more, to leave by."""
    most, slots = placed.requirements.device.geometry.layers, stage.slots
    apart = [[rivals(placed, slot, other) for other in slots] for slot in slots] if placed.reload else []
    ends = [len(slots)] * len(slots)
    for first in reversed(range(len(slots))):
        later = ends[first + 1] if first + 1 < len(slots) else len(slots)
        others = [at for at in range(first + 1, len(slots)) if apart and apart[first][at]]
        taken = before + 1 if before and first == 0 else 0
        within = _within(placed, slots[first:], most - taken)
        last = behind + (0 if taken else 1) if behind else 0
        if first + within == len(slots) and placed.requirements.slot_count(slots[first:]) + last > most - taken:
            within -= 1
        ends[first] = min(first + within, later, *others)
    return tuple(ends)


def _taken_around(placed: Placed, stage: Stage) -> tuple[int, int]:
    """Slots of a stage's first run that stages before it take, as many as may be, and of its last run those behind it,
    as few as can be, where hardware exits tie them together."""
    requirements = placed.requirements
    chain, most = requirements.chain, requirements.device.geometry.layers
    least = [0]  # of the first run of each stage, from the last one on, with what is tied to it
    for one in reversed(chain.stages):
        cuts = segment_cuts(chain, one)
        own = requirements.slot_count(one.slots[: cuts[0]] if cuts else one.slots)
        least.append(own + (least[-1] if one.hardware and not cuts else 0))
    least = least[::-1]
    at, before = chain.stages.index(stage), 0
    for number, one in enumerate(chain.stages[:at]):
        together = before + requirements.slot_count(one.slots)
        before = min(together, most - 1 - least[number + 1]) if one.hardware else 0
    return before, least[at + 1] if stage.hardware else 0


def _within(placed: Placed, slots: Sequence[Slot], most: int) -> int:
    """How many layers, from the first one on, have slots in one run."""
    return sum(position < most for position in placed.requirements.positions(slots))


def cuts_at(chain: Chain, stage: Stage, names: Collection[str], device: Device) -> tuple[int, ...] | None:
    """The slots with these names, in front of which a stage is cut. None if it cannot be cut there, or a run has more
    layers than there are slots."""
    places = tuple(place for place in segment_cuts(chain, stage) if stage.slots[place].name in names)
    lengths = (end - first for first, end in pairwise((0, *places, len(stage.slots))))
    return places if len(places) == len(names) and max(lengths) <= device.geometry.layers else None


def rivals(placed: Placed, one: Slot, other: Slot) -> bool:
    """Whether what is written again for two layers has places in common, so that no run can have both."""
    return _share_columns(placed, one, other) or _share_biases(placed, one, other)


def _share_columns(placed: Placed, one: Slot, other: Slot) -> bool:
    blocks = {block.name: block for block in placed.problem.weights}
    owners = [placed.requirements.kernels.get(slot.name) for slot in (one, other)]
    first, second = (blocks[owner] if owner else None for owner in owners)
    if first is None or second is None or first is second or not first.processors & second.processors:
        return False
    low, high = (placed.placement.weights[block.name] for block in (first, second))
    starts = product((low + copy for copy in first.copies), (high + copy for copy in second.copies))
    return any(low < high + second.columns and high < low + first.columns for low, high in starts)


def _share_biases(placed: Placed, one: Slot, other: Slot) -> bool:
    lengths = {block.name: block.length for block in placed.problem.biases}
    if one is other or one.name not in lengths or other.name not in lengths:
        return False
    first, second = placed.placement.biases[one.name], placed.placement.biases[other.name]
    low, high = first.start, second.start
    meet = low < high + lengths[other.name] and high < low + lengths[one.name]
    return first.quadrant == second.quadrant and meet
