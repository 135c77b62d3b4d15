"""The network as the planner sees it: layers with inferred shapes, in the order of the YAML file.

Frozen value types only; `planner.ai8x.load` makes them from an ai8x network YAML and a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from offramp.configs.errors import Where

Op = Literal["conv2d", "conv1d", "convtranspose2d", "linear", "passthrough"]
Eltwise = Literal["add", "sub", "or", "xor"]
Activation = Literal["none", "relu", "abs"]
DataFormat = Literal["HWC", "CHW"]
Join = Literal["channels", "pixels"]
ProcessorMap = int  # 64-bit map of processors, bit P = processor P; 0 = the planner chooses

INPUT = -1  # stands for the network's input where a layer index is expected


@dataclass(frozen=True)
class Shape:
    """Channels, rows, columns. 1-D data have one column, flat data one row and one column."""

    channels: int
    rows: int
    cols: int

    def __str__(self) -> str:
        return f"{self.channels}x{self.rows}x{self.cols}"

    @property
    def pixels(self) -> int:
        return self.rows * self.cols


class Window(NamedTuple):
    """Pixels of a rolling buffer that a layer writes, from pixel `first` on."""

    buffer: str
    first: int


@dataclass(frozen=True)
class RollingBuffer:
    """Data memory that keeps its content from one inference to the next; zeros at the start.

    `offset`: bytes, where it starts in each of the instances of `processors`; None: the planner chooses.
    """

    name: str
    where: Where
    shape: Shape
    processors: ProcessorMap
    offset: int | None


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: optional element-wise operation and pooling (either order), then `op`, bias, shift and activation.

    `weights`: int8 (out, in, rows, cols); conv1d (out, in, k, 1); linear (out, in, 1, 1) with `in` counted after
    flattening, channel-major (c, row, col) as in PyTorch. convtranspose2d: already rotated and swapped, to be used as
    a plain correlation over the zero-stuffed input. Values are the `weight_bits`-bit integers themselves.
    `bias`: int8 (out,), added to the accumulator as 128 * bias.
    """

    index: int
    name: str
    where: Where
    op: Op
    # Producing layers (or INPUT); several: operands if `operands` > 1, else joined; none: the layer reads `source`.
    inputs: tuple[int, ...]
    operands: int  # 1: no element-wise operation
    eltwise: Eltwise | None
    pool_first: bool  # pooling before the element-wise operation
    pool: tuple[int, int]
    pool_stride: int
    pool_average: bool
    kernel: tuple[int, int]  # (1, 1) for linear and passthrough
    pad: tuple[int, int]
    dilation: int
    flatten: bool
    activation: Activation
    weight_bits: int  # 1, 2, 4 or 8; 8 without weights
    output_shift: int  # as in YAML or checkpoint, without the 8 - weight_bits that the hardware adds
    output_width: int  # 8 or 32
    streaming: bool
    data_format: DataFormat  # of the layer's input
    in_shape: Shape  # of one operand, before pooling and flattening
    pooled: tuple[int, int]  # rows and columns after pooling
    out_shape: Shape
    processors: ProcessorMap
    output_processors: ProcessorMap
    in_offset: int | None  # bytes; None: the planner chooses, or the producers' offset
    out_offset: int | None
    write_gap: int
    weights: npt.NDArray[np.int8] | None
    bias: npt.NDArray[np.int8] | None
    output: bool = False  # declared an output of the network besides the last layer
    join: Join = "channels"  # how several inputs that are no operands are joined
    crop: tuple[int, int] = (0, 0)  # pixels of the input in front of and behind those that it reads
    source: str | None = None  # the rolling buffer that it reads instead of a tensor
    target: Window | None = None  # where in a rolling buffer its output goes
    groups: int = 1  # 1, or as many as channels: a depthwise convolution
    binary: bool = False  # the weights, of 1 bit, are -1 and +1 instead of -1 and 0
    bypass: bool = False  # `weights` are all 1, and take no memory
    pool_dilation: tuple[int, int] = (1, 1)
    read_gap: int = 0  # words that lie between those of two pixels and are not read
    calcx4: bool = False  # four outputs at once
    readahead: bool = False
    tcalc: bool = False

    @property
    def label(self) -> str:
        """Its name in messages: that of the YAML, or its number."""
        return self.name or str(self.index)

    @property
    def has_weights(self) -> bool:
        return self.op != "passthrough"

    @property
    def depthwise(self) -> bool:
        return self.groups > 1

    @property
    def in_features(self) -> int:
        """Input channels of the convolution: pixels count as channels when the layer flattens."""
        pixels = self.pooled[0] * self.pooled[1] if self.flatten else 1
        return self.in_shape.channels * pixels


@dataclass(frozen=True)
class UnusedLayers:
    """Layers of a checkpoint that its network does not take, perhaps a head: `layers`, names with shapes, begin with
    `prefix`. `after`: the label of the layer whose output they read, empty where their names do not say it."""

    prefix: str
    layers: tuple[str, ...]
    after: str


@dataclass(frozen=True)
class AttachedHead:
    """A head of the distiller's, whose layers in the checkpoint begin with `prefix`: trained behind layer `after`.

    `places`: numbers and names, in the YAML, of the layers whose output that may be: this one, and those without
    weights that follow it, since names in the checkpoint do not tell them apart."""

    prefix: str
    after: str
    places: tuple[int | str, ...]


@dataclass(frozen=True)
class Network:
    """An ai8x network with weights. `layers[i].index == i`."""

    name: str  # `arch` of the YAML
    dataset: str
    where: Where
    input_shape: Shape
    layers: tuple[Layer, ...]
    fifo: bool = False  # the input comes through the FIFO
    avg_pool_rounding: bool = False  # average pooling rounds half away from zero instead of truncating
    buffers: tuple[RollingBuffer, ...] = ()  # what it keeps from one inference to the next
    unused: tuple[UnusedLayers, ...] = ()  # what its checkpoint holds besides
    heads: tuple[AttachedHead, ...] = ()  # in its checkpoint, that other networks take

    def consumers(self, index: int) -> tuple[Layer, ...]:
        """Layers that read the output of layer `index` (or of INPUT)."""
        return tuple(layer for layer in self.layers if index in layer.inputs)

    def buffer(self, name: str) -> RollingBuffer:
        return next(buffer for buffer in self.buffers if buffer.name == name)

    def writers(self, buffer: str) -> tuple[Layer, ...]:
        """Layers that write to a rolling buffer."""
        return tuple(layer for layer in self.layers if layer.target and layer.target.buffer == buffer)

    def shape_of(self, index: int) -> Shape:
        return self.input_shape if index == INPUT else self.layers[index].out_shape
