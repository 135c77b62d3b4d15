"""Layers of an accelerator network, read from an ai8x-style YAML file.

Only what this example needs: 3x3 and 1x1 2-D convolutions with pooling in front, and one flattened linear layer at the
end.  Channel counts are not in such a file.  They follow from the processor maps: processor = input channel (MAX78000
User Guide, CNN chapter), so a layer has as many outputs as the next layer has processors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CLASSES = 10
IMAGE_SHAPE = (1, 28, 28)  # channels, rows, columns
ACTIVATIONS = {"relu": True, "none": False}


class ExampleError(Exception):
    """A mistake in the user's files or arguments; its text is the whole message."""


@dataclass(frozen=True)
class Layer:
    """One layer slot: pool, then convolve (or flatten and multiply), then shift and activate.

    Sizes are in samples; `pooled` is the size after pooling, `out_dim` after the convolution.
    """

    name: str
    in_channels: int
    in_dim: tuple[int, int]
    pool: int
    pool_stride: int
    pool_average: bool
    kernel: int
    pad: int
    out_channels: int
    relu: bool
    flatten: bool
    wide: bool  # 32-bit output: the raw accumulator
    processors: int  # 64-bit map of the input channels

    @property
    def pooled(self) -> tuple[int, int]:
        """Rows and columns after pooling; windows that do not fit are dropped."""
        rows, cols = self.in_dim
        return (rows - self.pool) // self.pool_stride + 1, (cols - self.pool) // self.pool_stride + 1

    @property
    def out_dim(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        if self.flatten:
            return 1, 1
        rows, cols = self.pooled
        grow = 2 * self.pad - self.kernel + 1
        return rows + grow, cols + grow

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(out, in, kernel, kernel); of a linear layer (out, in * rows * columns)."""
        if self.flatten:
            return self.out_channels, self.in_channels * self.pooled[0] * self.pooled[1]
        return self.out_channels, self.in_channels, self.kernel, self.kernel


def load_network(path: Path, in_shape: tuple[int, int, int] = IMAGE_SHAPE, classes: int = CLASSES) -> tuple[Layer, ...]:
    """Read the layers of `path`; `in_shape` is (channels, rows, columns) of the first layer's input, `classes` how many
    outputs the last layer has."""
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))["layers"]
    except OSError as error:
        raise ExampleError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ExampleError(f"{path}: no list of layers found") from error
    widths = [int(entry["processors"]).bit_count() for entry in entries]
    if widths[0] != in_shape[0]:
        raise ExampleError(f"{path}: layer 0 names {widths[0]} processors, its input has {in_shape[0]} channels")
    layers: list[Layer] = []
    dim = (in_shape[1], in_shape[2])
    for index, entry in enumerate(entries):
        outputs = widths[index + 1] if index + 1 < len(entries) else classes
        layers.append(_layer(index, entry, dim, outputs))
        dim = layers[-1].out_dim
    return tuple(layers)


def _layer(index: int, entry: dict[str, Any], dim: tuple[int, int], outputs: int) -> Layer:
    """One layer from its YAML entry and the size of its input."""
    flatten = bool(entry.get("flatten", False))
    kernel = 1 if flatten else int(str(entry.get("kernel_size", "3x3")).split("x")[0])
    pool = int(entry.get("max_pool", entry.get("avg_pool", 1)))
    return Layer(
        name="fc" if flatten else f"conv{index + 1}",
        in_channels=int(entry["processors"]).bit_count(),
        in_dim=dim,
        pool=pool,
        pool_stride=int(entry.get("pool_stride", 1)),
        pool_average="avg_pool" in entry,
        kernel=kernel,
        pad=int(entry.get("pad", 0)),
        out_channels=outputs,
        relu=ACTIVATIONS[str(entry.get("activate", "None")).lower()],
        flatten=flatten,
        wide=int(entry.get("output_width", 8)) == 32,
        processors=int(entry["processors"]),
    )
