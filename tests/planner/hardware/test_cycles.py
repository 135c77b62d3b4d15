"""The cycle model against the vendor's figures and against published measurements."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from offramp.configs.device import load_device
from offramp.corpus.case import load_case
from offramp.planner.hardware.cycles import START_CYCLES, layer_cycles, network_cycles, run_cycles
from offramp.planner.ir.network import Network, Shape
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()


def test_every_layer_of_the_corpus(corpus: Path) -> None:
    """Equal for all layers; those that stream are marked as estimates, and are two thirds of the vendor's guess."""
    compared, wrong = 0, []
    for path in sorted(corpus.glob("cases/*/meta.json")):
        meta = json.loads(path.read_text())
        if not (path.parent / "weights.npz").exists():
            continue
        network = load_case(path.parent, DEVICE).network
        for entry in meta["latency"]["layers"]:
            result = layer_cycles(network.layers[entry["layer"]], network, DEVICE)
            compared += 1
            guessed = -(-3 * result.cycles // 2) if result.estimate else result.cycles  # what the vendor's tool says
            if (guessed, result.estimate) != (entry["cycles"], entry["streaming_estimate"]):
                wrong.append((path.parent.name, entry, result))
        total = network_cycles(network, DEVICE)
        assert total.estimate == meta["latency"]["total_is_estimate"]
        assert total.estimate or total.cycles == meta["latency"]["total"]
    assert not wrong
    assert compared >= 900


# Measured on silicon by ekut-es/netdeployonnx: (experiment, network, settings), corpus case, last layer run.
MEASURED = [
    ("network_size", "ai85-cifar10-qat8-q.pth.onnx", "{}", "net-cifar-10", None),
    ("network_size", "ai85-kws20_v3-qat8-q.pth.onnx", "{}", "net-kws20_v3", None),
    ("network_size", "ai85-cifar100-qat8-q.pth.onnx", "{}", "syn-cifar100-nas", None),
    *[("measure_per_layer", "cifar10_short.onnx", f'{{"layer_count": {k}}}', "net-cifar-10", k) for k in range(5)],
]


@pytest.mark.parametrize(("experiment", "name", "settings", "case", "last"), MEASURED)
def test_published_measurements_within_half_a_percent(
    corpus: Path, experiment: str, name: str, settings: str, case: str, last: int | None
) -> None:
    table = corpus.parent / "design" / "silicon.tsv"
    if not table.exists():
        pytest.skip("no table of measurements beside this checkout")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    key = (experiment, name, settings)
    (measured,) = (row for row in rows if (row["experiment"], row["network"], row["settings"]) == key)
    network = load_case(corpus / "cases" / case, DEVICE).network
    layers = network.layers if last is None else network.layers[: last + 1]
    model = run_cycles(layer_cycles(layer, network, DEVICE) for layer in layers)
    assert model.microseconds(DEVICE) == pytest.approx(float(measured["inference us"]), rel=0.005)


def poolafter(**changes: Any) -> Network:
    """Pooling after an element-wise operation, then a padded convolution: the kind where kernel positions cost time."""
    layer = make_layer(
        Shape(8, 8, 8), 4, operands=2, eltwise="add", pool_first=False, pool=(2, 2), pool_stride=2, **changes
    )
    return make_network(layer, input_shape=Shape(16, 8, 8))


def test_kernel_position_costs_time_in_one_kind_of_layer_only() -> None:
    network = poolafter()
    # 4x4 pooled, pad 1, 3x3: (4 + 2 - 3 + 1) * 1 * 2 - 1 = 7 pad positions that count through the start column
    assert network_cycles(network, DEVICE, {0: 100}).cycles - network_cycles(network, DEVICE).cycles == 7 * 100
    for other in (poolafter(pad=(0, 0)), make_network(replace(network.layers[0], pool_first=True))):
        assert network_cycles(other, DEVICE, {0: 100}) == network_cycles(other, DEVICE)


# What ai8x-synthesis at ab4f4c0 prints for such layers: eight outputs, operands of 8 x 12 pixels, a window of 2x2.
VENDOR_LATE = [
    ("conv2d", (1, 1), 16, 32, 768),
    ("conv2d", (1, 1), 16, 132, 1668),
    ("conv2d", (2, 2), 16, 32, 1512),
    ("conv2d", (0, 0), 16, 32, 296),
    ("conv2d", (1, 1), 72, 216, 3376),
    ("conv2d", (1, 1), 128, 256, 3736),
    ("convtranspose2d", (0, 0), 16, 32, 3636),
    ("convtranspose2d", (1, 1), 16, 32, 2372),
    ("convtranspose2d", (2, 2), 16, 32, 1380),
]


@pytest.mark.parametrize(("op", "pad", "channels", "start", "cycles"), VENDOR_LATE)
def test_kernel_position_costs_what_the_vendor_says(
    op: str, pad: tuple[int, int], channels: int, start: int, cycles: int
) -> None:
    layer = make_layer(
        Shape(channels, 8, 12),
        8,
        op=op,
        pad=pad,
        operands=2,
        eltwise="add",
        pool_first=False,
        pool=(2, 2),
        pool_stride=2,
    )
    network = make_network(layer, input_shape=Shape(2 * channels, 8, 12))
    assert layer_cycles(network.layers[0], network, DEVICE, start).cycles == cycles


def test_open_processors_count_as_the_first_ones() -> None:
    layer = make_layer(Shape(100, 6, 6), 70)
    chosen = replace(layer, processors=(1 << 52) - 1, output_processors=(1 << 36) - 1)
    assert network_cycles(make_network(layer), DEVICE) == network_cycles(make_network(chosen), DEVICE)
    shifted = replace(layer, processors=(1 << 52) - 1, output_processors=((1 << 36) - 1) << 2)
    assert (
        network_cycles(make_network(shifted), DEVICE).cycles
        == network_cycles(make_network(layer), DEVICE).cycles + 2 * 2 * 2 * 36
    )


def test_a_run_costs_its_layers_and_the_start() -> None:
    first = make_layer(Shape(3, 8, 8), 4)
    network = make_network(first, make_layer(first.out_shape, 2))
    parts = [layer_cycles(layer, network, DEVICE) for layer in network.layers]
    assert network_cycles(network, DEVICE).cycles == START_CYCLES + parts[0].cycles + parts[1].cycles
    assert network_cycles(network, DEVICE).tag == "simulated"


def test_streaming_is_an_estimate() -> None:
    layer = make_layer(Shape(3, 8, 8), 4)
    plain, streaming = make_network(layer), make_network(replace(layer, streaming=True))
    result = network_cycles(streaming, DEVICE)
    assert result.tag == "estimated" and "streaming" in result.source
    assert result.cycles == network_cycles(plain, DEVICE).cycles


@pytest.mark.parametrize(
    ("shape", "outputs", "bits", "cycles"),
    [(Shape(5, 2, 3), 0x1C0, 8, 43), (Shape(8, 3, 3), 0xF80, 4, 91), (Shape(4, 2, 2), 0x50, 8, 21)],
)
def test_flattening_layers_run_the_slots_in_front_of_their_outputs(
    shape: Shape, outputs: int, bits: int, cycles: int
) -> None:
    """Output processors that start within a word, or leave some out: the vendor tool's figures (ab4f4c0)."""
    layer = make_layer(shape, outputs.bit_count(), op="linear", flatten=True, weight_bits=bits)
    network = make_network(replace(layer, output_processors=outputs))
    assert network_cycles(network, DEVICE).cycles == cycles
