"""The tiny networks that questions to a chip are asked with: seeded weights, one for each kind of layer."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from offramp.configs.errors import Where
from offramp.planner.hardware.hw_layer import window_reach
from offramp.planner.ir.network import INPUT, Layer, Network, Shape

_WHERE = Where("offramp/silicon/networks.py")
_PLAIN = Layer(
    index=0,
    name="",
    where=_WHERE,
    op="conv2d",
    inputs=(),
    operands=1,
    eltwise=None,
    pool_first=True,
    pool=(1, 1),
    pool_stride=1,
    pool_average=False,
    kernel=(3, 3),
    pad=(1, 1),
    dilation=1,
    flatten=False,
    activation="none",
    weight_bits=8,
    output_shift=-3,
    output_width=8,
    streaming=False,
    data_format="HWC",
    in_shape=Shape(1, 1, 1),
    pooled=(1, 1),
    out_shape=Shape(1, 1, 1),
    processors=0,
    output_processors=0,
    in_offset=None,
    out_offset=None,
    write_gap=0,
    weights=None,
    bias=None,
)


@dataclass(frozen=True, eq=False)
class Tiny:
    """A network and its input, int8 (channels, rows, cols)."""

    name: str
    network: Network
    x: npt.NDArray[np.int8]


def layer(in_shape: Shape, outputs: int, **changes: Any) -> Layer:
    """A layer without weights and biases that reads the one before it; `changes` are fields of Layer."""
    made = replace(_PLAIN, in_shape=in_shape, **changes)
    stride, (rows, cols) = made.pool_stride, window_reach(made.pool, made.pool_dilation)
    pooled = ((in_shape.rows - rows) // stride + 1, (in_shape.cols - cols) // stride + 1)
    made = replace(made, pooled=pooled)
    if made.op in ("linear", "passthrough"):
        made = replace(made, kernel=(1, 1), pad=(0, 0))
    if made.op == "passthrough":
        return replace(made, out_shape=Shape(in_shape.channels, *pooled), output_shift=0)
    return replace(made, out_shape=Shape(outputs, *_out_size(made)))


def _out_size(made: Layer) -> tuple[int, int]:
    if made.flatten:
        return 1, 1
    sizes = []
    for size, pad, length in zip(made.pooled, made.pad, made.kernel, strict=True):
        span = (length - 1) * made.dilation + 1
        sizes.append(2 * size + 2 - 2 * pad if made.op == "convtranspose2d" else size + 2 * pad - span + 1)
    return sizes[0], sizes[1]


def tiny(name: str, *layers: Layer, bias: bool = True, **changes: Any) -> Tiny:
    """The layers in a row, with weights, biases and an input that depend on the name only."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    filled = []
    for index, one in enumerate(layers):
        half = 1 << (one.weight_bits - 1)
        size = (one.out_shape.channels, one.in_features, *one.kernel)
        weights = rng.integers(-half, half, size).astype(np.int8) if one.has_weights else None
        values = rng.integers(-100, 101, one.out_shape.channels).astype(np.int8)
        inputs = one.inputs or (index - 1,)
        filled.append(
            replace(one, index=index, inputs=inputs, weights=weights, bias=values if one.has_weights and bias else None)
        )
    first = layers[0]
    shape = first.in_shape
    x = rng.integers(-128, 128, (shape.channels, shape.rows, shape.cols)).astype(np.int8)
    return Tiny(name, Network(name, "", _WHERE, shape, tuple(filled), **changes), x)


