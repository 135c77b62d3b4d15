"""Exact integer evaluation of a network, as the accelerator computes it (numpy only).

Independent of the training code: it works on the integers of an exported checkpoint.  Sums are formed in float64, exact
up to 2**53 and far beyond what 8-bit operands reach here.  Arithmetic: see `qat.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from checkpoint import LayerWeights
from layers import Layer

Integers = npt.NDArray[np.int64]
BATCH = 50  # images at a time; bounds the memory of the unfolded windows


def logits(layers: Iterable[Layer], weights: Iterable[LayerWeights], x: npt.NDArray[np.int8]) -> Integers:
    """Raw accumulators of the last layer, (N, out), for x of shape (N, channels, rows, columns)."""
    pairs = tuple(zip(layers, weights, strict=True))
    parts = []
    for start in range(0, len(x), BATCH):
        tensor = x[start : start + BATCH].astype(np.int64)
        for layer, values in pairs:
            tensor = run_layer(layer, values, tensor)
        parts.append(tensor.reshape(len(tensor), -1))
    return np.concatenate(parts)


def run_layer(layer: Layer, values: LayerWeights, x: Integers) -> Integers:
    """One layer: (N, in, rows, cols) to (N, out, rows, cols)."""
    x = _pool(layer, x)
    weight = values.weight.numpy().astype(np.int64)
    if layer.flatten:
        x = x.reshape(len(x), -1, 1, 1)
        weight = weight[:, :, None, None]
    total = _convolve(x, weight, layer.pad)
    if values.bias is not None:
        total += 128 * values.bias.numpy().astype(np.int64)[None, :, None, None]
    if layer.wide:
        return total
    return np.clip(_shift(total, values.output_shift), 0 if layer.relu else -128, 127)


def _shift(total: Integers, shift: int) -> Integers:
    """floor(total * 2**shift / 128 + 1/2)."""
    if shift >= 0:
        return ((total << shift) + 64) >> 7
    return (total + (64 << -shift)) >> (7 - shift)


def _windows(x: Integers, size: int, stride: int) -> Integers:
    """All size x size windows, (N, channels, rows, cols, size, size)."""
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    return view[:, :, ::stride, ::stride]


def _pool(layer: Layer, x: Integers) -> Integers:
    """Pooling; an average drops its fraction toward zero."""
    if layer.pool == 1 and layer.pool_stride == 1:
        return x
    windows = _windows(x, layer.pool, layer.pool_stride)
    if not layer.pool_average:
        return np.asarray(windows.max(axis=(4, 5)))
    total = windows.sum(axis=(4, 5))
    return np.asarray(np.sign(total) * (np.abs(total) // layer.pool**2))


def _convolve(x: Integers, weight: Integers, pad: int) -> Integers:
    """Correlation with zero padding; x (N, in, rows, cols), weight (out, in, k, k)."""
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))).astype(np.float64)
    view = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))
    product = np.tensordot(view, weight.astype(np.float64), axes=((1, 4, 5), (1, 2, 3)))
    return np.moveaxis(product, 3, 1).astype(np.int64)
