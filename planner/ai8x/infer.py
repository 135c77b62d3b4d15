"""Shapes, inputs and memory places of a network's layers, which their descriptions imply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.ai8x.description import Description, LayerDescription, find_buffer, find_layer
from offramp.planner.ai8x.rolling_buffers import RollingBuffer
from offramp.planner.ai8x.unsupported import in_crop, square_pool_stride
from offramp.planner.ai8x.weights import LayerWeights, WeightShape
from offramp.planner.hardware.hw_layer import lowest_processors
from offramp.planner.ir.network import INPUT, Layer, ProcessorMap, Shape
from offramp.planner.rules.docstrings import message_of
from offramp.planner.rules.inputs import joined_sizes


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


def _refuse(stated: LayerDescription, key: str, message: str) -> InputError:
    return InputError(Diagnostic(stated.entry.at(key), f"{stated.label}: {message}"))


def _infer(stated: LayerDescription, done: Sequence[Layer], inference: Inference) -> Layer:
    buffer = _buffer(stated, inference)
    inputs = () if buffer else _inputs(stated, done, inference)
    in_shape = _buffer_shape(stated, buffer) if buffer else _in_shape(stated, inputs, done, inference)
    pool, pooled = _pooled(stated, in_shape)
    weights = _weights(stated, inference)
    out_shape = _out_shape(stated, weights, in_shape, pooled)
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
        processors=stated.placement.processors,
        output_processors=_output_processors(stated, out_shape, inference),
        in_offset=buffer.offset if buffer and stated.placement.in_offset is None else _in_offset(stated, inputs, done),
        out_offset=stated.placement.out_offset,
        write_gap=stated.placement.write_gap,
        weights=weights.weights if isinstance(weights, LayerWeights) else None,
        bias=weights.bias if isinstance(weights, LayerWeights) else None,
        output=stated.output,
    )


def _weights(stated: LayerDescription, inference: Inference) -> WeightShape | None:
    if stated.op == "passthrough":
        return None
    if stated.index not in inference.weights:
        found = "its number of output channels is not known"
        raise _refuse(stated, "op", f"{found}; give a checkpoint, its `output_processors`, or --classes")
    return inference.weights[stated.index]


def _weight_bits(stated: LayerDescription, weights: WeightShape | None) -> int:
    """As the YAML says, else as the weights' source says, else 8. Binary weights (refused elsewhere) count as 1 bit."""
    if stated.op == "passthrough":
        return 8
    return abs(stated.convolution.weight_bits or (weights and weights.bits) or 8)


def _output_shift(stated: LayerDescription, weights: WeightShape | None) -> int:
    if stated.op == "passthrough":
        return 0
    if stated.convolution.shift is not None:
        return stated.convolution.shift
    return (weights and weights.output_shift) or 0


def _buffer(stated: LayerDescription, inference: Inference) -> RollingBuffer | None:
    """The rolling data buffer that the layer reads."""
    references = stated.in_sequences or ()
    found = [buffer for buffer in (find_buffer(inference.description, reference) for reference in references) if buffer]
    if "buffer_shift" in stated.entry and inference.description.buffers and (not found or stated.op != "passthrough"):
        message = "`buffer_shift` needs `op: passthrough` and a data buffer in `in_sequences`"
        raise _refuse(stated, "buffer_shift", message)
    if found and (len(references) > 1 or stated.operands > 1 or stated.index == 0):
        message = f"data buffer `{found[0].name}` can only be the single input of a layer after the first"
        raise _refuse(stated, "in_sequences", message)
    return found[0] if found else None


