"""What must be resident or alive together: blocks, lifetimes, and tensors that lie at fixed distances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.planner.allocation.budget import stage_cycles
from offramp.planner.allocation.groups import Group
from offramp.planner.allocation.place import place
from offramp.planner.allocation.requirements import MemoryRequirements, placement_problem, requirements_of
from offramp.planner.ir.chain import Chain, Stage, cut, head_slots, slots_of, whole
from offramp.planner.ir.network import INPUT, Layer, Network, Shape
from offramp.planner.placement.problem import Buffer, Problem
from offramp.planner.placement.solve import solve
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()
SHAPE = Shape(4, 6, 6)
LOW, NEXT = 0xF, 0xF0


def layer(inputs: tuple[int, ...] = (INPUT,), out: int = 4, **changes: Any) -> Layer:
    """A layer from the first four processors to the first four, unless `changes` says otherwise."""
    maps = {"processors": LOW, "output_processors": (1 << out) - 1}
    shape = changes.pop("shape", SHAPE)
    return make_layer(shape, out, inputs=inputs, **(maps | changes))


def line(count: int) -> Network:
    return make_network(*(layer() for _ in range(count)))


def joined() -> Network:
    """Two readers of the input on different processors, and one layer that reads both side by side."""
    last = layer((0, 1), shape=Shape(8, 6, 6), processors=LOW | NEXT)
    return make_network(layer(), layer(output_processors=NEXT), last, input_shape=SHAPE)


def added() -> Network:
    last = layer((0, 1), op="passthrough", operands=2, eltwise="add")
    return make_network(layer(write_gap=1), layer(write_gap=1), last, input_shape=SHAPE)


def blocks(chain: Chain) -> dict[str, Buffer]:
    problem = placement_problem(requirements_of(chain, DEVICE))
    return {block.name: block for block in problem.data}


def problem_of(network: Network) -> tuple[MemoryRequirements, Problem]:
    requirements = requirements_of(whole("net", network), DEVICE)
    return requirements, placement_problem(requirements)


def test_lives_of_a_line_of_layers() -> None:
    """The input from the start; each tensor to its reader; the result to the look at it."""
    found = blocks(whole("net", line(3)))
    lives = {name: (block.first, block.last) for name, block in found.items()}
    assert lives == {"input": (0, 1), "net/0": (1, 2), "net/1": (2, 3), "net/2": (3, 4)}


def test_a_cut_takes_a_step_of_its_own() -> None:
    lives = {name: (block.first, block.last) for name, block in blocks(cut("net", line(3), 0)).items()}
    assert lives == {"input": (0, 1), "net/0": (1, 3), "net/1": (3, 4), "net/2": (4, 5)}


def test_a_front_keeps_the_input_for_the_next_stage() -> None:
    front, main = line(2), line(2)
    stages = (
        Stage("front", slots_of("front", front, front.layers), "front/1"),
        Stage("main", slots_of("main", main, main.layers), "main/1"),
    )
    chain = Chain({"front": front, "main": main}, stages, {"front": True, "main": True})
    lives = {name: (block.first, block.last) for name, block in blocks(chain).items()}
    assert lives["input"] == (0, 4)
    assert lives["front/1"] == (2, 3)


def test_a_head_keeps_the_tensor_at_the_cut() -> None:
    backbone, head = line(2), line(1)
    stages = (
        Stage("a", (*slots_of("net", backbone, backbone.layers[:1]), *head_slots("head", head, "net/0")), "head/0"),
        Stage("b", slots_of("net", backbone, backbone.layers[1:]), "net/1"),
    )
    chain = Chain({"net": backbone, "head": head}, stages, {"net": True, "head": True})
    found = blocks(chain)
    assert (found["net/0"].first, found["net/0"].last) == (1, 4)
    assert (found["head/0"].first, found["head/0"].last) == (2, 3)


def test_declared_outputs_live_to_the_look() -> None:
    network = line(3)
    network = replace(network, layers=(replace(network.layers[0], output=True), *network.layers[1:]))
    assert blocks(whole("net", network))["net/0"].last == 4
    assert blocks(cut("net", network, 1))["net/0"].last == 3  # of the stage that writes it


def test_streaming_layers_run_all_at_once() -> None:
    network = make_network(layer(streaming=True), layer(streaming=True), layer(), fifo=True)
    found = blocks(whole("net", network))
    assert {name: (block.first, block.last) for name, block in found.items()} == {
        "input": (0, 2),
        "net/0": (1, 2),
        "net/1": (1, 3),
        "net/2": (3, 4),
    }
    assert found["net/0"].words < 36  # a circular buffer
    assert found["net/1"].words == 36


def test_weights_and_biases_of_all_layers() -> None:
    bias = np.arange(4).astype(np.int8)
    narrow = layer(bias=np.zeros(4, np.int8), weight_bits=4)
    network = make_network(layer(bias=bias), layer(op="passthrough"), narrow)
    _, problem = problem_of(network)
    assert [(block.name, block.processors, block.columns) for block in problem.weights] == [
        ("net/0:0", LOW, 4),
        ("net/2:2", LOW, 2),
    ]
    assert [(block.name, block.length, block.quadrants, block.at_zero) for block in problem.biases] == [
        ("net/0:0", 4, (0,), False)
    ]
    assert (problem.columns, problem.bias_bytes, problem.data_words) == (768, 512, 8192)


def test_equal_kernels_are_resident_once() -> None:
    """The same weights in the same processors; other weights, or others' processors, are another block."""
    _, problem = problem_of(line(2))
    assert [block.name for block in problem.weights] == ["net/0:0"]
    elsewhere = make_network(layer(output_processors=NEXT), layer(processors=NEXT))
    _, problem = problem_of(elsewhere)
    assert [block.name for block in problem.weights] == ["net/0:0", "net/1:1"]
    placed = place(whole("net", line(2)), DEVICE)
    assert placed.placement.weights == {"net/0:0": 0}


