"""Hand-made layers and networks for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from offramp.configs.errors import Where
from offramp.planner.ir.network import INPUT, Layer, Network, Shape

NOWHERE = Where("test.yaml", 1)

_PLAIN = Layer(
    index=0,
    name="0",
    where=NOWHERE,
    op="conv2d",
    inputs=(INPUT,),
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
    output_shift=0,
    output_width=8,
    streaming=False,
    data_format="HWC",
    in_shape=Shape(3, 8, 8),
    pooled=(8, 8),
    out_shape=Shape(4, 8, 8),
    processors=0,
    output_processors=0,
    in_offset=None,
    out_offset=None,
    write_gap=0,
    weights=None,
    bias=None,
)


def make_layer(in_shape: Shape, out_channels: int, rng: np.random.Generator | None = None, **changes: Any) -> Layer:
    """A layer with inferred shapes and random weights; `changes` are fields of Layer."""
    rng = rng or np.random.default_rng(0)
    layer = replace(_PLAIN, in_shape=in_shape, **changes)
    pooled = (
        (in_shape.rows - layer.pool[0]) // layer.pool_stride + 1,
        (in_shape.cols - layer.pool[1]) // layer.pool_stride + 1,
    )
    layer = replace(layer, pooled=pooled)
    if layer.op in ("linear", "passthrough"):
        layer = replace(layer, kernel=(1, 1), pad=(0, 0))
    if layer.op == "passthrough":
        return replace(layer, out_shape=Shape(in_shape.channels, *pooled))
    span = [(k - 1) * layer.dilation + 1 for k in layer.kernel]
    rows, cols = (
        (2 * size + 2 - 2 * pad)
        if layer.op == "convtranspose2d"
        else ((1 if layer.flatten else size) + 2 * pad - length + 1)
        for size, pad, length in zip(pooled, layer.pad, span, strict=True)
    )
    half = 1 << (layer.weight_bits - 1)
    weights = rng.integers(-half, half, (out_channels, layer.in_features, *layer.kernel)).astype(np.int8)
    return replace(layer, weights=weights, out_shape=Shape(out_channels, rows, cols))


def make_network(*layers: Layer, input_shape: Shape | None = None, **changes: Any) -> Network:
    """A network of the given layers, renumbered in their order; a chain where all of them read INPUT."""
    chain = all(layer.inputs == (INPUT,) for layer in layers)
    numbered = tuple(
        replace(layer, index=i, name=str(i), inputs=(i - 1,) if chain else layer.inputs)
        for i, layer in enumerate(layers)
    )
    shape = input_shape or layers[0].in_shape
    return Network("test", "random", NOWHERE, shape, numbered, **changes)
