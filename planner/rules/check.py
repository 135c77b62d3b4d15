"""The rules that a network must keep so that the device can run it, applied to all layers at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic
from offramp.planner.hardware.hw_layer import passes_of
from offramp.planner.ir.chain import INPUT_TENSOR, Chain
from offramp.planner.ir.cuts import boundaries
from offramp.planner.ir.network import Layer, Network
from offramp.planner.rules.abilities import (
    ABILITY_RULES,
    binary_passes,
    bypass_once,
    conv1d_padding,
    depthwise_bias,
    depthwise_groups,
    depthwise_processors,
    depthwise_wide,
    eltwise_bias,
    four_outputs,
    pool_dilation_reach,
    pool_dilation_windows,
    read_gap_once,
    readahead_memories,
    streamed_passthrough,
    transposed_pooling,
    zeros_between,
)
from offramp.planner.rules.buffers import BUFFER_RULES
from offramp.planner.rules.docstrings import message_of, numbers_of
from offramp.planner.rules.inputs import INPUT_RULES
from offramp.planner.rules.memory import MEMORY_RULES
from offramp.planner.rules.operators import OPERATOR_RULES, eltwise_passes, passthrough_pooling
from offramp.planner.rules.streams import STREAM_RULES, streamed_reset, streaming_padding

LayerRule = Callable[[Layer, Network, Device], str | None]
NetworkRule = Callable[[Network, Device], str | None]


def layer_count(network: Network, device: Device) -> str | None:
    """A run has at most {layers} layers; a network of more takes several runs, and at most {layers} layers lie between
    two places where it can be cut. Pooling and element-wise operations in front of a convolution are no layers of their
    own."""
    if len(network.layers) <= device.geometry.layers:
        return None
    reasons = {boundary.after: boundary.reason for boundary in boundaries(network)}
    ends = [after for after, reason in reasons.items() if not reason] + [len(network.layers) - 1]
    for before, end in pairwise((-1, *ends)):
        if end - before > device.geometry.layers:
            first, last = network.layers[before + 1].label, network.layers[end].label
            why = reasons[before + device.geometry.layers]
            return f"{end - before} layers, `{first}` to `{last}`, that have to run together: {why}"
    return None


def quadrant_zero(network: Network, device: Device) -> str | None:
    """Quadrant 0 (processors 0 to {last_of_quadrant}) is used by at least one layer; a head's stage uses it anyway."""
    maps = [layer.processors for layer in network.layers] + [network.layers[-1].output_processors]
    first = (1 << device.geometry.processors_per_quadrant) - 1
    return "no processor of quadrant 0" if all(maps) and not any(used & first for used in maps) else None


def streaming_rows(network: Network, device: Device) -> str | None:
    """The rows that streaming layers keep in between (padded columns, less kernel, times passes) fit {tram_words}
    words."""
    used = 0
    for layer in network.layers:
        if layer.streaming:
            width = layer.pooled[1] + 2 * layer.pad[1] - layer.kernel[1] + 1
            used += width * passes_of(layer.in_shape.channels, device)[0]
    return f"{used} words" if used > device.memories["tram"].words else None


def binary_alike(network: Network, device: Device) -> str | None:
    """Weights of 1 bit are either all 0 and -1 or all -1 and +1 (binary)."""
    kinds = {layer.binary for layer in network.layers if layer.has_weights and layer.weight_bits == 1}
    return "both kinds of 1-bit weights" if len(kinds) > 1 else None


GROUPS: tuple[tuple[str, tuple[LayerRule, ...]], ...] = (
    ("Operators", OPERATOR_RULES),
    ("Data, weights and processors", MEMORY_RULES),
    ("Inputs from other layers", INPUT_RULES),
    ("Rolling data buffers", BUFFER_RULES),
    ("Streaming and FIFO input", STREAM_RULES),
    ("Abilities that not every device has", ABILITY_RULES),
)
LAYER_RULES = tuple(rule for _, rules in GROUPS for rule in rules)
NETWORK_RULES: tuple[NetworkRule, ...] = (layer_count, quadrant_zero, streaming_rows, binary_alike)

# Rules that a feature of the device lifts, and rules that only devices have with a feature, a limit or a form of the
# layers' registers.
LIFTED: Mapping[LayerRule | NetworkRule, str] = {
    eltwise_passes: "eltwise_passes",
    passthrough_pooling: "passthrough_passes",
    streaming_padding: "unpadded_streams",
}
NEEDED: Mapping[LayerRule | NetworkRule, str] = {
    depthwise_groups: "depthwise",
    depthwise_processors: "depthwise",
    depthwise_wide: "depthwise",
    depthwise_bias: "depthwise",
    four_outputs: "calcx4",
    bypass_once: "bypass",
    binary_passes: "binary_weights",
    zeros_between: "binary_weights",
    pool_dilation_reach: "pool_dilation",
    pool_dilation_windows: "pool_dilation",
    read_gap_once: "read_gap",
    readahead_memories: "readahead",
    eltwise_bias: "eltwise_passes",
    streamed_passthrough: "unpadded_streams",
    streamed_reset: "pool_reset",
    transposed_pooling: "window",
    conv1d_padding: "conv1d_pad_channels",
    binary_alike: "binary_weights",
}


def holds_for(rule: LayerRule | NetworkRule, device: Device) -> bool:
    """Whether a device has a rule."""
    needed = NEEDED.get(rule)
    known = needed is None or needed in device.features or needed in device.limits or needed == device.layer_form
    return known and LIFTED.get(rule) not in device.features


def check_chain(chain: Chain, device: Device) -> tuple[Diagnostic, ...]:
    """Every rule that a network of the chain breaks, heads included."""
    reading = {slot.network for slot in chain.slots if INPUT_TENSOR in slot.reads}
    found = [check_network(network, device, name not in reading) for name, network in chain.networks.items()]
    return tuple(dict.fromkeys(problem for problems in found for problem in problems))


def check_network(network: Network, device: Device, head: bool = False) -> tuple[Diagnostic, ...]:
    """Every rule that the network breaks, with the place of the layer; empty if the device can run it. `head`: it runs
    in a stage of another network, so that what holds for a whole run is not asked of it.

    Whether all layers together fit the memories is not decided here but by placement.
    """
    numbers = numbers_of(device)
    problems = []
    for network_rule in NETWORK_RULES:
        asked = network.layers and holds_for(network_rule, device) and not (head and network_rule is quadrant_zero)
        found = network_rule(network, device) if asked else None
        if found:
            problems.append(Diagnostic(network.where, f"{found}. {message_of(network_rule, numbers)}"))
    layer_rules = [rule for rule in LAYER_RULES if holds_for(rule, device)]
    for layer in network.layers:
        for rule in layer_rules:
            found = rule(layer, network, device)
            if found:
                label = f"layer {layer.index} ({layer.name})" if layer.name else f"layer {layer.index}"
                problems.append(Diagnostic(layer.where, f"{label}: {found}. {message_of(rule, numbers)}"))
    return tuple(problems)
