"""Energy of layers, runs and switches, net of the waiting chip's power.

Measured increments layer by layer follow neither time nor multiply-accumulates: a layer takes energy in each of its
cycles for each processor that it reads with, and more of it the more taps its kernels have. Coefficients are in the
device file; bench/energy_fit.py fits them to published measurements, and shows the error on rows kept out of the fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from offramp.configs.device import Column, Device
from offramp.planner.hardware.cycles import Cycles, Tag, layer_cycles
from offramp.planner.hardware.hw_layer import ceil_div, map_layer, with_processors
from offramp.planner.ir.network import Layer, Network

LAYERS = "fit to the layers of cifar10 as ekut-es/netdeployonnx measured them on a MAX78000 EV kit"
NO_MODEL = "there is no energy model of this device"
CORE = "fit to the weight loads of AN7417 tables 4 and 5"


@dataclass(frozen=True)
class Energy:
    """Energy above idle, how far the number can be trusted, and where it comes from."""

    picojoules: int
    tag: Tag
    source: str

    @property
    def known(self) -> bool:
        """Whether there is a model; `picojoules` are 0 without one."""
        return self.tag != "unknown"

    @property
    def amount(self) -> int:
        """The picojoules, as sums over costs of either kind name them."""
        return self.picojoules

    @property
    def microjoules(self) -> float:
        return self.picojoules / 10**6


UNKNOWN = Energy(0, "unknown", NO_MODEL)


def layer_energy(layer: Layer, network: Network, device: Device, kernel_start: Column = 0) -> Energy:
    """Energy of one layer, with the cycles that `layer_cycles` gives it. Independent of the clock.

    Processors of a streaming layer also take energy while it waits for its input: half as much again makes loading and
    inference of FaceID 418 uJ, published are 435 uJ (AN7417 table 5)."""
    if not device.energy:
        return UNKNOWN
    hw = map_layer(with_processors(layer, device), network, device)
    cycles = layer_cycles(layer, network, device, kernel_start).cycles
    cycles = ceil_div(3 * cycles, 2) if layer.streaming else cycles
    return Energy(_picojoules(hw.processors.bit_count() * cycles, hw.taps, device), "estimated", LAYERS)


def _picojoules(processor_cycles: int, taps: int, device: Device) -> int:
    femtojoules = device.energy["processor_cycle_fj"] + taps * device.energy["tap_cycle_fj"]
    return processor_cycles * femtojoules // 1000


def network_energy(network: Network, device: Device, kernel_starts: Mapping[int, Column] | None = None) -> Energy:
    """Energy of one inference in a single run. `kernel_starts`: start column by layer index, 0 where not given."""
    starts = kernel_starts or {}
    return run_energy(layer_energy(layer, network, device, starts.get(layer.index, 0)) for layer in network.layers)


def run_energy(layers: Iterable[Energy]) -> Energy:
    parts = tuple(layers)
    if not all(part.known for part in parts):
        return UNKNOWN
    return Energy(sum(part.picojoules for part in parts), "estimated", LAYERS)


def core_energy(cycles: Cycles, device: Device) -> Energy:
    """Energy of the core while it loads, writes registers or checks results for a number of accelerator cycles."""
    if not device.energy:
        return UNKNOWN
    core_cycles = cycles.cycles * device.clocks["core_hz"] // device.clocks["cnn_hz"]
    return Energy(core_cycles * device.energy["core_cycle_fj"] // 1000, "estimated", CORE)
