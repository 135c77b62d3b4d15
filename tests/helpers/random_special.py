"""Random networks of special kinds: whose input streams, that keep rows between inferences, or that are deep."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from offramp.configs.device import load_device
from offramp.planner.hardware.hw_layer import lowest_processors
from offramp.planner.ir.network import INPUT, Layer, Network, RollingBuffer, Shape, Window
from tests.helpers.networks import NOWHERE, make_layer
from tests.helpers.random_networks import (
    Maker,
    Style,
    any_channels,
    input_shapes,
    logits_layer,
    named,
    numbers,
    scaled,
    styles,
)

DEVICE = load_device()


@st.composite
def deep_networks(draw: DrawFn, style: Style, shape: Shape, classes: int | None = None) -> Network:
    """Networks of more layers than a run of the accelerator can have; some read two of those before them."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    maker = Maker(draw, style, rng, shape)
    channels = draw(st.sampled_from((4, 8, 13)))
    for _ in range(draw(st.integers(33, 70))):
        joins = maker.last >= 3 and draw(st.integers(0, 5)) == 0
        maker.add_same((maker.last - 2, maker.last) if joins else (maker.last,), channels)
    if classes:
        maker.logits(classes)
    layers = tuple(named(layer, "HWC") for layer in maker.layers)
    return Network("random", "none", NOWHERE, shape, layers, avg_pool_rounding=style.rounding)


@st.composite
def streaming_networks(
    draw: DrawFn, style: Style | None = None, shape: Shape | None = None, classes: int | None = None
) -> Network:
    """Networks whose input comes through the FIFO; one to three layers stream, or none, and up to two do not; with
    `classes` one more gives logits."""
    style = replace(style or draw(styles()), one_dimensional=False, maps=False)
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    shape = shape or draw(streaming_shapes())
    streaming, plain = draw(st.integers(0, 3)), draw(st.integers(0, 2))
    layers: list[Layer] = []
    for index in range(max(1, streaming + plain)):
        read = layers[-1].out_shape if layers else shape
        layers.append(_streamed(draw, style, (read, index), rng, index < streaming))
    if classes:
        layers[-1] = replace(layers[-1], output_width=8)
        layers.append(logits_layer(draw, layers[-1].out_shape, len(layers), classes, rng))
    chw = style.chw and shape.channels <= 4
    called = [named(layer, "CHW" if chw and layer.index == 0 else "HWC") for layer in layers]
    return Network("random", "none", NOWHERE, shape, tuple(called), fifo=True, avg_pool_rounding=style.rounding)


@st.composite
def streaming_shapes(draw: DrawFn) -> Shape:
    """Inputs that the FIFO can take."""
    return Shape(draw(st.sampled_from((1, 3, 4, 7, 16))), draw(st.integers(6, 14)), draw(st.integers(6, 14)))


@st.composite
def rolling_networks(
    draw: DrawFn, style: Style | None = None, shape: Shape | None = None, classes: int | None = None
) -> Network:
    """Networks with a rolling buffer: a layer in front of it, one that shifts and one that inserts, and one or two that
    read some of its rows, before or after it is written, the last one last; with `classes` one more gives logits."""
    style = replace(style or draw(styles()), maps=False, chw=False)
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    maker = Maker(draw, style, rng, shape or input_shapes(draw, style))
    maker.add((INPUT,), maker.shape, {})
    maker.add((0,), maker.layers[0].out_shape, {})
    front = replace(maker.layers[0], output_width=8)
    insert = replace(maker.layers[-1], output_width=8)
    rows, rest = insert.out_shape.rows, draw(st.integers(1, 5))
    shape = replace(insert.out_shape, rows=rows + rest)
    lowest = lowest_processors(shape.channels, DEVICE)
    room = DEVICE.geometry.processors - lowest.bit_length()
    processors = lowest << draw(st.sampled_from([first for first in (0, 4, 16, 32) if first <= room]))
    buffer = RollingBuffer("roll", NOWHERE, shape, processors, None)
    kept = replace(shape, rows=rest)
    shift = make_layer(kept, 0, op="passthrough", inputs=(), source="roll", crop=(rows * shape.cols, 0))
    shift = replace(shift, target=Window("roll", 0), processors=buffer.processors, output_processors=buffer.processors)
    insert = replace(insert, target=Window("roll", rest * shape.cols), output_processors=buffer.processors)
    readers = []
    for _ in range(draw(st.integers(1, 2))):
        first = draw(st.integers(0, shape.rows - 1))
        part = replace(shape, rows=draw(st.integers(1, shape.rows - first)))
        behind = shape.pixels - first * shape.cols - part.pixels
        changes = {"source": "roll", "crop": (first * shape.cols, behind), "processors": buffer.processors}
        maker.add((), part, changes)
        readers.append(maker.layers[-1])
    later = readers[:1] if draw(st.booleans()) else readers
    order = [front, *readers[len(later) :], shift, insert, *later]
    if classes:
        order[-1] = replace(order[-1], output_width=8)
        order.append(logits_layer(draw, order[-1].out_shape, len(order), classes, rng))
    layers = tuple(replace(layer, index=index, name=str(index)) for index, layer in enumerate(order))
    return Network("random", "none", NOWHERE, maker.shape, layers, avg_pool_rounding=style.rounding, buffers=(buffer,))


def _streamed(draw: DrawFn, style: Style, read: tuple[Shape, int], rng: np.random.Generator, streams: bool) -> Layer:
    """Layer number `read[1]`, which reads the one before: a convolution, of 1x1 now and then."""
    shape, index = read
    changes: dict[str, Any] = numbers(draw) | {"output_width": 8, "streaming": streams, "inputs": (index - 1,)}
    point = draw(st.integers(0, 3)) == 0
    changes |= {"kernel": (1, 1), "pad": (0, 0)} if point else {"pad": draw(st.sampled_from(((1, 1), (2, 2))))}
    if min(shape.rows, shape.cols) >= 4 and draw(st.booleans()):
        changes |= {"pool": (2, 2), "pool_stride": draw(st.integers(1, 2)), "pool_average": draw(st.booleans())}
    return replace(scaled(draw, make_layer(shape, any_channels(draw, style), rng, **changes), rng), index=index)
