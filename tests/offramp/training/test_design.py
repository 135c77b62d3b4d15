"""Designs: what the planner reads from their YAML is what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.planner.ai8x.load import load_network
from offramp.planner.ai8x.weights import LayerWeights, parse_shapes
from offramp.planner.ir.network import Shape
from offramp.training.design import Design, LayerDesign, design_of, layer_names, network_of, weight_shapes, yaml_of
from tests.helpers.paths import ROOT

DEVICE = load_device()
LOGITS = LayerDesign("linear", 10, relu=False, wide=True, bias=False)
FRONT = Design(
    "front",
    Shape(1, 28, 28),
    (
        LayerDesign("conv2d", 12, 3, pool=2, pool_stride=2, pool_average=True, bias=False),
        LayerDesign("conv2d", 16, 3, pad=1, pool=3, pool_stride=2, bits=4, bias=False),
        LayerDesign("conv2d", 16, 1, relu=False, bias=False),
        LOGITS,
    ),
    "CHW",
)
SERIES = Design(
    "series",
    Shape(9, 128, 1),
    (LayerDesign("conv1d", 8, 5, pool=2, pool_stride=2, bias=False), LayerDesign("conv1d", 8, 1, bias=False), LOGITS),
    crop=(4, 8),
)


@pytest.mark.parametrize("design", [FRONT, SERIES])
def test_the_planner_reads_what_a_design_says(design: Design) -> None:
    network = network_of(design, DEVICE)
    assert design_of(network) == design
    assert [layer.out_shape.channels for layer in network.layers] == [layer.outputs for layer in design.layers]


def test_a_network_of_a_design_has_the_weights_given() -> None:
    rng = np.random.default_rng(1)
    weights = [
        LayerWeights(
            name=name,
            shape=shape,
            weights=rng.integers(-8, 8, shape).astype(np.int8),
            bias=rng.integers(-128, 128, shape[0]).astype(np.int8),
            bits=layer.bits,
            output_shift=-1,
        )
        for name, shape, layer in zip(layer_names(FRONT), weight_shapes(FRONT), FRONT.layers, strict=True)
    ]
    for layer, given in zip(network_of(FRONT, DEVICE, weights).layers, weights, strict=True):
        assert layer.weights is not None and layer.bias is not None and given.bias is not None
        assert np.array_equal(layer.weights, given.weights) and np.array_equal(layer.bias, given.bias)
        assert layer.output_shift == -1


def test_a_yaml_is_that_of_a_user(tmp_path: Path) -> None:
    path = tmp_path / "front.yaml"
    path.write_text(yaml_of(FRONT, "MNIST", "For digits."), encoding="utf-8")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[1] == "# For digits." and "  - op: conv2d  # 1x28x28 -> 1x14x14 -> 12x12x12" in lines
    network = load_network(path, DEVICE, weights=parse_shapes("12x1x3x3 16x12x3x3 16x16x1x1 10x400"))
    assert design_of(network) == FRONT


def test_designs_that_the_device_cannot_run_are_refused() -> None:
    long = replace(FRONT, layers=(LayerDesign("conv2d", 12, 5), LOGITS))
    with pytest.raises(InputError, match="2-D convolutions are 3x3 or 1x1"):
        network_of(long, DEVICE)
    small = replace(FRONT, layers=(LayerDesign("conv2d", 4, 3, pool=16, pool_stride=16), LOGITS))
    with pytest.raises(InputError, match="layer 0 leaves nothing of an input of 1x28x28"):
        network_of(small, DEVICE)


def test_the_design_of_a_users_network_is_taken_from_its_yaml() -> None:
    path = ROOT / "examples/mnist/main.yaml"
    design = design_of(load_network(path, DEVICE, path.with_suffix(".pth.tar")))
    assert [(layer.outputs, layer.kernel, layer.pad, layer.pool) for layer in design.layers] == [
        (60, 3, 1, 1),
        (60, 3, 2, 2),
        (56, 3, 1, 2),
        (12, 3, 1, 2),
        (10, 1, 0, 1),
    ]
    assert design.data_format == "CHW" and design.layers[-1].wide and design.layers[-1].bias


def test_what_a_design_cannot_say_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text("arch: a\ndataset: MNIST\nlayers:\n  - {op: conv2d, activate: abs}\n", encoding="utf-8")
    network = load_network(path, DEVICE, weights=parse_shapes("4x1x3x3"))
    with pytest.raises(InputError, match=r"network.yaml:4: layer `0` cannot be trained: `activate: abs`"):
        design_of(network)
