"""Costs of running, in cycles of the accelerator's clock.

The accelerator reads all input channels of a pass in parallel and produces output channels one after the other, so a
layer's time follows its output, not its multiply-accumulates. The formulas restate the vendor's cycle model
(ai8x-synthesis latency.py), which leaves out loading. Measurements published by ekut-es/netdeployonnx on a MAX78000 EV
kit agree with it within 0.3 %. Streaming layers take turns at the same processors, so their times add up; the vendor's
tool takes them one and a half times, which published times of loading and inference together contradict (core.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from offramp.configs.device import Column, Device
from offramp.planner.hardware.hw_layer import HwLayer, map_layer, with_processors
from offramp.planner.hardware.time_slots import time_slots
from offramp.planner.ir.network import Layer, Network

# unverified: of a model that nobody has held against the device; unknown: there is no model of it
Tag = Literal["simulated", "estimated", "published", "unverified", "unknown"]

START_CYCLES = 1  # of one run of the accelerator, whatever its layers
MODEL = "cycle model of ai8x-synthesis latency.py"
STREAMING = f"{MODEL}, in which streaming layers take turns"
UNVERIFIED = f"{MODEL}, which is the MAX78000's; the vendor gives none for this device"


@dataclass(frozen=True)
class Cycles:
    """Cycles of the accelerator's clock, how far the number can be trusted, and where it comes from. `instructions`,
    `accesses`: of the core, those on the bus to the accelerator, as far as the cycles are made from them."""

    cycles: int
    tag: Tag
    source: str
    instructions: int = 0
    accesses: int = 0

    @property
    def amount(self) -> int:
        """The cycles, as sums over costs of either kind name them."""
        return self.cycles

    @property
    def estimate(self) -> bool:
        return self.tag in ("estimated", "unverified")

    def microseconds(self, device: Device) -> float:
        """At the device's clock."""
        return self.cycles * 1e6 / device.clocks["cnn_hz"]


def layer_cycles(layer: Layer, network: Network, device: Device, kernel_start: Column = 0) -> Cycles:
    """Cycles of one layer. Where a processor map is open (0), processors from 0 on are assumed.

    `kernel_start` costs time only in padded convolutions that pool after an element-wise operation, with several
    passes or operands.
    """
    hw = map_layer(with_processors(layer, device), network, device)
    cycles = _passthrough(hw) if hw.kind == "passthrough" else _convolution(hw, kernel_start)
    if device.cycles == "unverified":
        return Cycles(cycles, "unverified", UNVERIFIED)
    return Cycles(cycles, "estimated", STREAMING) if layer.streaming else Cycles(cycles, "simulated", MODEL)


def late_start_cycles(layer: Layer, network: Network, device: Device) -> int:
    """Cycles that a layer takes longer for each column that its kernels start above 0."""
    if "free_starts" in device.features:
        return 0
    return layer_cycles(layer, network, device, 1).cycles - layer_cycles(layer, network, device).cycles


def network_cycles(network: Network, device: Device, kernel_starts: Mapping[int, Column] | None = None) -> Cycles:
    """Cycles of one inference in a single run. `kernel_starts`: start column by layer index, 0 where not given."""
    starts = kernel_starts or {}
    return run_cycles(layer_cycles(layer, network, device, starts.get(layer.index, 0)) for layer in network.layers)


def run_cycles(layers: Iterable[Cycles]) -> Cycles:
    """Cycles of one run of the accelerator over some layers: their sum and the start."""
    parts = tuple(layers)
    guessed = _least_sure(parts)
    total = START_CYCLES + sum(part.cycles for part in parts)
    return Cycles(total, guessed.tag, guessed.source) if guessed else Cycles(total, "simulated", MODEL)


def sum_cycles(parts: Iterable[Cycles]) -> Cycles:
    """All of them together, an estimate if one of them is; 0 of none."""
    given = tuple(parts)
    if not given:
        return Cycles(0, "simulated", MODEL)
    guessed = _least_sure(given) or given[0]
    counts = sum(part.instructions for part in given), sum(part.accesses for part in given)
    return Cycles(sum(part.cycles for part in given), guessed.tag, guessed.source, *counts)


