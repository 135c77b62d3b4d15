"""Why nothing fits: the named blocks do not fit together, and do as soon as any one of them is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings

from offramp.configs.errors import Infeasible, Where
from offramp.planner.placement.answer import Answer, Found, Impossible, Undecided
from offramp.planner.placement.conflicts import data_items, weight_items
from offramp.planner.placement.explain import Block, bias_core, core, irreducible, processors
from offramp.planner.placement.interval_problem import Limits
from offramp.planner.placement.problem import BiasBlock, Buffer, Problem, WeightBlock
from offramp.planner.placement.solve import solve
from tests.helpers.placement_instances import EMPTY, RING, biases_fit, data_fit, problems, weights_fit

LIMITS = Limits(effort=10.0, seed=0)
EVERY = (1 << 64) - 1


def reason(problem: Problem) -> str:
    with pytest.raises(Infeasible) as caught:
        solve(problem)
    return str(caught.value)


def is_irreducible(kept: Sequence[Block], fits: Callable[[Sequence[Block], Problem], bool], problem: Problem) -> bool:
    rests = [[other for other in kept if other is not block] for block in kept]
    return not fits(kept, problem) and all(fits(rest, problem) for rest in rests)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(problem=problems("weights"))
def test_weight_reasons_are_irreducible(problem: Problem) -> None:
    assume(not weights_fit(problem.weights, problem))
    kept, proved = core(problem.weights, weight_items, problem, LIMITS)
    assert proved
    assert is_irreducible(kept, weights_fit, problem)


@settings(max_examples=60, deadline=None)
@given(problem=problems("data"))
def test_data_reasons_are_irreducible(problem: Problem) -> None:
    assume(not data_fit(problem.data, problem))
    kept, proved = core(problem.data, data_items, problem, LIMITS)
    assert proved
    assert is_irreducible(kept, data_fit, problem)


@settings(max_examples=60, deadline=None)
@given(problem=problems("biases"))
def test_bias_reasons_are_irreducible(problem: Problem) -> None:
    assume(not biases_fit(problem.biases, problem))
    kept, proved = bias_core(problem, LIMITS)
    assert proved
    assert is_irreducible(kept, biases_fit, problem)


def test_an_undecided_set_is_kept_and_the_claim_is_dropped() -> None:
    blocks = [WeightBlock(name, 1, 1) for name in "abc"]

    def place(rest: Sequence[WeightBlock]) -> Answer[None]:
        if blocks[1] not in rest:
            return Undecided()
        return Impossible("bound") if blocks[2] in rest else Found(None)

    assert irreducible(blocks, place) == (blocks[1:], False)


def test_layers_that_need_too_many_columns_are_named_with_their_processors() -> None:
    blocks = (
        WeightBlock("front/conv1", EVERY, 8, where=Where("front.yaml", 9)),
        WeightBlock("small", 0b1, 2),
        WeightBlock("main/conv2", 0b1111, 6, where=Where("main.yaml", 12)),
    )
    message = reason(replace(EMPTY, weights=blocks))
    assert message.startswith("front.yaml:9: the weights do not fit, 2 blocks: front/conv1 (front.yaml:9): 8 columns;")
    assert "main/conv2 (main.yaml:12): 6 columns" in message
    assert "they need 14 of 12 kernel columns in processors 0..3; without any one of them the others fit" in message
    assert "small" not in message


def test_a_layer_that_is_too_large_alone_is_named_alone() -> None:
    message = reason(replace(EMPTY, weights=(WeightBlock("big", 1, 13), WeightBlock("other", 1, 1))))
    assert message == "the weights do not fit, 1 block: big: 13 columns: a processor has 12 kernel columns"


def test_a_fixed_start_that_the_device_cannot_express_is_named() -> None:
    message = reason(replace(EMPTY, weights=(WeightBlock("odd", 1, 2, start=3),)))
    assert "odd: 2 columns fixed at column 3: kernels start at multiples of 2" in message


def test_layers_that_conflict_only_in_pairs_are_named_without_a_sum() -> None:
    blocks = tuple(replace(block, columns=5) for block in RING)
    message = reason(replace(EMPTY, weights=blocks))
    assert "the weights do not fit, 5 blocks" in message
    assert "layers with a common processor may not share any; without any one of them the others fit" in message


def test_two_fixed_tensors_are_named_with_what_they_share() -> None:
    blocks = (
        Buffer("main/conv2", (0, 1), 6, 0, 2, offset=0, where=Where("main.yaml", 12)),
        Buffer("front/conv1", (1, 2), 6, 2, 3, offset=3),
    )
    message = reason(replace(EMPTY, data=blocks))
    assert "main/conv2 (main.yaml:12): 6 words fixed at word 0, steps 0..2" in message
    assert "both occupy instance 1 words 3..5 at steps 2..2" in message


def test_tensors_that_need_too_many_words_are_summed() -> None:
    blocks = tuple(Buffer(f"t{index}", (2, 3), 4, index, 4) for index in range(3))
    assert "they need 12 of 9 words in instance 2..3" in reason(replace(EMPTY, data=blocks))


def test_biases_that_need_too_many_bytes_are_summed() -> None:
    blocks = (BiasBlock("a", 4, (0,)), BiasBlock("b", 3, (0,)), BiasBlock("c", 6, (1,)))
    assert "2 blocks: a: 4 bytes; b: 3 bytes: they need 7 bytes in quadrant 0" in reason(replace(EMPTY, biases=blocks))


def test_biases_that_all_want_byte_zero_are_named() -> None:
    blocks = (BiasBlock("a", 1, (0,), True), BiasBlock("b", 1, (0,), True))
    assert "each must start at byte 0 of its quadrant, allowed: quadrant 0" in reason(replace(EMPTY, biases=blocks))


def test_weights_biases_and_data_are_reported_together() -> None:
    problem = replace(
        EMPTY,
        weights=(WeightBlock("w", 1, 13),),
        biases=(BiasBlock("b", 7, (0,)),),
        data=(Buffer("d", (0,), 10, 0, 0),),
    )
    assert len(reason(problem).splitlines()) == 3


def test_processor_maps_are_written_as_ranges() -> None:
    assert processors(0b1) == "processor 0"
    assert processors(EVERY ^ 0b11110) == "processors 0, 5..63"
