"""What one layer's operator can do on the accelerator. Each rule returns what it found, or None if all is well.

Source of the rules: README of analogdevicesinc/ai8x-synthesis, "Limitations of MAX78000 Networks", and the checks in
its izer/backend/max7800x.py; the numbers are in the device file.
"""

from __future__ import annotations

from offramp.configs.device import Device
from offramp.planner.hardware.hw_layer import BYTE_BITS, passes_of
from offramp.planner.ir.network import Layer, Network


def rows_and_columns(layer: Layer, network: Network, device: Device) -> str | None:
    """Rows and columns of input and output, with padding, are at most {rows}."""
    scale = 2 if layer.op == "convtranspose2d" else 1
    sides = [
        scale * layer.in_shape.rows + 2 * layer.pad[0],
        scale * layer.in_shape.cols + 2 * layer.pad[1],
        layer.out_shape.rows,
        layer.out_shape.cols,
    ]
    if max(sides) <= device.limits["rows"]:
        return None
    return f"input of {layer.in_shape}, padding {layer.pad[0]}, output of {layer.out_shape}"


def channels(layer: Layer, network: Network, device: Device) -> str | None:
    """A layer has at most {channels} input channels (before flattening) and {channels} output channels."""
    most = max(layer.in_shape.channels, layer.out_shape.channels)
    return f"{most} channels" if most > device.limits["channels"] else None


def conv2d_kernel(layer: Layer, network: Network, device: Device) -> str | None:
    """The kernels of 2-D convolutions are 3x3 or 1x1, those of transposed convolutions 3x3."""
    allowed = {"conv2d": ((3, 3), (1, 1)), "convtranspose2d": ((3, 3),)}.get(layer.op)
    if allowed is None or layer.kernel in allowed:
        return None
    return f"a kernel of {layer.kernel[0]}x{layer.kernel[1]}"


def conv1d_kernel(layer: Layer, network: Network, device: Device) -> str | None:
    """The kernels of 1-D convolutions have a length of 1 to {conv1d_kernel}."""
    wrong = layer.op == "conv1d" and layer.kernel[0] > device.limits["conv1d_kernel"]
    return f"a kernel of length {layer.kernel[0]}" if wrong else None


def one_dimensional(layer: Layer, network: Network, device: Device) -> str | None:
    """A 1-D convolution takes data with one column; `in_dim` reshapes an input."""
    return f"an input of {layer.in_shape}" if layer.op == "conv1d" and layer.in_shape.cols != 1 else None


def padding(layer: Layer, network: Network, device: Device) -> str | None:
    """Padding is 0 to {pad} and smaller than the kernel; without a convolution it is 0."""
    wrong = layer.pad[0] > device.limits["pad"] or layer.pad[0] >= layer.kernel[0]
    return f"padding of {layer.pad[0]} with a kernel of {layer.kernel[0]}x{layer.kernel[1]}" if wrong else None


def conv2d_dilation(layer: Layer, network: Network, device: Device) -> str | None:
    """Only 1-D convolutions can have a `dilation` above 1."""
    return f"a dilation of {layer.dilation}" if layer.dilation > 1 and layer.op != "conv1d" else None


def conv1d_dilation(layer: Layer, network: Network, device: Device) -> str | None:
    """A dilated 1-D convolution spans at most {conv1d_kernel} samples; with a kernel of 2 or {dilated_kernel} and
    without padding, pooling, element-wise operation, flattening and streaming its dilation can be up to
    {conv1d_dilation}."""
    length, step = layer.kernel[0], layer.dilation
    if layer.op != "conv1d" or step == 1 or (length > 1 and (length - 1) * step < device.limits["conv1d_kernel"]):
        return None
    plain = layer.pad[0] == 0 and layer.pool[0] == 1 and layer.pool_stride == 1 and layer.operands == 1
    plain = plain and not layer.flatten and not layer.streaming
    if plain and 1 < length <= device.limits["dilated_kernel"] and step <= device.limits["conv1d_dilation"]:
        return None
    return f"a kernel of length {length} with a dilation of {step}"


def pooling(layer: Layer, network: Network, device: Device) -> str | None:
    """Pooling windows are 1 to {pool} in each direction, pooling strides 1 to {pool_stride}."""
    wrong = max(layer.pool) > device.limits["pool"] or layer.pool_stride > device.limits["pool_stride"]
    return f"pooling of {layer.pool[0]}x{layer.pool[1]} with a stride of {layer.pool_stride}" if wrong else None


def passthrough_pooling(layer: Layer, network: Network, device: Device) -> str | None:
    """Pooling of more than {processors} channels needs a convolution in the same layer, or a result of 1x1."""
    wrong = layer.op == "passthrough" and layer.pool != (1, 1) and layer.pooled != (1, 1)
    wrong = wrong and layer.in_shape.channels > device.geometry.processors
    return f"{layer.in_shape.channels} channels pooled to {layer.pooled[0]}x{layer.pooled[1]}" if wrong else None


