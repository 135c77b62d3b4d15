"""Modelled latency of a network in clock cycles, and a rough estimate of its energy.

The accelerator reads all input channels (up to 64) at once and computes the output channels one after the other, so a
layer costs about rows x columns x outputs cycles plus one cycle per fetched sample.  The terms below restate the cycle
estimate of the vendor's generator (analogdevicesinc/ai8x-synthesis, izer/latency.py at ab4f4c0) for single-pass layers
that pool first; published measurements of whole networks (ekut-es/netdeployonnx) lie within 0.2 % of that estimate.

Energy follows time x working processors.  The two rates are fitted to the per-layer differences of the same published
measurements at 50 MHz (net of idle power); take ratios from them, not absolute values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from layers import Layer

START_CYCLES = 1
PAD_SAMPLE_CYCLES = 2  # fetch of one sample of padding
FLATTEN_PASSES = 16  # more passes than this switch on the extended pass counter


CYCLES_PER_MICROSECOND = 50
NANOJOULES_3X3 = 1.5  # per microsecond and processor
NANOJOULES_1X1 = 1.1


@dataclass(frozen=True)
class Cost:
    """Time and energy of some layers."""

    cycles: float
    microjoules: float


def layer_cycles(layer: Layer) -> int:
    """Cycles of one convolution or flattened linear layer."""
    rows, cols = layer.pooled
    # A flattened layer walks over its pixels as a 1x1 convolution of the same size would.
    out_cols = cols if layer.flatten else layer.out_dim[1]
    fetch_pad, fetch = PAD_SAMPLE_CYCLES, layer.pool * layer.pool + 1
    border = 2 * layer.pad * (fetch_pad + 1)
    pad_row = border + cols * (fetch_pad + 1)
    lead_row = border + cols * (fetch + 1)
    output = out_cols * layer.out_channels + (1 if layer.out_channels == 1 else 0)

    def row(cost: int) -> int:
        ends = layer.pad * (2 * fetch_pad + 1)
        return ends + (layer.kernel - 1 - layer.pad) * (cost + 1) + (out_cols - layer.pad) * cost

    lead = layer.kernel - 1 - layer.pad
    cycles = layer.pad * pad_row + lead * lead_row
    cycles += (row(fetch) + output) * (rows - lead) + layer.pad * (row(fetch_pad) + output)
    return cycles + (1 if layer.flatten and rows * cols > FLATTEN_PASSES else 0)


def layer_cost(layer: Layer) -> Cost:
    """Cycles and estimated energy of one layer."""
    cycles = layer_cycles(layer)
    rate = NANOJOULES_3X3 if layer.kernel == 3 else NANOJOULES_1X1
    return Cost(cycles, cycles / CYCLES_PER_MICROSECOND * layer.in_channels * rate / 1000)


def network_cost(layers: Iterable[Layer]) -> Cost:
    """Cost of a whole network."""
    costs = [layer_cost(layer) for layer in layers]
    return Cost(START_CYCLES + sum(cost.cycles for cost in costs), sum(cost.microjoules for cost in costs))
