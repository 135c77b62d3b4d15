"""Heads that may be worth training: templates for every place where main can be cut, sized by the cost model.

A head reads the output of one of main's layers. It pools it, convolves once or twice, and gives the logits; what is
small enough it reads whole, in a linear layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from offramp.configs.device import Device
from offramp.configs.errors import InputError
from offramp.planner.hardware.cycles import layer_cycles
from offramp.planner.ir.network import Network, Shape
from offramp.training.costs import DesignCost, cost_of, spread, worth_training
from offramp.training.design import Design, LayerDesign
from offramp.training.fronts import logits_layer, with_bits

NAME = "head"
A_CUT = 3  # designs that are tried at each cut

_ROWS = (1, 2, 4, 6, 8)  # that pooling leaves, about
_CHANNELS = (8, 16, 32, 64)
_PIXELS = 64  # of a linear layer


def head_designs(shape: Shape, classes: int, bits: int, limit: int, device: Device) -> tuple[DesignCost, ...]:
    """Some designs that read a tensor of this shape, take at most `limit` cycles, and are not dominated; the cheapest
    first."""
    found = []
    for layers in _layers(shape, classes, bits):
        design = Design(NAME, shape, layers)
        try:
            cost = cost_of(design, device, head=True)
        except InputError:  # a combination that the device cannot run
            continue
        if cost.cycles <= limit:
            found.append(cost)
    return spread(worth_training(found), A_CUT)


def _layers(shape: Shape, classes: int, bits: int) -> Iterator[tuple[LayerDesign, ...]]:
    """All templates."""
    logits = logits_layer(classes, bits)
    if shape.pixels <= _PIXELS:
        yield (logits,)
    pools = sorted({max(1, shape.rows // rows) for rows in _ROWS})
    for pool, channels, kernel, twice in product(pools, _CHANNELS, (1, 3), (False, True)):
        one = LayerDesign(
            op="conv1d" if shape.cols == 1 else "conv2d",
            outputs=channels,
            kernel=kernel,
            pad=kernel // 2,
            pool=pool,
            pool_stride=pool,
        )
        two = LayerDesign(op=one.op, outputs=channels, kernel=kernel, pad=kernel // 2)
        layers = [with_bits(one, bits), *([with_bits(two, bits)] if twice else [])]
        yield (*layers, logits)


def cycles_behind(main: Network, cut: int, device: Device) -> int:
    """Cycles of main's layers behind a cut."""
    return sum(layer_cycles(layer, main, device).cycles for layer in main.layers[cut + 1 :])
