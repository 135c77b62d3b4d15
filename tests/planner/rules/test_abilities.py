"""The rules of the MAX78002: what the vendor's tool refuses for it, and the border of each rule that only it has."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import Diagnostic, InputError
from offramp.corpus.case import load_case
from offramp.planner.ai8x import unsupported
from offramp.planner.ai8x.load import Options, read_network
from offramp.planner.ai8x.weights import parse_shapes
from offramp.planner.ir.network import Layer, Network, Shape
from offramp.planner.rules import abilities, check, memory, operators, streams
from offramp.planner.rules.check import check_network, holds_for
from offramp.planner.rules.docstrings import message_of, numbers_of
from tests.helpers.networks import make_layer, make_network
from tests.helpers.paths import SHARED

DEVICE = load_device("MAX78002")
CORPUS = SHARED / "corpus78002"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"{CORPUS} is missing")

# Refused descriptions, by a part of their name, and our rule; or what is wrong in the file itself.
REFUSED: dict[str, Callable[..., Any] | str] = {
    "kws20_v3": abilities.conv1d_padding,
    "test-conv1d-pool-mp-pad": abilities.conv1d_padding,
    "limit-conv1d-pad-passes": abilities.conv1d_padding,
    "conv2d-dilation": operators.conv2d_dilation,
    "test-eltwiseadd": memory.input_processors,
    "burnin-alternating2": memory.input_processors,
    "test-widein-maxproc4": memory.input_processors,
    "test-maxkern": "`in_channels`/`in_dim` ask for",
    "test-passthrough-2a-pool": memory.passthrough_processors,
    "limit-stride-2": unsupported.stride,
    "limit-kernel-5": operators.conv2d_kernel,
    "limit-pad-3": operators.padding,
    "limit-pool-17": operators.pooling,
    "limit-pool16-dilation2": abilities.pool_dilation_reach,
    "limit-x4-out-6": abilities.four_outputs,
    "limit-readgap-passes": abilities.read_gap_once,
    "limit-eltwise-conv-bias": abilities.eltwise_bias,
    "limit-eltwise-pool-last-3": operators.pool_last,
    "limit-dw-move-wide": abilities.depthwise_wide,
    "limit-dw-unaligned": abilities.depthwise_processors,
    "limit-conv1d-eltwise": operators.eltwise_conv1d,
    "limit-pass-wide": operators.wide_passthrough,
    "limit-rows-2048": operators.rows_and_columns,
    "limit-weights-exhausted": memory.kernel_columns,
    "limit-ra-same-memory": abilities.readahead_memories,
    "limit-binary-and-1bit": check.binary_alike,
    "limit-stream-pass": abilities.streamed_passthrough,
    "limit-start-fifo": "a network whose input comes through the FIFO begins with layer 0",
}
THREE_EACH = "syn-test-eltwiseadd-conv"  # the vendor's tool was given four operands of 3 channels for these


def refused() -> list[dict[str, str]]:
    with (CORPUS / "refused" / "INDEX.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def problems_of(row: dict[str, str]) -> tuple[Diagnostic, ...]:
    name, weights = row["name"], row["weights per parameter layer"]
    sizes = [int(size) for size in row["input (C x H x W)"].split("x")]
    fifo = "fifo" in name or "stream" in name
    options = Options(fifo=fifo, start_layer=int("start" in name), classes=64)
    shape = Shape(12, 12, 12) if THREE_EACH in name else Shape(*(*sizes, 1)[:3])
    if "kws20_v3" in name:  # the index has none
        weights = "100x128x1 96x100x3 64x96x3 48x64x3 64x48x3 96x64x3 100x96x3 64x100x6 21x256"
    source = parse_shapes(weights) if weights else None
    network, problems = read_network(CORPUS / "refused" / f"{name}.yaml", source, shape, options, DEVICE)
    if network and "bias" in name:  # the index has no biases
        layer = network.layers[-1]
        network = replace(network, layers=(*network.layers[:-1], replace(layer, bias=np.ones(4, np.int8))))
    return problems + (check_network(network, DEVICE) if network else ())


@needs_corpus
def test_what_the_vendor_tool_refuses_is_refused_by_the_same_rule() -> None:
    """But for 129 layers, which take two runs."""
    rows = refused()
    for row in rows:
        problems = problems_of(row)
        if row["name"] == "limit-layers-129":
            assert problems == () and len(row["weights per parameter layer"].split()) == 129
            continue
        rule = next((rule for part, rule in REFUSED.items() if part in row["name"]), memory.input_processors)
        text = rule if isinstance(rule, str) else message_of(rule, numbers_of(DEVICE))
        named = [problem for problem in problems if text in problem.message]
        assert named, (row["name"], row["reason given by the vendor tool"], [str(problem) for problem in problems])
        assert all(problem.where and problem.where.line for problem in named)
    assert len(rows) == 38


@needs_corpus
def test_of_the_corpus_only_snoop_units_and_long_dilated_windows_are_refused() -> None:
    wrong = []
    for folder in sorted((CORPUS / "cases").iterdir()):
        try:
            problems = check_network(load_case(folder, DEVICE).network, DEVICE)
        except InputError as error:
            problems = error.problems
        wrong += [folder.name] if problems else []
    assert [name for name in wrong if "snoop" not in name] == ["rand-pool-4006", "rand-pool-5001"]
    assert len(wrong) == 15


def one(channels: int = 4, out: int = 4, rows: int = 8, cols: int = 8, **values: Any) -> Network:
    layer = make_layer(Shape(channels, rows, cols), out, np.random.default_rng(0), **{"processors": 0, **values})
    return make_network(layer, input_shape=layer.in_shape)


def depthwise(channels: int = 4, **values: Any) -> Network:
    network = one(channels, channels, groups=channels, **values)
    layer = network.layers[0]
    assert layer.weights is not None
    return only(network, weights=layer.weights[:, :1])


def only(network: Network, **values: Any) -> Network:
    return replace(network, layers=(*network.layers[:-1], replace(network.layers[-1], **values)))


def pair(*layers: Layer) -> Network:
    return make_network(*layers, input_shape=layers[0].in_shape)


def gap(channels: int) -> Network:
    first = make_layer(Shape(4, 8, 8), channels, write_gap=1)
    return pair(first, make_layer(Shape(channels, 8, 8), 4, read_gap=1))


def bits(**second: Any) -> Network:
    return pair(make_layer(Shape(4, 8, 8), 4, weight_bits=1), make_layer(Shape(4, 8, 8), 4, weight_bits=1, **second))


def long_1d(channels: int, pad: int) -> Network:
    return one(channels, 4, 20, 1, op="conv1d", kernel=(3, 1), pad=(pad, 0))


def dilated(window: int, dilation: int) -> Network:
    pooled = 40 - (window - 1) * dilation
    sizes = {"pool": (window, window), "pool_dilation": (dilation, dilation), "pooled": (pooled, pooled)}
    return only(one(rows=40, cols=40), **sizes)


def dilated_1d(dilation: int) -> Network:
    values: dict[str, Any] = {"op": "conv1d", "kernel": (3, 1), "pad": (0, 0), "weight_bits": 1, "binary": True}
    return one(4, 4, 20, 1, dilation=dilation, **values)


def streamed_ahead(between: int) -> Network:
    """Two layers that stream; the second one reads ahead, from byte `between` to 0xc000."""
    layers = make_layer(Shape(4, 8, 8), 4), make_layer(Shape(4, 8, 8), 4)
    first, second = make_network(*layers).layers
    first = replace(first, streaming=True, out_offset=between)
    second = replace(second, streaming=True, readahead=True, in_offset=between, out_offset=0xC000)
    return make_network(first, second, fifo=True)


def three_streams(first: int | None) -> Network:
    """Three layers that stream, of which the last one reads ahead; `first`: where the first one writes, in bytes."""
    one, two, three = make_network(*(make_layer(Shape(4, 8, 8), 4, streaming=True) for _ in range(3))).layers
    two = replace(two, out_offset=0x8000)
    three = replace(three, readahead=True, in_offset=0x8000, out_offset=0xC000)
    return make_network(replace(one, out_offset=first), two, three, fifo=True)


def averaging(operands: int) -> Network:
    """A streaming layer behind another one, with so many operands, averages."""
    first = make_layer(Shape(4, 8, 8), 4, streaming=True, operands=operands, eltwise="add" if operands > 1 else None)
    pooled: dict[str, Any] = {"pool": (2, 2), "pool_stride": 2, "pool_average": True}
    return make_network(first, make_layer(first.out_shape, 4, streaming=True, **pooled), fifo=True)


def joined_input(operands: int) -> Network:
    """The words of a frame are those of all operands: IFRM has 22 bits."""
    layer = make_layer(
        Shape(4, 512, 512), 4, operands=operands, eltwise="add", streaming=True, pool=(2, 2), pool_stride=2
    )
    return make_network(layer, fifo=True)


def added(operands: int) -> Network:
    """A streaming layer that adds, and pools with steps of 4: STRM1.row_delta has 5 bits."""
    changes: dict[str, Any] = {"pool": (4, 4), "pool_stride": 4, "operands": operands, "eltwise": "add"}
    return make_network(make_layer(Shape(4, 40, 40), 8, streaming=True, pad=(1, 1), **changes), fifo=True)


def wide_stream(layers: int) -> Network:
    """Streaming layers of which each but the first has four input passes: STRM1.input_volume has 4 bits."""
    channels = [4, *[256] * layers, 8]
    made = [
        make_layer(Shape(one, 8, 8), out, streaming=True, pad=(1, 1), weight_bits=1) for one, out in pairwise(channels)
    ]
    return make_network(*made, fifo=True)


def pooled_chw(step: int) -> Network:
    """CHW data pooled while streaming: a data memory instance has 20,480 words."""
    made = make_layer(
        Shape(3, 256, 256), 4, streaming=True, pad=(1, 1), data_format="CHW", pool=(step, step), pool_stride=step
    )
    return make_network(made, fifo=True)


ADD: dict[str, Any] = {"operands": 2, "eltwise": "add"}
MOVING = {"processors": 0xFF, "output_processors": 0xFF00}
THIRD = {"processors": (1 << 40) - 1, "output_processors": ((1 << 40) - 1) << 8}

# Rule, a network that keeps to it, one that breaks it
BORDERS: list[tuple[str, Network, Network]] = [
    ("depthwise_groups", depthwise(8), only(one(8, 4), groups=8)),
    ("depthwise_groups", depthwise(8), only(one(8, 8), groups=4)),
    ("depthwise_processors", depthwise(8, **MOVING), depthwise(8, processors=0xFF, output_processors=0xFF << 2)),
    (
        "depthwise_processors",
        depthwise(16, processors=0xFFFF << 4, output_processors=0xFFFF),
        depthwise(16, processors=0xFFFF << 2, output_processors=0xFFFF),
    ),
    ("depthwise_processors", depthwise(8, **MOVING), depthwise(8, processors=0x1EF, output_processors=0xFF00)),
    ("depthwise_wide", depthwise(8, processors=255, output_processors=255, output_width=32), depthwise(8, **MOVING)),
    ("depthwise_bias", depthwise(80, **THIRD), only(depthwise(80, **THIRD), bias=np.ones(80, np.int8))),
    ("four_outputs", one(out=8, calcx4=True), one(out=6, calcx4=True)),
    ("four_outputs", one(calcx4=True, output_processors=0xF0), one(calcx4=True, output_processors=0x3C)),
    ("four_outputs", one(calcx4=True), depthwise(4, calcx4=True)),
    ("pool_dilation_reach", dilated(2, 15), dilated(2, 16)),
    ("pool_dilation_reach", dilated(4, 5), dilated(5, 4)),
    ("pool_dilation_windows", dilated(2, 3), dilated(3, 2)),
    ("read_gap_once", gap(64), gap(68)),
    ("readahead_memories", one(readahead=True, out_offset=0x4000), one(readahead=True, out_offset=0x3FFC)),
    ("readahead_memories", one(readahead=True, out_offset=0x4000), one(readahead=True)),
    ("readahead_memories", streamed_ahead(0x8000), streamed_ahead(0x0)),
    ("readahead_memories", streamed_ahead(0x4000), streamed_ahead(0x3FFC)),
    ("readahead_memories", three_streams(0x4000), three_streams(None)),
    ("streamed_reset", averaging(1), averaging(2)),
    ("fifo_words", joined_input(2), joined_input(17)),
    ("streaming_registers", added(7), added(8)),
    ("streaming_registers", wide_stream(4), wide_stream(5)),
    ("streaming_registers", pooled_chw(3), pooled_chw(4)),
    ("eltwise_bias", one(**ADD), only(one(**ADD), bias=np.ones(4, np.int8))),
    ("transposed_pooling", one(op="convtranspose2d"), one(op="convtranspose2d", pool=(2, 2))),
    ("conv1d_padding", long_1d(64, 1), long_1d(68, 1)),
    ("conv1d_padding", long_1d(68, 0), long_1d(128, 2)),
    ("bypass_once", one(64, bypass=True), one(65, bypass=True)),
    ("bypass_once", one(bypass=True, output_processors=0xF0), one(bypass=True, output_processors=0x1E)),
    ("binary_passes", one(104, weight_bits=1, binary=True), one(100, weight_bits=1, binary=True)),
    ("zeros_between", dilated_1d(1), dilated_1d(2)),
    ("binary_alike", bits(), bits(binary=True)),
]


@pytest.mark.parametrize(("rule", "kept", "broken"), BORDERS, ids=[f"{n}-{b[0]}" for n, b in enumerate(BORDERS)])
def test_the_border_of_each_rule(rule: str, kept: Network, broken: Network) -> None:
    rules: list[Callable[..., Any]] = [*check.LAYER_RULES, *check.NETWORK_RULES]
    function = next(one for one in rules if one.__name__ == rule)
    text = message_of(function, numbers_of(DEVICE))
    if rule == "depthwise_wide":
        broken = only(broken, output_width=32)
    assert not [one for one in check_network(kept, DEVICE) if text in one.message]
    assert [one for one in check_network(broken, DEVICE) if text in one.message]


def test_a_streaming_pass_through_layer_is_refused() -> None:
    layers = [make_layer(Shape(4, 8, 8), 4, streaming=True), make_layer(Shape(4, 8, 8), 4, streaming=True)]
    network = make_network(*layers, input_shape=Shape(4, 8, 8), fifo=True)
    text = message_of(abilities.streamed_passthrough, numbers_of(DEVICE))
    assert not [one for one in check_network(network, DEVICE) if text in one.message]
    assert [one for one in check_network(only(network, op="passthrough", weights=None), DEVICE) if text in one.message]


def test_the_device_lifts_rules_and_has_others() -> None:
    former = load_device("MAX78000")
    for rule in check.LIFTED:
        assert holds_for(rule, former) and not holds_for(rule, DEVICE)
    for rule in check.NEEDED:
        assert holds_for(rule, DEVICE) and not holds_for(rule, former)
    assert holds_for(streams.streaming_size, DEVICE) and holds_for(streams.streaming_size, former)
