"""The forward pass of training gives the integers of the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.planner.ir.network import Shape
from offramp.planner.reference.layers import run_network
from offramp.training.arithmetic import weight_unit
from offramp.training.design import Bits, Design, LayerDesign, network_of
from offramp.training.model import initial_parameters, integers, real_parameters, results
from offramp.training.task import Arrays
from tests.helpers.designs import LOGITS, SMALL, any_inputs, designs

DEVICE = load_device()


def forward(design: Design, parameters: Arrays, x: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    """Results of the last layer in the reference's units."""
    tensors = [torch.from_numpy(values) for values in parameters]
    found = results(design, tensors, torch.from_numpy(x.astype(np.float32))).double().numpy()
    last = design.layers[-1]
    scaled: npt.NDArray[np.float64] = found / (weight_unit(0, last.bits) if last.wide else 1)
    return scaled


def reference(design: Design, parameters: Arrays, x: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    network = network_of(design, DEVICE, integers(design, parameters))
    return run_network(network, x)[len(design.layers) - 1].reshape(len(x), -1).astype(np.int64)


def scattered(design: Design, seed: int, scale: float) -> Arrays:
    """Parameters with biases, of any size."""
    rng = np.random.default_rng(seed)
    return tuple(
        (values + rng.standard_normal(values.shape) * 0.1).astype(np.float32) * np.float32(scale)
        for values in initial_parameters(design, seed)
    )


@settings(max_examples=40, deadline=None)
@given(designs(), st.integers(0, 1000), st.sampled_from((0.01, 0.3, 1.0, 7.0)))
def test_forward_equals_the_reference_on_every_value(design: Design, seed: int, scale: float) -> None:
    parameters = scattered(design, seed, scale)
    x = any_inputs(design.input, 6, seed)
    try:
        network_of(design, DEVICE)
    except InputError:
        assume(False)
    assert np.array_equal(forward(design, parameters, x), reference(design, parameters, x))


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_wide_logits_of_many_channels_are_exact(bits: Bits) -> None:
    first = LayerDesign("conv2d", 60, 3, pad=1)
    design = Design("deep", Shape(3, 8, 8), (first, replace(first, pool=2, pool_stride=2), replace(LOGITS, bits=bits)))
    parameters = scattered(design, 1, 1.0)
    x = any_inputs(design.input, 4)
    assert np.array_equal(forward(design, parameters, x), reference(design, parameters, x))


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_training_can_go_on_from_integers(bits: Bits) -> None:
    design = replace(SMALL, layers=tuple(replace(layer, bits=bits) for layer in SMALL.layers))
    weights = integers(design, scattered(design, 3, 0.7))
    again = integers(design, real_parameters(design, weights))
    x = any_inputs(design.input, 4)
    first, second = (run_network(network_of(design, DEVICE, one), x)[2] for one in (weights, again))
    assert np.array_equal(first, second)


def test_the_gradient_follows_the_values() -> None:
    """Rounding counts as the identity: a step along the gradient of a result changes it as foretold, in the mean."""
    parameters = [torch.from_numpy(values).requires_grad_() for values in scattered(SMALL, 5, 0.3)]
    x = torch.from_numpy(any_inputs(SMALL.input, 64).astype(np.float32))
    before = results(SMALL, parameters, x)[:, 0].mean()
    gradients = torch.autograd.grad(before, parameters)
    length = sum(float(gradient.square().sum()) for gradient in gradients)
    step = 2.0 / length**0.5 * 0.05
    moved = [values.detach() + step * gradient for values, gradient in zip(parameters, gradients, strict=True)]
    after = results(SMALL, moved, x)[:, 0].mean()
    assert 0.7 < float((after - before).detach()) / (step * length) < 1.3
