"""Shapes, inputs and memory places of a network's layers from their descriptions: what stands between the lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.ai8x.description import Description, LayerText, find_buffer, find_layer
from offramp.planner.ai8x.rolling_buffers import RollingBuffer
from offramp.planner.ai8x.weights import LayerWeights
from offramp.planner.ir.network import INPUT, Layer, ProcessorMap, Shape


@dataclass(frozen=True, eq=False)
class Inference:
    """What the shapes follow from. `weights` by layer index."""

    description: Description
    input_shape: Shape
    weights: Mapping[int, LayerWeights]
    last: int  # the last layer that is wanted


def infer_layers(inference: Inference) -> tuple[tuple[Layer, ...], tuple[Diagnostic, ...]]:
    """Layers in order, as far as their shapes can be told, and what is wrong with them."""
    layers: list[Layer] = []
    problems: list[Diagnostic] = []
    for text in inference.description.layers[: inference.last + 1]:
        try:
            layers.append(_infer(text, tuple(layers), inference, problems))
        except InputError as error:
            problems.extend(error.problems)
            break
    return tuple(layers), tuple(problems)


def _refuse(text: LayerText, key: str, message: str) -> InputError:
    return InputError(Diagnostic(text.at(key), f"{text.label}: {message}"))


def _infer(text: LayerText, done: Sequence[Layer], inference: Inference, problems: list[Diagnostic]) -> Layer:
    buffer = _buffer(text, inference)
    inputs = () if buffer else _inputs(text, done, inference)
    in_shape = _buffer_shape(text, buffer) if buffer else _in_shape(text, inputs, done, inference)
    pool, pooled = _pooled(text, in_shape)
    weights = _weights(text, inference)
    problems.extend(_check_weights(text, weights, in_shape, pooled))
    out_shape = _out_shape(text, weights, in_shape, pooled)
    return Layer(
        index=text.index,
        name=text.name or "",
        where=text.where,
        op=text.op,
        inputs=inputs,
        operands=text.operands,
        eltwise=text.eltwise,
        pool_first=text.pool_first,
        pool=pool,
        pool_stride=text.pool_stride[0],
        pool_average=text.pool_average,
        kernel=text.kernel,
        pad=text.pad,
        dilation=text.dilation,
        flatten=text.flatten,
        activation=text.activation,
        weight_bits=_weight_bits(text, weights),
        output_shift=_output_shift(text, weights),
        output_width=text.output_width,
        streaming=text.streaming,
        data_format=text.data_format,
        in_shape=in_shape,
        pooled=pooled,
        out_shape=out_shape,
        processors=text.processors,
        output_processors=_output_processors(text, out_shape, inference.description),
        in_offset=buffer.offset if buffer and text.in_offset is None else _in_offset(text, inputs, done),
        out_offset=text.out_offset,
        write_gap=text.write_gap,
        weights=weights.weights if weights else None,
        bias=weights.bias if weights else None,
        output=text.output,
    )


def _weights(text: LayerText, inference: Inference) -> LayerWeights | None:
    if text.op == "passthrough":
        return None
    if text.index not in inference.weights:
        found = "its number of output channels is not known"
        raise _refuse(text, "op", f"{found}; give a checkpoint, its `output_processors`, or --classes")
    return inference.weights[text.index]


def _weight_bits(text: LayerText, weights: LayerWeights | None) -> int:
    """As the YAML says, else as the weights' source says, else 8. Binary weights (refused elsewhere) count as 1 bit."""
    if text.op == "passthrough":
        return 8
    return abs(text.quantization or (weights and weights.bits) or 8)


def _output_shift(text: LayerText, weights: LayerWeights | None) -> int:
    if text.op == "passthrough":
        return 0
    if text.output_shift is not None:
        return text.output_shift
    return (weights and weights.output_shift) or 0


def _buffer(text: LayerText, inference: Inference) -> RollingBuffer | None:
    """The rolling data buffer that the layer reads."""
    references = text.in_sequences or ()
    found = [buffer for buffer in (find_buffer(inference.description, one) for one in references) if buffer]
    if "buffer_shift" in text.stated and inference.description.buffers and (not found or text.op != "passthrough"):
        message = "`buffer_shift` needs `op: passthrough` and a data buffer in `in_sequences`"
        raise _refuse(text, "buffer_shift", message)
    if found and (len(references) > 1 or text.operands > 1 or text.index == 0):
        message = f"data buffer `{found[0].name}` can only be the single input of a layer after the first"
        raise _refuse(text, "in_sequences", message)
    return found[0] if found else None