def _least_sure(parts: Iterable[Cycles]) -> Cycles | None:
    """The first part of an unverified model, else the first estimate; None if there is neither."""
    guesses = [part for part in parts if part.estimate]
    return min(guesses, key=lambda part: part.tag != "unverified", default=None)


def _fetch(hw: HwLayer, passes: int) -> tuple[int, int, int]:
    """(cycles to fetch a pad pixel, a data pixel; how often pooled data pixels are fetched)."""
    operands = hw.layer.operands
    window = hw.layer.pool[0] * hw.layer.pool[1]
    if hw.layer.pool_first:
        return 2 * passes * operands, passes * operands * (window + 1), 1
    return 2 * passes, passes * (operands * window + 1), passes


def _passthrough(hw: HwLayer) -> int:
    passes = hw.passes
    if hw.expansion > 1 and hw.layer.pool != (1, 1):
        passes = 2 * passes - 1
    _, data, _ = _fetch(hw, passes)
    return hw.pooled[0] * hw.pooled[1] * (data + passes * time_slots(hw))


@dataclass(frozen=True)
class _Window:
    """A convolution's geometry: kernel, padding, pooled input and output columns."""

    kernel: tuple[int, int]
    pad: tuple[int, int]
    rows: int
    cols: int
    out_cols: int


def _window(hw: HwLayer) -> _Window:
    rows, cols = hw.pooled
    if hw.layer.flatten:
        return _Window((1, 1), (0, 0), rows, cols, hw.out_cols * cols)
    if hw.kind == "transposed":
        return _Window((3, 3), (2 - hw.pad[0], 2 - hw.pad[1]), 2 * rows, 2 * cols, hw.out_cols)
    kernel = {"conv3x3": (3, 3), "conv1x1": (1, 1)}.get(hw.kind, (hw.taps, 1))
    return _Window(kernel, hw.pad, rows, cols, hw.out_cols)


def _convolution(hw: HwLayer, kernel_start: Column) -> int:
    """Rows of padding, rows that only fill the window, and rows that produce output."""
    window, passes = _window(hw), hw.passes
    pad_pixel, pixel, repeats = _fetch(hw, passes)
    pad_rows, pad_cols = window.pad
    filling = window.kernel[0] - 1 - pad_rows
    sides = 2 * pad_cols * (pad_pixel + 1)
    pad_row = sides + repeats * window.cols * (pad_pixel + 1)
    filling_row = sides + repeats * window.cols * (pixel + 1)
    outputs = time_slots(hw) if hw.layer.depthwise else hw.slots // hw.at_once
    produced = passes * window.out_cols * outputs
    if outputs == 1 and passes == 1:
        produced += 1

    def row(fetch: int) -> int:
        first = repeats * (window.kernel[1] - 1 - pad_cols) * (fetch + 1)
        return pad_cols * (2 * pad_pixel + 1) + first + repeats * (window.out_cols - pad_cols) * fetch + produced

    cycles = pad_rows * pad_row + filling * filling_row
    cycles += (window.rows - filling) * row(pixel) + pad_rows * row(pad_pixel)
    cycles += 0 if "free_starts" in hw.device.features else _pad_penalty(hw, window) * kernel_start
    extended = hw.layer.flatten and hw.kernel_passes > hw.device.limits["passes"]
    return cycles + 1 if extended else cycles


def _pad_penalty(hw: HwLayer, window: _Window) -> int:
    """How often the kernel's start column is counted through when pooling comes last; 0 otherwise."""
    if hw.layer.pool_first or (hw.passes == 1 and hw.layer.operands == 1):
        return 0
    pad_rows, pad_cols = window.pad
    down = window.rows + 2 * pad_rows - window.kernel[1] + 1
    across = window.cols + 2 * pad_cols - window.kernel[0] + 1
    return down * pad_cols + across * pad_rows - pad_rows * pad_cols
