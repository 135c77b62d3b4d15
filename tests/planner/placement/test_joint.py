"""Processors chosen together with start columns: right against trying every choice, and on the corpus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.configs.device import load_device
from offramp.corpus.case import load_case
from offramp.corpus.synth import forget_places
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.chain.bundles import forget_processors, movables_of
from offramp.planner.hardware.hw_layer import map_layer
from offramp.planner.placement.answer import Answer, Found, Impossible
from offramp.planner.placement.check import check
from offramp.planner.placement.columns import objectives_of
from offramp.planner.placement.conflicts import weight_items
from offramp.planner.placement.cpsat import choose_bases
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS
from offramp.planner.placement.intervals import arrange
from offramp.planner.placement.joint import Joint, levelled, over_area, place_jointly
from offramp.planner.placement.joint_problem import Board, Bundle
from offramp.planner.placement.problem import Placement, WeightBlock
from tests.helpers.placement_instances import EMPTY

DEVICE = load_device()
PROCESSORS, STEP = 8, 2


def board_of(*bundles: Bundle, columns: int = 12) -> Board:
    return Board(bundles, replace(EMPTY, columns=columns), PROCESSORS, STEP)


def bar(name: str, width: int, columns: int, *bases: int) -> Bundle:
    """A bundle of one block on neighbouring processors, movable unless `bases` are given."""
    allowed = bases or tuple(range(0, PROCESSORS - width + 1, STEP))
    return Bundle(name, allowed, (WeightBlock(name, (1 << width) - 1, columns),))


@st.composite
def boards(draw: st.DrawFn) -> Board:
    bundles = []
    for index in range(draw(st.integers(1, 4))):
        maps = draw(st.lists(st.integers(1, 15), min_size=1, max_size=2))
        blocks = tuple(WeightBlock(f"{index}/{i}", bits, draw(st.integers(1, 12))) for i, bits in enumerate(maps))
        bases = draw(st.lists(st.sampled_from((0, 2, 4)), min_size=1, max_size=3, unique=True))
        bundles.append(Bundle(str(index), tuple(bases), blocks))
    return board_of(*bundles)


def fits_somewhere(board: Board) -> bool:
    return any(
        isinstance(arrange(weight_items(board.blocks(bases), board.problem), DEFAULT_LIMITS), Found)
        for bases in every_choice(board)
    )


def every_choice(board: Board) -> Iterator[dict[str, int]]:
    names = [bundle.name for bundle in board.bundles]
    for choice in product(*(bundle.bases for bundle in board.bundles)):
        yield dict(zip(names, choice, strict=True))


def judged(board: Board, answer: Answer[Joint]) -> Joint:
    """What was found, of which the independent checker finds nothing wrong, and whose bases are allowed ones."""
    assert isinstance(answer, Found)
    joint = answer.value
    assert all(joint.bases[bundle.name] in bundle.bases for bundle in board.bundles)
    blocks = board.blocks(joint.bases)
    starts = {block.name: start for block, start in zip(blocks, joint.starts, strict=True)}
    placement = Placement(starts, {}, {}, objectives_of(blocks, joint.starts))
    assert check(replace(board.problem, weights=blocks), placement) == ()
    return joint


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(boards())
def test_the_answer_is_that_of_trying_every_choice(board: Board) -> None:
    answer = place_jointly(board, DEFAULT_LIMITS)
    if fits_somewhere(board):
        judged(board, answer)
    else:
        assert isinstance(answer, Impossible)


@settings(max_examples=100, deadline=None)
@given(boards())
def test_bounds_and_solver_agree_with_trying_every_choice(board: Board) -> None:
    fits = fits_somewhere(board)
    assert not (fits and over_area(board))
    assert isinstance(choose_bases(board, DEFAULT_LIMITS), Found if fits else Impossible)


def test_blocks_move_apart() -> None:
    board = board_of(bar("a", 4, 12), bar("b", 4, 12))
    assert {*judged(board, place_jointly(board, DEFAULT_LIMITS)).bases.values()} == {0, 4}


def test_what_moves_together_stays_together() -> None:
    tied = Bundle("tied", (0, 2, 4), (WeightBlock("low", 0b0011, 12), WeightBlock("high", 0b1100, 12)))
    board = board_of(tied, bar("left", 2, 12, 0), bar("right", 2, 12, 6))
    assert judged(board, place_jointly(board, DEFAULT_LIMITS)).bases == {"tied": 2, "left": 0, "right": 6}
    crowded = board_of(tied, bar("middle", 2, 12, 4), bar("other", 2, 12, 2))
    assert isinstance(place_jointly(crowded, DEFAULT_LIMITS), Impossible)


@pytest.mark.parametrize(
    "bars",
    [
        [bar(f"{index}", 8, 4) for index in range(4)],  # more than the memory
        [bar(f"{index}", 6, 4) for index in range(4)],  # as much as the memory; no two side by side
        [bar("odd", 7, 12), bar("one", 1, 1)],  # the last processor of an instance is lost
        [bar(f"{index}", 4, 8) for index in range(3)],  # no two on each other
    ],
)
def test_areas_prove_that_nothing_helps(bars: list[Bundle]) -> None:
    assert place_jointly(board_of(*bars), DEFAULT_LIMITS) == Impossible("bound")


def test_the_same_board_gives_the_same_choices() -> None:
    board = board_of(*(bar(f"{index}", 2 + index % 3 * 2, 4) for index in range(5)))
    first = [list(choice) for choice in levelled(board, 0)]
    assert first and first == [list(choice) for choice in levelled(board, 0)]


@pytest.mark.parametrize("name", ["net-mnist", "net-cifar-10", "net-camvid_unet_nofakept", "syn-cifar100-simple-q4"])
def test_a_network_completed_with_the_bases_has_the_blocks_that_were_placed(corpus: Path, name: str) -> None:
    network = forget_places(load_case(corpus / "cases" / name, DEVICE).network)
    geometry = DEVICE.geometry
    movables = list(movables_of(name, network, DEVICE))
    bundles = tuple(one.bundle for one in movables)
    board = Board(bundles, replace(EMPTY, columns=768), geometry.processors, geometry.processors_per_instance)
    bases = judged(board, place_jointly(board, DEFAULT_LIMITS)).bases
    chosen = {tensor: bits << bases[one.bundle.name] for one in movables for tensor, bits in one.maps.items()}
    placed = complete(network, DEVICE, no_columns_occupied(DEVICE), chosen=chosen)
    layers = [map_layer(layer, placed, DEVICE) for layer in placed.layers]
    expected = {(f"{name}/{hw.layer.index}", hw.processors, hw.columns) for hw in layers if hw.columns}
    assert {(block.name, block.processors, block.columns) for block in board.blocks(bases)} == expected


def test_processors_are_forgotten_but_for_the_inputs(corpus: Path) -> None:
    network = load_case(corpus / "cases" / "net-cifar10-hwc", DEVICE).network
    free = forget_processors(network)
    assert free.layers[0].processors == network.layers[0].processors
    assert not any(layer.processors for layer in free.layers[1:])
    assert not any(layer.output_processors for layer in free.layers)
