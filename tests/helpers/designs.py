"""Random designs, and data to train them on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from offramp.planner.ir.network import Shape
from offramp.training.design import Design, LayerDesign

LOGITS = LayerDesign("linear", 3, relu=False, wide=True)
SMALL = Design(
    "small",
    Shape(1, 12, 12),
    (LayerDesign("conv2d", 6, 3, pool=2, pool_stride=2), LayerDesign("conv2d", 4, 3, pad=1, bias=False), LOGITS),
    "CHW",
)


@st.composite
def designs(draw: DrawFn) -> Design:
    """Up to three convolutions and a last layer of any kind that has room."""
    flat = draw(st.booleans())
    rows = draw(st.integers(7, 24))
    shape = Shape(draw(st.sampled_from((1, 3, 8, 70))), rows, 1 if flat else draw(st.integers(7, 12)))
    crop = draw(st.sampled_from(((0, 0), (1, 2))))
    layers: list[LayerDesign] = []
    left = min(rows - sum(crop), rows if flat else shape.cols)
    for _ in range(draw(st.integers(0, 3))):
        layer = _layer(draw, flat, left)
        left = (left - layer.pool) // layer.pool_stride + 2 + 2 * layer.pad - layer.kernel
        if left < 1:
            break
        layers.append(layer)
    last = {"relu": False, "wide": draw(st.booleans()), "bits": _bits(draw), "bias": draw(st.booleans())}
    layers.append(LayerDesign("linear", draw(st.integers(2, 5)), **last))
    return Design("random", shape, tuple(layers), crop=crop)


def _layer(draw: DrawFn, flat: bool, left: int) -> LayerDesign:
    pool = draw(st.integers(1, min(4, left)))
    kernel = draw(st.sampled_from((1, 3) if not flat else (1, 2, 5, 9)))
    options: dict[str, Any] = {"pad": draw(st.integers(0, min(2, kernel - 1))), "pool": pool}
    options |= {"pool_stride": draw(st.integers(1, 3)), "pool_average": pool > 1 and draw(st.booleans())}
    options |= {"bits": _bits(draw), "relu": draw(st.booleans()), "bias": draw(st.booleans())}
    return LayerDesign("conv1d" if flat else "conv2d", draw(st.integers(1, 12)), kernel, **options)


def _bits(draw: DrawFn) -> Any:
    return draw(st.sampled_from((8, 4, 2, 1)))


def any_inputs(shape: Shape, count: int, seed: int = 0) -> npt.NDArray[np.int8]:
    """Random inputs, many of them extreme."""
    rng = np.random.default_rng(seed)
    size = (count, shape.channels, shape.rows, shape.cols)
    extreme = rng.choice(np.array([-128, 127], np.int8), size)
    return np.where(rng.random((count, 1, 1, 1)) < 0.3, extreme, rng.integers(-128, 128, size)).astype(np.int8)


def blobs(shape: Shape, count: int, seed: int = 0) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """Inputs of three classes that a small network can tell apart: a bright place at the top, middle or bottom."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    x = rng.integers(-128, -40, (count, shape.channels, shape.rows, shape.cols))
    third = shape.rows // 3
    for image, label in zip(x, labels, strict=True):
        at = label * third + rng.integers(0, max(1, third - 3))
        column = rng.integers(0, max(1, shape.cols - 4))
        image[:, at : at + 4, column : column + 4] += 120
    return x.astype(np.int8), labels