def test_a_streaming_first_layer_has_a_bias_byte_more() -> None:
    bias = np.ones(4, np.int8)
    network = make_network(layer(streaming=True, bias=bias), layer(streaming=True, bias=bias), fifo=True)
    _, problem = problem_of(network)
    assert [block.length for block in problem.biases] == [5, 4]


@pytest.mark.parametrize(("size", "at_zero"), [(4, False), (5, True)])
def test_biases_of_a_long_flattening_layer_lie_at_zero(size: int, at_zero: bool) -> None:
    """More than 16 passes take the extended count, with which no other place is known to work."""
    flat = layer(shape=Shape(4, size, size), op="linear", flatten=True, bias=np.ones(4, np.int8))
    _, problem = problem_of(make_network(flat))
    assert problem.biases[0].at_zero == at_zero


def test_the_first_quadrant_always_takes_part() -> None:
    requirements, _ = problem_of(make_network(layer(), layer(output_processors=0xF << 32)))
    assert requirements.quadrants(requirements.chain.stages[0]) == (0, 2)
    upper = make_network(layer(processors=0xF << 48, output_processors=0xF << 16))
    requirements, _ = problem_of(upper)
    assert requirements.quadrants(requirements.chain.stages[0]) == (0, 1, 3)


def test_offsets_of_the_yaml_are_kept_or_not() -> None:
    network = make_network(layer(out_offset=0x1000), layer(out_offset=0x2000))
    chain = whole("net", network)
    assert [block.offset for block in blocks(chain).values()] == [0, 0x400, 0x800]
    assert [block.offset for block in blocks(replace(chain, keep_offsets={"net": False})).values()] == [0, None, None]


def test_the_input_lies_at_zero_or_where_the_yaml_says() -> None:
    assert blocks(whole("net", make_network(layer(in_offset=0x800))))["input"].offset == 0x200


def test_inputs_of_a_layer_are_one_block() -> None:
    requirements, problem = problem_of(joined())
    (group,) = [group for group in requirements.groups if len(group.tensors) > 1]
    assert group == Group(("net/0", "net/1"), (0, 0))
    block = next(block for block in problem.data if block.name == "net/0+net/1")
    assert (block.instances, block.words, block.first, block.last) == ((0, 1), 36, 1, 3)


def test_inputs_on_different_processors_are_read_from_one_address() -> None:
    """Two parts, each with a tensor beside it that takes the place that the other one has."""
    placed = place(whole("net", joined()), DEVICE)
    assert placed.base("net/0") == placed.base("net/1") == placed.read_base(placed.requirements.chain.slots[2])