def all_networks() -> tuple[Tiny, ...]:
    """One for each kind of layer, each with whole words as its result."""
    square, line = Shape(8, 12, 12), Shape(8, 64, 1)
    point: dict[str, Any] = {"kernel": (1, 1), "pad": (0, 0)}
    sums: dict[str, Any] = {"op": "passthrough", "operands": 2, "eltwise": "add", "inputs": (0, 1)}
    streams: dict[str, Any] = {"streaming": True, "output_shift": -4}
    return (
        tiny("conv3x3", layer(square, 8, activation="relu", output_shift=-4)),
        tiny("conv1x1", layer(Shape(16, 10, 10), 8, **point)),
        tiny("conv1d", layer(line, 8, op="conv1d", kernel=(5, 1), pad=(2, 0))),
        tiny("average-pool", layer(Shape(8, 16, 16), 8, pool=(2, 2), pool_stride=2, pool_average=True)),
        tiny("max-pool", layer(square, 0, op="passthrough", pool=(2, 2), pool_stride=2)),
        tiny("average-only", layer(square, 0, op="passthrough", pool=(3, 3), pool_stride=3, pool_average=True)),
        tiny("add", layer(square, 8, **point), layer(square, 8, inputs=(INPUT,)), layer(square, 0, **sums)),
        tiny("flatten", layer(Shape(4, 5, 5), 8, op="linear", flatten=True, output_shift=-5)),
        tiny("transposed", layer(Shape(8, 6, 6), 8, op="convtranspose2d")),
        tiny("passes", layer(Shape(96, 6, 6), 8, output_shift=-4, **point)),
        tiny("expansion", layer(Shape(8, 6, 6), 96, **point)),
        tiny("quadrants", layer(Shape(64, 8, 8), 8, output_shift=-6)),
        tiny("four-bit", layer(square, 8, weight_bits=4)),
        tiny("wide", layer(square, 4, output_width=32)),
        tiny("two-layers", layer(square, 8, output_shift=-4), layer(square, 8, output_shift=-4)),
        tiny(
            "streaming",
            layer(Shape(3, 12, 12), 8, **streams),
            layer(square, 8, **streams),
            layer(square, 8, output_shift=-4),
            bias=False,
            fifo=True,
        ),
    )


def timed_networks() -> tuple[Tiny, ...]:
    """Layers of some thousand cycles. Times do not depend on values: all weights and inputs are 0, which takes no
    table."""
    square = Shape(16, 20, 20)
    point: dict[str, Any] = {"kernel": (1, 1), "pad": (0, 0)}
    copied: dict[str, Any] = {"op": "passthrough", "pool": (2, 2), "pool_stride": 2}
    sums: dict[str, Any] = {"op": "passthrough", "operands": 2, "eltwise": "add", "inputs": (0, 1)}
    line = Shape(16, 300, 1)
    chosen = {
        "conv3x3": (layer(square, 16),),
        "conv3x3-no-pad": (layer(square, 16, pad=(0, 0)),),
        "conv1x1": (layer(square, 16, **point),),
        "conv1d-9": (layer(line, 16, op="conv1d", kernel=(9, 1), pad=(2, 0)),),
        "conv1d-1": (layer(line, 16, op="conv1d", kernel=(1, 1), pad=(0, 0)),),
        "average-pool": (layer(square, 16, pool=(2, 2), pool_stride=2, pool_average=True),),
        "max-pool-4": (layer(Shape(16, 40, 40), 16, pool=(4, 4), pool_stride=4),),
        "max-only": (layer(Shape(16, 40, 40), 0, **copied),),
        "average-only": (layer(Shape(16, 40, 40), 0, pool_average=True, **copied),),
        "add": (layer(square, 16, **point), layer(square, 16, inputs=(INPUT,)), layer(square, 0, **sums)),
        "flatten": (layer(Shape(4, 16, 16), 16, op="linear", flatten=True),),
        "transposed": (layer(Shape(16, 14, 14), 16, op="convtranspose2d"),),
        "four-passes": (layer(Shape(256, 10, 10), 16),),
        "four-passes-1x1": (layer(Shape(256, 10, 10), 16, **point),),
        "expansion": (layer(Shape(16, 8, 8), 128),),
        "quadrants": (layer(Shape(64, 10, 10), 64),),
        "four-bit": (layer(square, 16, weight_bits=4),),
        "wide": (layer(square, 16, output_width=32),),
        "two-layers": (layer(square, 16), layer(square, 16)),
    }
    return tuple(_zeros(tiny(name, *layers, bias=False)) for name, layers in chosen.items())


def _zeros(full: Tiny) -> Tiny:
    layers = tuple(
        replace(one, weights=None if one.weights is None else np.zeros_like(one.weights)) for one in full.network.layers
    )
    return replace(full, network=replace(full.network, layers=layers), x=np.zeros_like(full.x))
