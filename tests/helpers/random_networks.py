"""Random small networks over the accelerator's operators, for properties that must hold for all networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, log2
from typing import Any, cast

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from offramp.configs.device import load_device
from offramp.planner.hardware.hw_layer import passes_of
from offramp.planner.ir.network import (
    INPUT,
    DataFormat,
    Layer,
    Network,
    Op,
    ProcessorMap,
    Shape,
)
from tests.helpers.networks import NOWHERE, make_layer

DEVICE = load_device()

CHANNELS = (1, 2, 3, 4, 5, 8, 13, 16, 20, 60, 64, 65, 68, 100, 128, 130)
BIASED = 0.5  # share of layers with weights that have biases


@dataclass(frozen=True)
class Style:
    """What holds for a whole network. `maps`: the YAML states processors; `wide`: more than 64 channels occur; `chw`:
    the format of the input, as far as its channels allow it; `split`: the first layer may take it as operands."""

    one_dimensional: bool
    maps: bool
    wide: bool
    rounding: bool
    chw: bool
    split: bool = True


@st.composite
def styles(draw: DrawFn) -> Style:
    return Style(*(draw(st.booleans()) for _ in range(5)))


@st.composite
def networks(
    draw: DrawFn, style: Style | None = None, shape: Shape | None = None, classes: int | None = None
) -> Network:
    """Networks of one to eight layers, and with `classes` one more that gives logits. Not all of them can run on the
    device: the caller asks its rules."""
    style = style or draw(styles())
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    maker = Maker(draw, style, rng, shape or input_shapes(draw, style))
    for _ in range(draw(st.integers(1, 3))):
        if maker.ended:
            break
        kinds = (maker.plain, maker.plain, maker.operands)
        draw(st.sampled_from(kinds if style.maps else (*kinds, maker.concatenation, maker.queue)))()
    if classes:
        maker.logits(classes)
    first, *others = maker.layers
    chw = style.chw and maker.shape.channels <= 16 and not any(first.crop)
    chw = chw and not any(INPUT in layer.inputs for layer in others)
    layers = tuple(named(layer, "CHW" if chw and layer.inputs == (INPUT,) else "HWC") for layer in maker.layers)
    network = Network("random", "none", NOWHERE, maker.shape, layers, avg_pool_rounding=style.rounding)
    return _with_maps(draw, network) if style.maps else network


def logits_layer(draw: DrawFn, shape: Shape, index: int, classes: int, rng: np.random.Generator) -> Layer:
    """Layer number `index`, which reads all that the one before wrote and gives logits."""
    changes = numbers(draw) | {"activation": "none", "flatten": shape.pixels > 1, "inputs": (index - 1,)}
    layer = make_layer(shape, classes, rng, op="linear", **changes)
    return replace(scaled(draw, layer, rng), index=index)


def named(layer: Layer, data_format: DataFormat) -> Layer:
    return replace(layer, name=str(layer.index), data_format=data_format)


def input_shapes(draw: DrawFn, style: Style) -> Shape:
    rows = draw(st.integers(1, 12))
    return Shape(any_channels(draw, style), rows, 1 if style.one_dimensional else draw(st.integers(1, 12)))


def any_channels(draw: DrawFn, style: Style) -> int:
    return draw(st.sampled_from(CHANNELS if style.wide else [one for one in CHANNELS if one <= 64]))


class Maker:
    """Puts layers one after the other."""

    def __init__(self, draw: DrawFn, style: Style, rng: np.random.Generator, shape: Shape) -> None:
        self.draw = draw
        self.style = style
        self.rng = rng
        self.shape = shape
        self.layers: list[Layer] = []

    @property
    def last(self) -> int:
        return len(self.layers) - 1

    @property
    def ended(self) -> bool:
        return bool(self.layers) and self.layers[-1].output_width == 32

    def shape_of(self, tensor: int) -> Shape:
        return self.shape if tensor == INPUT else self.layers[tensor].out_shape

    def source(self) -> int:
        """A tensor to read: mostly the last one, or any other."""
        chosen: int = self.draw(st.sampled_from((self.last, self.last, *range(INPUT, self.last))))
        return chosen

    def logits(self, classes: int) -> None:
        """A layer that reads all that the last one wrote and gives logits."""
        self.layers[-1] = replace(self.layers[-1], output_width=8)
        self.layers.append(logits_layer(self.draw, self.shape_of(self.last), len(self.layers), classes, self.rng))

    def plain(self) -> None:
        """A layer that reads one tensor; the first one perhaps several operands out of the input."""
        source = self.source() if self.layers else INPUT
        shape, changes = self.shape_of(source), dict[str, Any]()
        if not self.layers and self.style.split and shape.channels % 2 == 0 and self.draw(st.booleans()):
            shape, changes = replace(shape, channels=shape.channels // 2), combination(self.draw, 2)
        self.add((source,), shape, changes)

    def operands(self) -> None:
        """Two or three layers that read the same tensor, and one that combines what they make of it."""
        source, channels = self.source(), any_channels(self.draw, self.style)
        count = self.draw(st.integers(2, 3))
        for _ in range(count):
            self.add_same((source,), channels)
        made = tuple(range(self.last - count + 1, self.last + 1))
        self.add(made, self.shape_of(self.last), combination(self.draw, count))

    def concatenation(self) -> None:
        """One to three layers that read the same tensor, and one that reads them side by side, in any order, and the
        network's input among them where it fits."""
        source = self.source() if self.layers else INPUT
        count = self.draw(st.integers(1, 3))
        for _ in range(count):
            self.add_same((source,), any_channels(self.draw, self.style))
        parts = list(range(self.last - count + 1, self.last + 1))
        shape = self.shape_of(self.last)
        same = (shape.rows, shape.cols) == (self.shape.rows, self.shape.cols)
        if same and (count == 1 or self.draw(st.booleans())):
            parts.append(INPUT)
        parts = self.draw(st.permutations(parts))
        channels = sum(self.shape_of(part).channels for part in parts)
        self.add(tuple(parts), replace(shape, channels=channels), {})

    def queue(self) -> None:
        """Two or three layers of as many channels, and one that reads what they write one behind the other."""
        channels = any_channels(self.draw, self.style)
        count = self.draw(st.integers(2, 3))
        for _ in range(count):
            self.add_same((self.source() if self.layers else INPUT,), channels)
        parts = tuple(range(self.last - count + 1, self.last + 1))
        shapes = [self.shape_of(part) for part in parts]
        pixels, columns = sum(shape.pixels for shape in shapes), {shape.cols for shape in shapes}
        cols = columns.pop() if len(columns) == 1 else 1
        self.add(parts, Shape(channels, pixels // cols, cols), {"join": "pixels"})

    def add_same(self, inputs: tuple[int, ...], channels: int) -> None:
        """A convolution that keeps rows and columns; of several inputs side by side, all of the same size."""
        shape = replace(self.shape_of(inputs[0]), channels=sum(self.shape_of(one).channels for one in inputs))
        kernel, pad = self.draw(st.sampled_from((((3, 3), (1, 1)), ((1, 1), (0, 0)))))
        changes = numbers(self.draw) | {"output_width": 8}
        layer = make_layer(shape, channels, self.rng, inputs=inputs, kernel=kernel, pad=pad, **changes)
        self.layers.append(replace(scaled(self.draw, layer, self.rng), index=len(self.layers)))

    def add(self, inputs: tuple[int, ...], shape: Shape, changes: dict[str, Any]) -> None:
        """A layer of any operator."""
        whole = "crop" in changes or (len(inputs) == 1 and "operands" in changes)
        if not whole and shape.rows > 2 and self.draw(st.integers(0, 4)) == 0:
            front = self.draw(st.integers(0, shape.rows - 1))
            behind = self.draw(st.integers(0, shape.rows - 1 - front))
            changes |= {"crop": (front * shape.cols, behind * shape.cols)}
            shape = replace(shape, rows=shape.rows - front - behind)
        changes |= _pooling(self.draw, shape)
        ops = ["conv2d", "conv1x1", "linear", "passthrough", "passthrough", "convtranspose2d"]
        op = self.draw(st.sampled_from(ops + (["conv1d"] * 3 if shape.cols == 1 else [])))
        if op == "linear":
            changes |= {"pool": (1, 1), "pool_stride": 1, "flatten": shape.pixels > 1}
        changes |= _KERNELS[op](self.draw, *_pooled(shape, changes))
        changes |= numbers(self.draw) if op != "passthrough" else {}
        kind = cast(Op, "conv2d" if op == "conv1x1" else op)
        out = any_channels(self.draw, self.style)
        layer = make_layer(shape, out, self.rng, op=kind, inputs=inputs, **changes)
        self.layers.append(replace(scaled(self.draw, layer, self.rng), index=len(self.layers)))


def combination(draw: DrawFn, operands: int) -> dict[str, Any]:
    eltwise = draw(st.sampled_from(("add", "sub", "or", "xor")))
    return {"operands": operands, "eltwise": eltwise, "pool_first": draw(st.booleans())}


def _pooling(draw: DrawFn, shape: Shape) -> dict[str, Any]:
    if draw(st.integers(0, 2)):
        return {}
    pool = tuple(draw(st.integers(1, min(4, size))) for size in (shape.rows, shape.cols))
    stride = draw(st.integers(1, 3))
    return {"pool": pool, "pool_stride": stride, "pool_average": draw(st.booleans())}


def _pooled(shape: Shape, changes: dict[str, Any]) -> tuple[int, int]:
    (rows, cols), stride = changes.get("pool", (1, 1)), changes.get("pool_stride", 1)
    return (shape.rows - rows) // stride + 1, (shape.cols - cols) // stride + 1


def _conv2d(draw: DrawFn, rows: int, cols: int) -> dict[str, Any]:
    least = max(0, ceil((3 - min(rows, cols)) / 2))
    pad = draw(st.sampled_from((max(1, least), *range(least, 3))))
    return {"kernel": (3, 3), "pad": (pad, pad)}


def _conv1d(draw: DrawFn, rows: int, cols: int) -> dict[str, Any]:
    pad = draw(st.integers(0, 2))
    length = draw(st.integers(1, min(9, rows + 2 * pad)))
    dilation = draw(st.integers(1, (rows + 2 * pad - 1) // (length - 1))) if length > 1 else 1
    return {"kernel": (length, 1), "pad": (min(pad, length - 1), 0), "dilation": dilation if pad < length else 1}


def _transposed(draw: DrawFn, rows: int, cols: int) -> dict[str, Any]:
    pad = draw(st.integers(0, 2 if min(rows, cols) > 1 else 1))
    return {"kernel": (3, 3), "pad": (pad, pad)}


def _point(draw: DrawFn, rows: int, cols: int) -> dict[str, Any]:
    return {"kernel": (1, 1), "pad": (0, 0)}


_KERNELS: dict[str, Callable[[DrawFn, int, int], dict[str, Any]]] = {
    "conv2d": _conv2d,
    "conv1d": _conv1d,
    "convtranspose2d": _transposed,
    "conv1x1": _point,
    "linear": _point,
    "passthrough": _point,
}


def numbers(draw: DrawFn) -> dict[str, Any]:
    """Weight bits, output width and activation."""
    width = draw(st.sampled_from((8, 8, 8, 32)))
    activation = draw(st.sampled_from(("none", "relu", "abs"))) if width == 8 else "none"
    return {"weight_bits": draw(st.sampled_from((1, 2, 4, 8, 8))), "output_width": width, "activation": activation}


def scaled(draw: DrawFn, layer: Layer, rng: np.random.Generator) -> Layer:
    """With biases perhaps, and an output shift that leaves most results within 8 bits."""
    if layer.weights is None:
        return layer
    spread = 74 * (np.abs(layer.weights.astype(float)).mean() + 0.1) * layer.weights[0].size ** 0.5
    shift = round(log2(6000 / spread)) + draw(st.integers(-1, 1)) - (8 - layer.weight_bits)
    bias = rng.integers(-128, 128, len(layer.weights)).astype(np.int8) if draw(st.floats(0, 1)) < BIASED else None
    return replace(layer, output_shift=shift, bias=bias)


def _with_maps(draw: DrawFn, network: Network) -> Network:
    """Processors and offsets as a YAML might state them: tensors with as many channels lie on the same processors."""
    step = 4 if any(layer.op == "passthrough" for layer in network.layers) else 1
    maps: dict[int, ProcessorMap] = {}

    def processors(channels: int) -> ProcessorMap:
        count = passes_of(channels, DEVICE)[1]
        if count not in maps:
            maps[count] = ((1 << count) - 1) << step * draw(st.integers(0, min(64 - count, 20) // step))
            if step == 1 and draw(st.integers(0, 3)) == 0:  # with processors in between that have no channel
                chosen = np.random.default_rng(draw(st.integers(0, 99))).permutation(64)[:count]
                maps[count] = sum(1 << int(bit) for bit in chosen)
        return maps[count]

    stated = draw(st.booleans())
    offsets = {layer.index: draw(st.sampled_from((0x2000, 0x4000, 0x6000))) for layer in network.layers}
    for layer in network.layers:
        offsets |= {index: offsets[layer.inputs[0]] + 4 * at for at, index in enumerate(layer.inputs) if at}
    layers = []
    for layer in network.layers:
        own = processors(layer.in_shape.channels)
        if layer.data_format == "CHW":
            own = sum(1 << 4 * channel for channel in range(layer.in_shape.channels))
        changes: dict[str, Any] = {"processors": own, "output_processors": processors(layer.out_shape.channels)}
        if stated:
            start = 0 if layer.inputs[0] == INPUT else offsets[layer.inputs[0]]
            changes |= {"in_offset": start, "out_offset": offsets[layer.index]}
        layers.append(replace(layer, **changes))
    return replace(network, layers=tuple(layers))
