"""An ai8x network YAML as it stands: keys, synonyms and the defaults of a single layer, but no shapes yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offramp.configs.errors import Diagnostic, Where
from offramp.configs.lines import LineList, LineMap, load_yaml
from offramp.planner.ai8x.rolling_buffers import RollingBuffer, read_buffers
from offramp.planner.ai8x.yaml_keys import LAYER_KEYS, RESERVED_NAMES, TOP_KEYS, read_keys
from offramp.planner.ir.network import Activation, DataFormat, Eltwise, Op, ProcessorMap


@dataclass(frozen=True, eq=False)
class LayerText:
    """A layer as the YAML states it. None: not stated, and the default depends on other layers or the weights."""

    index: int
    where: Where
    lines: Mapping[str, Where]  # of each key that is there, by its first synonym
    stated: Mapping[str, Any]  # values of those keys as they stand in the file
    name: str | None
    op: Op
    eltwise: Eltwise | None
    operands: int
    pool: tuple[int, int]
    pool_average: bool
    pool_stride: tuple[int, int]
    pool_first: bool
    pool_dilation: tuple[int, int]
    kernel: tuple[int, int]
    pad: tuple[int, int]
    stride: tuple[int, int]
    dilation: int
    groups: int
    output_pad: int
    flatten: bool
    activation: Activation
    quantization: int | None  # 1, 2, 4 or 8; -1: binary (-1/+1)
    output_shift: int | None
    output_width: int
    streaming: bool
    data_format: DataFormat
    in_sequences: tuple[int | str, ...] | None
    in_channels: int | None
    in_dim: tuple[int, int] | None
    out_channels: int | None
    in_offset: int | None
    out_offset: int | None
    processors: ProcessorMap  # 0: not stated
    output_processors: ProcessorMap
    write_gap: int
    output: bool
    weight_source: int | str | None

    @property
    def label(self) -> str:
        return f"layer {self.index} ({self.name})" if self.name else f"layer {self.index}"

    def at(self, key: str) -> Where:
        """Place of a key, or of the layer if the key is not there."""
        return self.lines.get(key, self.where)

    @property
    def takes_weights(self) -> bool:
        """The layer has weights of its own in a checkpoint."""
        return self.op != "passthrough" and self.weight_source is None and not self.stated.get("bypass")


@dataclass(frozen=True, eq=False)
class Description:
    """A network YAML. `features` holds what is stated at the top level beyond the ordinary keys, with its place.

    `buffers`: rolling data buffers; None if they were not asked for.
    """

    arch: str
    dataset: str
    where: Where
    layers: tuple[LayerText, ...]
    output_map: ProcessorMap  # processors of the last layer's output; 0: not stated
    features: Mapping[str, Where]
    buffers: tuple[RollingBuffer, ...] | None = None


def read_description(path: Path, rolling_buffers: bool = False) -> tuple[Description | None, tuple[Diagnostic, ...]]:
    """Read a network YAML: the description (None if nothing can be made of the file) and all that is wrong with it.

    `rolling_buffers`: read those too, and how layers use them.
    """
    data = load_yaml(path)
    problems: list[Diagnostic] = []
    top, _ = read_keys(data, TOP_KEYS, problems)
    for key in ("arch", "dataset", "layers"):
        if key not in data:
            problems.append(Diagnostic(data.where, f"`{key}` is missing; arch, dataset and layers are needed"))
    entries = data.get("layers")
    if not isinstance(entries, LineList) or not entries:
        problems.append(Diagnostic(data.at("layers"), "`layers` must be a list with at least one layer"))
        return None, tuple(problems)
    layers = []
    for index, entry in enumerate(entries):
        if isinstance(entry, LineMap):
            layers.append(_read_layer(index, entry, problems))
        else:
            problems.append(Diagnostic(entries.at(index), f"layer {index}: keys and values are expected"))
    buffers = read_buffers(data, problems) if rolling_buffers else None
    _check_names(layers, buffers or (), problems)
    if buffers is not None and "data_buffer" not in data:
        _check_no_buffer(layers, problems)
    features = {key: data.at(key) for key in ("snoop", "data_buffer", "unload") if key in data}
    where = Where(data.where.file, data.where.line)
    description = Description(top["arch"], top["dataset"], where, tuple(layers), top["output_map"], features, buffers)
    return description, tuple(problems)


def _read_layer(index: int, data: LineMap, problems: list[Diagnostic]) -> LayerText:
    found, places = read_keys(data, LAYER_KEYS, problems)
    op, function = found["op"]
    eltwise = found["eltwise"] or function
    one_dimensional = op == "conv1d"
    pool = found["max_pool"] or found["avg_pool"] or (1, 1)
    pad = found["pad"] if found["pad"] is not None else (0 if op in ("passthrough", "linear") else 1)
    stride = found["stride"] or ((2, 2) if op == "convtranspose2d" else (1, 1))
    same_names = LayerText.__dataclass_fields__.keys() & found.keys()
    values = {name: found[name] for name in same_names}
    values |= {
        "op": op,
        "eltwise": eltwise,
        "operands": found["operands"] or (2 if eltwise else 1),
        "pool": (pool[0], 1) if one_dimensional else pool,
        "kernel": _kernel(op, found["kernel_size"], places, problems),
        "pad": (pad, 0) if one_dimensional else (pad, pad),
        "stride": (stride[0], 1) if one_dimensional else stride,
        "dilation": found["dilation"][0] if one_dimensional else max(found["dilation"]),
        "activation": found["activate"],
    }
    layer = LayerText(
        index=index,
        where=data.where,
        lines={name: place for name, (place, _) in places.items()},
        stated={name: value for name, (_, value) in places.items()},
        pool_average="max_pool" not in data and "avg_pool" in data,
        **values,
    )
    _check_layer(layer, problems)
    return layer


def _kernel(
    op: Op, size: tuple[int, ...] | None, places: Mapping[str, tuple[Where, Any]], problems: list[Diagnostic]
) -> tuple[int, int]:
    """Rows and columns of a kernel: 3x3 if nothing is said, 9 for 1-D, always 1x1 for linear and pass-through."""
    if op in ("passthrough", "linear"):
        if size is not None and set(size) != {1}:
            problems.append(
                Diagnostic(places["kernel_size"][0], "`kernel_size`: a linear or pass-through layer has none")
            )
        return 1, 1
    if op == "conv1d":
        size = size or (9,)
        if len(size) == 2 and size[1] != 1:
            problems.append(Diagnostic(places["kernel_size"][0], "`kernel_size`: a 1-D kernel has one length"))
        return size[0], 1
    if size is None:
        return 3, 3
    return size[0], size[-1]


def _check_layer(layer: LayerText, problems: list[Diagnostic]) -> None:
    """What the keys of one layer must agree on."""

    def wrong(key: str, message: str) -> None:
        problems.append(Diagnostic(layer.at(key), f"{layer.label}: {message}"))

    pooling = {"max_pool", "avg_pool"} & layer.stated.keys()
    if len(pooling) == 2:
        wrong("avg_pool", "`max_pool` and `avg_pool` exclude each other")
    if "pool_dilation" in layer.stated and not pooling:
        wrong("pool_dilation", "`pool_dilation` needs `max_pool` or `avg_pool`")
    if "operands" in layer.stated and layer.eltwise is None:
        wrong("operands", "`operands` needs an element-wise operation")
    if not layer.pool_first and (layer.operands == 1 or layer.pool == (1, 1)):
        wrong("pool_first", "`pool_first: false` needs both pooling and an element-wise operation")
    if "dilation" in layer.stated and layer.op == "passthrough":
        wrong("dilation", "`dilation` needs a convolution")
    if "sequence" in layer.stated and layer.stated["sequence"] != layer.index:
        wrong("sequence", f"`sequence: {layer.stated['sequence']}`; layers must stand in the order in which they run")
    if layer.name and layer.name.lower() in RESERVED_NAMES:
        wrong("name", f"`{layer.name}` has a meaning of its own and cannot name a layer")


def _check_names(layers: Sequence[LayerText], buffers: Sequence[RollingBuffer], problems: list[Diagnostic]) -> None:
    """Names tell layers and buffers apart, in any case of their letters."""
    named = [(layer.name, layer.at("name"), f"layer {layer.index}") for layer in layers if layer.name]
    named += [(buffer.name, buffer.where, f"data buffer {index}") for index, buffer in enumerate(buffers)]
    first: dict[str, str] = {}
    for name, where, what in named:
        if first.setdefault(name.lower(), what) != what:
            problems.append(Diagnostic(where, f"`name: {name}` names {first[name.lower()]} already"))


def _check_no_buffer(layers: Sequence[LayerText], problems: list[Diagnostic]) -> None:
    """Without buffers there is nothing to shift or to insert into."""
    for layer in layers:
        for key in ("buffer_shift", "buffer_insert"):
            if key in layer.stated:
                problems.append(
                    Diagnostic(layer.at(key), f"{layer.label}: `{key}` needs a `data_buffer` in the network")
                )


def find_buffer(description: Description, reference: int | str) -> RollingBuffer | None:
    """The rolling data buffer of that name, if it is one."""
    named = (buffer for buffer in description.buffers or () if buffer.name.lower() == str(reference).lower())
    return next(named, None) if isinstance(reference, str) else None


def find_layer(description: Description, reference: int | str) -> int | None:
    """Number of the layer that `reference` names (-1 for the network's input), None if there is none."""
    if isinstance(reference, int):
        return reference if -1 <= reference < len(description.layers) else None
    if reference.lower() == "input":
        return -1
    for layer in description.layers:
        if layer.name and layer.name.lower() == reference.lower():
            return layer.index
    return None