def passthrough_activation(layer: Layer, network: Network, device: Device) -> str | None:
    """An activation needs a convolution."""
    wrong = layer.op == "passthrough" and layer.activation != "none"
    return f"`{layer.activation}` in a pass-through layer" if wrong else None


def wide_passthrough(layer: Layer, network: Network, device: Device) -> str | None:
    """Only convolutions write 32-bit outputs."""
    return "a pass-through layer with 32-bit output" if layer.op == "passthrough" and layer.output_width > 8 else None


def wide_activation(layer: Layer, network: Network, device: Device) -> str | None:
    """32-bit outputs are the raw sums: an activation needs `output_width: 8`."""
    return f"`{layer.activation}` on a 32-bit output" if layer.output_width > 8 and layer.activation != "none" else None


def wide_input(layer: Layer, network: Network, device: Device) -> str | None:
    """A layer reads 8-bit data: 32-bit outputs can only be outputs of the network."""
    wide = [index for index in layer.inputs if index >= 0 and network.layers[index].output_width > 8]
    return f"it reads the 32-bit output of layer {wide[0]}" if wide else None


def flatten(layer: Layer, network: Network, device: Device) -> str | None:
    """Flattening takes at most {flatten_pixels} pixels and {flatten_inputs} values, in at most {flatten_passes} passes
    (pixels times channels / {processors})."""
    pixels = layer.in_shape.pixels
    passes = passes_of(layer.in_shape.channels, device)[0] * pixels
    limits = device.limits
    fits = pixels <= limits["flatten_pixels"] and pixels * layer.in_shape.channels <= limits["flatten_inputs"]
    fits = fits and passes <= limits["flatten_passes"]
    return f"an input of {layer.in_shape}" if layer.flatten and not fits else None


def flatten_alone(layer: Layer, network: Network, device: Device) -> str | None:
    """Flattening needs a convolution or a linear layer, and excludes pooling and streaming."""
    pooled = layer.pool != (1, 1) or layer.pool_stride > 1
    return "`flatten`" if layer.flatten and (pooled or layer.streaming or layer.op == "passthrough") else None


def operands(layer: Layer, network: Network, device: Device) -> str | None:
    """Element-wise operations take 2 to {operands} operands."""
    return f"{layer.operands} operands" if layer.operands > device.limits["operands"] else None


def eltwise_conv1d(layer: Layer, network: Network, device: Device) -> str | None:
    """Element-wise operations cannot be combined with a 1-D convolution."""
    return f"`{layer.eltwise}`" if layer.operands > 1 and layer.op == "conv1d" else None


def pool_last(layer: Layer, network: Network, device: Device) -> str | None:
    """Pooling after an element-wise operation (`pool_first: false`) takes at most {pool_last_operands} operands."""
    wrong = not layer.pool_first and layer.operands > device.limits["pool_last_operands"]
    return f"{layer.operands} operands" if wrong else None


def eltwise_passes(layer: Layer, network: Network, device: Device) -> str | None:
    """An element-wise operation together with pooling or a convolution takes at most {processors} channels, or twice as
    many if it has two operands."""
    passes = passes_of(layer.in_shape.channels, device)[0]
    fused = layer.op != "passthrough" or layer.pool != (1, 1) or layer.pool_stride > 1
    if layer.operands == 1 or passes == 1 or passes == layer.operands == 2 or not fused:
        return None
    return f"{layer.operands} operands of {layer.in_shape.channels} channels"


def bias(layer: Layer, network: Network, device: Device) -> str | None:
    """A layer with biases has at most {bias_outputs} output channels."""
    wrong = layer.bias is not None and layer.bias.any() and layer.out_shape.channels > device.limits["bias_outputs"]
    return f"{layer.out_shape.channels} output channels with biases" if wrong else None


def output_shift(layer: Layer, network: Network, device: Device) -> str | None:
    """The output is shifted by at most {shift} bits, the 8 - weight bits that the hardware adds included."""
    total = layer.output_shift + BYTE_BITS - layer.weight_bits
    wrong = layer.has_weights and abs(total) > device.limits["shift"]
    return f"`output_shift` of {layer.output_shift} with {layer.weight_bits}-bit weights" if wrong else None


OPERATOR_RULES = (
    rows_and_columns,
    channels,
    conv2d_kernel,
    conv1d_kernel,
    one_dimensional,
    padding,
    conv2d_dilation,
    conv1d_dilation,
    pooling,
    passthrough_pooling,
    passthrough_activation,
    wide_passthrough,
    wide_activation,
    wide_input,
    flatten,
    flatten_alone,
    operands,
    eltwise_conv1d,
    pool_last,
    eltwise_passes,
    bias,
    output_shift,
)
