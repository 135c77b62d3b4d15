"""The training loop shared by all networks of the example, and each network's recipe."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from augment import augment
from checkpoint import LayerWeights
from layers import Layer
from qat import LOGIT_SCALE, QuantLayer, build_from, real_input
from torch import Tensor, nn
from torch.nn import functional as F

WARM_UP_STEPS = 100
AVERAGE_DECAY = 0.998  # of the running average of the weights, the network that is kept
REPORT_EVERY = 10  # epochs


@dataclass(frozen=True)
class Recipe:
    """How one network is trained."""

    arch: str
    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    smoothing: float  # label smoothing
    hidden_bias: bool  # biases in the convolutions; the linear layer always has one
    distortion: float  # strength of the augmentation, 0..1
    teacher_share: float  # weight of the teacher's answer in the target, 0..1
    cut: int  # number of main's layers in front of this network (a branch), 0 for a network on the image
    seed: int
    threads: int  # part of the recipe: float sums depend on how they are split over threads
    copies: int  # distorted copies of the images that are made, then used in turn; 0: a new one for every epoch


@dataclass(frozen=True)
class Guides:
    """Finished networks that take part in training without changing."""

    teacher: nn.Module | None  # image to logits
    backbone: nn.Module | None  # image to the input of a branch


@dataclass(frozen=True)
class TrainingData:
    """Pixels (float32, 0..255, N x 1 x 28 x 28) and labels (N)."""

    pixels: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Distorted:
    """A distorted copy of the training images (uint8, N x 1 x 28 x 28) and its targets (float32, N x classes)."""

    pixels: Tensor
    targets: Tensor


Batch = tuple[Tensor, Tensor]

RECIPES = {
    "main": Recipe("ai85net5", 90, 50, 2e-3, 0.02, 0.05, False, 1.0, 0.0, 0, 1, 2, 0),
    "front": Recipe("offrampmnistfront", 100, 50, 5e-3, 0.01, 0.03, True, 0.7, 0.5, 0, 2, 1, 25),
    "single": Recipe("offrampmnistsingle", 100, 50, 5e-3, 0.01, 0.03, True, 0.7, 0.5, 0, 3, 1, 25),
    "head": Recipe("offrampmnisthead", 60, 50, 4e-3, 0.01, 0.03, True, 0.7, 0.5, 1, 4, 1, 20),
}


def train(
    recipe: Recipe,
    layers: tuple[Layer, ...],
    data: TrainingData,
    guides: Guides,
    report: Callable[[str], None],
    start: tuple[LayerWeights, ...] = (),
) -> tuple[LayerWeights, ...]:
    """Train one network and return its integers (of the running average of the weights). `start`: the integers of all
    layers that it goes on from; none: it begins with random ones."""
    generator = torch.Generator().manual_seed(recipe.seed)
    network = build_from(layers, start, recipe.hidden_bias, generator)
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    total = recipe.epochs * math.ceil(len(data.labels) / recipe.batch)
    step, losses, began = 0, 0.0, time.monotonic()
    kept: list[Distorted] = []
    for epoch in range(recipe.epochs):
        if len(kept) < recipe.copies or not kept:
            kept.append(_distorted(recipe, data, guides, layers[-1].out_channels, generator))
        current = kept[epoch % recipe.copies] if recipe.copies else kept.pop()
        for x, target in _batches(recipe, current, guides, generator):
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * _schedule(step, total)
            loss = F.cross_entropy(network(x) * LOGIT_SCALE, target)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step, losses = step + 1, losses + loss.item()
            _update_average(average, network, step)
        if (epoch + 1) % REPORT_EVERY == 0:
            mean = losses * recipe.epochs / total / REPORT_EVERY
            report(f"epoch {epoch + 1}/{recipe.epochs}  loss {mean:.4f}  {time.monotonic() - began:.0f} s")
            losses = 0.0
    return tuple(module.integers() for module in average if isinstance(module, QuantLayer))


def _schedule(step: int, total: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    return min(1.0, (step + 1) / WARM_UP_STEPS) * 0.5 * (1 + math.cos(math.pi * step / total))


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, step: int) -> None:
    """Move the averaged weights towards the current ones, quickly in the first steps."""
    decay = min(AVERAGE_DECAY, (1 + step) / (10 + step))
    for kept, current in zip(average.parameters(), network.parameters(), strict=True):
        kept.lerp_(current, 1 - decay)


def _distorted(
    recipe: Recipe, data: TrainingData, guides: Guides, classes: int, generator: torch.Generator
) -> Distorted:
    """A new distorted copy of all images, with the distribution over the classes that each should give."""
    images = augment(data.pixels, recipe.distortion, generator)
    targets = F.one_hot(data.labels, classes).float() * (1 - recipe.smoothing) + recipe.smoothing / classes
    teacher = guides.teacher
    if teacher is not None:
        with torch.no_grad():
            blocks = range(0, len(images), recipe.batch)
            taught = torch.cat([teacher(real_input(images[start : start + recipe.batch])) for start in blocks])
        share = recipe.teacher_share
        targets = targets * (1 - share) + F.softmax(taught * LOGIT_SCALE, dim=1) * share
    return Distorted(images.to(torch.uint8), targets)


def _batches(recipe: Recipe, copy: Distorted, guides: Guides, generator: torch.Generator) -> Iterator[Batch]:
    """One epoch in random order: network inputs and targets."""
    order = torch.randperm(len(copy.pixels), generator=generator)
    for start in range(0, len(order), recipe.batch):
        chosen = order[start : start + recipe.batch]
        x = real_input(copy.pixels[chosen].float()).contiguous(memory_format=torch.channels_last)
        if guides.backbone is not None:
            with torch.no_grad():
                x = guides.backbone(x)
        yield x, copy.targets[chosen]
