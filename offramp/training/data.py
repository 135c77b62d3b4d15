"""The data of a training: what networks learn from, and what they are compared on. Calibration and test data are only
read to make sure that they share no image with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import ceil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.ir.network import Shape
from offramp.planner.spec.dataset import DataSet, Images, check_disjoint, has_labels, load_data, load_images
from offramp.planner.spec.spec import ChoiceSpec
from offramp.training.objective import images_needed
from offramp.training.spec import CALIBRATION, TEST, TRAINING, TrainSpec

LEAST = 20  # images that can be split
_PART = 10  # one image of so many is compared on
_MOST_PART = 3  # or one of so many where `risk` needs more
_SPARE = 1.5  # times the images that `risk` needs at least
_MOST = 10_000  # images that are compared on


@dataclass(frozen=True, eq=False)
class Split:
    """`others`: how many images calibration and test data have. `fitting`: numbers of the training images that networks
    learn from; `validation`: of those they are compared on."""

    images: Images
    others: Mapping[str, int]
    fitting: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """Of all training images."""
        return self.images.y if isinstance(self.images, DataSet) else None


def read_split(spec: TrainSpec, shape: Shape, classes: int) -> Split:
    """Training data, split by the seed. InputError if they do not fit main, are too few, or share an image with
    calibration or test data, or these with each other."""
    training = _read(spec, TRAINING, shape, classes)
    others = _others(spec, training, shape, classes)
    count = len(training.x)
    if count < LEAST:
        raise InputError(Diagnostic(spec.places["data"], f"{count} training images; at least {LEAST} are needed"))
    order = np.random.default_rng([spec.seed, count]).permutation(count)
    part = validation_size(count, spec.choice)
    return Split(training, others, np.sort(order[part:]), np.sort(order[:part]))


def validation_size(count: int, goal: ChoiceSpec) -> int:
    """How many of so many training images networks are compared on: a tenth, or what `risk` takes, up to a third."""
    wanted = count // _PART
    if goal.delta is not None and goal.accuracy_drop is not None:
        wanted = max(wanted, ceil(_SPARE * images_needed(goal.accuracy_drop / 100, goal.delta)))
    return min(wanted, count // _MOST_PART, _MOST)


def _read(spec: TrainSpec, name: str, shape: Shape, classes: int) -> Images:
    path: Path = spec.data[name]
    return load_data(name, path, shape, classes) if has_labels(path) else load_images(name, path, shape)


def _others(spec: TrainSpec, training: Images, shape: Shape, classes: int) -> dict[str, int]:
    """Sizes of calibration and test data, which fit and are disjoint; the former have labels if these count."""
    others = {name: _read(spec, name, shape, classes) for name in (CALIBRATION, TEST) if name in spec.data}
    if spec.choice.against == "labels" and not isinstance(others[CALIBRATION], DataSet):
        found = "the calibration data have no `y`: without labels `choose` takes `against: main`"
        raise InputError(Diagnostic(spec.choice.where, found))
    for first, second in combinations([training, *others.values()], 2):
        check_disjoint(first, second, spec.places["data"])
    return {name: len(one.x) for name, one in others.items()}
