"""A network of a user's own YAML, trained from random weights: the main network of an application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from offramp.configs.arrays import ArrayFile
from offramp.configs.bounds import DATA_FILE
from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.host.progress import Progress
from offramp.planner.ai8x.load import Options, read_network
from offramp.planner.ir.network import Network, Shape
from offramp.planner.reference.layers import Tensor
from offramp.planner.rules.check import check_network
from offramp.planner.spec.dataset import DataSet, load_data
from offramp.training.design import Design, design_of
from offramp.training.export import read_back, write_checkpoint
from offramp.training.features import tensor_of
from offramp.training.fit import fit, weights_of
from offramp.training.task import Augmentation, Copy, FitState, FitTask, Recipe, TrainingData

_LABELS = 1024  # the most output channels that a layer has
_REPORTS = 200  # parts of a training between which it says how far it is


@dataclass(frozen=True)
class Course:
    """How a network is trained: `epochs` times over the data. `biases`: whether all layers have some, or only the last
    one."""

    recipe: Recipe
    epochs: int
    seed: int
    biases: bool


def checked(course: Course) -> Course:
    """The same course. InputError names each argument that is not what it may be."""
    given = {"epochs": course.epochs, "seed": course.seed, **vars(course.recipe)}
    found = [
        f"`{name}` is {given[name]!r}; {allowed} is expected"
        for name, allowed, fits in _ARGUMENTS
        if not fits(given[name])
    ]
    if found:
        raise InputError([Diagnostic(None, text) for text in found])
    return course


def _whole(low: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and value >= low


def _within(low: float, high: float) -> Callable[[Any], bool]:
    """Whether it is a number from `low` to `high`."""
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


_ARGUMENTS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("epochs", "a whole number from 1 on", _whole(1)),
    ("seed", "a whole number from 0 on", _whole(0)),
    ("batch", "a whole number from 1 on", _whole(1)),
    ("learning_rate", "a number from 1e-9 to 1", _within(1e-9, 1)),
    ("weight_decay", "a number from 0 to 1", _within(0, 1)),
    ("smoothing", "a number from 0 to 1", _within(0, 1)),
    ("teacher_share", "a number from 0 to 1", _within(0, 1)),
    ("augmentation", f"one of {', '.join(get_args(Augmentation))}", lambda value: value in get_args(Augmentation)),
    ("strength", "a number from 0 to 10", _within(0, 10)),
)


def place_of(path: Path, checkpoint: Path | None) -> Path:
    """The file that a checkpoint is written to: the one that is named, which may be there already, or None: a new one
    beside the YAML. InputError if that one is there."""
    if checkpoint is not None:
        return checkpoint
    beside = path.with_suffix(".pth.tar")
    if beside.exists():
        found = "exists and is not replaced: give `checkpoint`, the file to write or replace"
        raise InputError(Diagnostic(Where(str(beside)), found))
    return beside


def load_examples(path: Path) -> DataSet:
    """What a network can be trained on: inputs of any shape, and labels. InputError if the file is something else."""
    header = ArrayFile(path, DATA_FILE, ("x", "y")).headers.get("x")
    if header is None or len(header.shape) != 4:
        found = "no array `x`" if header is None else f"`x` is {header.dtype} {header.shape}"
        raise InputError(Diagnostic(Where(str(path)), f"{found}; int8 (N, channels, rows, columns) is expected"))
    data = load_data(path.stem, path, Shape(*header.shape[1:]), _LABELS)
    if data.y.min(initial=_LABELS) > 0:
        found = f"labels `y` run from {data.y.min()} to {data.y.max()}; classes count from 0, and class 0 never occurs"
        raise InputError(Diagnostic(Where(str(path)), found))
    return data


def untrained(path: Path, device: Device, shape: Shape, classes: int, biases: bool) -> Design:
    """The design of a YAML without a checkpoint: numbers of channels are those of `out_channels` or of the next layer's
    processors, `classes` in the last layer. InputError if it cannot be run or trained."""
    network, problems = read_network(path, None, shape, Options(classes=classes), device)
    if network is not None:
        problems += check_network(network, device)
    if problems or network is None:
        raise InputError(problems)
    design = design_of(network)
    last = len(design.layers) - 1
    if design.layers[last].op != "linear" and network.layers[last].out_shape.pixels > 1:
        raise InputError(Diagnostic(network.layers[last].where, "the last layer gives no logits, one for each class"))
    layers = [replace(layer, bias=biases or index == last) for index, layer in enumerate(design.layers)]
    return replace(design, layers=tuple(layers))


def train_network(
    path: Path, checkpoint: Path, data: DataSet, course: Course, device: Device, progress: Progress
) -> Network:
    """Train the network of a YAML, write its checkpoint and return it as it is read back.

    Equal arguments give equal bytes. InputError if the YAML does not fit the data or the device, or cannot be trained.
    """
    shape = Shape(*data.x.shape[1:])
    design = untrained(path, device, shape, int(data.y.max()) + 1, course.biases)
    if design.layers[-1].outputs <= data.y.max():
        found = f"{design.layers[-1].outputs} outputs; the labels of `{data.name}` run to {data.y.max()}"
        raise InputError(Diagnostic(Where(str(path)), found))
    state = _fitted(design, data, course, progress)
    weights = weights_of(design, state)
    write_checkpoint(checkpoint, design.name, weights)
    return read_back(path, checkpoint, weights, shape, device)


def _fitted(design: Design, data: DataSet, course: Course, progress: Progress) -> FitState:
    """All steps, in parts."""
    size = min(course.recipe.batch, len(data.y))
    length = course.epochs * (len(data.y) // size)
    training = TrainingData((Copy(data.x),), data.y)
    progress.step(f"training {design.name}")
    state = None
    for part in range(1, _REPORTS + 1):
        task = FitTask(design, course.recipe, course.seed, length, length * part // _REPORTS, state)
        state = fit(training, task)
        progress.count("steps", state.step, length)
    assert state is not None
    if not all(np.isfinite(values).all() for values in state.average):
        found = (
            f"the training of `{design.name}` diverged: give a `learning_rate` below {course.recipe.learning_rate:g}"
        )
        raise InputError(found)
    return state


def accuracy(network: Network, data: DataSet) -> float:
    """Share of right answers, by the integers of the accelerator."""
    logits: Tensor = tensor_of(network, len(network.layers) - 1, data.x)
    right: npt.NDArray[np.bool_] = logits.reshape(len(logits), -1).argmax(axis=1) == data.y
    return float(right.mean())
