"""How inputs from other layers must lie, rule by rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from offramp.configs.device import load_device
from offramp.planner.ir.network import INPUT, Network, Shape
from offramp.planner.rules import inputs as rules_inputs
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()
BESIDE: dict[str, Any] = {"out_offset": 0x1000, "write_gap": 0}


def joined(channels: int, first: int, second: int, operands: int, **values: Any) -> Network:
    """Two copies of the input, at 0x1000 and 0x1004 with a gap, that a third layer joins; `values` are the third's."""
    copy = make_layer(Shape(channels, 8, 8), 0, op="passthrough", out_offset=0x1000, write_gap=1)
    left = replace(copy, output_processors=first)
    right = replace(copy, index=1, output_processors=second, out_offset=0x1004)
    placed: dict[str, Any] = {"in_offset": 0x1000, "processors": first | second, "inputs": (0, 1)}
    last = replace(copy, index=2, operands=operands, **{**placed, **values})
    return replace(make_network(copy, input_shape=Shape(channels, 8, 8)), layers=(left, right, last))


def apart(network: Network, **values: Any) -> Network:
    """The network with fields of its second layer replaced."""
    first, second, last = network.layers
    return replace(network, layers=(first, replace(second, **values), last))


@pytest.mark.parametrize(
    ("network", "broken"),
    [
        (joined(4, 0xF, 0xF, 2), []),
        (joined(4, 0xF, 0xF, 1), []),
        (joined(4, 0xF, 0xF0, 2), ["operand_processors"]),
        (joined(4, 0xF, 0xF, 2, inputs=(INPUT, 1)), ["input_operand"]),
        (joined(4, 0xF, 0xF, 2, inputs=(0, 0)), ["distinct_inputs"]),
        (apart(joined(5, 0x1F, 0x3E0, 1), **BESIDE), ["concatenation", "source_gaps"]),
        (apart(joined(5, 0x1F, 0x1F00, 1), **BESIDE), ["source_gaps"]),
        (apart(joined(4, 0xF0, 0xF, 1), **BESIDE), ["joined_order", "source_gaps"]),
        (joined(4, 0xF0, 0xF, 1, inputs=(1, 0), in_offset=0x1000), ["source_offsets", "source_gaps"]),
        (joined(4, 0xF, 0xF, 2, processors=0xF0), ["source_processors"]),
        (joined(4, 0xF, 0xF, 2, in_offset=0x2000), ["source_offsets"]),
        (apart(joined(4, 0xF, 0xF, 2), out_offset=0x1008), ["source_offsets"]),
        (apart(joined(4, 0xF, 0xF, 2), write_gap=0), ["source_gaps"]),
        (apart(joined(4, 0xF, 0xF0, 1), **BESIDE), ["source_gaps"]),
        (joined(4, 0xF, 0xF, 1, inputs=(1,), in_offset=0x1004), ["source_gaps"]),
        (apart(joined(4, 0xF, 0xF, 2), out_offset=None), []),
        (apart(joined(4, 0xF, 0xF, 2), out_offset=None, write_gap=0), []),
        (apart(joined(4, 0xF, 0xF, 2), out_offset=None, write_gap=2), ["source_gaps"]),
        (apart(joined(4, 0xF, 0xF0, 1), out_offset=None), ["source_gaps"]),
        (joined(4, 0xF, 0xF0, 1, inputs=(INPUT, 1), in_offset=None), ["source_gaps"]),
        (joined(64, (1 << 64) - 1, (1 << 64) - 1, 1), []),
        (joined(60, (1 << 60) - 1, (1 << 60) - 1, 1), []),
        (joined(128, (1 << 64) - 1, (1 << 64) - 1, 1), ["joined_passes", "source_offsets"]),
        (apart(joined(128, (1 << 64) - 1, (1 << 64) - 1, 1), out_offset=0x1008), ["joined_passes"]),
    ],
)
def test_how_inputs_must_lie(network: Network, broken: list[str]) -> None:
    found = [rule.__name__ for rule in rules_inputs.INPUT_RULES if rule(network.layers[2], network, DEVICE)]
    assert found == broken
