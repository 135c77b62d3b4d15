"""Training: a pure function of its arguments, step by step, so that it can stop and go on with the same bytes.

Whatever is random in a step follows from the seed and the step's number, and one thread computes, because sums of
floating-point numbers depend on how they are shared out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from offramp.planner.ai8x.weights import LayerWeights
from offramp.training.augment import augment
from offramp.training.design import Design
from offramp.training.frozen import Frozen, frozen
from offramp.training.model import centred, initial_parameters, integers, results, sharpness
from offramp.training.task import Arrays, Copy, FitState, FitTask, Recipe, Teacher, TrainingData

WARM_UP = 100  # steps, at most a tenth of all
AVERAGE_DECAY = 0.998  # of the running average of the parameters
SOME = 256  # inputs that first parameters are adapted to
_ORDER, _VARIANTS = 1, 2  # what a random sequence is for


def fit(data: TrainingData, task: FitTask) -> FitState:
    """The state at step `task.until`. Equal arguments give equal bytes, also if the steps are done in several calls.

    ValueError if there is nothing to learn from, or arrays do not fit the design.
    """
    _check(data, task)
    with one_thread():
        return _fit(data, task)


def weights_of(design: Design, state: FitState) -> tuple[LayerWeights, ...]:
    """Weights of the running average, as the accelerator gets them."""
    return integers(design, state.average)


def _check(data: TrainingData, task: FitTask) -> None:
    shape = task.design.input
    wanted = (shape.channels, shape.rows, shape.cols)
    for copy in data.copies:
        if copy.x.dtype != np.int8 or copy.x.shape[1:] != wanted:
            raise ValueError(f"inputs are {copy.x.dtype} {copy.x.shape}; design `{task.design.name}` reads {shape}")
    untaught = data.teacher is None and any(copy.taught is None for copy in data.copies)
    if not data.copies or not len(data.copies[0].x) or (data.labels is None and untaught):
        raise ValueError("there is nothing to learn: no inputs, or neither labels nor a teacher")
    if task.recipe.augmentation != "none" and data.teacher is None and any(c.taught is not None for c in data.copies):
        raise ValueError("a teacher's answers are for the inputs as they are; augmentation takes the teacher itself")


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes with one thread, and nothing that could differ from run to run."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


def _fit(data: TrainingData, task: FitTask) -> FitState:
    start = task.start or _random(data, task)
    if task.until <= start.step:
        return start
    parameters = [torch.from_numpy(values.copy()).requires_grad_() for values in start.parameters]
    average = [torch.from_numpy(values.copy()) for values in start.average]
    optimizer = _optimizer(parameters, start, task.recipe)
    batches = _Batches(data, task)
    factor = sharpness(task.design)
    for step in range(start.step, task.until):
        for group in optimizer.param_groups:
            group["lr"] = task.recipe.learning_rate * _schedule(step, task.length)
        x, target = batches.batch(step)
        loss = _loss(task, results(task.design, parameters, x) * factor, target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        decay = min(AVERAGE_DECAY, (1 + step) / (10 + step))
        torch._foreach_lerp_(average, [values.detach() for values in parameters], 1 - decay)
    moments = [optimizer.state[values] for values in parameters]
    return FitState(
        task.until,
        _arrays(parameters),
        _arrays(average),
        _arrays([moment["exp_avg"] for moment in moments]),
        _arrays([moment["exp_avg_sq"] for moment in moments]),
    )


def _loss(task: FitTask, found: Tensor, target: Tensor) -> Tensor:
    """Of results (N, outputs) and distributions over the classes. A gate learns how likely the answer is right."""
    logits = found[:, : task.design.classes]
    loss = F.cross_entropy(logits, target)
    if task.recipe.one_by_one:
        each = F.binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(target)
        loss = loss + task.recipe.one_by_one * each
    if task.design.gate:
        right = target.gather(1, logits.argmax(dim=1, keepdim=True))
        loss = loss + F.binary_cross_entropy_with_logits(found[:, -1:], right)
    return loss


def _random(data: TrainingData, task: FitTask) -> FitState:
    some = torch.from_numpy(data.copies[0].x[:SOME].astype(np.float32))
    parameters = centred(task.design, initial_parameters(task.design, task.seed), some)
    zeros = tuple(np.zeros_like(values) for values in parameters)
    return FitState(0, parameters, parameters, zeros, zeros)


def _optimizer(parameters: list[Tensor], start: FitState, recipe: Recipe) -> torch.optim.AdamW:
    optimizer = torch.optim.AdamW(parameters, recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
    for values, first, second in zip(parameters, start.first, start.second, strict=True):
        optimizer.state[values] = {
            "step": torch.tensor(float(start.step)),
            "exp_avg": torch.from_numpy(first.copy()),
            "exp_avg_sq": torch.from_numpy(second.copy()),
        }
    return optimizer


def _arrays(tensors: Sequence[Tensor]) -> Arrays:
    return tuple(tensor.detach().numpy() for tensor in tensors)


def _schedule(step: int, length: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    warm = max(1, min(WARM_UP, length // 10))
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / length)))


@dataclass
class _Epoch:
    number: int
    order: npt.NDArray[np.int64]


class _Batches:
    """Inputs and targets of each step."""

    def __init__(self, data: TrainingData, task: FitTask) -> None:
        self.data, self.task = data, task
        self.count = len(data.copies[0].x)
        self.size = min(task.recipe.batch, self.count)
        self.teacher: Frozen | None = frozen(data.teacher.network) if data.teacher else None
        self.epoch = _Epoch(-1, np.zeros(0, np.int64))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Integers as float32 (N, channels, rows, cols), and distributions over the classes (N, classes)."""
        epoch, place = divmod(step, self.count // self.size)
        if epoch != self.epoch.number:
            order = np.random.default_rng([self.task.seed, _ORDER, epoch]).permutation(self.count)
            self.epoch = _Epoch(epoch, order)
        chosen = self.epoch.order[place * self.size : (place + 1) * self.size]
        copy = self.data.copies[epoch % len(self.data.copies)]
        x = torch.from_numpy(copy.x[chosen].astype(np.float32))
        recipe = self.task.recipe
        if recipe.augmentation != "none":
            x = augment(x, recipe.augmentation, recipe.strength, _generator(self.task.seed, _VARIANTS, step))
        x = x.contiguous(memory_format=torch.channels_last)  # quicker, for convolutions and pooling
        return x, self._target(copy, chosen, x)

    def _target(self, copy: Copy, chosen: npt.NDArray[np.int64], x: Tensor) -> Tensor:
        recipe, labels = self.task.recipe, self.data.labels
        taught = None
        if self.teacher and self.data.teacher:
            taught = distribution(self.teacher, self.data.teacher, x)
        elif copy.taught is not None:
            taught = torch.from_numpy(copy.taught[chosen])
        if labels is None:
            assert taught is not None
            return taught
        classes = self.task.design.classes
        known = F.one_hot(torch.from_numpy(labels[chosen]), classes).float()
        known = known * (1 - recipe.smoothing) + recipe.smoothing / classes
        return known if taught is None else known.lerp(taught, recipe.teacher_share)


def _generator(seed: int, *what: int) -> torch.Generator:
    state = np.random.SeedSequence([seed, *what]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def distribution(module: Frozen, teacher: Teacher, x: Tensor) -> Tensor:
    """What a teacher says about inputs (N, channels, rows, cols): float32 (N, classes)."""
    (logits,) = module(x).values()
    return F.softmax(logits.flatten(1).float() * teacher.sharpness, dim=1)
