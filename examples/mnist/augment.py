"""Random variants of digit images: affine and elastic distortion, stroke width, contrast, erased patches.

All randomness comes from the generator handed in, so equal seeds give equal images.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

ROTATION = 15.0  # degrees, half range
SCALE = 0.15  # half range around 1
SHEAR = 0.25
SHIFT = 0.16  # of half the image width (14 pixels)
ELASTIC = 0.075  # standard deviation of the displacement of the coarse grid, in half image widths
ELASTIC_GRID = 6
STROKE = 0.7  # largest blend with the thicker or thinner image
ERASE_PROBABILITY = 0.25
ERASE_SIZE = (4, 9)  # rows or columns, upper end excluded


def augment(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Distort images.

    pixels: float32, (N, 1, rows, cols), 0 (background) to 255; strength: 0 (not at all) to 1, scales every distortion.
    Returns float32 integers in the same range.
    """
    grid = _affine_grid(pixels, strength, generator) + strength * _elastic(pixels, generator)
    warped = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    warped = _stroke_width(warped, strength, generator)
    gain = 1.0 + 0.25 * strength * _uniform(len(pixels), generator)[:, None, None, None]
    return _erase((warped * gain).round().clamp(0, 255), strength, generator)


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    """`count` numbers between -1 and 1."""
    return torch.rand(count, generator=generator) * 2 - 1


def _affine_grid(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Sampling grid (N, rows, cols, 2) of a random rotation, scale, shear and shift."""
    count = len(pixels)
    angle = _uniform(count, generator) * strength * math.radians(ROTATION)
    shear = _uniform(count, generator) * strength * SHEAR
    scale_x, scale_y = (1 + _uniform(count, generator) * strength * SCALE for _ in range(2))
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = angle.cos() * scale_x
    theta[:, 0, 1] = (shear - angle.sin()) * scale_x
    theta[:, 1, 0] = angle.sin() * scale_y
    theta[:, 1, 1] = angle.cos() * scale_y
    theta[:, 0, 2] = _uniform(count, generator) * strength * SHIFT
    theta[:, 1, 2] = _uniform(count, generator) * strength * SHIFT
    return F.affine_grid(theta, list(pixels.shape), align_corners=False)


def _elastic(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Smooth random displacement (N, rows, cols, 2): a coarse random grid, enlarged."""
    coarse = torch.randn(len(pixels), 2, ELASTIC_GRID, ELASTIC_GRID, generator=generator) * ELASTIC
    strength = torch.rand(len(pixels), 1, 1, 1, generator=generator)
    fine = F.interpolate(coarse * strength, size=list(pixels.shape[2:]), mode="bicubic", align_corners=True)
    return fine.permute(0, 2, 3, 1)


def _stroke_width(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Blend each image with its dilated (thicker) or eroded (thinner) version."""
    amount = _uniform(len(pixels), generator)[:, None, None, None] * STROKE * strength
    thick = F.max_pool2d(pixels, 3, stride=1, padding=1)
    thin = -F.max_pool2d(-pixels, 2, stride=1)
    thin = F.pad(thin, (0, 1, 0, 1))
    return pixels + amount.clamp(min=0) * (thick - pixels) + (-amount).clamp(min=0) * (thin - pixels)


def _erase(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Blank one random rectangle in some of the images."""
    count, _, rows, cols = pixels.shape
    size = torch.randint(*ERASE_SIZE, (2, count, 1), generator=generator)
    top = torch.randint(0, rows, (count, 1), generator=generator)
    left = torch.randint(0, cols, (count, 1), generator=generator)
    in_rows = (torch.arange(rows) >= top) & (torch.arange(rows) < top + size[0])
    in_cols = (torch.arange(cols) >= left) & (torch.arange(cols) < left + size[1])
    chosen = torch.rand(count, generator=generator) < ERASE_PROBABILITY * strength
    hidden = in_rows[:, None, :, None] & in_cols[:, None, None, :] & chosen[:, None, None, None]
    return pixels.masked_fill(hidden, 0.0)
