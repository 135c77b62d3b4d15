"""A network that can be trained: a chain of layers as a value, as the YAML of a user, and as the planner's `Network`.

`network_of` goes through that YAML and the reader of users' files, so that what is costed and placed is what they get.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.configs.lines import parse_yaml
from offramp.planner.ai8x.description import describe
from offramp.planner.ai8x.load import DEFAULTS, Options, infer_network
from offramp.planner.ai8x.weights import LayerWeights, WeightShape
from offramp.planner.ir.network import DataFormat, Layer, Network, Shape
from offramp.planner.rules.check import check_network

Op = Literal["conv2d", "conv1d", "linear"]
Bits = Literal[8, 4, 2, 1]
HIDDEN = 32  # outputs of the layer before a gate


@dataclass(frozen=True)
class LayerDesign:
    """Pooling, then a convolution or linear layer, then bias, shift and activation.

    `kernel`: rows and columns alike, of `conv1d` the length; 1 for `linear`, which reads all pixels that pooling
    leaves. `pool`: rows and columns of the window (1-D: its length), 1 for none; windows that do not fit are dropped.
    `bits` of a weight. `wide`: the raw 32-bit sums, as logits are, without activation.
    """

    op: Op
    outputs: int
    kernel: int = 1
    pad: int = 0
    pool: int = 1
    pool_stride: int = 1
    pool_average: bool = False
    bits: Bits = 8
    relu: bool = True
    wide: bool = False
    bias: bool = True


@dataclass(frozen=True)
class Design:
    """Layers one behind the other, on an input that lies in data memory as `data_format` says.

    `name` is the `arch` of YAML and checkpoint. `crop`: rows of the input that are left out, in front and behind.
    `gate`: the last output is no class; it says how sure the others are.
    """

    name: str
    input: Shape
    layers: tuple[LayerDesign, ...]
    data_format: DataFormat = "HWC"
    crop: tuple[int, int] = (0, 0)
    gate: bool = False

    @property
    def classes(self) -> int:
        """Outputs without the gate."""
        return self.layers[-1].outputs - self.gate


@dataclass(frozen=True)
class LayerShapes:
    """Shapes in and around a layer: what it reads, that after pooling, and what it writes."""

    read: Shape
    pooled: Shape
    written: Shape


def with_gate(design: Design) -> Design:
    """The design with an output more, its gate, and a hidden layer before it: how sure the classes are is no linear
    function of what they are made from."""
    *before, last = design.layers
    hidden = replace(last, outputs=HIDDEN, relu=True, wide=False)
    outputs = replace(last, outputs=last.outputs + 1, pool=1, pool_stride=1, pool_average=False)
    return replace(design, layers=(*before, hidden, outputs), gate=True)


def shapes_of(design: Design) -> tuple[LayerShapes, ...]:
    """Shapes of all layers in order. InputError where a window or kernel does not fit."""
    rows = design.input.rows - sum(design.crop)
    read = Shape(design.input.channels, rows, design.input.cols)
    found: list[LayerShapes] = []
    for index, layer in enumerate(design.layers):
        shapes = _shapes(layer, read)
        if min(shapes.pooled.pixels, shapes.written.rows, shapes.written.cols) < 1:
            raise InputError(f"design `{design.name}`: layer {index} leaves nothing of an input of {read}")
        found.append(shapes)
        read = shapes.written
    return tuple(found)


def _shapes(layer: LayerDesign, read: Shape) -> LayerShapes:
    """Of one layer; sizes below 1 where nothing is left."""
    flat = layer.op == "conv1d"
    rows, cols = (max(0, (size - layer.pool) // layer.pool_stride + 1) for size in (read.rows, read.cols))
    pooled = Shape(read.channels, rows, read.cols if flat else cols)
    if layer.op == "linear":
        return LayerShapes(read, pooled, Shape(layer.outputs, 1, 1))
    grown = 2 * layer.pad - layer.kernel + 1
    return LayerShapes(read, pooled, Shape(layer.outputs, rows + grown, pooled.cols if flat else cols + grown))


def weight_shapes(design: Design) -> tuple[tuple[int, int, int, int], ...]:
    """Of each layer (out, in, rows, cols); the inputs of a linear layer are counted after flattening."""
    found = []
    for layer, shapes in zip(design.layers, shapes_of(design), strict=True):
        channels = shapes.read.channels
        if layer.op == "linear":
            found.append((layer.outputs, channels * shapes.pooled.pixels, 1, 1))
        else:
            found.append((layer.outputs, channels, layer.kernel, 1 if layer.op == "conv1d" else layer.kernel))
    return tuple(found)


def layer_names(design: Design) -> tuple[str, ...]:
    """Names of the layers in a checkpoint."""
    return tuple(f"{'fc' if layer.op == 'linear' else 'conv'}{index + 1}" for index, layer in enumerate(design.layers))


def network_of(
    design: Design, device: Device, weights: Sequence[LayerWeights] | None = None, options: Options = DEFAULTS
) -> Network:
    """The network as the planner reads it from `yaml_of`, without weights and biases if none are given.

    InputError with everything in it that the device cannot run.
    """
    shapes = [
        WeightShape(name=name, shape=shape, bits=layer.bits)
        for name, shape, layer in zip(layer_names(design), weight_shapes(design), design.layers, strict=True)
    ]
    description, problems = describe(parse_yaml(yaml_of(design, design.name), f"design {design.name}"))
    network, problems = infer_network(description, problems, weights or shapes, design.input, options, device)
    if network is not None:
        problems += check_network(network, device)
    if problems or network is None:
        raise InputError(problems)
    return network


def yaml_of(design: Design, dataset: str, comment: str = "") -> str:
    """The network as an ai8x YAML; the planner chooses processors and offsets. `comment`: a first line about it."""
    shapes = shapes_of(design)
    about = comment or f"{design.input} -> {shapes[-1].written}"
    lines = ["---", f"# {about}", "", f"arch: {design.name}", f"dataset: {dataset}", "", "layers:"]
    for index, (layer, shape) in enumerate(zip(design.layers, shapes, strict=True)):
        first = _input_keys(design) if index == 0 else []
        lines += [f"  - op: {layer.op}  # {_passage(shape)}"]
        lines += [f"    {key}" for key in first + _keys(layer, shape)]
    return "\n".join(lines) + "\n"


def _passage(shapes: LayerShapes) -> str:
    """Shapes on the way through a layer, those that do not change once."""
    passed = [shapes.read, shapes.pooled, shapes.written]
    return " -> ".join(str(shape) for shape in dict.fromkeys(passed[:2])) + f" -> {shapes.written}"


def _input_keys(design: Design) -> list[str]:
    keys = ["data_format: CHW"] if design.data_format == "CHW" else []
    return keys + ([f"in_crop: [{design.crop[0]}, {design.crop[1]}]"] if any(design.crop) else [])


def _keys(layer: LayerDesign, shapes: LayerShapes) -> list[str]:
    """The keys of a layer's entry but its operation."""
    keys = []
    if layer.pool > 1:
        keys.append(f"{'avg' if layer.pool_average else 'max'}_pool: {layer.pool}")
    if layer.pool > 1 or layer.pool_stride > 1:
        keys.append(f"pool_stride: {layer.pool_stride}")
    if layer.op == "linear":
        keys += ["flatten: true"] if shapes.pooled.pixels > 1 else []
    else:
        size = f"{layer.kernel}x{layer.kernel}" if layer.op == "conv2d" else f"{layer.kernel}"
        keys += [f"kernel_size: {size}", f"pad: {layer.pad}"]
    if layer.bits != 8:
        keys.append(f"quantization: {layer.bits}")
    keys.append(f"activate: {'ReLU' if layer.relu else 'None'}")
    return keys + (["output_width: 32"] if layer.wide else [])


