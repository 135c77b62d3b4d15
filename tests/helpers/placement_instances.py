"""Small placement problems for the tests: fixed ones, random ones, and exhaustive search to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from hypothesis import strategies as st

from offramp.planner.placement.conflicts import data_items, weight_items
from offramp.planner.placement.interval_problem import Items
from offramp.planner.placement.problem import BiasBlock, Buffer, Problem, WeightBlock

COLUMNS, MULTIPLE, BYTES, WORDS = 12, 2, 6, 9
EMPTY = Problem((), (), (), columns=COLUMNS, start_multiple=MULTIPLE, bias_bytes=BYTES, data_words=WORDS)

# Five blocks in a ring, each in conflict with two others: no three conflict pairwise, yet two levels are not enough.
RING = tuple(WeightBlock(f"ring{index}", 1 << index | 1 << (index + 1) % 5, 4) for index in range(5))


def lowest_end(items: Items) -> int | None:
    """The lowest highest end over all arrangements within the capacity, by trying all; None if there is none."""
    return min((_end(items, starts) for starts in arrangements(items)), default=None)


def best_values(problem: Problem) -> tuple[int, int] | None:
    """The least cycles lost, then the lowest highest column, over all arrangements of the weights; None: none."""
    items = weight_items(problem.weights, problem)
    return min((_values(problem, starts) for starts in arrangements(items)), default=None)


def _values(problem: Problem, starts: tuple[int, ...]) -> tuple[int, int]:
    placed = list(zip(problem.weights, starts, strict=True))
    lost = sum(block.penalty * start for block, start in placed)
    return lost, max((start + block.columns for block, start in placed), default=0)


def _end(items: Items, starts: tuple[int, ...]) -> int:
    return max((start + size for start, size in zip(starts, items.sizes, strict=True)), default=0)


def arrangements(items: Items, starts: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """All ways to place the items within the capacity."""
    item = len(starts)
    if item == len(items.sizes):
        yield starts
        return
    size, fixed = items.sizes[item], items.starts[item]
    for start in range(0, items.capacity - size + 1, items.multiple) if fixed is None else [fixed]:
        legal = start % items.multiple == 0 and start + size <= items.capacity
        free = all(
            start >= other + items.sizes[index] or other >= start + size
            for index, other in enumerate(starts)
            if items.conflicts[item] >> index & 1
        )
        if legal and free:
            yield from arrangements(items, (*starts, start))


def weights_fit(blocks: Sequence[WeightBlock], problem: Problem) -> bool:
    return lowest_end(weight_items(blocks, problem)) is not None


def data_fit(blocks: Sequence[Buffer], problem: Problem) -> bool:
    return lowest_end(data_items(blocks, problem)) is not None


def biases_fit(blocks: Sequence[BiasBlock], problem: Problem) -> bool:
    """Try every quadrant for every block."""
    for quadrants in product(*(block.quadrants for block in blocks)):
        filled = [0] * 4
        zeros = [0] * 4
        for block, quadrant in zip(blocks, quadrants, strict=True):
            filled[quadrant] += block.length
            zeros[quadrant] += block.at_zero
        if max(filled) <= problem.bias_bytes and max(zeros) <= 1:
            return True
    return False


@st.composite
def problems(draw: st.DrawFn, kind: str) -> Problem:
    """A random problem with up to six blocks of one kind: "weights", "biases" or "data"."""
    return Problem(
        weights=tuple(draw(_weight(index)) for index in range(draw(_count(kind, "weights")))),
        biases=tuple(draw(_bias(index)) for index in range(draw(_count(kind, "biases")))),
        data=tuple(draw(_data(index)) for index in range(draw(_count(kind, "data")))),
        columns=COLUMNS,
        start_multiple=MULTIPLE,
        bias_bytes=BYTES,
        data_words=WORDS,
        overlaps=draw(st.sampled_from([frozenset(), frozenset({frozenset({"d0", "d1"})})])),
    )


def _count(kind: str, of: str) -> st.SearchStrategy[int]:
    return st.integers(1, 5 if kind == "data" else 6) if kind == of else st.just(0)


def _weight(index: int) -> st.SearchStrategy[WeightBlock]:
    # at most two processors: that leaves conflict graphs that do not fall apart
    maps = st.sets(st.integers(0, 5), min_size=1, max_size=2).map(lambda chosen: sum(1 << bit for bit in chosen))
    start = st.one_of(st.none(), st.none(), st.none(), st.sampled_from([0, 2, 3, 8]))
    penalty = st.sampled_from([0, 0, 0, 1, 5])
    return st.builds(WeightBlock, st.just(f"w{index}"), maps, st.integers(1, 7), start, penalty=penalty)


def _bias(index: int) -> st.SearchStrategy[BiasBlock]:
    quadrants = st.sets(st.integers(0, 3), min_size=1, max_size=4).map(lambda chosen: tuple(sorted(chosen)))
    return st.builds(BiasBlock, st.just(f"b{index}"), st.integers(1, 7), quadrants, st.booleans())


@st.composite
def _data(draw: st.DrawFn, index: int) -> Buffer:
    instances = tuple(sorted(draw(st.sets(st.integers(0, 3), min_size=1, max_size=2))))
    first = draw(st.integers(0, 3))
    last = first + draw(st.integers(0, 2))
    offset = draw(st.one_of(st.none(), st.none(), st.integers(0, 5)))
    return Buffer(f"d{index}", instances, draw(st.integers(1, 6)), first, last, offset)
