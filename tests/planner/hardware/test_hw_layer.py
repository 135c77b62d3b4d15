"""Passes, slots and kernels of a layer on the hardware, and the layers that are rewritten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.planner.hardware.hw_layer import (
    HwLayer,
    ceil_div,
    instances_of,
    map_layer,
    passes_of,
    quadrant_slice,
    quadrants_of,
    set_bits,
    whole_instances,
)
from offramp.planner.ir.network import Layer, Shape
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()
ALL = (1 << 64) - 1


def mapped(shape: Shape, out: int, **changes: Any) -> HwLayer:
    """One layer on the lowest processors, unless `changes` says otherwise."""
    layer = make_layer(shape, out, **{name: value for name, value in changes.items() if "processors" not in name})
    low = [(1 << passes_of(count, DEVICE)[1]) - 1 for count in (shape.channels, layer.out_shape.channels)]
    maps = {"processors": changes.get("processors", low[0])}
    maps["output_processors"] = changes.get("output_processors", low[1])
    layer = replace(layer, **maps)
    return map_layer(layer, make_network(layer), DEVICE)


def test_small_helpers() -> None:
    assert [ceil_div(value, 4) for value in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert [whole_instances(value, DEVICE) for value in (0, 1, 4, 5)] == [0, 4, 4, 8]
    assert set_bits(0b101001) == (0, 3, 5)
    assert [quadrant_slice(0xF0002, quadrant, DEVICE) for quadrant in range(4)] == [2, 0xF, 0, 0]
    assert list(quadrants_of(0xF0002 | 1 << 63, DEVICE)) == [0, 1, 3]
    assert instances_of(0xF0002 | 1 << 63, DEVICE) == (0, 4, 15)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (1, (1, 1)),
        (5, (1, 5)),
        (64, (1, 64)),
        (65, (2, 36)),
        (100, (2, 52)),
        (128, (2, 64)),
        (129, (3, 44)),
        (1024, (16, 64)),
    ],
)
def test_passes(channels: int, expected: tuple[int, int]) -> None:
    assert passes_of(channels, DEVICE) == expected


@pytest.mark.parametrize(
    ("changes", "kind", "taps"),
    [
        ({}, "conv3x3", 9),
        ({"kernel": (1, 1), "pad": (0, 0)}, "conv1x1", 1),
        ({"op": "convtranspose2d"}, "transposed", 9),
        ({"op": "linear", "flatten": True}, "flatten", 1),
        ({"op": "passthrough"}, "passthrough", 0),
    ],
)
def test_kinds(changes: dict[str, Any], kind: str, taps: int) -> None:
    hw = mapped(Shape(4, 6, 6), 4, **changes)
    assert (hw.kind, hw.taps, hw.weights is None) == (kind, taps, kind == "passthrough")


def test_one_pixel_needs_no_flattening() -> None:
    assert mapped(Shape(4, 1, 1), 4, op="linear", flatten=True).kind == "conv1x1"


def test_kernel_columns_of_the_vendors_mnist() -> None:
    """Columns that the vendor's tool fills: 60, 56, 12 and, for ten outputs of sixteen pixels, 18."""
    sizes = [
        mapped(Shape(60, 28, 28), 60, pad=(2, 2), output_processors=ALL & ~0xF),
        mapped(Shape(60, 8, 8), 56),
        mapped(Shape(56, 8, 8), 12),
        mapped(Shape(12, 4, 4), 10, op="linear", flatten=True),
    ]
    assert [hw.columns for hw in sizes] == [60, 56, 12, 18]
    assert sizes[3].kernels == 160


@pytest.mark.parametrize(("bits", "columns"), [(8, 9), (4, 5), (2, 3), (1, 2)])
def test_narrow_weights_share_columns(bits: int, columns: int) -> None:
    """Nine kernels of nine bytes; 8 / bits of them in the same bytes."""
    assert mapped(Shape(4, 6, 6), 9, weight_bits=bits).columns == columns


def test_slots_without_a_channel() -> None:
    """Outputs on processors 6..8: the first whole word begins at 4, so slots 0 and 1 have no channel."""
    hw = mapped(Shape(4, 6, 6), 3, output_processors=0b111 << 6, bias=np.ones(3, np.int8))
    assert (hw.first_slot, hw.slots_per_pass, hw.slots, hw.bias_bytes) == (4, 5, 5, 5)
    assert [hw.slot_of(channel) for channel in range(3)] == [2, 3, 4]


def test_slots_of_several_passes() -> None:
    hw = mapped(Shape(4, 6, 6), 70)
    assert (hw.expansion, hw.out_per_pass, hw.slots) == (2, 36, 72)
    assert [hw.slot_of(channel) for channel in (0, 35, 36, 69)] == [0, 35, 36, 69]


