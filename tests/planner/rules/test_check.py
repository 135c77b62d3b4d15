"""The device's rules: what the vendor's tool refuses is refused by name, what it accepts is not; each rule's border."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import Diagnostic
from offramp.corpus.case import load_case
from offramp.planner.ai8x import unsupported as features
from offramp.planner.ai8x.load import Options, read_network
from offramp.planner.ai8x.weights import parse_shapes
from offramp.planner.ir.network import INPUT, Layer, Network, Shape
from offramp.planner.rules import abilities as rules_abilities
from offramp.planner.rules import buffers as rules_buffers
from offramp.planner.rules import check as capability
from offramp.planner.rules import inputs as rules_inputs
from offramp.planner.rules import memory as rules_memory
from offramp.planner.rules import operators as rules_operators
from offramp.planner.rules import streams as rules_stream
from offramp.planner.rules.check import check_network
from offramp.planner.rules.docstrings import message_of, numbers_of
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()
NUMBERS = numbers_of(DEVICE)

# What the category of a refused description, or the reason the vendor's tool gives, means in our rules
RULES: dict[str, Callable[..., Any]] = {
    "binary (-1/+1) weights": features.binary_weights,
    "kernel bypass": features.bypass,
    "conv2d dilation": rules_operators.conv2d_dilation,
    "pool dilation": features.pool_dilation,
    "depthwise/groups": features.groups,
    "readahead": features.readahead,
    "calcx4": features.calcx4,
    "link layer": features.next_sequence,
    "read_gap": features.read_gap,
    "snoop": features.snoop,
    "unpadded final streaming layer": rules_stream.streaming_padding,
    "pooling in passthrough layer": rules_operators.passthrough_pooling,
    "element-wise operation exceeds a multi-pass": rules_operators.eltwise_passes,
    "exceeds system maximum of 1024": rules_operators.rows_and_columns,
    "`out_offset`": rules_memory.offsets,
    " input (size": rules_memory.input_memory,
    " output (size": rules_memory.output_memory,
}


DEEP = "supports up to 32 layers"


def refusals(corpus: Path) -> list[dict[str, str]]:
    with (corpus / "refused" / "INDEX.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def check_file(path: Path, shape: Shape, weights: str) -> tuple[Diagnostic, ...]:
    network, problems = read_network(path, parse_shapes(weights) if weights else None, shape, Options(), DEVICE)
    return problems + (check_network(network, DEVICE) if network else ())


def test_what_the_vendor_tool_refuses(corpus: Path) -> None:
    """Each of the descriptions, by the rule that the vendor's tool names, with the file and a line; but for the one of
    128 layers, which take several runs."""
    rows = refusals(corpus)
    for row in rows:
        path = corpus / "refused" / f"{row['name']}.yaml"
        shape = Shape(*map(int, row["input (C x H x W)"].split("x")))
        problems = check_file(path, shape, row["weights per parameter layer"])
        reason = row["reason given by the vendor tool"]
        if DEEP in reason:
            assert problems == () and len(row["weights per parameter layer"].split()) == 128
            continue
        kind = row["category"].split(": ")[-1]
        rule = RULES.get(kind) or next(rule for text, rule in RULES.items() if text in reason)
        named = [problem for problem in problems if problem.message.endswith(message_of(rule, NUMBERS))]
        assert named, (row["name"], reason, [str(problem) for problem in problems])
        assert all(problem.where and problem.where.line and problem.where.file == str(path) for problem in named)
    assert len(rows) == 84


def test_no_network_of_the_corpus_is_refused(corpus: Path) -> None:
    for folder in sorted((corpus / "cases").iterdir()):
        assert check_network(load_case(folder, DEVICE).network, DEVICE) == (), folder.name


def test_every_rule_of_the_modules_is_applied() -> None:
    applied = {rule.__name__ for rule in (*capability.LAYER_RULES, *capability.NETWORK_RULES)}
    asked = {rule.__name__ for rule in (*features.LAYER_RULES, *features.NETWORK_RULES)}
    for module, names in (
        (rules_operators, applied),
        (rules_memory, applied),
        (rules_inputs, applied),
        (rules_buffers, applied),
        (rules_stream, applied),
        (rules_abilities, applied),
        (capability, applied | {"check_network", "check_chain", "holds_for"}),
        (features, asked | {"check_description"}),
    ):
        own = {
            name
            for name, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
        }
        assert own <= names, module.__name__


def one(rows: int = 8, cols: int = 8, channels: int = 4, out: int = 4, **values: Any) -> Network:
    """A network of one layer; nothing is wrong with it unless `values` say so."""
    rng = np.random.default_rng(0)
    layer = make_layer(Shape(channels, rows, cols), out, rng, **{"processors": 0, **values})
    return make_network(layer, input_shape=layer.in_shape)


def line(length: int = 40, **values: Any) -> Network:
    """One 1-D convolution with a kernel of 3 and no padding."""
    return one(length, 1, op="conv1d", **{"kernel": (3, 1), "pad": (0, 0), **values})


def streams(count: int, **values: Any) -> Network:
    layers = [make_layer(Shape(4, 8, 8), 4, streaming=True, **values) for _ in range(count)]
    return make_network(*layers, input_shape=Shape(4, 8, 8), fifo=True)


def tapped(source: int) -> Network:
    """Two streaming layers and one that reads the output of layer `source`."""
    network = streams(3)
    last = replace(network.layers[2], inputs=(source,), streaming=False)
    return replace(network, layers=(*network.layers[:2], last))


def chain(*layers: Layer, **values: Any) -> Network:
    return make_network(*layers, input_shape=layers[0].in_shape, **values)


def same(**values: Any) -> Layer:
    return make_layer(Shape(4, 8, 8), 4, **values)


def with_network(network: Network, **values: Any) -> Network:
    return replace(network, **values)


def only(network: Network, **values: Any) -> Network:
    """The network with fields of its last layer replaced."""
    return replace(network, layers=(*network.layers[:-1], replace(network.layers[-1], **values)))


BIASES = np.ones(600, np.int8)
ADD: dict[str, Any] = {"op": "passthrough", "eltwise": "add"}
COPY: dict[str, Any] = {"op": "passthrough"}

# Rule, the nearest network that keeps to it, one that breaks it
BORDERS: list[tuple[str, Network, Network]] = [
    ("rows_and_columns", one(1022, 2), one(1023, 2)),
    ("rows_and_columns", one(510, 2, op="convtranspose2d"), one(512, 2, op="convtranspose2d")),
    ("channels", one(channels=1024), one(channels=1025)),
    ("channels", one(out=1024), one(out=1025)),
    ("conv2d_kernel", one(kernel=(1, 1), pad=(0, 0)), one(kernel=(5, 5))),
    ("conv2d_kernel", one(op="convtranspose2d"), one(op="convtranspose2d", kernel=(1, 1), pad=(0, 0))),
    ("conv1d_kernel", line(kernel=(9, 1)), line(kernel=(10, 1))),
    ("one_dimensional", line(), only(line(), in_shape=Shape(4, 40, 2))),
    ("padding", one(pad=(2, 2)), one(pad=(3, 3), kernel=(5, 5))),
    ("padding", line(pad=(1, 0)), one(kernel=(1, 1), pad=(1, 1))),
    ("conv2d_dilation", one(), one(dilation=2)),
    ("conv1d_dilation", line(dilation=4, pad=(1, 0)), line(dilation=5, pad=(1, 0))),
    ("conv1d_dilation", line(2100, dilation=1023), line(2100, dilation=1024)),
    ("conv1d_dilation", line(kernel=(4, 1), dilation=2), line(kernel=(4, 1), dilation=3)),
    ("conv1d_dilation", line(kernel=(1, 1)), line(kernel=(1, 1), dilation=2)),
    ("pooling", one(40, 40, pool=(16, 1), pool_stride=16), one(40, 40, pool=(17, 1))),
    ("pooling", one(40, 40, pool_stride=16), one(40, 40, pool_stride=17)),
    ("passthrough_pooling", one(channels=64, pool=(2, 2), **COPY), one(channels=65, pool=(2, 2), **COPY)),
    ("passthrough_pooling", one(channels=128, pool=(8, 8), **COPY), one(channels=128, pool=(7, 7), **COPY)),
    ("passthrough_activation", one(activation="relu"), one(activation="relu", **COPY)),
    ("wide_passthrough", one(output_width=32), one(output_width=32, **COPY)),
    ("wide_activation", one(output_width=32), one(output_width=32, activation="abs")),
    ("wide_input", chain(same(), same(output_width=32)), chain(same(output_width=32), same())),
    ("flatten", one(16, 16, op="linear", flatten=True), one(16, 17, op="linear", flatten=True)),
    ("flatten", one(16, 16, 64, op="linear", flatten=True), one(16, 16, 65, op="linear", flatten=True)),
    ("flatten_alone", one(op="linear", flatten=True), one(op="linear", flatten=True, pool=(2, 2))),
    ("flatten_alone", one(op="linear", flatten=True), only(one(**COPY), flatten=True)),
    ("operands", one(operands=16, **ADD), one(operands=17, **ADD)),
    ("eltwise_conv1d", line(), line(eltwise="add", operands=2)),
    ("pool_last", one(operands=2, pool_first=False, **ADD), one(operands=3, pool_first=False, **ADD)),
    ("eltwise_passes", one(channels=128, operands=2, eltwise="add"), one(channels=129, operands=2, eltwise="add")),
    ("eltwise_passes", one(channels=128, operands=3, **ADD), one(channels=128, operands=3, eltwise="add")),
    ("bias", only(one(out=512), bias=BIASES), only(one(out=513), bias=BIASES)),
    ("output_shift", one(output_shift=15), one(output_shift=16)),
    ("output_shift", one(output_shift=11, weight_bits=4), one(output_shift=12, weight_bits=4)),
    ("offsets", one(out_offset=0x7000), one(out_offset=0x7002)),
    ("offsets", one(in_offset=0x7000), one(in_offset=0x8000)),
    ("input_memory", one(64, 128), one(65, 128)),
    ("input_memory", one(64, 64, operands=2, **ADD), one(64, 64, operands=3, **ADD)),
    ("input_memory", one(181, 181, data_format="CHW"), one(182, 182, data_format="CHW")),
    ("input_memory", one(in_offset=0x7F00), one(in_offset=0x7F04)),
    ("output_memory", one(out_offset=0x7F00), one(out_offset=0x7F04)),
    ("output_memory", one(out=64, out_offset=0x7C00, output_width=32), one(out=64, out_offset=0x7C04, output_width=32)),
    ("output_memory", one(out_offset=0x7E04, write_gap=1), one(out_offset=0x7E08, write_gap=1)),
    ("folded_offset", line(dilation=6, out_offset=24), line(dilation=6, out_offset=20)),
    (
        "folded_offset",
        line(dilation=6, out_offset=96, output_width=32),
        line(dilation=6, out_offset=92, output_width=32),
    ),
    ("write_step", one(out=512, write_gap=1), one(out=576, write_gap=1)),
    ("kernel_columns", one(channels=768, out=64), one(channels=832, out=64)),
    ("kernel_columns", one(channels=832, out=64, weight_bits=4), one(16, 16, 32, 32, op="linear", flatten=True)),
    ("input_processors", one(processors=0xF0), one(processors=0x70)),
    ("output_processors", one(out=100, output_processors=(1 << 52) - 1), one(out=100, output_processors=(1 << 50) - 1)),
    (
        "passthrough_processors",
        one(processors=0xF, output_processors=0xF0, **COPY),
        one(processors=0xF, output_processors=0xF0000, **COPY),
    ),
    (
        "passthrough_processors",
        one(processors=0x1E, output_processors=0xF, **COPY),
        one(processors=0xF, output_processors=0x17, **COPY),
    ),
    (
        "passthrough_processors",
        one(processors=0xF, output_processors=0xF00, **COPY),
        one(processors=0x1E, output_processors=0x1E, **COPY),
    ),
    ("chw_input", one(data_format="CHW"), chain(same(), same(data_format="CHW"))),
    ("chw_input", one(data_format="CHW"), chain(same(), same(data_format="CHW", inputs=(INPUT,)))),
    ("chw_input", one(channels=16, data_format="CHW"), one(channels=17, data_format="CHW")),
    ("chw_input", one(op="linear", flatten=True), one(op="linear", flatten=True, data_format="CHW")),
    ("chw_processors", one(data_format="CHW", processors=0x1111), one(data_format="CHW", processors=0xF)),
    ("streaming_place", streams(8), streams(9)),
    ("streaming_place", chain(same(streaming=True), same()), chain(same(), same(streaming=True))),
    ("streamed_once", tapped(1), tapped(0)),
    ("streamed_once", tapped(1), tapped(INPUT)),
    ("streamed_once", only(streams(2), output=True), streams(2, output=True)),
    ("streaming_fifo", streams(1), with_network(streams(1), fifo=False)),
    ("streaming_padding", streams(2), only(streams(2), pad=(0, 0))),
    ("streaming_padding", streams(1), only(streams(1), pad=(0, 0))),
    (
        "streaming_size",
        only(streams(1), in_shape=Shape(64, 2048, 1023)),
        only(streams(1), in_shape=Shape(64, 2048, 1024)),
    ),
    ("streaming_registers", only(streams(2), pool=(16, 2)), only(streams(2), pool=(3000, 2))),
    (
        "fifo_words",
        with_network(one(5, 1638, pool=(2, 2)), fifo=True),
        with_network(one(8, 1024, pool=(2, 2)), fifo=True),
    ),
    (
        "fifo_words",
        with_network(one(16, 1022, data_format="CHW", pool=(4, 1)), fifo=True),
        with_network(one(16, 1024, data_format="CHW", pool=(4, 1)), fifo=True),
    ),
    (
        "streaming_registers",
        only(streams(1), in_shape=Shape(4, 8, 1022), pool=(3, 3)),
        only(streams(1), in_shape=Shape(4, 8, 1022), pool=(6, 3)),
    ),
    ("fifo_channels", with_network(one(channels=16), fifo=True), with_network(one(channels=17), fifo=True)),
    (
        "fifo_channels",
        with_network(one(data_format="CHW"), fifo=True),
        with_network(one(channels=5, data_format="CHW"), fifo=True),
    ),
    (
        "fifo_processors",
        with_network(one(processors=0xF0000), fifo=True),
        with_network(one(processors=0xF0), fifo=True),
    ),
]


@pytest.mark.parametrize(
    ("name", "good", "bad"), BORDERS, ids=[f"{index}-{entry[0]}" for index, entry in enumerate(BORDERS)]
)
def test_the_border_of_each_rule(name: str, good: Network, bad: Network) -> None:
    rule = next(rule for rule in capability.LAYER_RULES if rule.__name__ == name)
    assert [rule(layer, good, DEVICE) for layer in good.layers] == [None] * len(good.layers)
    assert any(rule(layer, bad, DEVICE) for layer in bad.layers)
    messages = [problem.message for problem in check_network(bad, DEVICE)]
    assert any(message.endswith(message_of(rule, NUMBERS)) for message in messages)


@pytest.mark.parametrize("streaming", [False, True])
def test_rules_about_streams_do_not_stumble_over_what_others_refuse(streaming: bool) -> None:
    """A dilated kernel of nine samples has no form on the hardware."""
    first = make_layer(Shape(4, 32, 1), 8, op="conv1d", kernel=(3, 1), pad=(1, 0), streaming=streaming)
    wide = make_layer(Shape(8, 32, 1), 8, op="conv1d", kernel=(9, 1), pad=(0, 0), dilation=2)
    for network in (make_network(first, wide, fifo=True), make_network(wide, fifo=True)):
        assert any("a kernel of length 9 with a dilation of 2" in one.message for one in check_network(network, DEVICE))


def joined(layers: int) -> Network:
    """The input comes through the FIFO, and the last layer reads it."""
    inner = [replace(same(), index=index, inputs=(index - 1,)) for index in range(layers - 1)]
    last = make_layer(Shape(8, 8, 8), 4, inputs=(INPUT, layers - 2))
    return make_network(*inner, last, input_shape=Shape(4, 8, 8), fifo=True)


def test_rules_of_the_network_as_a_whole() -> None:
    def broken(network: Network) -> list[str]:
        return [rule.__name__ for rule in capability.NETWORK_RULES if rule(network, DEVICE)]

    assert broken(chain(*[same()] * 32)) == broken(chain(*[same()] * 33)) == []
    assert broken(joined(32)) == [] and broken(joined(33)) == ["layer_count"]
    assert broken(one(processors=0xF0000, output_processors=0xF)) == []
    assert broken(one(processors=0xF0000, output_processors=0xF0000)) == ["quadrant_zero"]
    rows = [make_layer(Shape(4, 4, 1000), 4, streaming=True) for _ in range(4)]
    assert broken(chain(*rows[:3])) == [] and broken(chain(*rows)) == ["streaming_rows"]
