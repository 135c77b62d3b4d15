"""Integer reference: what every layer computes, on whole batches, without registers or memories.

Arithmetic from ai8x-synthesis (simulate.py, compute.py and the README's "Number Format"): the order inside a layer is
element-wise then pooling, or pooling then element-wise, then convolution, bias, shift, clip and activation. Everything
is exact; matrix products use floating point only where the type holds every possible sum.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt

from offramp.planner.ir.network import INPUT, Layer, Network

Tensor = npt.NDArray[np.int8 | np.int32]  # (N, channels, rows, cols)
Floating = np.float32 | np.float64

INT8_MIN, INT8_MAX = -128, 127
BIAS_SCALE = 128  # a bias is added to the accumulator as 128 * bias
FRACTION_BITS = 7  # of 8-bit data; the accumulator is divided by 2**7
_FLOAT32_EXACT = 1 << 24  # integers up to here, and therefore sums of them, are exact in float32
_BATCH_BYTES = 48 << 20  # of the widest unfolded layer input; bounds the memory of a run


def run_network(network: Network, x: npt.NDArray[np.int8], keep: Collection[int] = ()) -> dict[int, Tensor]:
    """Outputs of the last layer and of the layers in `keep`, by layer index.

    `x`: int8 (N, channels, rows, cols), the input as the accelerator gets it; operands of an element-wise first layer
    are concatenated along the channels. Results: int8 (N, channels, rows, cols), or int32 for 32-bit outputs, which
    are raw accumulators. ValueError if `x` is not such an array, or if the network has rolling buffers, with which the
    order of images matters (`sequence.run_in_order`).
    """
    if network.buffers:
        raise ValueError(f"network `{network.name}` has rolling buffers")
    return run_layers(network.layers, {INPUT: x}, network.avg_pool_rounding, keep)


def run_layers(
    layers: Sequence[Layer],
    tensors: Mapping[int, Tensor],
    avg_pool_rounding: bool = False,
    keep: Collection[int] = (),
) -> dict[int, Tensor]:
    """Run consecutive layers (a whole network, a part of a backbone, a head) from given tensors.

    `tensors`: what the layers read from outside, by producer index or INPUT, (N, channels, rows, cols).
    Returns the outputs of the last layer and of those in `keep`, as `run_network` does. ValueError for a missing
    tensor, a wrong shape or type, or tensors that differ in N.
    """
    wanted = set(keep) | {layers[-1].index}
    _check_tensors(layers, tensors)
    count = next(iter(tensors.values())).shape[0]
    step = _batch_size(layers)
    parts = [
        _run_batch(layers, {i: t[at : at + step] for i, t in tensors.items()}, avg_pool_rounding, wanted)
        for at in range(0, max(count, 1), step)
    ]
    return {index: np.concatenate([part[index] for part in parts]) for index in sorted(wanted)}


def run_layer(layer: Layer, inputs: Sequence[Tensor], avg_pool_rounding: bool = False) -> Tensor:
    """One layer on the tensors of its producers, in the order of `layer.inputs`, each (N, channels, rows, cols).

    Returns int8 (N, out channels, rows, cols), or int32 for a 32-bit output.
    """
    operands = _operands(layer, inputs)
    # The vendor's tool ignores the rounding flag for 1-D convolutions (ai8x-synthesis compute.py).
    rounding = avg_pool_rounding and layer.op != "conv1d"
    if layer.pool_first:
        data = _elementwise(layer, [_pool(layer, operand, rounding) for operand in operands])
    else:
        data = _pool(layer, _elementwise(layer, operands), rounding)
    if layer.flatten:
        data = data.reshape(data.shape[0], -1, 1, 1)
    if not layer.has_weights:
        if layer.activation != "none":
            raise ValueError(f"layer {layer.index}: an activation after a passthrough is not defined")
        return data.astype(np.int32) if layer.output_width == 32 else data
    return _output(layer, _accumulate(layer, data))


def _check_tensors(layers: Sequence[Layer], tensors: Mapping[int, Tensor]) -> None:
    inside = {layer.index for layer in layers}
    needed = {index for layer in layers for index in layer.inputs} - inside
    missing = sorted(needed - set(tensors))
    if missing:
        raise ValueError(f"no tensor for producer {missing[0]}")
    counts = {tensor.shape[0] for tensor in tensors.values()}
    if len(counts) != 1:
        raise ValueError(f"tensors with {sorted(counts)} images; all need the same number")
    for index, tensor in tensors.items():
        if tensor.dtype != np.int8 or tensor.ndim != 4:
            raise ValueError(f"tensor {index} is {tensor.dtype} with {tensor.ndim} dimensions, not int8 with 4")


def _batch_size(layers: Sequence[Layer]) -> int:
    """Images per batch such that the widest layer stays within `_BATCH_BYTES`."""
    widest = max(4 * layer.in_features * layer.kernel[0] * layer.kernel[1] * layer.out_shape.pixels for layer in layers)
    return max(1, _BATCH_BYTES // widest)


def _run_batch(
    layers: Sequence[Layer], tensors: Mapping[int, Tensor], avg_pool_rounding: bool, wanted: set[int]
) -> dict[int, Tensor]:
    live = dict(tensors)
    last_use = {index: layer.index for layer in layers for index in layer.inputs}
    results: dict[int, Tensor] = {}
    for layer in layers:
        live[layer.index] = run_layer(layer, [live[index] for index in layer.inputs], avg_pool_rounding)
        if layer.index in wanted:
            results[layer.index] = live[layer.index]
        for index in [i for i in live if last_use.get(i, -1) <= layer.index]:
            del live[index]
    return results


def _operands(layer: Layer, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The operands, each (N, channels, rows, cols) of `layer.in_shape`."""
    shape, count = layer.in_shape, layer.operands
    data = _gathered(layer, inputs)
    n, channels = data.shape[:2]
    pixels = data.shape[2] * data.shape[3]
    if channels * pixels != count * shape.channels * shape.pixels:
        found = "x".join(map(str, data.shape[1:]))
        raise ValueError(f"layer {layer.index} needs {count} operand(s) of {shape}, its input is {found}")
    if channels == count * shape.channels or count == 1:
        parts = np.split(data, count, axis=1)
    else:
        # One producer that was not written as operands: a memory word per pixel, read as operand 0, 1, 0, 1, ...
        flat = data.reshape(n, channels, pixels)
        parts = [flat[:, :, operand::count] for operand in range(count)]
    return [part.reshape(n, shape.channels, shape.rows, shape.cols) for part in parts]


