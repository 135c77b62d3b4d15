"""Variants of inputs are like them, and are inputs again."""

from __future__ import annotations

import pytest
import torch

from offramp.planner.ir.network import Shape
from offramp.training.augment import VARIANTS, augment
from offramp.training.task import Augmentation
from tests.helpers.designs import blobs

NAMES: list[Augmentation] = ["images", "flips", "series"]


def inputs(cols: int = 20) -> torch.Tensor:
    return torch.from_numpy(blobs(Shape(2, 24, cols), 40)[0]).float()


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cols", [20, 1])
def test_variants_are_8_bit_integers_near_the_input(name: Augmentation, cols: int) -> None:
    x = inputs(cols)
    found = augment(x, name, 0.5, generator(1))
    assert found.shape == x.shape and torch.equal(found, found.round().clamp(-128, 127))
    changed = (found != x).float().mean()
    assert changed > 0.05
    middle = x.mean(0, keepdim=True)
    like = ((found - middle) * (x - middle)).sum((1, 2, 3)) / (x - middle).square().sum((1, 2, 3))
    assert like.mean() > 0.15


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_variants(name: Augmentation) -> None:
    x = inputs()
    first, second, other = (augment(x, name, 1.0, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second) and not torch.equal(first, other)


@pytest.mark.parametrize("name", NAMES)
def test_no_strength_changes_nothing(name: Augmentation) -> None:
    assert torch.equal(augment(inputs(), name, 0, generator(1)), inputs())
    assert torch.equal(augment(inputs(), "none", 1, generator(1)), inputs())
    assert set(NAMES) == VARIANTS.keys()


def test_flips_mirror_half_of_the_images() -> None:
    x = torch.arange(20.0).expand(400, 1, 24, 20)
    rising = augment(x, "flips", 0.01, generator(1)).diff(dim=3).mean((1, 2, 3)) > 0
    assert 160 < int(rising.sum()) < 240
