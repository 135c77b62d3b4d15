"""Rules about streaming and FIFO input. Each rule returns what it found, or None if all is well.

Source of the rules: README of analogdevicesinc/ai8x-synthesis, "Limitations of MAX78000 Networks" and "FIFOs", and the
checks in its izer/backend/max7800x.py; the numbers are in the device file.
"""

from __future__ import annotations

from dataclasses import replace

from offramp.configs.device import Device
from offramp.planner.hardware.hw_layer import HwLayer, map_layer, passes_of
from offramp.planner.hardware.streaming import frame_words, stream_fields, stream_of
from offramp.planner.ir.network import INPUT, Layer, Network


def streaming_place(layer: Layer, network: Network, device: Device) -> str | None:
    """Streaming layers are the first ones without interruption, at most {stream_layers}, and read the layer before."""
    if not layer.streaming:
        return None
    before = all(earlier.streaming for earlier in network.layers[: layer.index])
    fits = layer.index < device.geometry.stream_layers and before and layer.inputs == (layer.index - 1,)
    return None if fits else "`streaming: true`"


def streamed_once(layer: Layer, network: Network, device: Device) -> str | None:
    """The input of a streaming layer is not kept: no other layer can read it, and it is no output of the network."""
    if not layer.streaming:
        return None
    source = layer.inputs[0]
    later = [reader.index for reader in network.consumers(source) if reader.index != layer.index]
    kept = source != INPUT and network.layers[source].output
    return f"layer {later[0]} reads the same" if later else "`output: true` of the layer before" if kept else None


def streaming_fifo(layer: Layer, network: Network, device: Device) -> str | None:
    """A network whose first layer streams takes its input through the FIFO (`fifo: true` in a spec, or `--fifo`)."""
    return "`streaming: true`" if layer.streaming and layer.index == 0 and not network.fifo else None


def streaming_padding(layer: Layer, network: Network, device: Device) -> str | None:
    """The last streaming layer is padded (a 1x1 kernel runs as a padded 3x3 one)."""
    following = network.layers[layer.index + 1 : layer.index + 2]
    last = layer.streaming and not (following and following[0].streaming)
    widened = layer.op == "conv2d" and layer.kernel == (1, 1)
    return "padding of 0" if last and 0 in layer.pad and not widened else None


def streaming_size(layer: Layer, network: Network, device: Device) -> str | None:
    """Rows times columns times passes of a streaming layer's input are less than {stream_product}."""
    size = layer.in_shape.pixels * passes_of(layer.in_shape.channels, device)[0]
    return f"an input of {layer.in_shape}" if layer.streaming and size >= device.limits["stream_product"] else None


def streaming_registers(layer: Layer, network: Network, device: Device) -> str | None:
    """What a streaming layer waits for and steps over, the input passes of all layers before it together (at most
    {input_volume}) and its circular buffer fit the stream registers; the buffer fits a data memory instance, too."""
    if not layer.streaming:
        return None
    stream = stream_of([_form(one, network, device) for one in network.layers], layer.index)
    (rows, cols), before = layer.pool, f", {stream.input_volume} passes in the layers before" if layer.index else ""
    found = f"an input of {layer.in_shape}, pooling of {rows}x{cols}{before}"
    for (register, field), value in stream_fields(stream).items():
        limit = device.registers[register].by_name[field].limit
        if value > limit:
            return f"{found}: {register}.{field} would be {value}, at most {limit}"
    words = device.memories["data"].words
    return f"{found}: a buffer of {stream.words} words, at most {words}" if stream.words > words else None


def streamed_reset(layer: Layer, network: Network, device: Device) -> str | None:
    """A streaming layer does not average right behind a layer with operands: in between there would be a layer slot
    that resets the pooling, and slots of streaming layers lie one behind the other."""
    averages = layer.pool_average and layer.pool != (1, 1)
    wrong = layer.streaming and averages and layer.index > 0 and network.layers[layer.index - 1].operands > 1
    return f"average pooling behind {network.layers[layer.index - 1].operands} operands" if wrong else None


def fifo_words(layer: Layer, network: Network, device: Device) -> str | None:
    """The words of a frame from the FIFO, and those that the first layer waits for if it does not stream, fit the FIFO
    and stream registers."""
    if not network.fifo or layer.index != 0:
        return None
    hw = _form(layer, network, device)
    needs = {("IFRM", "words"): hw.input_words, ("STRM0", "start"): 0 if layer.streaming else frame_words(hw)}
    fits = all(need <= device.registers[name].by_name[field].limit for (name, field), need in needs.items())
    found = f"an input of {layer.in_shape}, pooling of {layer.pool[0]}x{layer.pool[1]}"
    return None if fits else found + (f", {layer.operands} operands" if layer.operands > 1 else "")


def _form(layer: Layer, network: Network, device: Device) -> HwLayer:
    """The layer's form on the hardware without its weights, which may be such that there is none."""
    return map_layer(replace(layer, weights=None), network, device)


def fifo_channels(layer: Layer, network: Network, device: Device) -> str | None:
    """The FIFOs take at most {fifo_channels} input channels in HWC format and {fifo_channels_chw} in CHW format."""
    most = device.limits["fifo_channels_chw" if layer.data_format == "CHW" else "fifo_channels"]
    wrong = network.fifo and INPUT in layer.inputs and layer.in_shape.channels > most
    return f"{layer.in_shape.channels} channels" if wrong else None


def fifo_processors(layer: Layer, network: Network, device: Device) -> str | None:
    """An input from the FIFOs goes to the first {lanes} processors of each quadrant (CHW format: the first one)."""
    geometry = device.geometry
    lanes = (1 << (1 if layer.data_format == "CHW" else geometry.processors_per_instance)) - 1
    allowed = sum(lanes << geometry.processors_per_quadrant * quadrant for quadrant in range(geometry.quadrants))
    wrong = network.fifo and INPUT in layer.inputs and layer.processors & ~allowed
    return f"processors {layer.processors:#018x}" if wrong else None


STREAM_RULES = (
    streaming_place,
    streamed_once,
    streaming_fifo,
    streaming_padding,
    streaming_size,
    streaming_registers,
    streamed_reset,
    fifo_words,
    fifo_channels,
    fifo_processors,
)
