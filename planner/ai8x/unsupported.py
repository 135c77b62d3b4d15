"""What an ai8x network YAML can ask for and the device (or Offramp) does not support: one function for each.

A rule takes one layer's description and returns the key that asks for what is not supported, or None. Its docstring is
the user's message and a line of docs/SUPPORTED.md. Sources: README of analogdevicesinc/ai8x-synthesis, "Limitations of
MAX78000 Networks" and the notes on its keys; izer's tornadocnn.py (MAX78002 features).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic
from offramp.planner.ai8x.description import Description, LayerDescription
from offramp.planner.rules.docstrings import message_of, numbers_of

Rule = Callable[[LayerDescription], str | None]


def groups(layer: LayerDescription) -> str | None:
    """Convolutions have one group: depthwise and other grouped convolutions are not supported."""
    return "groups" if layer.convolution.groups > 1 else None


def binary_weights(layer: LayerDescription) -> str | None:
    """Weights have 1, 2, 4 or 8 bits; binary (-1/+1) weights are not supported (one-bit weights are 0 and -1)."""
    return "quantization" if layer.convolution.weight_bits == -1 else None


def bypass(layer: LayerDescription) -> str | None:
    """There is no kernel bypass; use `op: passthrough`."""
    return "bypass" if layer.entry["bypass"] else None


def readahead(layer: LayerDescription) -> str | None:
    """There is no read-ahead of input data."""
    return "readahead" if layer.entry["readahead"] else None


def calcx4(layer: LayerDescription) -> str | None:
    """There is no `calcx4` (four times faster 3x3 convolution)."""
    return "calcx4" if layer.entry["calcx4"] else None


def tcalc(layer: LayerDescription) -> str | None:
    """There is no `tcalc`."""
    return "tcalc" if layer.entry["tcalc"] else None


def read_gap(layer: LayerDescription) -> str | None:
    """Input words are read without gaps: `in_skip`/`read_gap` must be 0."""
    return "in_skip" if layer.entry["in_skip"] else None


def channel_skip(layer: LayerDescription) -> str | None:
    """A layer reads its input from its first channel on: `in_channel_skip` must be 0."""
    return "in_channel_skip" if layer.entry["in_channel_skip"] else None


def pool_dilation(layer: LayerDescription) -> str | None:
    """Pooling windows are not dilated: `pool_dilation` must be 1."""
    return "pool_dilation" if layer.pooling.dilation != (1, 1) else None


def next_sequence(layer: LayerDescription) -> str | None:
    """Layers run one after the other; there is no link to another next layer."""
    allowed = (None, layer.index + 1, "stop", "Stop", -1)
    return None if layer.entry["next_sequence"] in allowed else "next_sequence"


def simulated_sequence(layer: LayerDescription) -> str | None:
    """There is no `simulated_sequence`: layers run one after the other."""
    return "simulated_sequence" if "simulated_sequence" in layer.entry else None


def snoop_sequence(layer: LayerDescription) -> str | None:
    """There is no snooping of data in flight (`snoop_sequence`)."""
    return "snoop_sequence" if "snoop_sequence" in layer.entry else None


def stride(layer: LayerDescription) -> str | None:
    """Convolutions move by one pixel, transposed ones by two; to skip pixels use pooling or `pool_stride`."""
    allowed = {"convtranspose2d": (2, 2), "passthrough": layer.convolution.stride}.get(layer.op, (1, 1))
    return None if layer.convolution.stride == allowed else "stride"


def square_pool_stride(layer: LayerDescription) -> str | None:
    """The pooling stride is the same for rows and columns, but for data with one column (`pool_stride: [4, 1]`)."""
    rows, cols = layer.pooling.stride
    return None if cols in (rows, 1) or layer.op == "conv1d" else "pool_stride"


def output_pad(layer: LayerDescription) -> str | None:
    """Transposed convolutions have `output_pad: 1`; other layers have none."""
    stated = layer.entry["output_pad"]
    allowed = (None, 1) if layer.op == "convtranspose2d" else (None, 0)
    return None if stated in allowed else "output_pad"


def passthrough_shift(layer: LayerDescription) -> str | None:
    """`output_shift` needs a convolution."""
    return "output_shift" if layer.op == "passthrough" and layer.convolution.shift else None


LAYER_RULES: tuple[Rule, ...] = (
    groups,
    binary_weights,
    bypass,
    readahead,
    calcx4,
    tcalc,
    read_gap,
    channel_skip,
    pool_dilation,
    next_sequence,
    simulated_sequence,
    snoop_sequence,
    stride,
    square_pool_stride,
    output_pad,
    passthrough_shift,
)


def snoop(description: Description) -> str | None:
    """There is no snooping of data in flight (`snoop`)."""
    return "snoop" if "snoop" in description.features else None


def unload(description: Description) -> str | None:
    """Outputs are the last layer's and those marked `output: true`; a list of what to unload (`unload`) is not
    supported (a limit of Offramp)."""
    return "unload" if "unload" in description.features else None


# What a rule refuses on devices without this feature (configs/device_reader.py lists them) is there on others.
FEATURES: Mapping[Callable[..., str | None], str] = {
    groups: "depthwise",
    binary_weights: "binary_weights",
    bypass: "bypass",
    readahead: "readahead",
    calcx4: "calcx4",
    tcalc: "tcalc",
    read_gap: "read_gap",
    pool_dilation: "pool_dilation",
    next_sequence: "links",
    snoop_sequence: "snoop",
    snoop: "snoop",
}

NETWORK_RULES: tuple[Callable[[Description], str | None], ...] = (snoop, unload)


def check_description(description: Description, device: Device) -> tuple[Diagnostic, ...]:
    """Everything unsupported that the description asks for, in the order of the file."""
    numbers = numbers_of(device)
    left_out = {rule for rule, feature in FEATURES.items() if feature in device.features}
    problems = []
    for rule in NETWORK_RULES:
        key = None if rule in left_out else rule(description)
        if key:
            problems.append(Diagnostic(description.features[key], f"`{key}`. {message_of(rule, numbers)}"))
    for layer in description.layers:
        for layer_rule in LAYER_RULES:
            key = None if layer_rule in left_out else layer_rule(layer)
            if key:
                asked = f"{layer.label}: `{key}: {layer.entry.stated[key]}`. {message_of(layer_rule, numbers)}"
                problems.append(Diagnostic(layer.entry.at(key), asked))
    return tuple(problems)