def _buffer_shape(text: LayerText, buffer: RollingBuffer) -> Shape:
    """Shape of what the layer reads: `in_channels` and `in_dim` may ask for a part of the buffer. With `flatten` the
    channels are counted after flattening (izer.py divides them by the pixels)."""
    wanted = _asked(text, buffer.shape)
    if text.flatten and text.in_channels:
        wanted = replace(wanted, channels=text.in_channels // wanted.pixels)
    if not 0 < wanted.channels <= buffer.shape.channels or wanted.pixels > buffer.shape.pixels:
        raise _refuse_shape(text, wanted, f"data buffer `{buffer.name}` is {buffer.shape}")
    return wanted


def _inputs(text: LayerText, done: Sequence[Layer], inference: Inference) -> tuple[int, ...]:
    """Producers of the layer's input.

    Without `in_sequences` the previous layer, unless `in_offset` points elsewhere: then the layer reads what lies
    there, the output of the latest layer that wrote to this offset on these processors.
    """
    if text.in_sequences is None:
        previous = text.index - 1
        if not done or text.in_offset in (None, done[previous].out_offset):
            return (previous,)
        return (_writer(text, done),)
    found = []
    for reference in text.in_sequences:
        index = find_layer(inference.description, reference)
        if index is None and "data_buffer" in inference.description.features and not inference.description.buffers:
            raise InputError(())  # it may name a data buffer, which is refused already
        if index is None:
            raise _refuse(text, "in_sequences", f"`in_sequences`: there is no layer `{reference}`")
        if index >= text.index:
            raise _refuse(
                text, "in_sequences", f"`in_sequences`: layer {index} runs later; only earlier ones can be read"
            )
        found.append(index)
    return tuple(found)


def _writer(text: LayerText, done: Sequence[Layer]) -> int:
    for layer in reversed(done):
        overlap = layer.output_processors & text.processors or not (layer.output_processors and text.processors)
        if layer.out_offset == text.in_offset and overlap:
            return layer.index
    if done[0].in_offset == text.in_offset and done[0].processors == text.processors:
        return INPUT
    message = f"`in_offset: {text.in_offset:#x}`, but no earlier layer writes there; name the layer in `in_sequences`"
    raise _refuse(text, "in_offset", message)


def _in_shape(text: LayerText, inputs: tuple[int, ...], done: Sequence[Layer], inference: Inference) -> Shape:
    """Shape of the input, of one operand if there are several."""
    shapes = [inference.input_shape if index == INPUT else done[index].out_shape for index in inputs]
    if text.operands > 1 and len(shapes) > 1:
        joined = _operand_shape(text, shapes)
    elif text.operands > 1:
        joined = _interleaved_shape(text, inputs[0], shapes[0])
    else:
        joined = _joined_shape(text, shapes)
    return _reshaped(text, joined)


def _operand_shape(text: LayerText, shapes: list[Shape]) -> Shape:
    if len(shapes) != text.operands:
        raise _refuse(text, "in_sequences", f"{text.operands} operands, but `in_sequences` names {len(shapes)} layers")
    if len(set(shapes)) > 1:
        listed = ", ".join(str(shape) for shape in shapes)
        raise _refuse(text, "in_sequences", f"operands of different shapes ({listed}); they must be the same")
    return shapes[0]


def _interleaved_shape(text: LayerText, source: int, shape: Shape) -> Shape:
    """One tensor that holds all operands: the network's input has them one after the other along the channels, in any
    other tensor each pixel's words are the operands in turn, so that there are fewer pixels."""
    if source == INPUT:
        if shape.channels % text.operands:
            message = f"the input's {shape.channels} channels cannot be shared out among {text.operands} operands"
            raise _refuse(text, "operands", message)
        return replace(shape, channels=shape.channels // text.operands)
    if text.in_dim is None or text.in_dim[0] * text.in_dim[1] * text.operands != shape.pixels:
        message = f"{text.operands} operands from one tensor of {shape}; `in_dim` must say the shape of an operand"
        raise _refuse(text, "in_dim", message)
    return Shape(shape.channels, *text.in_dim)


def _joined_shape(text: LayerText, shapes: list[Shape]) -> Shape:
    if len({(shape.rows, shape.cols) for shape in shapes}) > 1:
        listed = ", ".join(str(shape) for shape in shapes)
        raise _refuse(text, "in_sequences", f"inputs of different sizes ({listed}) cannot be joined along the channels")
    return replace(shapes[0], channels=sum(shape.channels for shape in shapes))


def _reshaped(text: LayerText, shape: Shape) -> Shape:
    """`in_channels` and `in_dim` give the same values another shape."""
    wanted = _asked(text, shape)
    if wanted.channels * wanted.pixels != shape.channels * shape.pixels:
        raise _refuse_shape(text, wanted, f"the input is {shape}")
    return wanted


def _asked(text: LayerText, shape: Shape) -> Shape:
    """What `in_channels` and `in_dim` make of `shape`."""
    rows, cols = text.in_dim or (shape.rows, shape.cols)
    return Shape(text.in_channels or shape.channels, rows, cols)


def _refuse_shape(text: LayerText, wanted: Shape, found: str) -> InputError:
    key = "in_dim" if "in_dim" in text.stated else "in_channels"
    return _refuse(text, key, f"`in_channels`/`in_dim` ask for {wanted}, but {found}")


def _pooled(text: LayerText, shape: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pooling window and the rows and columns after it. 1-D data are pooled along their length only."""
    pool = (text.pool[0], 1) if text.op == "passthrough" and shape.cols == 1 else text.pool
    rows = (shape.rows - pool[0]) // text.pool_stride[0] + 1
    cols = shape.cols if text.op == "conv1d" else (shape.cols - pool[1]) // text.pool_stride[0] + 1
    if rows < 1 or cols < 1:
        key = "avg_pool" if text.pool_average else "max_pool"
        raise _refuse(text, key, f"a pooling window of {pool[0]}x{pool[1]} does not fit an input of {shape}")
    return pool, (rows, cols)


def _out_shape(text: LayerText, weights: LayerWeights | None, shape: Shape, pooled: tuple[int, int]) -> Shape:
    channels = text.out_channels or (weights.out_channels if weights else shape.channels)
    if text.flatten:
        return Shape(channels, 1, 1)
    if text.op == "convtranspose2d":
        rows, cols = (2 * pooled[side] - 1 - 2 * text.pad[side] + text.kernel[side] for side in (0, 1))
    else:
        rows, cols = (pooled[side] + 2 * text.pad[side] - text.dilation * (text.kernel[side] - 1) for side in (0, 1))
    if rows < 1 or cols < 1:
        kernel = f"{text.kernel[0]}x{text.kernel[1]}"
        raise _refuse(text, "kernel_size", f"a kernel of {kernel} does not fit {pooled[0]}x{pooled[1]} pixels")
    return Shape(channels, rows, cols)


def _check_weights(
    text: LayerText, weights: LayerWeights | None, shape: Shape, pooled: tuple[int, int]
) -> tuple[Diagnostic, ...]:
    """Weights must have the layer's channels and kernel."""
    if weights is None or not weights.in_known:
        return ()
    pixels = pooled[0] * pooled[1] if text.flatten else 1
    expected = (shape.channels * pixels // text.groups, *text.kernel)
    if weights.shape[1:] == expected:
        return ()
    found = "x".join(str(size) for size in weights.shape)
    wanted = "x".join(str(size) for size in (weights.out_channels, *expected))
    message = f"{text.label}: {weights.name} has the shape {found}; {wanted} is expected for an input of {shape}"
    return (Diagnostic(text.where, message),)


def _output_processors(text: LayerText, shape: Shape, description: Description) -> ProcessorMap:
    """As stated, else those of the next layer, else (last layer) the lowest ones; 0 where the planner chooses."""
    if text.output_processors:
        return text.output_processors
    if text.index + 1 < len(description.layers):
        return description.layers[text.index + 1].processors
    if description.output_map:
        return description.output_map
    if not text.processors:
        return 0
    passes = -(-shape.channels // 64)
    count = -(-shape.channels // passes)
    if passes > 1:
        count = min(-(-count // 4) * 4, 64)
    return (1 << count) - 1


def _in_offset(text: LayerText, inputs: tuple[int, ...], done: Sequence[Layer]) -> int | None:
    """As stated, else where the producers wrote; the network's input lies at 0 if the YAML places the outputs."""
    if text.in_offset is not None:
        return text.in_offset
    if inputs[0] == INPUT:
        if done:
            return done[0].in_offset
        return 0 if text.out_offset is not None else None
    offsets = [done[index].out_offset for index in inputs]
    known = [offset for offset in offsets if offset is not None]
    return min(known) if len(known) == len(offsets) else None
