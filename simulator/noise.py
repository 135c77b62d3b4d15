"""Content of memories after power-up, where it is to be noise instead of undefined."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Noise:
    """Bytes from a seed: the same seed and the same order of calls give the same bytes."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def like(self, values: NDArray[Any]) -> NDArray[Any]:
        """Noise of the shape and type of `values`."""
        count = values.size * values.itemsize
        return np.frombuffer(self._random.bytes(count), dtype=values.dtype).reshape(values.shape)