def _buffer_shape(stated: LayerDescription, buffer: RollingBuffer) -> Shape:
    """Shape of what the layer reads: `in_channels` and `in_dim` may ask for a part of the buffer. With `flatten` the
    channels are counted after flattening (izer.py divides them by the pixels)."""
    wanted = _asked(stated, buffer.shape)
    if stated.flatten and stated.in_channels:
        wanted = replace(wanted, channels=stated.in_channels // wanted.pixels)
    if not 0 < wanted.channels <= buffer.shape.channels or wanted.pixels > buffer.shape.pixels:
        raise _refuse_shape(stated, wanted, f"data buffer `{buffer.name}` is {buffer.shape}")
    return wanted


def _inputs(stated: LayerDescription, done: Sequence[Layer], inference: Inference) -> tuple[int, ...]:
    """Producers of the layer's input.

    Without `in_sequences` the previous layer, unless `in_offset` points elsewhere: then the layer reads what lies
    there, the output of the latest layer that wrote to this offset on these processors.
    """
    if stated.in_sequences is None:
        previous = stated.index - 1
        if not done or stated.placement.in_offset in (None, done[previous].out_offset):
            return (previous,)
        return (_writer(stated, done),)
    found = []
    for reference in stated.in_sequences:
        index = find_layer(inference.description, reference)
        if index is None and "data_buffer" in inference.description.features and not inference.description.buffers:
            raise InputError(())  # it may name a data buffer, which is refused already
        if index is None:
            raise _refuse(stated, "in_sequences", f"`in_sequences`: there is no layer `{reference}`")
        if index >= stated.index:
            raise _refuse(
                stated, "in_sequences", f"`in_sequences`: layer {index} runs later; only earlier ones can be read"
            )
        found.append(index)
    return tuple(found)


def _writer(stated: LayerDescription, done: Sequence[Layer]) -> int:
    wanted = stated.placement
    for layer in reversed(done):
        overlap = layer.output_processors & wanted.processors or not (layer.output_processors and wanted.processors)
        if layer.out_offset == wanted.in_offset and overlap:
            return layer.index
    if done[0].in_offset == wanted.in_offset and done[0].processors == wanted.processors:
        return INPUT
    message = f"`in_offset: {wanted.in_offset:#x}`, but no earlier layer writes there; name the layer in `in_sequences`"
    raise _refuse(stated, "in_offset", message)


def _in_shape(stated: LayerDescription, inputs: tuple[int, ...], done: Sequence[Layer], inference: Inference) -> Shape:
    """Shape of the input, of one operand if there are several."""
    shapes = [inference.input_shape if index == INPUT else done[index].out_shape for index in inputs]
    if stated.operands > 1 and len(shapes) > 1:
        joined = _operand_shape(stated, shapes)
    elif stated.operands > 1:
        joined = _interleaved_shape(stated, inputs[0], shapes[0])
    else:
        joined = _joined_shape(stated, shapes)
    return _reshaped(stated, joined)


def _operand_shape(stated: LayerDescription, shapes: list[Shape]) -> Shape:
    if len(shapes) != stated.operands:
        raise _refuse(
            stated, "in_sequences", f"{stated.operands} operands, but `in_sequences` names {len(shapes)} layers"
        )
    if len(set(shapes)) > 1:
        listed = ", ".join(str(shape) for shape in shapes)
        raise _refuse(stated, "in_sequences", f"operands of different shapes ({listed}); they must be the same")
    return shapes[0]


def _interleaved_shape(stated: LayerDescription, source: int, shape: Shape) -> Shape:
    """One tensor that holds all operands: in the network's input they follow one another along the channels; in any
    other tensor each pixel's words are the operands in turn, so it has fewer pixels.
    """
    if source == INPUT:
        if shape.channels % stated.operands:
            message = f"the input's {shape.channels} channels cannot be shared out among {stated.operands} operands"
            raise _refuse(stated, "operands", message)
        return replace(shape, channels=shape.channels // stated.operands)
    if stated.in_dim is None or stated.in_dim[0] * stated.in_dim[1] * stated.operands != shape.pixels:
        message = f"{stated.operands} operands from one tensor of {shape}; `in_dim` must say the shape of an operand"
        raise _refuse(stated, "in_dim", message)
    return Shape(shape.channels, *stated.in_dim)


def _joined_shape(stated: LayerDescription, shapes: list[Shape]) -> Shape:
    if len({(shape.rows, shape.cols) for shape in shapes}) > 1:
        listed = ", ".join(str(shape) for shape in shapes)
        raise _refuse(stated, "in_sequences", f"inputs of {listed}. {message_of(joined_sizes, {})}")
    return replace(shapes[0], channels=sum(shape.channels for shape in shapes))


def _reshaped(stated: LayerDescription, shape: Shape) -> Shape:
    """`in_channels` and `in_dim` give the same values another shape."""
    wanted = _asked(stated, shape)
    if wanted.channels * wanted.pixels != shape.channels * shape.pixels:
        if in_crop(stated):
            raise InputError(())  # refused already, and this follows from it
        raise _refuse_shape(stated, wanted, f"the input is {shape}")
    return wanted


def _asked(stated: LayerDescription, shape: Shape) -> Shape:
    """`shape` as `in_channels` and `in_dim` change it."""
    rows, cols = stated.in_dim or (shape.rows, shape.cols)
    return Shape(stated.in_channels or shape.channels, rows, cols)


def _refuse_shape(stated: LayerDescription, wanted: Shape, found: str) -> InputError:
    key = "in_dim" if "in_dim" in stated.entry else "in_channels"
    return _refuse(stated, key, f"`in_channels`/`in_dim` ask for {wanted}, but {found}")


def _pooled(stated: LayerDescription, shape: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pooling window and the rows and columns after it. 1-D data are pooled along their length only."""
    window, step = stated.pooling.window, stated.pooling.stride[0]
    if stated.op == "passthrough" and shape.cols == 1:
        window = (window[0], 1)
    if stated.pooling.stride != (step, step) and shape.cols > 1 and not square_pool_stride(stated):
        found = f"`pool_stride: [{step}, {stated.pooling.stride[1]}]` of an input of {shape}"
        raise _refuse(stated, "pool_stride", f"{found}. {message_of(square_pool_stride, {})}")
    rows = (shape.rows - window[0]) // step + 1
    cols = shape.cols if stated.op == "conv1d" else (shape.cols - window[1]) // step + 1
    if rows < 1 or cols < 1:
        key = "avg_pool" if stated.pooling.average else "max_pool"
        message = f"a pooling window of {window[0]}x{window[1]} does not fit an input of {shape}"
        raise _refuse(stated, key, message)
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
        raise _refuse(stated, "kernel_size", message)
    return Shape(channels, rows, cols)


def _output_processors(stated: LayerDescription, shape: Shape, inference: Inference) -> ProcessorMap:
    """As stated, else those of the next layer, else (last layer) the lowest ones; 0 where the planner chooses."""
    description = inference.description
    if stated.placement.output_processors:
        return stated.placement.output_processors
    if stated.index + 1 < len(description.layers):
        return description.layers[stated.index + 1].placement.processors
    if description.output_map:
        return description.output_map
    if not stated.placement.processors:
        return 0
    return lowest_processors(shape.channels, inference.device)


def _in_offset(stated: LayerDescription, inputs: tuple[int, ...], done: Sequence[Layer]) -> int | None:
    """As stated, else where the producers wrote; the network's input lies at 0 if the YAML places the outputs."""
    if stated.placement.in_offset is not None:
        return stated.placement.in_offset
    if inputs[0] == INPUT:
        if done:
            return done[0].in_offset
        return 0 if stated.placement.out_offset is not None else None
    offsets = [done[index].out_offset for index in inputs]
    known = [offset for offset in offsets if offset is not None]
    return min(known) if len(known) == len(offsets) else None
