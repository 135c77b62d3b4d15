"""The keys of an ai8x network YAML: synonyms, how their values are read, and what holds without them.

Keys, synonyms and defaults as in the README of analogdevicesinc/ai8x-synthesis, "Network Description File", and its
izer/yamlcfg.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from offramp.configs.errors import Diagnostic, Where
from offramp.configs.lines import LineMap
from offramp.planner.ai8x import yaml_values as read
from offramp.planner.ai8x.yaml_values import Reader
from offramp.planner.ir.network import Eltwise, Op

PROCESSORS = 64  # width of the processor maps in the file format
RESERVED_NAMES = ("stop", "input")  # where a layer's name is expected


@dataclass(frozen=True)
class Key:
    """A key of the YAML, its synonyms, how to read its value and what holds without it."""

    names: tuple[str, ...]
    read: Reader
    default: Any = None


_ELTWISE: dict[str, Eltwise] = {
    "add": "add",
    "sub": "sub",
    "or": "or",
    "bitwiseor": "or",
    "bitwise_or": "or",
    "xor": "xor",
    "bitwisexor": "xor",
    "bitwise_xor": "xor",
}
_OPS: dict[str, tuple[Op, Eltwise | None]] = {
    "conv1d": ("conv1d", None),
    "conv2d": ("conv2d", None),
    "convtranspose2d": ("convtranspose2d", None),
    "linear": ("linear", None),
    "fc": ("linear", None),
    "mlp": ("linear", None),
    "none": ("passthrough", None),
    "passthrough": ("passthrough", None),
    **{name: ("passthrough", function) for name, function in _ELTWISE.items()},
}
_MAP = read.processors(PROCESSORS)
_NUMBER = read.integer(0)

LAYER_KEYS = (
    Key(("op", "operation", "operator", "convolution"), read.one_of(_OPS), ("conv2d", None)),
    Key(("eltwise",), read.one_of(_ELTWISE)),
    Key(("operands",), read.integer(2)),
    Key(("max_pool",), read.pair(1)),
    Key(("avg_pool",), read.pair(1)),
    Key(("pool_stride",), read.pair(1), (1, 1)),
    Key(("pool_first",), read.boolean, True),
    Key(("pool_dilation",), read.pair(1), (1, 1)),
    Key(("kernel_size",), read.kernel),
    Key(("pad",), _NUMBER),
    Key(("stride",), read.pair(1)),
    Key(("dilation",), read.pair(1), (1, 1)),
    Key(("groups", "conv_groups"), read.integer(1), 1),
    Key(("output_pad",), _NUMBER, 1),
    Key(("flatten",), read.boolean, False),
    Key(("activate", "activation"), read.one_of({"relu": "relu", "abs": "abs", "none": "none"}), "none"),
    Key(("quantization",), read.one_of({1: 1, 2: 2, 4: 4, 8: 8, "bin": -1, "binary": -1})),
    Key(("output_shift",), read.integer(-31, 31)),
    Key(("output_width",), read.one_of({8: 8, 32: 32}), 8),
    Key(("streaming",), read.boolean, False),
    Key(("data_format",), read.one_of({"hwc": "HWC", "little": "HWC", "chw": "CHW", "big": "CHW"}), "HWC"),
    Key(("in_sequences",), read.sequences),
    Key(("in_channels",), read.integer(1)),
    Key(("in_dim",), read.dimensions),
    Key(("out_channels",), read.integer(1)),
    Key(("in_offset",), _NUMBER),
    Key(("out_offset",), _NUMBER),
    Key(("processors",), _MAP, 0),
    Key(("output_processors",), _MAP, 0),
    Key(("write_gap",), _NUMBER, 0),
    Key(("output",), read.boolean, False),
    Key(("name",), read.text),
    Key(("weight_source",), read.sequence),
    Key(("sequence",), _NUMBER),
    Key(("next_sequence",), read.sequence),
    Key(("simulated_sequence",), read.sequence),
    Key(("snoop_sequence",), read.sequence),
    Key(("bypass",), read.boolean),
    Key(("calcx4",), read.boolean),
    Key(("readahead",), read.boolean),
    Key(("tcalc",), read.boolean),
    Key(("in_skip", "read_gap"), _NUMBER),
    Key(("in_channel_skip",), _NUMBER),
    Key(("in_crop",), read.pair(0)),
    Key(("bias_group", "bias_quadrant"), read.anything),
    Key(("buffer_shift",), read.integer(1)),
    Key(("buffer_insert",), read.integer(1)),
)
TOP_KEYS = (
    Key(("arch",), read.text, ""),
    Key(("dataset",), read.text, ""),
    Key(("layers",), read.anything),
    Key(("output_map",), _MAP, 0),
    Key(("bias",), read.text),
    Key(("weights",), read.text),
    Key(("snoop",), read.anything),
    Key(("data_buffer",), read.anything),
    Key(("unload",), read.anything),
)
BUFFER_KEYS = (
    Key(("name",), read.text),
    Key(("processors",), _MAP),
    Key(("dim",), read.dimensions),
    Key(("channels",), read.integer(1)),
    Key(("offset",), _NUMBER),
    Key(("width",), read.one_of({8: 8}), 8),
)


def read_keys(
    data: LineMap, keys: tuple[Key, ...], problems: list[Diagnostic]
) -> tuple[dict[str, Any], dict[str, tuple[Where, Any]]]:
    """Values of all keys (defaults filled in), and for those that are there their place and value as it stands."""
    known = {name for key in keys for name in key.names}
    for name in data:
        if name not in known:
            problems.append(Diagnostic(data.at(name), f"unknown key `{name}`; allowed: {', '.join(sorted(known))}"))
    found: dict[str, Any] = {}
    places: dict[str, tuple[Where, Any]] = {}
    for key in keys:
        found[key.names[0]] = key.default
        given = [name for name in data if name in key.names]
        if len(given) > 1:
            problems.append(Diagnostic(data.at(given[1]), f"`{given[0]}` and `{given[1]}` mean the same; give one"))
        for name in given[:1]:
            places[key.names[0]] = (data.at(name), data[name])
            try:
                found[key.names[0]] = key.read(data[name])
            except ValueError as error:
                problems.append(Diagnostic(data.at(name), f"`{name}: {data[name]}`; {error}"))
    return found, places
