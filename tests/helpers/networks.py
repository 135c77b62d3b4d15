"""Hand-made layers and networks for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from offramp.configs.errors import Where
from offramp.planner.ir.network import INPUT, Layer, Network, Shape
from offramp.silicon.networks import layer

NOWHERE = Where("test.yaml", 1)


def make_layer(in_shape: Shape, out_channels: int, rng: np.random.Generator | None = None, **changes: Any) -> Layer:
    """A layer with inferred shapes and random weights; `changes` are fields of Layer."""
    rng = rng or np.random.default_rng(0)
    fields: dict[str, Any] = {"name": "0", "where": NOWHERE, "inputs": (INPUT,), "output_shift": 0, **changes}
    made = replace(layer(in_shape, out_channels, **fields), output_shift=fields["output_shift"])
    if not made.has_weights:
        return made
    half = 1 << (made.weight_bits - 1)
    weights = rng.integers(-half, half, (out_channels, made.in_features, *made.kernel)).astype(np.int8)
    return replace(made, weights=weights)


def make_network(*layers: Layer, input_shape: Shape | None = None, **changes: Any) -> Network:
    """A network of the given layers, renumbered in their order; a chain where all of them read INPUT."""
    chain = all(layer.inputs == (INPUT,) for layer in layers)
    numbered = tuple(
        replace(layer, index=i, name=str(i), inputs=(i - 1,) if chain else layer.inputs)
        for i, layer in enumerate(layers)
    )
    shape = input_shape or layers[0].in_shape
    return Network("test", "random", NOWHERE, shape, numbered, **changes)
