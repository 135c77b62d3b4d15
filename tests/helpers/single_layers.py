"""One layer on the accelerator model, and the same by definition: for tests."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from offramp.simulator.accelerator import Accelerator
from offramp.simulator.clock import Clock
from tests.helpers.accelerator_programs import (
    DEVICE,
    Fields,
    changed,
    idle,
    load_kernels,
    load_pixels,
    pass_fields,
    put_layer,
    random_bytes,
    start,
    stop,
)

Bytes = NDArray[np.int8]
OUT = 4096  # word where the layers of `accelerator_programs` write


def accelerator_with(fields: Fields, quadrants: tuple[int, ...] = (0,)) -> Accelerator:
    accelerator = Accelerator(DEVICE)
    idle(accelerator, quadrants)
    put_layer(accelerator, 0, fields, quadrants)
    return accelerator


def run(accelerator: Accelerator, quadrants: tuple[int, ...] = (0,), switches: Mapping[str, int] | None = None) -> None:
    start(accelerator, quadrants, switches or {})
    assert accelerator.done
    assert accelerator.layers_run == [0]
    stop(accelerator, quadrants)


def correlate(image: Bytes, kernels: Bytes, pad: int) -> NDArray[np.int64]:
    """(rows, cols, inputs) with (outputs, inputs, kr, kc): (out rows * out cols, outputs), by definition."""
    padded = np.pad(image.astype(np.int64), ((pad, pad), (pad, pad), (0, 0)))
    height, width = kernels.shape[2:]
    rows, cols = padded.shape[0] - height + 1, padded.shape[1] - width + 1
    result = np.zeros((rows, cols, len(kernels)), dtype=np.int64)
    for row in range(rows):
        for col in range(cols):
            window = padded[row : row + height, col : col + width].transpose(2, 0, 1)
            result[row, col] = (window[None] * kernels).sum(axis=(1, 2, 3))
    return result.reshape(rows * cols, -1)


def finish(total: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
    return np.clip(np.floor(total * 2.0**shift / 128 + 0.5), -128, 127).astype(np.int64)


def load(accelerator: Accelerator, image: Bytes, kernels: Bytes, bits: int = 8) -> None:
    """HWC pixels at word 0 and kernels at column 0."""
    load_pixels(accelerator, image.reshape(-1, image.shape[2]))
    for processor in range(kernels.shape[1]):
        load_kernels(accelerator, processor, 0, kernels[:, processor].reshape(len(kernels), -1), bits)


def copying(quadrants: tuple[int, ...] = (0,), clock: Clock | None = None) -> tuple[Accelerator, NDArray[np.int8]]:
    """A layer that copies 16 pixels of four channels in each quadrant."""
    accelerator = Accelerator(DEVICE, clock)
    idle(accelerator, quadrants)
    fields = pass_fields(rows=4, cols=4, inputs=4)
    pixels = random_bytes(1, 16, 4)
    for quadrant in quadrants:
        put_layer(
            accelerator, 0, changed(fields, WPTR_BASE={"pointer": DEVICE.pointer(4 * quadrant, OUT)}), (quadrant,)
        )
        load_pixels(accelerator, pixels, instance=4 * quadrant)
    return accelerator, pixels
