"""What finished networks teach: distributions over the classes instead of labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offramp.planner.ir.network import Network
from offramp.planner.reference.layers import Tensor
from offramp.training.task import Teacher

# Softmax factors that are tried, for logits of 8 to 32 bits: quarter octaves from 2**-14 to 1.
_SHARPNESS = tuple(2.0 ** (step / 4) for step in range(-56, 1))
SURE = 0.95  # mean of a teacher's largest probability where there are no labels


def teacher_of(network: Network, logits: Tensor, labels: npt.NDArray[np.int64] | None) -> Teacher:
    """The network as a teacher, as sharp as makes its answers (logits (N, ...) of a data set) most likely; without
    labels, so that its largest probability is `SURE` in the mean."""
    flat = logits.reshape(len(logits), -1)

    def badness(sharpness: float) -> float:
        found = taught(flat, sharpness)
        if labels is None:
            return abs(float(found.max(axis=1).mean()) - SURE)
        return -float(np.log(np.maximum(found[np.arange(len(found)), labels], 1e-30)).mean())

    return Teacher(network, min(_SHARPNESS, key=badness))


def taught(logits: Tensor, sharpness: float) -> npt.NDArray[np.float32]:
    """Softmax of sharpness * logits, (N, ...) to (N, classes)."""
    scaled = logits.reshape(len(logits), -1).astype(np.float64) * sharpness
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found: npt.NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return found
