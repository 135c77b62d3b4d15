"""Shapes, inputs and memory places of a network's layers, which their descriptions imply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.ai8x.buffer_windows import buffer_read, buffer_written, read_buffer, write_buffer
from offramp.planner.ai8x.description import Description, LayerDescription, find_layer
from offramp.planner.ai8x.reading import read_layers, refuse
from offramp.planner.ai8x.unsupported import square_pool_stride
from offramp.planner.ai8x.weights import LayerWeights, WeightShape
from offramp.planner.hardware.hw_layer import BYTE_BITS, WORD_BYTES, lowest_processors, passes_of, window_reach
from offramp.planner.ir.network import INPUT, Layer, ProcessorMap, RollingBuffer, Shape
from offramp.planner.rules.docstrings import message_of

BINARY = -1  # `weight_bits` of weights that are -1 and +1
BYPASS_SHIFT = 7


@dataclass(frozen=True, eq=False)
class Inference:
    """What shapes are inferred from. `weights` by layer index."""

    description: Description
    input_shape: Shape
    weights: Mapping[int, WeightShape]
    last: int  # the last layer that is wanted
    device: Device


def infer_layers(inference: Inference) -> tuple[tuple[Layer, ...], tuple[Diagnostic, ...]]:
    """Layers in order, as far as their shapes follow, and what is wrong with them."""
    layers: list[Layer] = []
    for stated in inference.description.layers[: inference.last + 1]:
        try:
            layers.append(_infer(stated, tuple(layers), inference))
        except InputError as error:
            return tuple(layers), error.problems
    return tuple(layers), ()


def _infer(stated: LayerDescription, done: Sequence[Layer], inference: Inference) -> Layer:
    buffer = buffer_read(stated, inference.description)
    inputs = () if buffer else _inputs(stated, done, inference)
    if buffer:
        read = read_buffer(stated, buffer, inference.device)
    else:
        read = read_layers(stated, inputs, done, inference.input_shape)
    in_shape = read.shape
    pool, pooled = _pooled(stated, in_shape)
    weights = _weights(stated, in_shape, inference)
    out_shape = _out_shape(stated, weights, in_shape, pooled)
    passes = passes_of(in_shape.channels, inference.device)[0]
    crop_bytes = WORD_BYTES * passes * stated.operands * read.crop[0]
    into = buffer_written(stated, buffer, inference.description, inference.device)
    return Layer(
        index=stated.index,
        name=stated.name or "",
        where=stated.entry.where,
        op=stated.op,
        inputs=inputs,
        operands=stated.operands,
        eltwise=stated.eltwise,
        pool_first=stated.pooling.first,
        pool=pool,
        pool_stride=stated.pooling.stride[0],
        pool_average=stated.pooling.average,
        kernel=stated.convolution.kernel,
        pad=stated.convolution.pad,
        dilation=stated.convolution.dilation,
        flatten=stated.flatten,
        activation=stated.activation,
        weight_bits=_weight_bits(stated, weights),
        output_shift=_output_shift(stated, weights),
        output_width=stated.output_width,
        streaming=stated.streaming,
        data_format=stated.data_format,
        in_shape=in_shape,
        pooled=pooled,
        out_shape=out_shape,
        processors=stated.placement.processors or (buffer.processors if buffer else 0),
        output_processors=_output_processors(stated, out_shape, inference, into),
        in_offset=stated.placement.in_offset if buffer else _in_offset(stated, inputs, done, crop_bytes),
        out_offset=stated.placement.out_offset,
        write_gap=stated.placement.write_gap,
        weights=weights.weights if isinstance(weights, LayerWeights) else None,
        bias=weights.bias if isinstance(weights, LayerWeights) else None,
        output=stated.output,
        join=read.join,
        crop=read.crop,
        source=buffer.name if buffer else None,
        target=write_buffer(stated, into, out_shape, inference.device) if into else None,
        groups=stated.convolution.groups,
        binary=_is_binary(stated, weights),
        bypass=stated.modes.bypass,
        pool_dilation=stated.pooling.dilation,
        read_gap=stated.modes.read_gap,
        calcx4=stated.modes.calcx4,
        readahead=stated.modes.readahead,
        tcalc=_tcalc(stated, passes),
    )


def _is_binary(stated: LayerDescription, weights: WeightShape | None) -> bool:
    bits = stated.convolution.weight_bits or (weights and weights.bits)
    return stated.op != "passthrough" and bits == BINARY


def _tcalc(stated: LayerDescription, passes: int) -> bool:
    """Of a layer that reads ahead: as the YAML says, else if it has several passes."""
    return stated.modes.readahead and (passes > 1 if stated.modes.tcalc is None else stated.modes.tcalc)


def _weights(stated: LayerDescription, shape: Shape, inference: Inference) -> WeightShape | None:
    if stated.op == "passthrough":
        return None
    if stated.modes.bypass:
        return _bypass_weights(stated, shape)
    if stated.index not in inference.weights:
        found = "its number of output channels is not known"
        raise refuse(stated, "op", f"{found}; give a checkpoint, its `output_processors`, or --classes")
    return inference.weights[stated.index]


def _bypass_weights(stated: LayerDescription, shape: Shape) -> LayerWeights:
    """Kernels of ones. By default sums come out as they are, which takes an `output_shift` of 7."""
    inputs = shape.channels // stated.convolution.groups
    sizes = (stated.out_channels or shape.channels, inputs, *stated.convolution.kernel)
    ones = np.ones(sizes, np.int8)
    return LayerWeights(name="bypass", shape=sizes, bits=BYTE_BITS, output_shift=BYPASS_SHIFT, weights=ones)


def _weight_bits(stated: LayerDescription, weights: WeightShape | None) -> int:
    """As the YAML says, else as the weights' source says, else 8. Binary weights have 1 bit."""
    if stated.op == "passthrough":
        return 8
    return abs(stated.convolution.weight_bits or (weights and weights.bits) or 8)


