"""Registers of single layers against the vendor's published values and formulas; the whole is judged by running it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offramp.codegen.lower import lower
from offramp.codegen.program import Fields, Key
from offramp.configs.device import load_device
from offramp.planner.ai8x.load import load_network
from offramp.planner.allocation.place import Placed, place
from offramp.planner.hardware.hw_layer import passes_of
from offramp.planner.ir.chain import whole
from offramp.planner.ir.network import Layer, Network, Shape
from tests.helpers.networks import make_layer, make_network
from tests.helpers.paths import SHARED

DEVICE = load_device()


def on_low(shape: Shape, out: int, **changes: Any) -> Layer:
    """A layer on the lowest processors, unless `changes` says otherwise."""
    maps = {name: changes.pop(name) for name in ("processors", "output_processors") if name in changes}
    layer = make_layer(shape, out, **changes)
    low, low_out = ((1 << passes_of(one.channels, DEVICE)[1]) - 1 for one in (shape, layer.out_shape))
    return replace(layer, **{"processors": low, "output_processors": low_out, **maps})


def placed_of(*layers: Layer, **changes: Any) -> Placed:
    return place(whole("net", make_network(*layers, **changes)), DEVICE)


def fields(placed: Placed, register: str, quadrant: int = 0, slot: int = 0) -> Fields:
    """Fields of a register that are not zero."""
    (program,) = lower(placed).programs
    return {name: value for name, value in program.settings[Key(quadrant, slot, register)].items() if value}


def of(shape: Shape, out: int, register: str, **changes: Any) -> Fields:
    return fields(placed_of(on_low(shape, out, **changes)), register)


@pytest.fixture
def mnist() -> Network:
    folder = SHARED / "checkpoints"
    if not folder.is_dir():
        pytest.skip("no ../shared/checkpoints beside this checkout")
    return load_network(folder / "mnist-chw-ai85.yaml", DEVICE, folder / "ai85-mnist-qat8-q.pth.tar")


def test_the_vendors_values_for_mnist(mnist: Network) -> None:
    """Layer 1 of the vendor's program, register by register (izer's configuration of ai85-mnist, quadrant 0)."""
    (program,) = lower(place(whole("net", mnist), DEVICE)).programs
    values = {key.name: value for key, value in program.encode(DEVICE).items() if (key.quadrant, key.layer) == (0, 1)}
    expected = {
        "RCNT": 0x2001F, "CCNT": 0x2001F, "PRCNT": 1, "PCCNT": 1, "STRIDE": 1,
        "WPTR_BASE": 0x2000, "WPTR_MOFF": 0x2000, "RPTR_BASE": 0x800,
        "LCTRL0": 0xEBA0, "LCTRL1": 0x1D800, "TPTR": 0xF, "POST": 0x24000, "EN": 0xFFF0FFF0,
    }  # fmt: skip
    assert {name: values[name] for name in expected} == expected
    assert (values["MCNT"] & 0xFFFF) - (values["MCNT"] >> 16) == 0x1D8
    others = {name for name, value in values.items() if value} - set(expected) - {"MCNT"}
    assert others == set()
    assert program.settings[Key(3, 1, "LCTRL0")].get("sources") is None
    assert program.settings[Key(3, -1, "LCNT_MAX")] == {"last_layer": 4}


def test_the_vendors_values_for_a_flattening_layer(mnist: Network) -> None:
    """Layer 4: ten outputs of sixteen pixels, 32 bits, bias."""
    placed = place(whole("net", mnist), DEVICE)
    (program,) = lower(placed).programs
    values = {key.name: value for key, value in program.encode(DEVICE).items() if (key.quadrant, key.layer) == (0, 4)}
    bias = next(place for name, place in placed.placement.biases.items() if name.startswith("net/4"))
    assert values["ONED"] == 0x100
    assert values["LCTRL1"] & 0xF == 15
    assert values["LCTRL0"] == 0x10920 | (1 << 12 + bias.quadrant if bias.quadrant else 0)
    start, last = values["MCNT"] >> 16, values["MCNT"] & 0xFFFF
    column = next(column for name, column in placed.placement.weights.items() if name.startswith("net/4"))
    assert start == column * 9 * 8
    assert last - start == 159 * 8
    assert values["RCNT"] == values["CCNT"] == values["TPTR"] == 0


def test_every_register_of_every_used_slot_is_set() -> None:
    placed = placed_of(on_low(Shape(4, 6, 6), 4), on_low(Shape(4, 6, 6), 20), on_low(Shape(20, 6, 6), 3))
    (program,) = lower(placed).programs
    assert (program.quadrants, program.layers) == ((0, 1), 3)
    registers = {register.name for register in DEVICE.layer_registers()}
    for quadrant in (0, 1):
        for slot in range(3):
            assert {key.name for key in program.settings if key[:2] == (quadrant, slot)} == registers


@pytest.mark.parametrize(
    ("bits", "shift", "expected"),
    [
        (8, 0, {}),
        (8, 3, {"shift": 3}),
        (8, -2, {"shift": 2, "shift_right": 1}),
        (1, -8, {"shift": 1, "shift_right": 1, "weight_size": 1}),
        (4, 0, {"shift": 4, "weight_size": 3}),
        (2, -6, {"weight_size": 2}),
    ],
)
def test_shift_includes_what_narrow_weights_lack(bits: int, shift: int, expected: Fields) -> None:
    assert of(Shape(4, 6, 6), 4, "POST", weight_bits=bits, output_shift=shift) == expected


@pytest.mark.parametrize(("eltwise", "code"), [("sub", 0), ("add", 1), ("or", 2), ("xor", 3)])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_elementwise_fields(eltwise: str, code: int, pooled: bool, first: bool) -> None:
    changes: dict[str, Any] = {"operands": 2, "eltwise": eltwise, "pool_first": first}
    if pooled:
        changes |= {"pool": (2, 2), "pool_stride": 2}
    layer = replace(on_low(Shape(4, 6, 6), 4, **changes), inputs=(-1,))
    found = fields(placed_of(layer, input_shape=Shape(8, 6, 6)), "ONED")
    expected = {
        "eltwise_enable": 1,
        "eltwise_op": code,
        "operands": 1,
        "eltwise_conv": 1,
        "pool_first": int(first and pooled),
    }
    assert found == {name: value for name, value in expected.items() if value}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"pool": (2, 2), "pool_stride": 2}, {"pool_enable": 1, "max_pool": 1}),
        ({"pool": (2, 2), "pool_average": True}, {"pool_enable": 1, "max_pool": 0}),
        ({"activation": "relu"}, {"relu": 1}),
        ({"activation": "abs"}, {}),
        ({"output_width": 32}, {"wide": 1}),
    ],
)
def test_layer_control(changes: dict[str, Any], expected: dict[str, int]) -> None:
    found = of(Shape(4, 6, 6), 4, "LCTRL0", **changes)
    always = {"master": 1, "global_write": 1, "max_pool": 1}
    assert found == {name: value for name, value in {**always, **expected}.items() if value}


def test_the_absolute_value() -> None:
    assert of(Shape(4, 6, 6), 4, "POST", activation="abs") == {"absolute": 1}


def test_partial_sums_come_from_quadrants_with_processors_or_the_bias() -> None:
    """Only the first quadrant adds, and only for convolutions."""
    spread = on_low(Shape(40, 6, 6), 4)
    placed = placed_of(spread)
    assert fields(placed, "LCTRL0")["sources"] == 0b110
    assert "sources" not in fields(placed, "LCTRL0", quadrant=1)
    biased = replace(on_low(Shape(4, 6, 6), 4, bias=np.ones(4, np.int8)), output_processors=0xF << 16)
    placed = placed_of(biased)
    quadrant = placed.placement.biases["net/0:0"].quadrant
    assert fields(placed, "LCTRL0").get("sources", 0) == (1 << quadrant if quadrant else 0)
    assert [fields(placed, "POST", quadrant=q).get("bias_enable", 0) for q in (0, 1)] == [
        int(quadrant == q) for q in (0, 1)
    ]


@pytest.mark.parametrize("length", range(1, 10))
def test_kernels_of_any_length_begin_at_their_column(length: int) -> None:
    """(kernel units from the start of memory) * length + (bytes beyond them) = 9 * column."""
    first = on_low(Shape(4, 20, 1), 7, op="conv1d", kernel=(length, 1), pad=(0, 0))
    size = 21 - length
    second = on_low(Shape(7, size, 1), 5, op="conv1d", kernel=(1, 1), pad=(0, 0), weight_bits=2)
    placed = placed_of(first, second)
    for slot, taps, kernels, bits in ((0, length, 7, 8), (1, 1, 5, 2)):
        counter, oned = fields(placed, "MCNT", slot=slot), fields(placed, "ONED", slot=slot)
        column = placed.placement.weights[f"net/{slot}:{slot}"]
        assert counter.get("start", 0) // 8 * taps + oned.get("start_byte", 0) == 9 * column
        assert counter.get("last", 0) - counter.get("start", 0) == (kernels - 1) * bits
        assert oned["width"] == taps


def test_many_flattened_pixels_take_the_extended_count() -> None:
    layer = on_low(Shape(4, 5, 5), 4, op="linear", flatten=True)
    placed = placed_of(layer)
    assert fields(placed, "LCTRL1")["passes"] == 24 & 15
    assert fields(placed, "POST") == {"flatten": 1, "passes_high": 1}
    assert fields(placed, "TPTR") == {"start": 24, "last": 49}


def test_pass_through_writes_what_each_quadrant_reads() -> None:
    layer = on_low(Shape(24, 4, 4), 0, op="passthrough", output_processors=((1 << 24) - 1))
    placed = placed_of(layer)
    word = placed.base("net/0")
    assert [fields(placed, "WPTR_BASE", quadrant=q)["pointer"] for q in (0, 1)] == [
        DEVICE.pointer(4 * q, word) for q in (0, 1)
    ]
    assert fields(placed, "WPTR_TOFF") == {"step": 0x2000}
    assert fields(placed, "ONED") == {"time_slots": 3, "width": 1}
    assert fields(placed, "POST") == {"time_slots": 1, "one_by_one": 1}
    assert fields(placed, "EN", quadrant=1) == {"processors": 0xFF}


def test_average_pooling_rounds_if_the_network_says_so() -> None:
    for rounding in (False, True):
        (program,) = lower(placed_of(on_low(Shape(4, 6, 6), 4), avg_pool_rounding=rounding)).programs
        assert program.control["pool_round"] == rounding


def test_the_vendors_values_for_a_streaming_transposed_convolution() -> None:
    """The row buffer holds the columns with their zeros, the circular buffer the stride of 2; what follows counts the
    columns without the zeros (the vendor tool's registers, ab4f4c0)."""
    first = on_low(Shape(3, 6, 5), 4, streaming=True)
    second = on_low(first.out_shape, 4, op="convtranspose2d", pad=(0, 0), streaming=True)
    third = on_low(second.out_shape, 5, pool=(2, 2), pool_stride=2, streaming=True)
    placed = placed_of(first, second, third, fifo=True)
    (program,) = lower(placed).programs
    values = {(key.layer, key.name): value for key, value in program.encode(DEVICE).items() if key.quadrant == 0}
    expected = {"TPTR": (4, 0x50010, 0x110016), "STRM0": (1, 0x13, 0x21), "STRM1": (0, 0x10011, 0xB0022)}
    expected["FBUF"] = (2, 0x15, 0x2F)
    assert {name: tuple(values[slot, name] for slot in range(3)) for name in expected} == expected


def test_average_pooling_is_named_even_where_its_window_is_one_pixel() -> None:
    sampled = {"pool_stride": 2, "kernel": (1, 1), "pad": (0, 0)}
    assert "max_pool" not in of(Shape(4, 5, 5), 3, "LCTRL0", pool_average=True, **sampled)
    assert of(Shape(4, 5, 5), 3, "LCTRL0", **sampled)["max_pool"] == 1


@pytest.mark.parametrize(("gap", "pointer"), [(0, 0x278), (1, 0x270)])
def test_a_folded_convolution_starts_in_front_of_its_output_by_a_row_with_its_gaps(gap: int, pointer: int) -> None:
    """`out_offset: 0xa00` and a dilation of 8: with a gap the pointer is what a MAX78000 was found to need."""
    shape = Shape(8, 64, 1)
    changes: dict[str, Any] = {"op": "conv1d", "kernel": (3, 1), "pad": (0, 0), "dilation": 8}
    layer = on_low(shape, 8, in_offset=0x2000, out_offset=0xA00, write_gap=gap, **changes)
    assert fields(placed_of(layer), "WPTR_BASE") == {"pointer": pointer}