def design_of(network: Network) -> Design:
    """The design that a network of a user has, without its places in memory and its weights, so that it can be
    trained. InputError with every layer that a design cannot say."""
    problems = [
        Diagnostic(layer.where, f"layer `{layer.label}` cannot be trained: {why}")
        for layer in network.layers
        if (why := _beyond(layer))
    ]
    if network.buffers or network.avg_pool_rounding:
        problems.append(Diagnostic(network.where, "rolling buffers and rounded averages cannot be trained"))
    if problems:
        raise InputError(problems)
    first = network.layers[0]
    crop = (first.crop[0] // network.input_shape.cols, first.crop[1] // network.input_shape.cols)
    layers = tuple(map(_layer_of, network.layers))
    return Design(network.name, network.input_shape, layers, first.data_format, crop)


def _beyond(layer: Layer) -> str | None:
    """What of a layer goes beyond a `LayerDesign`."""
    square = layer.op == "conv1d" or (layer.kernel[0] == layer.kernel[1] and layer.pool[0] == layer.pool[1])
    reasons = {
        f"`{layer.op}`": layer.op not in ("conv2d", "conv1d", "linear"),
        "it reads several tensors": layer.operands > 1 or layer.inputs != (layer.index - 1,),
        "dilation": layer.dilation > 1,
        "windows that are not square": not square,
        "`activate: abs`": layer.activation == "abs",
        "`flatten` of a convolution": layer.flatten and layer.op != "linear",
        "a linear layer of many pixels": layer.op == "linear" and not layer.flatten and layer.out_shape.pixels > 1,
        "`in_crop`": any(layer.crop) and layer.index > 0,
    }
    return next((reason for reason, given in reasons.items() if given), None)


def _layer_of(layer: Layer) -> LayerDesign:
    assert layer.op in ("conv2d", "conv1d", "linear") and layer.weight_bits in (1, 2, 4, 8)
    return LayerDesign(
        op=layer.op,
        outputs=layer.out_shape.channels,
        kernel=layer.kernel[0],
        pad=layer.pad[0],
        pool=layer.pool[0],
        pool_stride=layer.pool_stride,
        pool_average=layer.pool_average,
        bits=layer.weight_bits,  # type: ignore[arg-type]
        relu=layer.activation == "relu",
        wide=layer.output_width == 32,
        bias=layer.bias is not None,
    )
