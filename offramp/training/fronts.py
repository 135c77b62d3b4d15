"""Front networks that may be worth training: a design space in the terms of the accelerator, ordered by whole cost.

A front reads main's input as it lies in data memory. Its first layer may pool it; then follow convolutions, with
pooling in between as long as there is much to pool, and a linear layer that gives the logits. Bits of weights change no
cycles, only room: all designs have the most bits that are allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from offramp.configs.device import Device
from offramp.configs.errors import InputError
from offramp.planner.ir.network import DataFormat, Shape
from offramp.training.costs import DesignCost, cost_of, worth_training
from offramp.training.design import Design, LayerDesign, shapes_of

_POOLS = (1, 2, 4)  # of the input
_CHANNELS = (4, 6, 8, 12, 16, 24, 32, 48)  # of the first layer
_GROWTH = (1, 2)  # of the channels where the picture gets smaller
_CONVOLUTIONS = (1, 2, 3, 4)
_KERNELS_1D = (3, 5, 9)
_MOST_CHANNELS = 64  # of a layer: one output pass
_SMALL = 6  # rows: of a picture that is not pooled any more
_LEAST = 4  # rows that the pooling of the input leaves at least


@dataclass(frozen=True)
class Outline:
    """What a front's layers are made from."""

    pool: int
    channels: int
    growth: int
    convolutions: int
    kernel: int
    padded: bool
    bits: int


def front_designs(
    shape: Shape, data_format: DataFormat, classes: int, bits: int, device: Device, most: int
) -> tuple[DesignCost, ...]:
    """Designs that the device can run, whose answers cost at most `most` cycles, and that no other one dominates; the
    cheapest first."""
    found = []
    for outline in _outlines(shape, bits):
        layers = layers_of(outline, shape, classes)
        if layers is None:
            continue
        try:
            cost = cost_of(Design(NAME, shape, layers, data_format), device)
        except InputError:  # a combination that the device cannot run
            continue
        if cost.cycles <= most:
            found.append(cost)
    return worth_training(found)


NAME = "front"


def _outlines(shape: Shape, bits: int) -> Iterator[Outline]:
    """All combinations that can be different ones for this input."""
    pools = [one for one in _POOLS if one == 1 or shape.rows // one >= _LEAST]
    kernels = _KERNELS_1D if shape.cols == 1 else (3,)
    pads = (True, False)
    for pool, channels, growth, count, kernel, padded in product(
        pools, _CHANNELS, _GROWTH, _CONVOLUTIONS, kernels, pads
    ):
        if count > 1 or growth == 1:
            yield Outline(pool, channels, growth, count, kernel, padded, bits)


def layers_of(outline: Outline, shape: Shape, classes: int) -> tuple[LayerDesign, ...] | None:
    """The layers of a front; None if nothing is left of the input on the way."""
    layers: list[LayerDesign] = []
    channels = outline.channels
    for number in range(outline.convolutions):
        left = shapes_of(Design(NAME, shape, tuple(layers)))[-1].written if layers else shape
        pool = outline.pool if number == 0 else 2 if left.rows > _SMALL else 1
        if number and pool > 1:
            channels = min(_MOST_CHANNELS, channels * outline.growth)
        layers.append(_convolution(outline, shape, channels, pool, average=number == 0))
        try:
            shapes_of(Design(NAME, shape, tuple(layers)))
        except InputError:
            return None
    return (*layers, logits_layer(classes, outline.bits))


def _convolution(outline: Outline, shape: Shape, channels: int, pool: int, average: bool) -> LayerDesign:
    plain = LayerDesign(
        op="conv1d" if shape.cols == 1 else "conv2d",
        outputs=channels,
        kernel=outline.kernel,
        pad=min(2, outline.kernel // 2) if outline.padded else 0,
        pool=pool,
        pool_stride=pool,
        pool_average=average and pool > 1,
    )
    return with_bits(plain, outline.bits)


def logits_layer(classes: int, bits: int) -> LayerDesign:
    """The last layer of a front or head."""
    return with_bits(LayerDesign(op="linear", outputs=classes, relu=False, wide=True), bits)


def with_bits(layer: LayerDesign, bits: int) -> LayerDesign:
    """The layer with weights of so many bits."""
    return replace(layer, bits=bits)  # type: ignore[arg-type]  # 8, 4, 2 or 1, as the reader of the spec checks
