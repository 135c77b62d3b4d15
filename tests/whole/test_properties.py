"""Random networks: generated programs on the accelerator model give what the integer reference gives, cut or not.

`OFFRAMP_EXAMPLES=2000 pytest tests/whole/test_properties.py` searches further, from another point each time; whole
applications are drawn by `python -m bench.applications`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from offramp.codegen.lower import lower
from offramp.codegen.probe import probe_of
from offramp.configs.device import load_device
from offramp.configs.errors import Infeasible, InputError
from offramp.corpus.cuts import judge_both_ways, judge_cut
from offramp.corpus.direct import ModelRunner
from offramp.planner.allocation.place import Placed, place
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.ir.chain import whole
from offramp.planner.ir.cuts import legal_cuts
from offramp.planner.ir.network import Layer, Network
from offramp.planner.reference.layers import run_network
from offramp.planner.reference.sequence import run_in_order
from offramp.planner.rules.check import check_network
from tests.helpers.random_networks import networks
from tests.helpers.random_special import rolling_networks, streaming_networks
from tests.helpers.searches import SETTINGS

DEVICE = load_device()


def supported(network: Network) -> tuple[Network, Placed]:
    """The network with all processors, and its placement; the example is dropped if our own rules refuse it."""
    try:
        network = complete(network, DEVICE, no_columns_occupied(DEVICE))
        assume(not check_network(network, DEVICE))
        return network, place(whole("network", network), DEVICE)
    except (InputError, Infeasible):
        assume(False)
        raise


def sample(network: Network) -> npt.NDArray[np.int8]:
    shape = network.input_shape
    return np.random.default_rng(0).integers(-128, 128, (shape.channels, shape.rows, shape.cols)).astype(np.int8)


@pytest.mark.slow
@SETTINGS
@given(networks(), st.data())
def test_generated_programs_give_the_reference_cut_or_not(network: Network, data: st.DataObject) -> None:
    check_answers(network, data)


@settings(SETTINGS, max_examples=max(1, SETTINGS.max_examples // 3))
@given(streaming_networks(), st.data())
def test_so_do_programs_that_stream(network: Network, data: st.DataObject) -> None:
    check_answers(network, data)


@settings(SETTINGS, max_examples=max(1, SETTINGS.max_examples // 2))
@given(rolling_networks(), st.data())
def test_rolling_buffers_keep_what_earlier_inputs_left(network: Network, data: st.DataObject) -> None:
    """Six inputs one after the other, in one stage or in two, with junk everywhere before, and wherever nothing lives
    between stages."""
    network, placed = supported(network)
    for layer in network.layers:
        note(describe(layer))
    rng = np.random.default_rng(1)
    shape = network.input_shape
    x = rng.integers(-128, 128, (6, shape.channels, shape.rows, shape.cols)).astype(np.int8)
    answers = list(run_in_order(network, x)[network.layers[-1].index].astype(np.int32))
    assert judge_both_ways(placed, list(x), answers, rng) == ()
    after = data.draw(st.sampled_from(legal_cuts(network)), "cut after")
    assert judge_cut(network, after, list(x), answers, DEVICE) == ()


def check_answers(network: Network, data: st.DataObject) -> None:
    """The whole network, and cut after one of the layers where that is legal."""
    network, placed = supported(network)
    for layer in network.layers:
        note(describe(layer))
    x = sample(network)
    answer = run_network(network, x[None])[network.layers[-1].index][0].astype(np.int32)
    rng = np.random.default_rng(0)
    assert judge_both_ways(placed, [x], [answer], rng) == ()
    if cuts := legal_cuts(network):
        after = data.draw(st.sampled_from(cuts), "cut after")
        assert judge_cut(network, after, [x, x], [answer, answer], DEVICE) == ()


@settings(SETTINGS, max_examples=max(1, SETTINGS.max_examples // 2))
@given(st.one_of(networks(), streaming_networks()))
def test_the_result_of_every_layer_that_a_probe_can_end_with_is_in_memory(network: Network) -> None:
    """Unless a streaming layer follows."""
    network, placed = supported(network)
    for layer in network.layers:
        note(describe(layer))
    x = sample(network)
    expected = run_network(network, x[None], range(len(network.layers)))
    probed = probe_of(lower(placed)).layers
    streaming = [layer.streaming for layer in network.layers]
    assert [part.result is None for part in probed] == [*streaming[1:], False]
    machine = ModelRunner(placed)
    machine.load()
    for part in probed:
        if part.result:
            machine.write_input(x)
            machine.run_stage(0, part)
            assert machine.accelerator.layers_run == list(range(part.layer + 1))
            assert (machine.read(part.slot.writes) == expected[part.layer][0]).all()


def describe(layer: Layer) -> str:
    """Enough to make the layer again."""
    named = (
        *("op", "inputs", "operands", "eltwise", "pool_first", "pool", "pool_stride", "pool_average", "kernel", "pad"),
        *("dilation", "flatten", "activation", "weight_bits", "output_shift", "output_width", "data_format"),
        *("processors", "output_processors", "in_offset", "out_offset", "write_gap"),
    )
    values = ", ".join(f"{name}={getattr(layer, name)}" for name in named)
    return f"{layer.index}: {layer.in_shape} -> {layer.out_shape}, {values}, bias={layer.bias is not None}"
