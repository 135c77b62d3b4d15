"""Where a stage with more layers than a run can have is cut into runs.

Of all ways with the fewest runs that one is chosen whose switches write least, through all runs of the chain and back
to the first; of these the one that is cut earliest. A register is written as often as its value changes from one run
that states it to the next one that does (`codegen.program.Switching`). What a further run costs depends on the runs
before it only by what they leave in the registers and what the first of them found there: of ways that agree in both
the cheaper one is kept, so the search is exact. Beyond KEPT ways at a time (networks of more than 160 layers that can
be cut almost anywhere), it goes on with the cheapest ones, and what it finds need not be the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from offramp.codegen.lower_slots import slot_registers
from offramp.planner.allocation.place import Placed
from offramp.planner.allocation.runs import fits, furthest_ends
from offramp.planner.ir.chain import Stage, with_cuts
from offramp.planner.ir.cuts import segment_cuts

KEPT = 60_000
NOBODY = -1  # no layer has stated a register yet

Ints = npt.NDArray[np.int64]


class Run(NamedTuple):
    """Slots `first` to `end` - 1 of a stage."""

    stage: int
    first: int
    end: int


@dataclass(frozen=True, eq=False)
class Changes:
    """What switches write. `registers[k]`, (layers, layers): how many registers differ between two layers of the chain,
    in order; k counts the quadrants, first for layer slots with the registers of streaming, then for those without.
    `quadrants`: of each stage; `first`: the number of its first layer."""

    registers: Ints
    stream_slots: int
    quadrants: tuple[tuple[int, ...], ...]
    first: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Way:
    """Runs up to some point. `begin`, `last`: the layers that were the first and the last to state the registers of
    each slot, (quadrants, slots), NOBODY where none has; `lengths`: of the first and last run in each quadrant, (2,
    quadrants)."""

    writes: int
    runs: tuple[Run, ...]
    begin: Ints
    last: Ints
    lengths: Ints

    @property
    def state(self) -> tuple[bytes, bytes, bytes]:
        """All that matters for what follows."""
        return self.begin.tobytes(), self.last.tobytes(), self.lengths.tobytes()


def in_segments(placed: Placed) -> Placed:
    """The chain with its stages cut so that every run has a slot for each of its layers, and so that what is written
    again is there for each of them."""
    chain = placed.requirements.chain
    ends = [furthest_ends(placed, stage) for stage in chain.stages]
    if all(fits(stage, own) for stage, own in zip(chain.stages, ends, strict=True)):
        return placed
    positions = [
        runs
        for number, (stage, own) in enumerate(zip(chain.stages, ends, strict=True))
        for runs in runs_by_position(own, segment_cuts(chain, stage), number)
    ]
    runs = cheapest(positions, changes_of(placed), placed.requirements.device.geometry.layers).runs
    return placed.with_chain(with_cuts(chain, cuts_of(runs, len(chain.stages))))


def runs_by_position(furthest: Sequence[int], places: Sequence[int], stage: int) -> tuple[tuple[Run, ...], ...]:
    """All runs that occur when a stage is cut into as few as possible, by their position among them.

    `furthest`: as `furthest_ends` has it; `places`: slots in front of which a run may begin, ascending. From each of
    them a run can reach the next one.
    """
    slots = len(furthest)
    ends = (0, *places, slots)
    needed = {0: 0}  # runs up to a place
    left = {slots: 0}  # runs from a place on
    for end in ends[1:]:
        needed[end] = 1 + min(needed[first] for first in ends[:-1] if first < end <= furthest[first])
    for first in reversed(ends[:-1]):
        left[first] = 1 + min(left[end] for end in ends if first < end <= furthest[first])
    found: list[list[Run]] = [[] for _ in range(left[0])]
    for first in ends[:-1]:
        for end in ends:
            if first < end <= furthest[first] and needed[first] + 1 + left[end] == left[0]:
                found[needed[first]].append(Run(stage, first, end))
    return tuple(map(tuple, found))


def cheapest(positions: Sequence[Sequence[Run]], changes: Changes, slots: int) -> Way:
    """One run for each position with the fewest writes, the way back to the first run included. `slots`: of a run."""
    quadrants = len(changes.registers) // 2
    nothing = np.full((quadrants, slots), NOBODY)
    ways = [Way(0, (), nothing, nothing, np.full((2, quadrants), NOBODY))]
    for runs in positions:
        found: dict[tuple[bytes, bytes, bytes], Way] = {}
        for way in ways:
            for run in runs:
                if not way.runs or _follows(way.runs[-1], run):
                    longer = extend(way, run, changes)
                    kept = found.setdefault(longer.state, longer)
                    found[longer.state] = min(kept, longer, key=_order)
        ways = sorted(found.values(), key=_order)[:KEPT]
    return min((_back(way, changes) for way in ways), key=_order)


def _order(way: Way) -> tuple[int, tuple[Run, ...]]:
    return way.writes, way.runs


def extend(way: Way, run: Run, changes: Changes) -> Way:
    """The way with one more run."""
    begin, last, lengths = way.begin.copy(), way.last.copy(), way.lengths.copy()
    writes, count = way.writes, run.end - run.first
    layers = changes.first[run.stage] + np.arange(run.first, run.end)
    for quadrant in changes.quadrants[run.stage]:
        writes += _changed(last[quadrant, :count], layers, quadrant, changes)
        begin[quadrant, :count] = np.where(begin[quadrant, :count] == NOBODY, layers, begin[quadrant, :count])
        last[quadrant, :count] = layers
        if lengths[0, quadrant] == NOBODY:
            lengths[0, quadrant] = count
        elif lengths[1, quadrant] != count:
            writes += 1  # LCNT_MAX
        lengths[1, quadrant] = count
    return Way(writes, (*way.runs, run), begin, last, lengths)


def _back(way: Way, changes: Changes) -> Way:
    """The way with the switch from its last run to its first."""
    writes = way.writes + int(np.count_nonzero(way.lengths[0] != way.lengths[1]))
    for quadrant, (last, begin) in enumerate(zip(way.last, way.begin, strict=True)):
        writes += _changed(last, begin, quadrant, changes)
    return Way(writes, way.runs, way.begin, way.last, way.lengths)


def _changed(before: Ints, after: Ints, quadrant: int, changes: Changes) -> int:
    """Registers that change where layers come into slots, from slot 0 on, that others have been in."""
    kind = np.where(np.arange(len(after)) < changes.stream_slots, 0, len(changes.registers) // 2) + quadrant
    return int(changes.registers[kind, before, after][before != NOBODY].sum())


def _follows(before: Run, run: Run) -> bool:
    return before.end == run.first if before.stage == run.stage else run.first == 0


def cuts_of(runs: Sequence[Run], stages: int) -> tuple[tuple[int, ...], ...]:
    """For each stage where it is cut."""
    return tuple(
        tuple(run.first for before, run in pairwise(runs) if before.stage == run.stage == stage)
        for stage in range(stages)
    )


def changes_of(placed: Placed) -> Changes:
    """What switches of a placed chain write."""
    stages, device = placed.requirements.chain.stages, placed.requirements.device
    values = np.concatenate([_slot_values(placed, stage) for stage in stages], axis=1)
    streaming = [register.layers < device.geometry.layers for register in device.layer_registers()]
    kinds = (values, np.where(streaming, 0, values))
    differ = [_differences(own) for kind in kinds for own in kind]
    firsts = np.cumsum([0, *(len(stage.slots) for stage in stages[:-1])]).tolist()
    quadrants = tuple(placed.requirements.quadrants(stage) for stage in stages)
    return Changes(np.stack(differ), device.geometry.stream_layers, quadrants, tuple(firsts))


def _differences(values: Ints) -> Ints:
    """How many values differ between each two rows."""
    return np.stack([np.count_nonzero(values != row, axis=1) for row in values])


def _slot_values(placed: Placed, stage: Stage) -> Ints:
    """What the registers of a stage's slots hold, whichever run they are in, (quadrants, slots, registers)."""
    device = placed.requirements.device
    registers = device.layer_registers()
    found = np.zeros((device.geometry.quadrants, len(stage.slots), len(registers)), np.int64)
    for index, slot in enumerate(stage.slots):
        for quadrant in placed.requirements.quadrants(stage):
            values = slot_registers(placed, stage.slots, slot, quadrant)
            found[quadrant, index] = [register.encode(values.get(register.name, {})) for register in registers]
    return found