def test_a_flattening_layer_stops_after_its_last_channel() -> None:
    assert mapped(Shape(4, 2, 2), 70, op="linear", flatten=True).slots == 70


def test_biases_of_zero_take_no_room() -> None:
    assert mapped(Shape(4, 6, 6), 3, bias=np.zeros(3, np.int8)).bias_bytes == 0
    assert mapped(Shape(4, 6, 6), 3).bias_bytes == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [({}, 36), ({"data_format": "CHW"}, 9), ({"operands": 2, "eltwise": "add"}, 72)],
)
def test_input_words(changes: dict[str, Any], words: int) -> None:
    assert mapped(Shape(4, 6, 6), 4, **changes).input_words == words


def test_input_words_of_several_passes() -> None:
    assert mapped(Shape(70, 6, 6), 4).input_words == 72
    assert mapped(Shape(4, 5, 5), 4, data_format="CHW").input_words == 7


@pytest.mark.parametrize(
    ("out", "changes", "words"),
    [
        (4, {}, 36),
        (70, {}, 72),
        (4, {"write_gap": 2}, 35 * 3 + 1),
        (4, {"output_width": 32}, 144),
        (70, {"write_gap": 1}, 143),
    ],
)
def test_output_words(out: int, changes: dict[str, Any], words: int) -> None:
    assert mapped(Shape(4, 6, 6), out, **changes).output_words == words


def line(length: int, dilation: int, samples: int = 40) -> Layer:
    changes: dict[str, Any] = {"op": "conv1d", "kernel": (length, 1), "pad": (0, 0), "dilation": dilation}
    layer = make_layer(Shape(4, samples, 1), 4, **changes)
    return replace(layer, processors=0xF, output_processors=0xF)


def test_a_short_dilated_convolution_is_stretched() -> None:
    layer = line(3, 4)
    hw = map_layer(layer, make_network(layer), DEVICE)
    assert (hw.kind, hw.taps, hw.surplus) == ("conv1d", 9, 0)
    assert hw.weights is not None and layer.weights is not None
    assert np.array_equal(hw.weights[:, :, [0, 4, 8]], layer.weights[..., 0])
    assert not hw.weights[:, :, [1, 2, 3, 5, 6, 7]].any()


@pytest.mark.parametrize(("length", "middle"), [(2, [4, 7]), (3, [1, 4, 7])])
def test_a_long_dilated_convolution_is_folded(length: int, middle: list[int]) -> None:
    """Rows of `dilation` samples and a 3x3 kernel whose middle column holds the taps."""
    layer = line(length, 10)
    hw = map_layer(layer, make_network(layer), DEVICE)
    assert (hw.kind, hw.taps, hw.rows, hw.cols, hw.pad) == ("conv3x3", 9, 4, 10, (1, 1))
    assert hw.surplus == (10 if length == 3 else 0)
    assert hw.output_words == 40
    assert hw.weights is not None and layer.weights is not None
    assert np.array_equal(hw.weights[:, :, middle], layer.weights[..., 0])
    assert np.count_nonzero(hw.weights) == np.count_nonzero(layer.weights)


@pytest.mark.parametrize(
    ("streams", "kind"), [((False, False), "conv1x1"), ((True, False), "conv3x3"), ((True, True), "conv3x3")]
)
def test_a_point_convolution_near_streaming_is_widened(streams: tuple[bool, bool], kind: str) -> None:
    first = make_layer(Shape(4, 6, 6), 4, streaming=streams[0])
    point = make_layer(Shape(4, 6, 6), 4, kernel=(1, 1), pad=(0, 0), streaming=streams[1])
    network = make_network(*(replace(layer, processors=0xF, output_processors=0xF) for layer in (first, point)))
    hw = map_layer(network.layers[1], network, DEVICE)
    assert hw.kind == kind
    if kind == "conv3x3":
        assert (hw.taps, hw.pad) == (9, (1, 1))
        assert hw.weights is not None and point.weights is not None
        assert np.array_equal(hw.weights[:, :, 4], point.weights[:, :, 0, 0])
        assert np.count_nonzero(hw.weights) == np.count_nonzero(point.weights)


@pytest.mark.parametrize(
    ("channels", "operands", "folded"), [(64, 3, False), (128, 2, False), (128, 3, True), (192, 2, True)]
)
def test_wide_elementwise_layers_fold_their_passes(channels: int, operands: int, folded: bool) -> None:
    hw = mapped(Shape(channels, 4, 4), 0, op="passthrough", operands=operands, eltwise="add")
    assert hw.folded == folded