def _output_shift(stated: LayerDescription, weights: WeightShape | None) -> int:
    if stated.op == "passthrough":
        return 0
    if stated.convolution.shift is not None:
        return stated.convolution.shift
    return (weights and weights.output_shift) or 0


def _inputs(stated: LayerDescription, done: Sequence[Layer], inference: Inference) -> tuple[int, ...]:
    """Producers of the layer's input.

    Without `in_sequences` the previous layer, unless `in_offset` points elsewhere: then the layer reads what lies
    there, the output of the latest layer that wrote to this offset on these processors.
    """
    if stated.in_sequences is None:
        previous = stated.index - 1
        if not done or any(stated.in_crop) or stated.placement.in_offset in (None, done[previous].out_offset):
            found = [previous]
        else:
            found = [_writer(stated, done)]
        _check_readable(stated, found, done)
        return tuple(found)
    found = []
    for reference in stated.in_sequences:
        index = find_layer(inference.description, reference)
        if index is None:
            raise refuse(stated, "in_sequences", f"`in_sequences`: there is no layer `{reference}`")
        if index >= stated.index:
            raise refuse(
                stated, "in_sequences", f"`in_sequences`: layer {index} runs later; only earlier ones can be read"
            )
        found.append(index)
    _check_readable(stated, found, done)
    return tuple(found)


def _check_readable(stated: LayerDescription, inputs: Sequence[int], done: Sequence[Layer]) -> None:
    """What is written to a data buffer is read from the buffer: it does not stay where it was written."""
    for index in inputs:
        target = done[index].target if index != INPUT else None
        if target:
            message = f"layer {index} writes to data buffer `{target.buffer}`; name that in `in_sequences`"
            raise refuse(stated, "in_sequences", message)


