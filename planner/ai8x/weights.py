"""Weights of a network's layers from any source: a checkpoint, arrays, or only shapes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.configs.errors import InputError


@dataclass(frozen=True, eq=False, kw_only=True)
class WeightShape:
    """Shape of one layer's weights, (out, in, rows, cols), and what else their source says about them.

    `bits` and `output_shift`: None if the source does not say (a YAML may).
    `in_known`: False if only the number of output channels is known, the rest of `shape` then has no meaning.
    """

    name: str  # where they come from, for messages
    shape: tuple[int, int, int, int]
    bits: int | None = None
    output_shift: int | None = None
    in_known: bool = True

    @property
    def out_channels(self) -> int:
        return self.shape[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerWeights(WeightShape):
    """Weights of one layer, of a checkpoint or given as arrays.

    `bias`: in units of 2**(bits - 1), the 128 of the hardware for 8 bits; None: there is none.
    """

    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int8] | None = None


def parse_shapes(text: str) -> tuple[WeightShape, ...]:
    """Shapes as `offramp check --weights` takes them, "60x1x3x3 10x960": out x in [x rows [x cols]] of each layer.

    InputError for anything else.
    """
    shapes = []
    for word in text.split():
        if not re.fullmatch(r"[1-9]\d{0,5}(x[1-9]\d{0,5}){1,3}", word):
            raise InputError(f"--weights: `{word}`; OUTxIN, OUTxINxK or OUTxINxROWSxCOLS is expected")
        sizes = [int(part) for part in word.split("x")]
        out, inputs, rows, cols = sizes + [1] * (4 - len(sizes))
        shapes.append(WeightShape(name=f"--weights {word}", shape=(out, inputs, rows, cols)))
    return tuple(shapes)