def test_operands_take_turns() -> None:
    requirements, problem = problem_of(added())
    assert Group(("net/0", "net/1"), (0, 1)) in requirements.groups
    block = next(block for block in problem.data if block.name == "net/0+net/1")
    assert block.words == 2 * 36
    placed = place(requirements.chain, DEVICE)
    assert placed.base("net/1") == placed.base("net/0") + 1


def test_one_offset_of_a_block_decides() -> None:
    first, second, last = joined().layers
    network = replace(joined(), layers=(first, replace(second, out_offset=0x1000), last))
    _, problem = problem_of(network)
    assert next(block for block in problem.data if "+" in block.name).offset == 0x400


def test_offsets_that_do_not_fit_together_are_refused() -> None:
    """Three parts of a layer's input, two of them at stated places that differ."""
    parts = [
        layer(out_offset=offset, output_processors=LOW << 4 * at) for at, offset in enumerate((0x100, 0x200, None))
    ]
    last = layer((0, 1, 2), shape=Shape(12, 6, 6), processors=0xFFF)
    with pytest.raises(
        InputError, match=r"test\.yaml:1: `out_offset`s of net/0\+net/1\+net/2 do not fit together.*free"
    ):
        problem_of(make_network(*parts, last, input_shape=SHAPE))


def test_readers_must_find_what_was_written() -> None:
    network = make_network(layer(output_processors=NEXT), layer())
    with pytest.raises(InputError, match=r"net/1:1 reads processors 0x0*f, but its input is written to 0x0*f0"):
        requirements_of(whole("net", network), DEVICE)


def test_readers_of_the_input_must_agree() -> None:
    network = make_network(layer(), layer(processors=NEXT), layer((0, 1), shape=Shape(8, 6, 6)), input_shape=SHAPE)
    with pytest.raises(InputError, match=r"net/1:1 reads the input as HWC on processors 0xf0; net/0:0 reads it as HWC"):
        requirements_of(whole("net", network), DEVICE)


def test_words_in_front_of_a_folded_convolution() -> None:
    """A dilated 1-D convolution with three taps writes a row of surplus in front of its output."""
    long = layer(shape=Shape(4, 40, 1), op="conv1d", kernel=(3, 1), pad=(0, 0), dilation=10)
    requirements, problem = problem_of(make_network(long))
    tensor = requirements.tensors["net/0"]
    assert (tensor.lead, tensor.words) == (10, 40)
    placed = place(requirements.chain, DEVICE)
    assert placed.base("net/0") == placed.placement.data["net/0"] + 10
    assert problem.data[1].words == 40


def test_overlap_is_the_users_word() -> None:
    requirements, problem = problem_of(line(2))
    assert problem.overlaps == frozenset()
    allowed = placement_problem(requirements, overlap=True).overlaps
    assert allowed == {frozenset(pair) for pair in (("input", "net/0"), ("input", "net/1"), ("net/0", "net/1"))}


def test_kernels_whose_late_start_costs_cycles_start_first() -> None:
    """A convolution that pools after an addition counts through its start column at every padded position."""
    first, second, third = (np.random.default_rng(seed) for seed in range(3))
    last = layer((0, 1), operands=2, eltwise="add", pool_first=False, pool=(2, 2), pool_stride=2, rng=third)
    pair = layer(write_gap=1, rng=first), layer(write_gap=1, rng=second)
    chain = whole("net", make_network(*pair, last, input_shape=SHAPE))
    placed = place(chain, DEVICE)
    slot, (stage,) = chain.slots[-1], chain.stages
    indifferent = replace(placed.problem, weights=tuple(replace(one, penalty=0) for one in placed.problem.weights))
    other = replace(placed, placement=solve(indifferent))
    assert (placed.kernel_start(slot), placed.placement.objectives[0].value) == (0, 0)
    assert other.kernel_start(slot) > 0
    saved = stage_cycles(other, stage).cycles - stage_cycles(placed, stage).cycles
    # 3x3 pooled, pad 1, 3x3: (3 + 2 - 3 + 1) * 1 * 2 - 1 = 5 positions
    assert saved == 5 * other.kernel_start(slot)
