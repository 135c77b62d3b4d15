"""Stages on the accelerator model without firmware."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from offramp.configs.device import load_device
from offramp.corpus.direct import ModelRunner, run_all
from offramp.planner.allocation.place import place
from offramp.planner.ir.chain import Chain, Stage, cut, slots_of, whole
from offramp.planner.ir.network import Network, Shape
from offramp.planner.reference.layers import run_network
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.errors import AcceleratorError
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()
SHAPE = Shape(4, 6, 6)


class Counting(Accelerator):
    """Counts single writes, which are those to registers."""

    writes = 0

    def write(self, address: int, value: int) -> None:
        self.writes += 1
        super().write(address, value)


def network(last_width: int = 8) -> Network:
    """Three layers; biases, so that a quadrant's bias memory matters too."""
    rng = np.random.default_rng(4)
    layers = [make_layer(SHAPE, 4, rng, output_shift=-4, bias=np.arange(4).astype(np.int8)) for _ in range(3)]
    layers[2] = replace(layers[2], output_width=last_width)
    return make_network(*(replace(layer, processors=0xF, output_processors=0xF) for layer in layers))


def inputs(count: int) -> list[npt.NDArray[np.int8]]:
    return list(np.random.default_rng(5).integers(-128, 128, (count, 4, 6, 6)).astype(np.int8))


def loaded(chain: Chain) -> tuple[ModelRunner, Counting]:
    accelerator = Counting(DEVICE)
    machine = ModelRunner(place(chain, DEVICE), accelerator)
    machine.load()
    return machine, accelerator


@pytest.mark.parametrize("width", [8, 32])
@pytest.mark.parametrize("after", [None, 0, 1])
def test_the_reference_agrees(width: int, after: int | None) -> None:
    """Inference after inference, negative results among them, in one stage or two."""
    net = network(width)
    machine, _ = loaded(whole("net", net) if after is None else cut("net", net, after))
    x = inputs(3)
    found = run_all(machine, x)
    assert found.dtype == np.int32
    assert (found < 0).any()
    assert np.array_equal(found, run_network(net, np.stack(x))[2])


@pytest.mark.parametrize("width", [8, 32])
def test_a_widely_dilated_convolution_answers_behind_its_surplus(width: int) -> None:
    """The surplus results of the 2-D form that it runs in are as wide as its own."""
    layer = make_layer(Shape(2, 13, 1), 3, op="conv1d", kernel=(3, 1), pad=(0, 0), dilation=5, output_width=width)
    net = make_network(replace(layer, processors=0x3, output_processors=0x70))
    x = np.random.default_rng(5).integers(-128, 128, (3, 2, 13, 1)).astype(np.int8)
    machine, _ = loaded(whole("net", net))
    assert np.array_equal(run_all(machine, list(x)), run_network(net, x)[0])


def test_any_tensor_can_be_read() -> None:
    """What the first stage leaves is where the second one reads it."""
    net = network()
    machine, _ = loaded(cut("net", net, 0))
    (x,) = inputs(1)
    machine.write_input(x)
    machine.run_stage(0)
    assert np.array_equal(machine.read("net/0"), run_network(net, x[None], keep=(0,))[0][0])


def test_a_stage_is_configured_once_and_then_switched_to() -> None:
    net = network()
    machine, accelerator = loaded(cut("net", net, 1))
    machine.write_input(inputs(1)[0])
    counts = []
    for stage in (0, 0, 1, 0):
        before = accelerator.writes
        machine.run_stage(stage)
        counts.append(accelerator.writes - before)
    start_and_stop = counts[1]
    switch = machine.switching
    assert [count - start_and_stop for count in counts] == [
        len(switch.configure(0)),
        0,
        len(switch.transition(0, 1)),
        len(switch.transition(1, 0)),
    ]
    assert 0 < len(switch.transition(0, 1)) < len(switch.configure(1)) // 3


def test_leaving_early_needs_no_second_stage() -> None:
    """Any order of stages a chain can take: 0, then the next inference; or 0, 1, 2 and back."""
    net = network()
    bounds = ((0, 1), (1, 2), (2, 3))
    stages = tuple(Stage(str(a), slots_of("net", net, net.layers[a:b]), f"net/{a}") for a, b in bounds)
    machine, _ = loaded(Chain({"net": net}, stages, {"net": True}))
    x = inputs(4)
    expected = run_network(net, np.stack(x), keep=(0, 1))
    for number, last in enumerate((0, 2, 1, 2)):
        machine.write_input(x[number])
        for stage in range(last + 1):
            machine.run_stage(stage)
        assert np.array_equal(machine.read(f"net/{last}"), expected[last][number])


def test_weights_that_were_not_loaded_are_noticed() -> None:
    machine = ModelRunner(place(whole("net", network()), DEVICE))
    machine.write_input(inputs(1)[0])
    with pytest.raises(AcceleratorError):
        machine.run_stage(0)


def test_an_input_that_was_not_written_is_noticed() -> None:
    machine, _ = loaded(whole("net", network()))
    with pytest.raises(AcceleratorError, match="layer 0"):
        machine.run_stage(0)
