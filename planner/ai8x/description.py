"""An ai8x network YAML as it stands: keys, synonyms and the defaults of a single layer, but no shapes yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from offramp.configs.errors import Diagnostic, Where
from offramp.configs.lines import LineMap, load_yaml
from offramp.configs.schema import Entry, read_entry
from offramp.planner.ai8x.rolling_buffers import read_buffers
from offramp.planner.ai8x.yaml_keys import RESERVED_NAMES, TOP_KEYS
from offramp.planner.ir.network import Activation, DataFormat, Eltwise, Op, ProcessorMap, RollingBuffer


@dataclass(frozen=True)
class Pooling:
    """Rows and columns of the window, (1, 1) without pooling, and of its steps."""

    window: tuple[int, int]
    stride: tuple[int, int]
    average: bool
    first: bool  # before the element-wise operation
    dilation: tuple[int, int]


@dataclass(frozen=True)
class Convolution:
    """Kernel of a convolution or linear layer; without meaning for a pass-through layer.

    `weight_bits`: 1, 2, 4 or 8; -1: binary (-1/+1); None: as the weights' source says. `shift`: the same.
    """

    kernel: tuple[int, int]
    pad: tuple[int, int]
    stride: tuple[int, int]
    dilation: int
    groups: int
    weight_bits: int | None
    shift: int | None
    weight_source: int | str | None


@dataclass(frozen=True)
class Placement:
    """Where the input and the output lie: byte offsets (None: not stated) and processor maps (0: not stated)."""

    in_offset: int | None
    out_offset: int | None
    processors: ProcessorMap
    output_processors: ProcessorMap
    write_gap: int


@dataclass(frozen=True)
class Modes:
    """What only some devices can do. `tcalc` None: as `readahead` implies it."""

    bypass: bool
    calcx4: bool
    readahead: bool
    tcalc: bool | None
    read_gap: int


@dataclass(frozen=True, eq=False)
class LayerDescription:
    """A layer as the YAML states it. None: not stated, and the default depends on other layers or the weights.

    `number`: its place in the file, by which other layers refer to it. `index`: its place among the layers that run.
    """

    number: int
    index: int
    entry: Entry
    name: str | None
    op: Op
    eltwise: Eltwise | None
    operands: int
    pooling: Pooling
    convolution: Convolution
    placement: Placement
    flatten: bool
    activation: Activation
    output_width: int
    streaming: bool
    data_format: DataFormat
    in_sequences: tuple[int | str, ...] | None
    in_channels: int | None
    in_dim: tuple[int, int] | None
    in_crop: tuple[int, int]
    out_channels: int | None
    output: bool
    modes: Modes

    @property
    def label(self) -> str:
        return f"layer {self.number} ({self.name})" if self.name else f"layer {self.number}"

    @property
    def takes_weights(self) -> bool:
        """The layer has weights of its own in a checkpoint."""
        return self.op != "passthrough" and self.convolution.weight_source is None and not self.modes.bypass


@dataclass(frozen=True, eq=False)
class Description:
    """A network YAML. `features` holds what is stated at the top level beyond the ordinary keys, with its place.

    `buffers`: rolling data buffers.
    """

    arch: str
    dataset: str
    where: Where
    layers: tuple[LayerDescription, ...]
    output_map: ProcessorMap  # processors of the last layer's output; 0: not stated
    features: Mapping[str, Where]
    buffers: tuple[RollingBuffer, ...] = ()


def read_description(path: Path) -> tuple[Description | None, tuple[Diagnostic, ...]]:
    """Read a network YAML: the description (None if it has no list of layers) and all that is wrong with it."""
    return describe(load_yaml(path))


def describe(data: LineMap) -> tuple[Description | None, tuple[Diagnostic, ...]]:
    """`read_description` for a file that has been read."""
    problems: list[Diagnostic] = []
    top = read_entry(data, TOP_KEYS, problems)
    if not top["layers"]:
        return None, tuple(problems)
    layers = [_read_layer(index, entry, problems) for index, entry in enumerate(top["layers"]) if entry]
    buffers = read_buffers(data, problems)
    _check_names(layers, buffers, problems)
    if "data_buffer" not in top:
        _check_no_buffer(layers, problems)
    features = {key: top.at(key) for key in ("snoop", "unload") if key in top}
    description = Description(
        top["arch"], top["dataset"], top.where, tuple(layers), top["output_map"] or 0, features, buffers
    )
    return description, tuple(problems)


def _read_layer(index: int, entry: Entry, problems: list[Diagnostic]) -> LayerDescription:
    op, function = entry["op"]
    eltwise = entry["eltwise"] or function
    layer = LayerDescription(
        number=index,
        index=index,
        entry=entry,
        name=entry["name"],
        op=op,
        eltwise=eltwise,
        operands=entry["operands"] or (2 if eltwise else 1),
        pooling=_pooling(entry, op),
        convolution=_convolution(entry, op, problems),
        placement=Placement(
            in_offset=entry["in_offset"],
            out_offset=entry["out_offset"],
            processors=entry["processors"] or 0,
            output_processors=entry["output_processors"] or 0,
            write_gap=entry["write_gap"],
        ),
        flatten=entry["flatten"],
        activation=entry["activate"],
        output_width=entry["output_width"],
        streaming=entry["streaming"],
        data_format=entry["data_format"],
        in_sequences=entry["in_sequences"],
        in_channels=entry["in_channels"],
        in_dim=entry["in_dim"],
        in_crop=entry["in_crop"],
        out_channels=entry["out_channels"],
        output=entry["output"],
        modes=Modes(
            bypass=bool(entry["bypass"]),
            calcx4=bool(entry["calcx4"]),
            readahead=bool(entry["readahead"]),
            tcalc=entry["tcalc"],
            read_gap=entry["in_skip"] or 0,
        ),
    )
    _check_layer(layer, problems)
    return layer


def _pooling(entry: Entry, op: Op) -> Pooling:
    window = entry["max_pool"] or entry["avg_pool"] or (1, 1)
    return Pooling(
        window=(window[0], 1) if op == "conv1d" else window,
        stride=entry["pool_stride"],
        average="max_pool" not in entry and "avg_pool" in entry,
        first=entry["pool_first"],
        dilation=entry["pool_dilation"],
    )


def _convolution(entry: Entry, op: Op, problems: list[Diagnostic]) -> Convolution:
    one_dimensional = op == "conv1d"
    pad = entry["pad"] if entry["pad"] is not None else (0 if op in ("passthrough", "linear") else 1)
    stride = entry["stride"] or ((2, 2) if op == "convtranspose2d" else (1, 1))
    return Convolution(
        kernel=_kernel(entry, op, problems),
        pad=(pad, 0) if one_dimensional else (pad, pad),
        stride=(stride[0], 1) if one_dimensional else stride,
        dilation=entry["dilation"][0] if one_dimensional else max(entry["dilation"]),
        groups=entry["groups"],
        weight_bits=entry["quantization"],
        shift=entry["output_shift"],
        weight_source=entry["weight_source"],
    )


def _kernel(entry: Entry, op: Op, problems: list[Diagnostic]) -> tuple[int, int]:
    """Rows and columns of a kernel: 3x3 if nothing is said, 9 for 1-D, always 1x1 for linear and pass-through."""
    size: tuple[int, ...] | None
    size, place = entry["kernel_size"], entry.at("kernel_size")
    if op in ("passthrough", "linear"):
        if size is not None and set(size) != {1}:
            problems.append(Diagnostic(place, "`kernel_size`: a linear or pass-through layer has none"))
        return 1, 1
    if op == "conv1d":
        size = size or (9, 1)
        if size[-1] != 1 and len(size) == 2:
            problems.append(Diagnostic(place, "`kernel_size`: a 1-D kernel has one length"))
        return size[0], 1
    return (size[0], size[-1]) if size else (3, 3)


def _check_layer(layer: LayerDescription, problems: list[Diagnostic]) -> None:
    """Rules between the keys of one layer."""
    entry = layer.entry

    def wrong(key: str, message: str) -> None:
        problems.append(Diagnostic(entry.at(key), f"{layer.label}: {message}"))

    pooled = "max_pool" in entry or "avg_pool" in entry
    if "max_pool" in entry and "avg_pool" in entry:
        wrong("avg_pool", "`max_pool` and `avg_pool` exclude each other")
    if "pool_dilation" in entry and not pooled:
        wrong("pool_dilation", "`pool_dilation` needs `max_pool` or `avg_pool`")
    if "operands" in entry and layer.eltwise is None:
        wrong("operands", "`operands` needs an element-wise operation")
    if not layer.pooling.first and (layer.operands == 1 or layer.pooling.window == (1, 1)):
        wrong("pool_first", "`pool_first: false` needs both pooling and an element-wise operation")
    if "dilation" in entry and layer.op == "passthrough":
        wrong("dilation", "`dilation` needs a convolution")
    if "sequence" in entry and entry.stated["sequence"] != layer.index:
        wrong("sequence", f"`sequence: {entry.stated['sequence']}`; layers must stand in the order in which they run")
    if layer.name and layer.name.lower() in RESERVED_NAMES:
        wrong("name", f"`{layer.name}` has a meaning of its own and cannot name a layer")


def _check_names(
    layers: Sequence[LayerDescription], buffers: Sequence[RollingBuffer], problems: list[Diagnostic]
) -> None:
    """Names tell layers and buffers apart, in any case of their letters."""
    named = [(layer.name, layer.entry.at("name"), f"layer {layer.index}") for layer in layers if layer.name]
    named += [(buffer.name, buffer.where, f"data buffer {index}") for index, buffer in enumerate(buffers)]
    first: dict[str, str] = {}
    for name, where, what in named:
        if first.setdefault(name.lower(), what) != what:
            problems.append(Diagnostic(where, f"`name: {name}` names {first[name.lower()]} already"))


def _check_no_buffer(layers: Sequence[LayerDescription], problems: list[Diagnostic]) -> None:
    """Without buffers there is nothing to shift or to insert into."""
    for layer in layers:
        for key in ("buffer_shift", "buffer_insert"):
            if key in layer.entry:
                message = f"{layer.label}: `{key}` needs a `data_buffer` in the network"
                problems.append(Diagnostic(layer.entry.at(key), message))


def find_buffer(description: Description, reference: int | str) -> RollingBuffer | None:
    """The rolling data buffer of that name, if it is one."""
    named = (buffer for buffer in description.buffers if buffer.name.lower() == str(reference).lower())
    return next(named, None) if isinstance(reference, str) else None


def find_layer(description: Description, reference: int | str) -> int | None:
    """Index of the layer that `reference` names (-1 for the network's input), None if there is none that runs."""
    if isinstance(reference, int):
        places = {layer.number: layer.index for layer in description.layers}
        return -1 if reference == -1 else places.get(reference)
    if reference.lower() == "input":
        return -1
    named = (layer.index for layer in description.layers if layer.name and layer.name.lower() == reference.lower())
    return next(named, None)
