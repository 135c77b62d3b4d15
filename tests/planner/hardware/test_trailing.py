"""Layers that write over their own input: only where the write pointer trails the read pointer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.configs.device import load_device
from offramp.configs.errors import Infeasible
from offramp.corpus.case import load_case
from offramp.corpus.direct import ModelRunner, run_all
from offramp.planner.allocation.place import place
from offramp.planner.hardware.hw_layer import HwLayer, map_layer, with_processors
from offramp.planner.hardware.trailing import trails
from offramp.planner.ir.chain import whole
from offramp.planner.ir.network import Layer, Network, Shape
from offramp.planner.reference.layers import run_network
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()
READ = 1000


def reads_only_what_is_there(hw: HwLayer, kernel: tuple[int, int], write: int) -> bool:
    """The layer step by step: the padded image is scanned, each pooled pixel fetched when the scan comes to it, and an
    output pixel written as soon as the scan has passed its kernel."""
    (rows, cols), (pad_rows, pad_cols), layer = hw.pooled, hw.pad, hw.layer
    written: set[int] = set()
    output = 0
    for row in range(-pad_rows, rows + pad_rows):
        for col in range(-pad_cols, cols + pad_cols):
            if 0 <= row < rows and 0 <= col < cols:
                down, across = (range(size) for size in layer.pool)
                corner = row * layer.pool_stride, col * layer.pool_stride
                window = [(corner[0] + i, corner[1] + j) for i in down for j in across]
                words = hw.passes * hw.operands
                read = {READ + (i * hw.cols + j) * words + part for i, j in window for part in range(words)}
                if read & written:
                    return False
            if row + pad_rows >= kernel[0] - 1 and col + pad_cols >= kernel[1] - 1:
                step = (layer.write_gap + 1) * hw.word_factor
                for part in range(hw.expansion):
                    first = write + (output * hw.expansion + part) * step
                    written |= set(range(first, first + hw.word_factor))
                output += 1
    assert output == hw.out_rows * hw.out_cols
    return True


@st.composite
def layers(draw: st.DrawFn) -> tuple[Layer, tuple[int, int]]:
    op = draw(st.sampled_from(("conv2d", "point", "conv1d", "passthrough")))
    cols = 1 if op == "conv1d" else draw(st.integers(1, 7))
    shape = Shape(draw(st.sampled_from((4, 70))), draw(st.integers(3, 8)), cols)
    changes: dict[str, Any] = {"write_gap": draw(st.integers(0, 1))}
    if min(shape.rows, shape.cols) >= 2 and draw(st.booleans()):
        changes |= {"pool": (2, 2), "pool_stride": draw(st.integers(1, 2))}
    kernel = {"conv2d": (3, 3), "conv1d": (3, 1)}.get(op, (1, 1))
    pad = draw(st.integers(1, 2)) if op == "conv2d" else draw(st.integers(0, 2)) if op == "conv1d" else 0
    changes |= {"kernel": kernel, "pad": (pad, 0 if op == "conv1d" else pad)}
    out = draw(st.sampled_from((4, 70)))
    return make_layer(shape, out, op="conv2d" if op == "point" else op, **changes), kernel


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(layers(), st.integers(-40, 20))
def test_what_trails_is_what_a_scan_says(made: tuple[Layer, tuple[int, int]], distance: int) -> None:
    """Words that a gap or a pooling window skips count as if they were used."""
    layer, kernel = made
    network = make_network(layer)
    hw = map_layer(with_processors(network.layers[0], DEVICE), network, DEVICE)
    found, right = trails(hw, READ, READ + distance), reads_only_what_is_there(hw, kernel, READ + distance)
    skips = layer.write_gap > 0 or layer.pool != (1, 1)
    assert found <= right if skips or distance > 0 else found == right


def streamed(first: int, second: int) -> Network:
    """A streaming layer that writes to byte `first`, and one that reads there and writes to byte `second`."""
    low: dict[str, Any] = {"processors": 0xF, "output_processors": 0xF}
    one = make_layer(Shape(4, 5, 6), 4, output_shift=-2, streaming=True)
    two = make_layer(one.out_shape, 4, output_shift=-2)
    placed = (replace(one, out_offset=first, **low), replace(two, in_offset=first, out_offset=second, **low))
    return make_network(*placed, fifo=True)


def test_a_layer_after_streaming_may_write_behind_what_it_reads() -> None:
    network = streamed(0x1020, 0x1000)
    x = np.random.default_rng(1).integers(-128, 128, (4, 5, 6)).astype(np.int8)
    machine = ModelRunner(place(whole("net", network), DEVICE))
    machine.load()
    assert np.array_equal(run_all(machine, [x])[0], run_network(network, x[None])[1][0])


@pytest.mark.parametrize(("first", "second"), [(0x1000, 0x1040), (0x1000, 0x1060)])
def test_but_not_ahead_of_it(first: int, second: int) -> None:
    with pytest.raises(Infeasible, match="the data do not fit"):
        place(whole("net", streamed(first, second)), DEVICE)


def plain(first: int, second: int) -> Network:
    """The same where nothing streams."""
    network = streamed(first, second)
    return replace(network, layers=tuple(replace(one, streaming=False) for one in network.layers), fifo=False)


def test_nor_does_it_take_a_streaming_layer() -> None:
    network = plain(0x1020, 0x1000)
    x = np.random.default_rng(1).integers(-128, 128, (4, 5, 6)).astype(np.int8)
    machine = ModelRunner(place(whole("net", network), DEVICE))
    machine.load()
    assert np.array_equal(run_all(machine, [x])[0], run_network(network, x[None])[1][0])
    with pytest.raises(Infeasible, match="the data do not fit"):
        place(whole("net", plain(0x1000, 0x1020)), DEVICE)


def test_what_another_layer_reads_too_is_not_written_over() -> None:
    network = plain(0x1020, 0x1000)
    first, second = network.layers
    third = replace(second, index=2, inputs=(0,), in_offset=0x1020, out_offset=0x2000)
    with pytest.raises(Infeasible, match="the data do not fit"):
        place(whole("net", replace(network, layers=(first, second, third))), DEVICE)


def test_the_vendors_kinetics_network_fits_as_its_yaml_places_it(corpus: Path) -> None:
    """Its first layer writes over the input: 3,600 words from word 62 on, where 7,200 are read from word 960 on."""
    case = load_case(corpus / "cases" / "syn-kinetics-kat", DEVICE)
    placed = place(whole("network", case.network), DEVICE)
    assert frozenset(("input", "network/0")) in placed.problem.overlaps
    assert (placed.placement.data["input"], placed.placement.data["network/0"]) == (960, 62)
