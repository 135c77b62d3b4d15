"""Kernels, biases and inputs lie where the hardware's rules say it will look for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.codegen.load_images import bias_runs, input_layout, reload_words, tensor_layout, weight_chunks, weight_runs
from offramp.codegen.pack import InputWords, express_words, merge_runs, pack_bias, pack_input, pack_weights
from offramp.configs.device import load_device
from offramp.planner.allocation.place import Placed, place
from offramp.planner.hardware.hw_layer import HwLayer, map_layer, passes_of, set_bits
from offramp.planner.ir.chain import INPUT_TENSOR, whole
from offramp.planner.ir.network import Layer, Network, Shape
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()
GEOMETRY = DEVICE.geometry


def on(layer: Layer, first: int = 0, first_out: int = 0) -> Layer:
    """The layer on processors from `first` and `first_out` on."""
    own, out = (passes_of(shape.channels, DEVICE)[1] for shape in (layer.in_shape, layer.out_shape))
    return replace(layer, processors=((1 << own) - 1) << first, output_processors=((1 << out) - 1) << first_out)


def mapped(layer: Layer) -> HwLayer:
    return map_layer(layer, make_network(layer), DEVICE)


def kernel_at(columns: npt.NDArray[np.uint8], counter: int, taps: int, bits: int) -> list[int]:
    """The kernel at a mask counter: UG7456 27-32. `columns`: (columns, 9), byte 0 of each sent first."""
    found = []
    for tap in range(taps):
        position = (counter >> 3) * taps + taps - 1 - tap
        byte = int(columns[position // 9, 8 - position % 9])
        value = byte >> (counter & 7) & ((1 << bits) - 1)
        found.append(value - (1 << bits) if value >> (bits - 1) else value)
    return found


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """Layers with weights of any kind, width and number of passes, some with slots that have no channel."""
    channels, out = draw(st.sampled_from((1, 3, 4, 65, 70))), draw(st.sampled_from((1, 2, 5, 64, 66)))
    bits = draw(st.sampled_from((1, 2, 4, 8)))
    kind: dict[str, Any] = draw(
        st.sampled_from(
            (
                {"kernel": (3, 3)},
                {"kernel": (1, 1), "pad": (0, 0)},
                {"op": "linear", "flatten": True},
                {"op": "convtranspose2d"},
            )
        )
    )
    layer = make_layer(Shape(channels, 2, 3), out, weight_bits=bits, **kind)
    return on(layer, first_out=draw(st.sampled_from((0, 4, 6))) if out < 50 else 0)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(layers())
def test_every_kernel_is_where_the_counter_looks(layer: Layer) -> None:
    hw = mapped(layer)
    packed = pack_weights(hw)
    assert sorted(packed) == list(set_bits(layer.processors))
    assert hw.weights is not None
    slots = {hw.slot_of(channel): channel for channel in range(layer.out_shape.channels)}
    for place_, processor in enumerate(set_bits(layer.processors)):
        assert packed[processor].shape == (hw.columns, 9)
        for number in range(hw.kernels):
            slot, rest = divmod(number, hw.kernel_passes)
            pixel, input_pass = divmod(rest, hw.passes)
            channel = input_pass * hw.per_pass + place_
            known = slot in slots and channel < layer.in_shape.channels
            expected = hw.weights[slots[slot], channel * hw.pixels + pixel] if known else np.zeros(hw.taps)
            assert kernel_at(packed[processor], number * layer.weight_bits, hw.taps, layer.weight_bits) == list(
                expected
            )


def test_a_3x3_kernel_is_a_column_in_reading_order() -> None:
    weights = np.arange(1, 10).reshape(1, 1, 3, 3).astype(np.int8)
    hw = mapped(on(replace(make_layer(Shape(1, 4, 4), 1), weights=weights)))
    assert pack_weights(hw)[0].tolist() == [[1, 2, 3, 4, 5, 6, 7, 8, 9]]


def test_point_kernels_fill_a_column_from_its_end() -> None:
    weights = np.arange(1, 11).reshape(10, 1, 1, 1).astype(np.int8)
    hw = mapped(on(replace(make_layer(Shape(1, 4, 4), 10, kernel=(1, 1), pad=(0, 0)), weights=weights)))
    assert pack_weights(hw)[0].tolist() == [[9, 8, 7, 6, 5, 4, 3, 2, 1], [0, 0, 0, 0, 0, 0, 0, 0, 10]]


def test_express_words_are_big_endian_and_padded() -> None:
    assert express_words(np.arange(1, 10, dtype=np.uint8).reshape(1, 9)).tolist() == [
        0x01020304,
        0x05060708,
        0x09000000,
    ]
    assert len(express_words(np.zeros((4, 9), np.uint8))) == 9


def test_neighbouring_columns_are_one_run() -> None:
    one, two = np.full((2, 9), 1, np.uint8), np.full((1, 9), 2, np.uint8)
    runs = list(merge_runs({5: {8: two, 4: two, 2: one}, 1: {0: one}}))
    assert [(run.processor, run.start, len(run.data)) for run in runs] == [(1, 0, 2), (5, 2, 3), (5, 8, 1)]
    assert runs[1].data[:, 0].tolist() == [1, 1, 2]


def test_biases_of_slots() -> None:
    layer = on(make_layer(Shape(1, 4, 4), 3, bias=np.array([-1, 2, 3], np.int8)), first_out=6)
    assert pack_bias(mapped(layer)).tolist() == [0, 0, 255, 2, 3]
    assert pack_bias(mapped(layer), lead=1).tolist() == [0, 0, 0, 255, 2, 3]


def words_of(packed: InputWords) -> dict[tuple[int, int], int]:
    places = zip(packed.instances.tolist(), packed.words.tolist(), strict=True)
    return dict(zip(places, packed.values.tolist(), strict=True))


def test_chw_input_is_four_pixels_a_word() -> None:
    layer = make_layer(Shape(2, 1, 5), 1, kernel=(1, 1), pad=(0, 0), data_format="CHW")
    layer = replace(layer, processors=0b10001, output_processors=1)
    x = np.array([[[1, 2, 3, 4, -5]], [[6, 7, 8, 9, 10]]], np.int8)
    found = words_of(pack_input(mapped(layer), 100, x, DEVICE))
    assert found == {(0, 100): 0x04030201, (0, 101): 0xFB, (1, 100): 0x09080706, (1, 101): 0x0A}


def test_hwc_input_is_a_pixel_a_word() -> None:
    layer = on(make_layer(Shape(3, 1, 2), 1, kernel=(1, 1), pad=(0, 0)), first=3)
    x = np.array([[[1, 4]], [[2, 5]], [[-3, 6]]], np.int8)
    found = words_of(pack_input(mapped(layer), 7, x, DEVICE))
    assert found == {(0, 7): 1 << 24, (0, 8): 4 << 24, (1, 7): 0xFD02, (1, 8): 0x0605}


def test_hwc_passes_and_operands_take_turns() -> None:
    """Word (pixel * passes + pass) * operands + operand."""
    layer = on(make_layer(Shape(70, 1, 2), 0, op="passthrough", operands=2, eltwise="add"))
    x = np.random.default_rng(0).integers(-128, 128, (140, 1, 2)).astype(np.int8)
    found = words_of(pack_input(mapped(layer), 0, x, DEVICE))
    for channel, pixel, operand in ((0, 0, 0), (35, 1, 0), (36, 0, 1), (69, 1, 1)):
        input_pass, processor = divmod(channel, 36)
        word = found[processor // 4, (pixel * 2 + input_pass) * 2 + operand]
        assert word >> 8 * (processor % 4) & 0xFF == int(x[operand * 70 + channel, 0, pixel]) & 0xFF


@pytest.mark.parametrize(
    ("channels", "changes"),
    [
        (1, {"data_format": "CHW"}),
        (5, {"data_format": "CHW"}),
        (3, {}),
        (70, {}),
        (4, {"operands": 2, "eltwise": "xor"}),
    ],
)
def test_the_firmwares_input_layout_is_the_same(channels: int, changes: dict[str, Any]) -> None:
    """Runs of words, as the C code fills them, against the words that the machine writes."""
    layer = on(make_layer(Shape(channels, 3, 3), 4, **changes))
    if layer.data_format == "CHW":
        layer = replace(layer, processors=sum(1 << 4 * channel for channel in range(channels)))
    total = channels * layer.operands
    network = make_network(layer, input_shape=Shape(total, 3, 3))
    placed = place(whole("net", network), DEVICE)
    x = np.random.default_rng(0).integers(-128, 128, (total, 3, 3)).astype(np.int8)
    packed = pack_input(placed.requirements.hw["net/0"], placed.base(INPUT_TENSOR), x, DEVICE)
    addresses = [
        DEVICE.data_address(int(instance), int(word))
        for instance, word in zip(packed.instances, packed.words, strict=True)
    ]
    assert by_layout(placed, x) == dict(zip(addresses, packed.values.tolist(), strict=True))


def by_layout(placed: Placed, x: npt.NDArray[np.int8]) -> dict[int, int]:
    layout = input_layout(placed)
    flat = x.reshape(len(x), -1).view(np.uint8)
    found: dict[int, int] = {}
    for run in layout.runs:
        if layout.chw:
            padded = np.pad(flat[run.channels[0]], (0, -flat.shape[1] % 4))
            found |= {run.address + 4 * word: int(value) for word, value in enumerate(padded.view("<u4"))}
            continue
        for pixel in range(flat.shape[1]):
            lanes = [0 if channel < 0 else int(flat[channel, pixel]) for channel in run.channels]
            found[run.address + run.step * pixel] = sum(byte << 8 * lane for lane, byte in enumerate(lanes))
    return found


def placed_of(network: Network) -> Placed:
    return place(whole("net", network), DEVICE)


@pytest.mark.parametrize(("width", "gap"), [(8, 0), (8, 1), (32, 0), (32, 2)])
def test_where_results_are_read(width: int, gap: int) -> None:
    """Channel c of 70: pass c // 36, on the processor of that number; from the rule for known answers."""
    layer = on(make_layer(Shape(4, 2, 2), 70, output_width=width, write_gap=gap), first_out=8)
    placed = placed_of(make_network(layer))
    base, factor = placed.base("net/0"), width // 8
    found = tensor_layout(placed, "net/0")
    assert (found.shape, found.bits) == ((70, 2, 2), width)
    places = iter(found.addresses().tolist())
    for channel in range(70):
        output_pass, processor = channel // 36, channel % 36 + 8
        for pixel in range(4):
            word = base + (pixel * 2 + output_pass) * (gap + 1) * factor + (processor % 4 if width == 32 else 0)
            lane = 0 if width == 32 else processor % 4
            assert next(places) == DEVICE.data_address(processor // 4, word) + lane


def test_chunks_begin_where_weights_were_placed() -> None:
    layer = on(make_layer(Shape(2, 4, 4), 4, bias=np.array([1, 2, 3, 4], np.int8)), first=4)
    placed = placed_of(make_network(layer))
    start = placed.placement.weights["net/0:0"]
    assert [(run.processor, run.start, len(run.data)) for run in weight_runs(placed)] == [(4, start, 4), (5, start, 4)]
    assert [chunk.address for chunk in weight_chunks(placed)] == [DEVICE.weight_address(p) + 4 * start for p in (4, 5)]
    assert [chunk.plain for chunk in weight_chunks(placed)] == [DEVICE.weight_address(p) + 16 * start for p in (4, 5)]
    assert [chunk.columns for chunk in weight_chunks(placed)] == [4, 4]
    (run,) = bias_runs(placed)
    spot = placed.placement.biases["net/0:0"]
    assert run.address == DEVICE.bias_address(spot.quadrant, spot.start)
    assert run.values.tolist() == [1, 2, 3, 4]


def test_words_of_a_reload() -> None:
    """Each processor takes a byte write and 36 bytes of kernels, and there are four biases."""
    layer = on(make_layer(Shape(2, 4, 4), 4, bias=np.array([1, 2, 3, 4], np.int8)))
    placed = placed_of(make_network(layer))
    assert reload_words(placed, placed.requirements.chain.segments[0]) == (2 * (1 + 9), 4)
