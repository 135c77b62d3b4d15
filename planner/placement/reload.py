"""Which weights and biases are resident and which are written again whenever they are needed, where not all fit.

The cheapest choice that the capacities of the memories allow is tried; if its blocks turn out to have no places, all
choices in which the same blocks are there as long or longer are excluded, and the next one is tried. The first that
can be placed is the cheapest there is, if all before it were proved to have no places; else the bound says how far it
may be from that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from offramp.planner.placement.answer import Answer, Found, Undecided
from offramp.planner.placement.biases import place_biases
from offramp.planner.placement.columns import start_columns
from offramp.planner.placement.cpsat_reload import Candidates, Chosen, Reloadable, reloaded_biases, reloaded_weights
from offramp.planner.placement.interval_problem import Limits
from offramp.planner.placement.problem import BiasBlock, Life, Problem, WeightBlock

Block = TypeVar("Block", WeightBlock, BiasBlock)

TRIED = 200  # choices whose places are looked for
NOTHING = Chosen({}, 0, 0)


def choose_weights(problem: Problem, candidates: Candidates, limits: Limits) -> Answer[Chosen]:
    """The weight blocks to be written again; none if all can be resident."""
    if isinstance(start_columns(problem.weights, problem, limits, lowest=False), Found):
        return Found(NOTHING)
    refused: list[Chosen] = []
    bound: int | None = None  # None: that of the next choice holds, as all before it were proved impossible
    for _ in range(TRIED):
        answer = reloaded_weights(problem, candidates, refused, limits)
        if not isinstance(answer, Found):
            return answer if bound is None else Undecided()
        chosen = answer.value
        blocks = with_lives(problem.weights, candidates, chosen)
        placed = start_columns(blocks, problem, limits, lowest=False)
        if isinstance(placed, Found):
            return Found(chosen if bound is None else replace(chosen, bound=bound))
        if isinstance(placed, Undecided) and bound is None:
            bound = chosen.bound
        refused.append(chosen)
    return Undecided()


def choose_biases(problem: Problem, candidates: Candidates, limits: Limits) -> Answer[Chosen]:
    """The bias blocks to be written again; none if all can be resident."""
    if isinstance(place_biases(problem.biases, problem.bias_bytes, limits), Found):
        return Found(NOTHING)
    return reloaded_biases(problem, candidates, limits)


def with_lives(blocks: Iterable[Block], candidates: Candidates, chosen: Chosen) -> tuple[Block, ...]:
    """The blocks, those that are written again with their lives."""
    return tuple(
        replace(block, life=_life(candidates[block.name], chosen.at_entry[block.name]))
        if block.name in chosen.at_entry
        else block
        for block in blocks
    )


def _life(uses: Reloadable, at_entry: Sequence[bool]) -> Life:
    """When a block is there."""
    parts = [use.model if kept else use.needed for use, kept in zip(uses, at_entry, strict=True)]
    return frozenset[int]().union(*parts)
