"""Random variants of inputs, as networks meet them: integers -128..127 as float32, (N, channels, rows, cols).

All randomness comes from the generator handed in, so equal seeds give equal variants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from offramp.training.task import Augmentation

ROTATION = 15.0  # degrees, half range
SCALE = 0.15  # half range around 1
SHEAR = 0.25
SHIFT = 0.16  # of half the width
ELASTIC = 0.075  # standard deviation of the displacement of the coarse grid, in half widths
ELASTIC_GRID = 6
STROKE = 0.5  # largest blend with the dilated or eroded image
CONTRAST = 0.25
ERASED = (0.14, 0.32)  # rows or columns of a patch, as a share of all
ERASE_PROBABILITY = 0.25
NOISE = 4.0  # standard deviation, of series
TIME_SHIFT, STRETCH = 0.1, 0.1  # of a series' length
LEVEL = 0.15  # half range of the factor of a series' channels

Variant = Callable[[Tensor, float, Generator], Tensor]


def augment(x: Tensor, name: Augmentation, strength: float, generator: Generator) -> Tensor:
    """Variants of `x`, integers again; `strength` scales every change, 0 makes none."""
    if name == "none" or strength == 0:
        return x
    return VARIANTS[name](x, strength, generator).round().clamp(-128, 127)


def _images(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Turned, scaled, sheared, shifted, bent, thicker or thinner, of another contrast, with patches missing."""
    grid = _affine_grid(x, strength, generator) + strength * _elastic(x, generator)
    warped = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    warped = _stroke(warped, strength, generator)
    return _erase(_contrast(warped, strength, generator), strength, generator)


def _flips(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Half of them mirrored, shifted by whole pixels, with patches missing."""
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    return _erase(_shifted(x, strength, generator), strength, generator)


def _series(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Shifted and stretched in time, channels scaled, noise added. Rows are time."""
    count, channels, rows, cols = x.shape
    scale = 1 + _uniform(generator, count) * strength * STRETCH
    at = (
        torch.linspace(-1, 1, rows) * scale[:, None] + (_uniform(generator, count) * strength * 2 * TIME_SHIFT)[:, None]
    )
    across = torch.linspace(-1, 1, cols) if cols > 1 else torch.zeros(1)
    grid = torch.stack([across.expand(count, rows, cols), at[:, :, None].expand(count, rows, cols)], 3)
    warped = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)
    warped = warped * (1 + _uniform(generator, count, channels, 1, 1) * strength * LEVEL)
    return warped + torch.randn(warped.shape, generator=generator) * strength * NOISE


VARIANTS: Mapping[str, Variant] = {"images": _images, "flips": _flips, "series": _series}


def _uniform(generator: Generator, *shape: int) -> Tensor:
    """Numbers between -1 and 1."""
    return torch.rand(*shape, generator=generator) * 2 - 1


def _affine_grid(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Sampling grid (N, rows, cols, 2) of a random rotation, scale, shear and shift."""
    angle, shear, wide, high, right, down = strength * _uniform(generator, 6, len(x))
    angle = angle * math.radians(ROTATION)
    wide, high = 1 + wide * SCALE, 1 + high * SCALE
    first = torch.stack([angle.cos() * wide, (shear * SHEAR - angle.sin()) * wide, right * SHIFT], 1)
    second = torch.stack([angle.sin() * high, angle.cos() * high, down * SHIFT], 1)
    return F.affine_grid(torch.stack([first, second], 1), list(x.shape), align_corners=False)


def _elastic(x: Tensor, generator: Generator) -> Tensor:
    """Smooth random displacement (N, rows, cols, 2): a coarse random grid, enlarged."""
    coarse = torch.randn(len(x), 2, ELASTIC_GRID, ELASTIC_GRID, generator=generator) * ELASTIC
    coarse = coarse * torch.rand(len(x), 1, 1, 1, generator=generator)
    fine = F.interpolate(coarse, size=list(x.shape[2:]), mode="bilinear", align_corners=True)
    return fine.permute(0, 2, 3, 1)


def _stroke(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Blend each image with what its brightest or darkest neighbours make of it."""
    amount = _uniform(generator, len(x), 1, 1, 1) * STROKE * strength
    bright, dark = _brightest(x), -_brightest(-x)
    return x + amount.clamp(min=0) * (bright - x) + (-amount).clamp(min=0) * (dark - x)


def _brightest(x: Tensor) -> Tensor:
    """Of every pixel and its eight neighbours."""
    edged = F.pad(x, (1, 1, 1, 1), mode="replicate")
    rows = torch.maximum(torch.maximum(edged[:, :, :-2], edged[:, :, 1:-1]), edged[:, :, 2:])
    return torch.maximum(torch.maximum(rows[:, :, :, :-2], rows[:, :, :, 1:-1]), rows[:, :, :, 2:])


def _contrast(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Another distance of all values from the darkest one."""
    dark = x.amin((1, 2, 3), keepdim=True)
    return dark + (x - dark) * (1 + CONTRAST * strength * _uniform(generator, len(x), 1, 1, 1))


def _shifted(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Each image moved by up to a tenth of its size, its edge repeated."""
    count, _, rows, cols = x.shape
    reach = max(1, round(0.1 * strength * max(rows, cols)))
    moves = torch.randint(-reach, reach + 1, (2, count), generator=generator)
    down = (torch.arange(rows) + moves[0, :, None]).clamp(0, rows - 1)
    right = (torch.arange(cols) + moves[1, :, None]).clamp(0, cols - 1)
    x = x.gather(2, down[:, None, :, None].expand_as(x))
    return x.gather(3, right[:, None, None, :].expand_as(x))


def _erase(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """A random rectangle of some images at their darkest value."""
    count, _, rows, cols = x.shape
    share = ERASED[0] + torch.rand(2, count, 1, generator=generator) * (ERASED[1] - ERASED[0])
    at = torch.rand(2, count, 1, generator=generator)
    chosen = torch.rand(count, generator=generator) < ERASE_PROBABILITY * strength
    hidden = []
    for axis, size in enumerate((rows, cols)):
        place = (torch.arange(size) + 0.5) / size
        hidden.append((place > at[axis]) & (place < at[axis] + share[axis]))
    mask = hidden[0][:, None, :, None] & hidden[1][:, None, None, :] & chosen[:, None, None, None]
    return torch.where(mask, x.amin((1, 2, 3), keepdim=True), x)
