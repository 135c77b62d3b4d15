"""Bias bytes: blocks in the bias memories of the quadrants, packed without gaps. Any placement that fits will do."""

from __future__ import annotations

from collections.abc import Sequence

from offramp.planner.placement.answer import Answer, Found, Impossible
from offramp.planner.placement.interval_problem import Limits
from offramp.planner.placement.problem import BiasBlock, BiasPlace, Life

Quadrants = dict[str, int]  # block name -> quadrant


def place_biases(blocks: Sequence[BiasBlock], capacity: int, limits: Limits) -> Answer[dict[str, BiasPlace]]:
    """Places by block name, in memories of `capacity` bytes: greedily, and by CP-SAT if greedy packing fails."""
    if any(block.life for block in blocks):
        return _place_with_lives(blocks, capacity, limits)
    assigned = _greedy(blocks, capacity)
    if assigned is None:
        if _crowded(blocks, capacity):
            return Impossible("bound")
        from offramp.planner.placement.cpsat import assign_quadrants  # OR-Tools is slow to import and rarely needed

        answer = assign_quadrants(blocks, capacity, limits)
        if not isinstance(answer, Found):
            return answer
        assigned = answer.value
    return Found(_pack(blocks, assigned))


def _place_with_lives(blocks: Sequence[BiasBlock], capacity: int, limits: Limits) -> Answer[dict[str, BiasPlace]]:
    """The same where some are written again."""
    from offramp.planner.placement.cpsat_reload import assign_with_lives

    answer = assign_with_lives(blocks, capacity, limits)
    if not isinstance(answer, Found):
        return answer
    places: dict[str, BiasPlace] = {}
    for quadrant in sorted(set(answer.value.values())):
        own = [block for block in blocks if answer.value[block.name] == quadrant]
        _stack(own, None, quadrant, 0, places)
    return Found({block.name: places[block.name] for block in blocks})


def _stack(
    blocks: Sequence[BiasBlock], life: Life | None, quadrant: int, start: int, places: dict[str, BiasPlace]
) -> int:
    """Places for blocks of a life and for those whose lives lie within it, which are nested or apart, from byte `start`
    on. Returns the end.

    What is there at different times shares bytes behind the block of this life that must be at 0, or else at the
    beginning, and the other blocks of this life follow.
    """
    inner = [block for block in blocks if block.life != life]
    lives = {block.life for block in inner if block.life}
    for block in blocks:
        if block.life == life and block.at_zero:
            places[block.name] = BiasPlace(quadrant, start)
            start += block.length
    end = start
    for outermost in sorted((one for one in lives if not any(one < other for other in lives)), key=min):
        within = [block for block in inner if block.life and block.life <= outermost]
        end = max(end, _stack(within, outermost, quadrant, start, places))
    for block in blocks:
        if block.life == life and not block.at_zero:
            places[block.name] = BiasPlace(quadrant, end)
            end += block.length
    return end


def _greedy(blocks: Sequence[BiasBlock], capacity: int) -> Quadrants | None:
    """Those that must start at byte 0 first, then long ones first, each in the emptiest quadrant it may use."""
    used: dict[int, int] = {}
    assigned: Quadrants = {}
    order = sorted(
        blocks, key=lambda block: (not block.at_zero, len(block.quadrants) if block.at_zero else 0, -block.length)
    )
    for block in order:
        open_to = [quadrant for quadrant in sorted(block.quadrants) if not (block.at_zero and used.get(quadrant))]
        if not open_to:
            return None
        quadrant = min(open_to, key=lambda index: used.get(index, 0))
        used[quadrant] = used.get(quadrant, 0) + block.length
        if used[quadrant] > capacity:
            return None
        assigned[block.name] = quadrant
    return assigned


def _crowded(blocks: Sequence[BiasBlock], capacity: int) -> bool:
    """True if some quadrants' memories cannot hold the bytes that may only go there."""
    return any(
        sum(block.length for block in blocks if set(block.quadrants) <= set(room)) > capacity * len(set(room))
        for room in [*(block.quadrants for block in blocks), all_quadrants(blocks)]
    )


def all_quadrants(blocks: Sequence[BiasBlock]) -> tuple[int, ...]:
    """The quadrants that any of the blocks may use, ascending."""
    return tuple(sorted({quadrant for block in blocks for quadrant in block.quadrants}))


def _pack(blocks: Sequence[BiasBlock], assigned: Quadrants) -> dict[str, BiasPlace]:
    """Start bytes: in each quadrant the block that must start at 0, then the others in the problem's order."""
    filled: dict[int, int] = {}
    places: dict[str, BiasPlace] = {}
    for block in sorted(blocks, key=lambda block: not block.at_zero):
        quadrant = assigned[block.name]
        places[block.name] = BiasPlace(quadrant, filled.get(quadrant, 0))
        filled[quadrant] = filled.get(quadrant, 0) + block.length
    return {block.name: places[block.name] for block in blocks}
