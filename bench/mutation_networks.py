"""Small networks through our own placement and generator, judged by the integer reference.

The programs are made from the right device file and run on a simulator that may have a wrong one. Together the networks
use what a network can ask of the accelerator, so that the report says something without the vendor's programs too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import DEFAULT, Device, load_device
from offramp.corpus.direct import ModelRunner, run_all
from offramp.planner.allocation.place import Placed, place
from offramp.planner.ir.chain import whole
from offramp.planner.ir.network import INPUT, Layer, Network, Shape
from offramp.planner.reference.layers import run_network
from offramp.simulator.accelerator import Accelerator
from tests.helpers.networks import make_layer, make_network

ALL = (1 << 64) - 1


def some(count: int, first: int = 0) -> int:
    """`count` processors from `first` on."""
    return ((1 << count) - 1) << first


def biased(layer: Layer, seed: int = 1) -> Layer:
    values = np.random.default_rng(seed).integers(-90, 90, layer.out_shape.channels)
    return replace(layer, bias=values.astype(np.int8))


def convolutions() -> Network:
    """3x3 with every padding, pooling, ReLU, absolute value and bias, then a wide 1x1 layer; three quadrants."""
    layers = (
        make_layer(Shape(3, 11, 9), 20, activation="relu", output_shift=-3,
                   processors=7, output_processors=some(20, 4)),
        make_layer(Shape(20, 11, 9), 38, pad=(2, 2), pool=(3, 2), pool_stride=2, activation="abs", output_shift=-2,
                   processors=some(20, 4), output_processors=some(38, 8)),
        make_layer(Shape(38, 7, 6), 6, pad=(0, 1), pool=(2, 2), pool_stride=1, pool_average=True, output_shift=-4,
                   processors=some(38, 8), output_processors=some(6)),
        make_layer(Shape(6, 4, 5), 5, kernel=(1, 1), pad=(0, 0), output_width=32,
                   processors=some(6), output_processors=some(5, 12)),
    )  # fmt: skip
    return make_network(*(biased(layer) for layer in layers))


def passes() -> Network:
    """More channels than processors, in and out."""
    layers = (
        make_layer(Shape(100, 5, 4), 130, output_shift=-5, processors=some(52), output_processors=some(44)),
        make_layer(Shape(130, 5, 4), 70, output_shift=-5, kernel=(1, 1), pad=(0, 0),
                   processors=some(44), output_processors=some(36)),
        make_layer(Shape(70, 5, 4), 70, op="passthrough", pool=(2, 2), pool_stride=2, pool_average=True,
                   processors=some(36), output_processors=some(36)),
    )  # fmt: skip
    return make_network(*layers)


def small_weights(bits: int) -> Network:
    """Weights of 1, 2 or 4 bits, and a stride without a pooling window."""
    layers = (
        make_layer(
            Shape(6, 6, 6), 13, weight_bits=bits, output_shift=-1, processors=some(6), output_processors=some(13)
        ),
        make_layer(
            Shape(13, 6, 6), 7, weight_bits=bits, pool_stride=2, processors=some(13), output_processors=some(7, 16)
        ),
    )
    return make_network(*layers)


def one_dimensional() -> Network:
    """1-D kernels of several lengths, padding, pooling and both kinds of dilation."""
    plain: dict[str, Any] = {"op": "conv1d", "output_shift": -3}
    layers = (
        make_layer(Shape(9, 600, 1), 6, kernel=(9, 1), pad=(2, 0),
                   processors=some(9), output_processors=some(6), **plain),
        make_layer(Shape(6, 596, 1), 10, kernel=(5, 1), pad=(1, 0), pool=(5, 1), pool_stride=4,
                   processors=some(6), output_processors=some(10), **plain),
        make_layer(Shape(10, 146, 1), 8, kernel=(2, 1), pad=(0, 0), dilation=4,
                   processors=some(10), output_processors=some(8), **plain),
        make_layer(Shape(8, 142, 1), 8, kernel=(3, 1), pad=(0, 0), dilation=20,
                   processors=some(8), output_processors=some(8), **plain),
    )  # fmt: skip
    return make_network(*layers)


def transposed() -> Network:
    layers = (
        make_layer(Shape(4, 5, 6), 8, op="convtranspose2d", output_shift=-3, pad=(1, 1),
                   processors=some(4), output_processors=some(8)),
        make_layer(Shape(8, 10, 12), 3, op="convtranspose2d", output_shift=-3, pad=(1, 1),
                   processors=some(8), output_processors=some(3)),
    )  # fmt: skip
    return make_network(*layers)


def flattened(channels: int, rows: int, cols: int) -> Network:
    """A linear layer over all pixels, behind a layer that reads CHW data."""
    layers = (
        make_layer(Shape(2, rows, cols), channels, data_format="CHW", output_shift=-2,
                   processors=0b10001, output_processors=some(channels)),
        biased(make_layer(Shape(channels, rows, cols), 9, op="linear", flatten=True, output_shift=-5,
                          processors=some(channels), output_processors=some(9))),
    )  # fmt: skip
    return make_network(*layers)


def element_wise(op: str, operands: int, pool_first: bool, rounding: bool = False) -> Network:
    """An element-wise layer on operands that the input interleaves, with average pooling, then one before a kernel."""
    shape = Shape(6, 8, 6)
    first = make_layer(shape, 6, op="passthrough", operands=operands, eltwise=op, pool=(2, 3), pool_stride=2,
                       pool_average=True, pool_first=pool_first,
                       processors=some(6), output_processors=some(6))  # fmt: skip
    second = make_layer(first.out_shape, 5, output_shift=-2, processors=some(6), output_processors=some(5))
    return make_network(first, second, input_shape=Shape(6 * operands, 8, 6), avg_pool_rounding=rounding)


def element_wise_kernel() -> Network:
    """An element-wise operation that a convolution follows in the same layer; its operands have a write gap."""
    shape = Shape(5, 6, 6)
    maps: dict[str, Any] = {"processors": some(5), "output_processors": some(5)}
    first = make_layer(shape, 5, output_shift=-3, write_gap=1, out_offset=0x1000, **maps)
    second = make_layer(
        shape, 5, np.random.default_rng(1), output_shift=-3, write_gap=1, out_offset=0x1004, inputs=(INPUT,), **maps
    )
    last = make_layer(shape, 4, operands=2, eltwise="sub", output_shift=-3, inputs=(0, 1), in_offset=0x1000,
                      processors=some(5), output_processors=some(4))  # fmt: skip
    return make_network(first, second, replace(last, inputs=(0, 1)))


def streaming() -> Network:
    """Two layers on a stream from the FIFOs, then one on what they leave in memory."""
    layers = (
        biased(make_layer(Shape(3, 16, 16), 8, streaming=True, output_shift=-2,
                          processors=7, output_processors=some(8))),
        make_layer(Shape(8, 16, 16), 10, streaming=True, pool=(2, 2), pool_stride=2, output_shift=-3,
                   processors=some(8), output_processors=some(10)),
        make_layer(Shape(10, 8, 8), 4, output_shift=-3, processors=some(10), output_processors=some(4)),
    )  # fmt: skip
    return make_network(*layers, fifo=True)


NETWORKS: dict[str, Callable[[], Network]] = {
    "convolutions": convolutions,
    "passes": passes,
    **{f"{bits}-bit weights": partial(small_weights, bits) for bits in (1, 2, 4)},
    "one-dimensional": one_dimensional,
    "transposed": transposed,
    "flatten in 12 passes": partial(flattened, 5, 4, 3),
    "flatten in 56 passes": partial(flattened, 4, 8, 7),
    "element-wise add": partial(element_wise, "add", 3, False),
    "element-wise or": partial(element_wise, "or", 2, True),
    "element-wise xor": partial(element_wise, "xor", 5, True, rounding=True),
    "element-wise before a kernel": element_wise_kernel,
    "streaming": streaming,
}


@cache
def prepared(name: str, device: str = DEFAULT) -> tuple[Placed, NDArray[np.int8], NDArray[Any]]:
    """A network placed on a device, by its name; a random input, and what the integer reference makes of it."""
    network = NETWORKS[name]()
    shape = network.input_shape
    x = np.random.default_rng(7).integers(-128, 128, (shape.channels, shape.rows, shape.cols)).astype(np.int8)
    expected = run_network(network, x[None])[network.layers[-1].index][0]
    return place(whole("network", network), load_device(device)), x, expected


def network_check(name: str, device: Device) -> bool:
    """Whether a simulator with this device file runs the network's program to the reference's answer."""
    placed, x, expected = prepared(name, device.name)
    machine = ModelRunner(placed, Accelerator(device))
    machine.load()
    return bool(np.array_equal(run_all(machine, [x])[0], expected))
