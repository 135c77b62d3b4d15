"""Energy: what it follows, and that the device file holds the fit to published measurements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.energy_fit import ROWS, errors_of, fit, main, read_rows, report
from offramp.configs.device import Device, device_file, load_device
from offramp.configs.lines import load_yaml
from offramp.corpus.case import load_case
from offramp.planner.allocation.budget import Budget
from offramp.planner.hardware.core import weight_load_cycles
from offramp.planner.hardware.cycles import layer_cycles
from offramp.planner.hardware.energy import Energy, layer_energy, network_energy
from offramp.planner.hardware.hw_layer import map_layer
from offramp.planner.ir.network import Network, Shape
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()


def at_clocks(core_hz: int, cnn_hz: int) -> Device:
    return replace(DEVICE, clocks={"core_hz": core_hz, "cnn_hz": cnn_hz})


def test_energy_follows_cycles_processors_and_taps() -> None:
    device = DEVICE
    network = make_network(make_layer(Shape(16, 8, 8), 8), make_layer(Shape(8, 8, 8), 8, kernel=(1, 1), pad=(0, 0)))
    each, tap = device.energy["processor_cycle_fj"], device.energy["tap_cycle_fj"]
    for layer, processors, taps in zip(network.layers, (16, 8), (9, 1), strict=True):
        expected = processors * layer_cycles(layer, network, device).cycles * (each + taps * tap) // 1000
        assert layer_energy(layer, network, device).picojoules == expected > 0
    whole = network_energy(network, device)
    assert whole.picojoules == sum(layer_energy(layer, network, device).picojoules for layer in network.layers)
    assert whole.tag == "estimated" and "ekut" in whole.source


def test_layers_without_kernels_take_energy_for_their_cycles_only() -> None:
    device = DEVICE
    network = make_network(make_layer(Shape(16, 8, 8), 16, op="passthrough", pool=(2, 2), pool_stride=2))
    cycles = layer_cycles(network.layers[0], network, device).cycles
    expected = 16 * cycles * device.energy["processor_cycle_fj"] // 1000
    assert layer_energy(network.layers[0], network, device).picojoules == expected


def test_a_wide_first_layer_takes_time_and_little_energy(corpus: Path) -> None:
    """Time and energy ask for different exits: the published observation about cifar10, out of the model."""
    network = load_case(corpus / "cases" / "net-cifar-10", DEVICE).network
    first, whole = layer_energy(network.layers[0], network, DEVICE), network_energy(network, DEVICE)
    cycles = [layer_cycles(layer, network, DEVICE).cycles for layer in network.layers]
    assert cycles[0] / sum(cycles) == pytest.approx(0.30, abs=0.005)
    assert first.picojoules / whole.picojoules == pytest.approx(0.03, abs=0.005)


def test_energy_of_layers_does_not_depend_on_the_clock() -> None:
    network = make_network(make_layer(Shape(16, 8, 8), 8))
    assert network_energy(network, at_clocks(60_000_000, 30_000_000)) == network_energy(network, DEVICE)


# Bytes that the vendor's program writes to weight memory, and how long ekut-es/netdeployonnx measured that to take.
LOADS = [("net-cifar-10", 20928.3), ("syn-cifar100-nas", 24093.5), ("net-kws20_v3", 12304.65)]


@pytest.mark.parametrize(("case", "microseconds"), LOADS)
def test_weight_loads_within_two_percent_of_measurements(corpus: Path, case: str, microseconds: float) -> None:
    with np.load(corpus / "cases" / case / "program.npz") as program:
        written = 4 * int(np.count_nonzero(program["weights_kind"] == 0))
    model = weight_load_cycles(DEVICE, written).microseconds(DEVICE)
    assert model == pytest.approx(microseconds, rel=0.02)


def test_inferences_that_leave_later_take_all_that_came_before() -> None:
    def energy(picojoules: int) -> Energy:
        return Energy(picojoules, "estimated", "test")

    none, three = energy(0), energy(3)
    stages = (energy(100), energy(1000))
    inside = (none, energy(5))
    loads, starts, checks = (energy(50), none), (three, energy(4)), (three, three)
    one = Budget(loads, starts, stages, inside, checks, (energy(20),), (none, energy(7)))
    early = 50 + 3 + 100 + 3
    assert one.cost_by_exit == (early, early + 20 + 4 + 1000 + 5 + 3 + 7)
    assert one.mean(np.array([0, 0, 1, 1])) == pytest.approx((2 * early + 1039) / 2)


def test_the_device_file_holds_the_fit(capsys: pytest.CaptureFixture[str]) -> None:
    rows = read_rows()
    fitted = fit(rows)
    assert {name: DEVICE.energy[name] for name in fitted} == fitted
    assert DEVICE.energy_errors == errors_of(rows, fitted)
    assert main([]) == 0
    assert "the device file holds the fit and its errors" in capsys.readouterr().out


def test_what_the_device_file_has_to_hold_is_printed_as_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--yaml"]) == 0
    stated = device_file("MAX78000").read_text()
    for line in filter(None, capsys.readouterr().out.splitlines()):
        assert f"\n{line}" in stated


def test_every_row_is_reported_with_its_error() -> None:
    rows, lines = read_rows(), list[str]()
    report(rows, fit(rows), lines.append)
    for row in rows:
        assert sum(row.name in line and line.endswith("%") for line in lines) >= 1
    tested = [abs(row.error(fit(rows))) for row in rows if row.use == "test" and "tap_cycle_fj" in row.names]
    assert len(tested) == 8 and np.median(tested) < 0.1


def mnist(channels: int) -> Network:
    """A network of KappaKa1/MAX78000-Dynamic-Neural-Network: three 3x3 convolutions, a 1x1 one and a linear layer."""
    first = make_layer(Shape(1, 28, 28), channels, pad=(0, 0), data_format="CHW")
    second = make_layer(first.out_shape, channels, pad=(0, 0))
    third = make_layer(second.out_shape, channels, pad=(0, 0), pool=(2, 2), pool_stride=2)
    fourth = make_layer(third.out_shape, 12, pad=(0, 0), kernel=(1, 1), pool=(2, 2), pool_stride=2)
    return make_network(first, second, third, fourth, make_layer(fourth.out_shape, 10, op="linear", flatten=True))


CASES = {
    "cifar10": "net-cifar-10",
    "cifar100": "syn-cifar100-nas",
    "kws20_v3": "net-kws20_v3",
    "kws20": "net-kws20",
}


def test_networks_of_the_rows_are_the_models(corpus: Path) -> None:
    networks = {name: load_case(corpus / "cases" / case, DEVICE).network for name, case in CASES.items()}
    networks |= {f"mnist_{channels}": mnist(channels) for channels in (16, 32, 48, 64)}
    stated = load_yaml(ROWS)["networks"]
    assert set(stated) == set(networks)
    for name, network in networks.items():
        energy = 0
        for layer, (processors, taps, cycles) in zip(network.layers, stated[name], strict=True):
            assert layer_cycles(layer, network, DEVICE).cycles == cycles
            if layer.processors:
                hw = map_layer(layer, network, DEVICE)
                assert (hw.processors.bit_count(), hw.taps) == (processors, taps)
            device = DEVICE
            each = device.energy["processor_cycle_fj"] + taps * device.energy["tap_cycle_fj"]
            energy += processors * cycles * each // 1000
        assert network_energy(network, DEVICE).picojoules == energy
