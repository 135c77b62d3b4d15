"""Finished networks in PyTorch give the integers of the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings

from offramp.configs.device import load_device
from offramp.configs.errors import CheckFailed, InputError
from offramp.planner.ai8x.load import load_network
from offramp.planner.ir.network import Network, Shape
from offramp.planner.reference.layers import run_network
from offramp.training import features
from offramp.training.features import tensor_of
from offramp.training.frozen import frozen, run_frozen
from tests.helpers.designs import any_inputs
from tests.helpers.networks import make_layer, make_network
from tests.helpers.paths import SHARED
from tests.helpers.random_networks import networks

DEVICE = load_device()
STOCK = {"mnist-chw-ai85": "ai85-mnist-qat8-q", "kws20-v3-hwc": "ai85-kws20_v3-qat8-q"}


@settings(max_examples=40, deadline=None)
@given(networks())
def test_frozen_networks_equal_the_reference_on_every_layer(network: Network) -> None:
    try:
        module = frozen(network)
    except InputError:
        assume(False)
    x = any_inputs(network.input_shape, 3)
    every = range(len(network.layers))
    found, expected = run_frozen(module, x, every), run_network(network, x, every)
    for index in every:
        assert found[index].dtype == expected[index].dtype and np.array_equal(found[index], expected[index]), index


@pytest.mark.parametrize("name", STOCK)
def test_stock_networks_equal_the_reference(name: str) -> None:
    folder = SHARED / "checkpoints"
    if not folder.is_dir():
        pytest.skip("no stock checkpoints beside the checkout")
    network = load_network(folder / f"{name}.yaml", DEVICE, folder / f"{STOCK[name]}.pth.tar")
    x = _inputs(folder, network)
    last = len(network.layers) - 1
    assert np.array_equal(tensor_of(network, last, x), run_network(network, x)[last])


def _inputs(folder: Path, network: Network) -> np.typing.NDArray[np.int8]:
    """Random inputs, and variants of the vendor's sample."""
    shape = network.input_shape
    name = "sample_mnist" if shape.rows == 28 else "sample_kws_20"
    sample = np.load(folder / f"{name}.npy").reshape(shape.channels, shape.rows, shape.cols)
    noise = np.random.default_rng(1).integers(-20, 20, (12, *sample.shape))
    return np.concatenate([any_inputs(shape, 4), (sample + noise).clip(-128, 127).astype(np.int8)])


def test_sums_beyond_float32_are_exact() -> None:
    layer = make_layer(Shape(1024, 2, 2), 2, kernel=(1, 1), pad=(0, 0), flatten=True, output_width=32, op="linear")
    assert layer.weights is not None
    layer.weights[0], layer.weights[1] = 127, -128
    network = make_network(layer)
    x = np.full((1, 1024, 2, 2), 127, np.int8)
    x[0, 0] = 126
    assert run_frozen(frozen(network), x)[0].ravel().tolist() == run_network(network, x)[0].ravel().tolist()


def test_what_is_not_here_is_computed_by_the_reference() -> None:
    shape = Shape(4, 5, 5)
    xor = make_layer(shape, 4, operands=2, eltwise="xor", op="passthrough", inputs=(0, 1))
    copies = [make_layer(shape, 4, kernel=(1, 1), pad=(0, 0), rng=np.random.default_rng(seed)) for seed in (1, 2)]
    network = make_network(copies[0], copies[1], xor, input_shape=shape)
    with pytest.raises(InputError, match="layer `2` cannot be computed in floating point: `xor` of bits"):
        frozen(network)
    x = any_inputs(shape, 3)
    assert np.array_equal(tensor_of(network, 2, x), run_network(network, x)[2])


def test_features_do_not_depend_on_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network(make_layer(Shape(3, 6, 6), 5), make_layer(Shape(5, 6, 6), 2))
    x = any_inputs(network.input_shape, 23)
    whole = tensor_of(network, 0, x)
    assert whole.shape == (23, 5, 6, 6) and np.array_equal(whole, run_network(network, x, {0})[0])
    monkeypatch.setattr(features, "BATCH", 4)
    assert np.array_equal(tensor_of(network, 0, x), whole)


def test_a_difference_from_the_reference_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network(make_layer(Shape(3, 6, 6), 5))
    monkeypatch.setattr(features, "run_frozen", lambda module, x: {0: run_network(network, x)[0] ^ 1})
    with pytest.raises(CheckFailed, match="layer 0 differs from the integer reference"):
        tensor_of(network, 0, any_inputs(network.input_shape, 3))