def _writer(stated: LayerDescription, done: Sequence[Layer]) -> int:
    wanted = stated.placement
    for layer in reversed(done):
        overlap = layer.output_processors & wanted.processors or not (layer.output_processors and wanted.processors)
        if layer.out_offset == wanted.in_offset and overlap:
            return layer.index
    if done[0].in_offset == wanted.in_offset and done[0].processors == wanted.processors:
        return INPUT
    message = f"`in_offset: {wanted.in_offset:#x}`, but no earlier layer writes there; name the layer in `in_sequences`"
    raise refuse(stated, "in_offset", message)


def _pooled(stated: LayerDescription, shape: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pooling window and the rows and columns after it. 1-D data are pooled along their length only."""
    window, step = stated.pooling.window, stated.pooling.stride[0]
    if stated.op == "passthrough" and shape.cols == 1:
        window = (window[0], 1)
    if stated.pooling.stride != (step, step) and shape.cols > 1 and not square_pool_stride(stated):
        found = f"`pool_stride: [{step}, {stated.pooling.stride[1]}]` of an input of {shape}"
        raise refuse(stated, "pool_stride", f"{found}. {message_of(square_pool_stride, {})}")
    down, across = window_reach(window, stated.pooling.dilation)
    rows = (shape.rows - down) // step + 1
    cols = shape.cols if stated.op == "conv1d" else (shape.cols - across) // step + 1
    if rows < 1 or cols < 1:
        key = "avg_pool" if stated.pooling.average else "max_pool"
        message = f"a pooling window of {window[0]}x{window[1]} does not fit an input of {shape}"
        raise refuse(stated, key, message)
    return window, (rows, cols)


def _out_shape(stated: LayerDescription, weights: WeightShape | None, shape: Shape, pooled: tuple[int, int]) -> Shape:
    channels = stated.out_channels or (weights.out_channels if weights else shape.channels)
    if stated.flatten:
        return Shape(channels, 1, 1)
    kernel, pad, dilation = stated.convolution.kernel, stated.convolution.pad, stated.convolution.dilation
    if stated.op == "convtranspose2d":
        rows, cols = (2 * pooled[side] - 1 - 2 * pad[side] + kernel[side] for side in (0, 1))
    else:
        rows, cols = (pooled[side] + 2 * pad[side] - dilation * (kernel[side] - 1) for side in (0, 1))
    if rows < 1 or cols < 1:
        message = f"a kernel of {kernel[0]}x{kernel[1]} does not fit {pooled[0]}x{pooled[1]} pixels"
        raise refuse(stated, "kernel_size", message)
    return Shape(channels, rows, cols)


def _output_processors(
    stated: LayerDescription, shape: Shape, inference: Inference, into: RollingBuffer | None
) -> ProcessorMap:
    """As stated, else those of the data buffer that it writes to, else of the next layer, else (last layer) the lowest
    ones; 0 where the planner chooses."""
    description = inference.description
    if stated.placement.output_processors:
        return stated.placement.output_processors
    if into:
        return into.processors
    if stated.index + 1 < len(description.layers):
        return description.layers[stated.index + 1].placement.processors
    if description.output_map:
        return description.output_map
    if not stated.placement.processors:
        return 0
    return lowest_processors(shape.channels, inference.device)


def _in_offset(stated: LayerDescription, inputs: tuple[int, ...], done: Sequence[Layer], cropped: int) -> int | None:
    """As stated, else where the producers wrote, `cropped` bytes behind; the network's input lies at 0 if the YAML
    places the outputs."""
    if stated.placement.in_offset is not None:
        return stated.placement.in_offset
    if inputs[0] == INPUT:
        if done:
            return None if done[0].in_offset is None else done[0].in_offset + cropped
        return cropped if stated.placement.out_offset is not None else None
    offsets = [done[index].out_offset for index in inputs]
    known = [offset for offset in offsets if offset is not None]
    return min(known) + cropped if len(known) == len(offsets) else None
