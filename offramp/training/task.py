"""What a training takes and gives, as values that can be sent to another process. Nothing here needs PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from offramp.planner.ir.network import Network
from offramp.training.design import Design

Augmentation = Literal["none", "images", "flips", "series"]
Arrays = tuple[npt.NDArray[np.float32], ...]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    `learning_rate`: reached after a warm-up, then down to zero along half a cosine. `smoothing`: the part of a label's
    weight that goes to all classes alike. `teacher_share`: of the teacher's answer in the target, where there is one.
    `augmentation`: of every batch, `strength` from 0 (none) to 1 or more. `one_by_one`: of a loss that tells each class
    from all others, so that a logit says by itself how likely its class is; a softmax only compares them.
    """

    batch: int = 64
    learning_rate: float = 5e-3
    weight_decay: float = 0.01
    smoothing: float = 0.03
    teacher_share: float = 0.5
    augmentation: Augmentation = "none"
    strength: float = 1.0
    one_by_one: float = 0.0


@dataclass(frozen=True, eq=False)
class Teacher:
    """A finished network that is learned from: softmax(`sharpness` * logits) is what it says, logits as integers."""

    network: Network
    sharpness: float


@dataclass(frozen=True, eq=False)
class Copy:
    """The inputs as they are or a variant of them: `x` int8 (N, channels, rows, cols). `taught`: the teacher's
    distribution over the classes for each of them, float32 (N, classes)."""

    x: npt.NDArray[np.int8]
    taught: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What is learned: labels int64 (N,), a teacher's answers, or both. Epoch e takes copy e modulo their number.

    `teacher`: asked for every batch, as augmentation needs it; without augmentation `Copy.taught` is quicker.
    """

    copies: tuple[Copy, ...]
    labels: npt.NDArray[np.int64] | None
    teacher: Teacher | None = None


@dataclass(frozen=True, eq=False)
class FitState:
    """A network after `step` steps: parameters of all layers (weights, then the bias if it has one), their running
    average, which is what counts in the end, and the optimizer's first and second moments."""

    step: int
    parameters: Arrays
    average: Arrays
    first: Arrays
    second: Arrays


@dataclass(frozen=True, eq=False)
class FitTask:
    """Train `design` from `start` (None: from random parameters) up to step `until` of a schedule of `length` steps."""

    design: Design
    recipe: Recipe
    seed: int
    length: int
    until: int
    start: FitState | None = None