def _gathered(layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """All inputs as one tensor, without the pixels that the layer crops."""
    if layer.join == "pixels":
        inputs = [one.reshape(*one.shape[:2], -1, 1) for one in inputs]
    data: Tensor = np.concatenate(inputs, axis=2 if layer.join == "pixels" else 1) if len(inputs) > 1 else inputs[0]
    if any(layer.crop):
        front, behind = layer.crop
        flat = data.reshape(*data.shape[:2], -1, 1)
        data = flat[:, :, front : flat.shape[2] - behind]
    return data


def _elementwise(layer: Layer, operands: Sequence[Tensor]) -> Tensor:
    """Combine operands at full precision; saturate once, except in front of a 32-bit passthrough."""
    if len(operands) == 1:
        return operands[0]
    wide = [operand.astype(np.int32) for operand in operands]
    if layer.eltwise == "add":
        result = sum(wide[1:], start=wide[0])
    elif layer.eltwise == "sub":
        result = wide[0] - sum(wide[2:], start=wide[1])
    elif layer.eltwise == "or":
        result = reduce(np.bitwise_or, wide)
    elif layer.eltwise == "xor":
        result = reduce(np.bitwise_xor, wide)
    else:
        raise ValueError(f"layer {layer.index} has {len(operands)} operands and no element-wise operation")
    if not layer.has_weights and layer.output_width == 32:
        return result
    return result.clip(INT8_MIN, INT8_MAX).astype(np.int8)


def _pool(layer: Layer, data: Tensor, rounding: bool) -> Tensor:
    """Max or average pooling; windows that do not fit are dropped; a stride alone samples."""
    rows, cols = layer.pool
    stride = layer.pool_stride
    if rows == cols == stride == 1:
        return data
    down, across = layer.pool_dilation
    height, width = stride * (layer.pooled[0] - 1) + 1, stride * (layer.pooled[1] - 1) + 1
    taps = [
        data[:, :, row * down : row * down + height : stride, col * across : col * across + width : stride]
        for row in range(rows)
        for col in range(cols)
    ]
    if not layer.pool_average or len(taps) == 1:
        return reduce(np.maximum, taps)
    total = taps[0].astype(np.int32)
    for tap in taps[1:]:
        total += tap
    magnitude = 2 * np.abs(total) + len(taps) if rounding else 2 * np.abs(total)
    # Toward zero, or half away from zero: both divide the magnitude and put the sign back.
    mean: Tensor = np.sign(total) * (magnitude // (2 * len(taps)))
    return mean.astype(data.dtype)


def _accumulate(layer: Layer, data: Tensor) -> npt.NDArray[np.int32]:
    """Correlation plus bias: int32 (N, out, rows, cols). No layer within the device's limits has a sum of 31 bits."""
    assert layer.weights is not None
    weights = layer.weights.astype(np.int64)
    out = weights.shape[0]
    largest = int(np.abs(weights).reshape(out, -1).sum(axis=1).max(initial=0)) * -INT8_MIN
    dtype = np.float32 if largest <= _FLOAT32_EXACT else np.float64
    padded = _padded(layer, data, dtype)
    spread = tuple((k - 1) * layer.dilation + 1 for k in layer.kernel)
    windows = np.lib.stride_tricks.sliding_window_view(padded, spread, axis=(2, 3))
    windows = windows[..., :: layer.dilation, :: layer.dilation]
    if layer.depthwise:
        return _depthwise(layer, windows)
    n, _, rows, cols = windows.shape[:4]
    columns = windows.transpose(1, 4, 5, 0, 2, 3).reshape(weights[0].size, n * rows * cols)
    sums = np.matmul(weights.reshape(out, -1).astype(dtype), columns).astype(np.int32)
    if layer.bias is not None:
        sums += BIAS_SCALE * layer.bias.astype(np.int32)[:, None]
    images: npt.NDArray[np.int32] = sums.reshape(out, n, rows, cols).transpose(1, 0, 2, 3)
    return images


def _depthwise(layer: Layer, windows: npt.NDArray[Floating]) -> npt.NDArray[np.int32]:
    """Each channel with its own kernel, plus bias. `windows`: (N, channels, rows, cols, kernel rows, kernel cols)."""
    assert layer.weights is not None
    kernels = layer.weights[:, 0].astype(windows.dtype)
    sums: npt.NDArray[np.int32] = np.einsum("nchwij,cij->nchw", windows, kernels).astype(np.int32)
    if layer.bias is not None:
        sums += BIAS_SCALE * layer.bias.astype(np.int32)[:, None, None]
    return sums


def _padded(layer: Layer, data: Tensor, dtype: type[Floating]) -> npt.NDArray[Floating]:
    """Zero-padded floating copy; a transposed convolution first puts a zero after every sample and row."""
    n, channels, rows, cols = data.shape
    pad_rows, pad_cols = layer.pad
    step = 1
    if layer.op == "convtranspose2d":
        # The hardware pads by 2 - pad: the padding of a transposed convolution takes away (PyTorch's convention).
        pad_rows, pad_cols, step = 2 - pad_rows, 2 - pad_cols, 2
    padded = np.zeros((n, channels, step * rows + 2 * pad_rows, step * cols + 2 * pad_cols), dtype)
    padded[:, :, pad_rows : pad_rows + step * rows : step, pad_cols : pad_cols + step * cols : step] = data
    return padded


def _output(layer: Layer, sums: npt.NDArray[np.int32]) -> Tensor:
    """floor(sum * 2**shift / 128 + 1/2), clipped, then activated; the sum itself for a 32-bit output."""
    if layer.output_width == 32:
        return sums
    shift = layer.output_shift + 8 - layer.weight_bits
    right = FRACTION_BITS - shift
    if right > 0:
        sums = (sums + (1 << (right - 1))) >> right
    # Clipping before a shift to the left keeps it within 32 bits and changes nothing: a clipped value stays clipped.
    result = (sums.clip(INT8_MIN, INT8_MAX) << max(0, -right)).clip(INT8_MIN, INT8_MAX)
    if layer.activation == "abs":
        result = np.abs(result).clip(max=INT8_MAX)
    elif layer.activation == "relu":
        result = result.clip(min=0)
    return result.astype(np.int8)
