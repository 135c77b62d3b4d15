"""A network value as the files that a spec names: a YAML and a checkpoint that are read back as the same network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from offramp.configs.device import load_device
from offramp.planner.hardware.hw_layer import WORD_BYTES, passes_of
from offramp.planner.ir.network import Layer, Network, RollingBuffer
from tests.helpers import checkpoints

DEVICE = load_device()
_OPS = {"linear": "mlp", "passthrough": "none"}


def write_network_files(folder: Path, name: str, network: Network) -> None:
    """NAME.yaml and NAME.pth.tar. Layers are called l0, l1 and so on; buffers need an offset."""
    content: dict[str, Any] = {"arch": name, "dataset": "none"}
    if network.buffers:
        content["data_buffer"] = [_buffer(buffer) for buffer in network.buffers]
    content["layers"] = [_layer(layer, network) for layer in network.layers]
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=1000)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    checkpoints.save(folder / f"{name}.pth.tar", _state(network), name)


def buffer_bytes(buffer: RollingBuffer) -> int:
    """What a rolling buffer takes of each of its data memories."""
    return _pixel_bytes(buffer) * buffer.shape.pixels


def _pixel_bytes(buffer: RollingBuffer) -> int:
    return WORD_BYTES * passes_of(buffer.shape.channels, DEVICE)[0]


def _state(network: Network) -> dict[str, checkpoints.Array]:
    state: dict[str, checkpoints.Array] = {}
    for layer in network.layers:
        if layer.weights is None:
            continue
        weights = layer.weights
        if layer.op == "convtranspose2d":
            weights = np.flip(weights.swapaxes(0, 1), (2, 3))
        state[f"layer{layer.index}.op.weight"] = np.ascontiguousarray(weights).astype(np.float32)
        if layer.bias is not None:
            state[f"layer{layer.index}.op.bias"] = layer.bias.astype(np.float32) * 128
    return state


def _buffer(buffer: RollingBuffer) -> dict[str, Any]:
    shape = buffer.shape
    found = {"name": buffer.name, "processors": buffer.processors, "offset": buffer.offset}
    return found | {"channels": shape.channels, "dim": [shape.rows, shape.cols]}


def _layer(layer: Layer, network: Network) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": f"l{layer.index}", "op": _OPS.get(layer.op, layer.op)}
    entry |= _read(layer, network)
    if layer.operands > 1:
        entry |= {"eltwise": layer.eltwise, "operands": layer.operands}
    entry |= _pooling(layer)
    if layer.weights is not None:
        entry |= {"quantization": layer.weight_bits, "output_shift": layer.output_shift}
        entry |= {"activate": layer.activation, "output_width": layer.output_width}
    if layer.op in ("conv2d", "conv1d", "convtranspose2d"):
        rows, cols = layer.kernel
        size = f"{rows}x{cols}" if layer.op != "conv1d" else rows
        entry |= {"kernel_size": size, "pad": layer.pad[0], "dilation": layer.dilation}
    if layer.flatten:
        entry["flatten"] = True
    if layer.streaming:
        entry["streaming"] = True
    entry["data_format"] = layer.data_format
    return entry | _places(layer) | _rolling(layer, network)


def _read(layer: Layer, network: Network) -> dict[str, Any]:
    if layer.source:
        return {"in_sequences": layer.source, "in_channels": _features(layer), "in_dim": _dim(layer)}
    found: dict[str, Any] = {"in_sequences": list(layer.inputs)}
    if layer.join == "pixels":
        found |= {"in_channels": layer.in_shape.channels, "in_dim": _dim(layer)}
    if any(layer.crop):
        cols = network.shape_of(layer.inputs[0]).cols if layer.join != "pixels" else layer.in_shape.cols
        found["in_crop"] = [pixels // cols for pixels in layer.crop]
    return found


def _features(layer: Layer) -> int:
    """Channels as a YAML counts them: behind the flattening."""
    return layer.in_shape.channels * (layer.in_shape.pixels if layer.flatten else 1)


def _dim(layer: Layer) -> list[int]:
    return [layer.in_shape.rows, layer.in_shape.cols]


def _pooling(layer: Layer) -> dict[str, Any]:
    if layer.pool == (1, 1) and layer.pool_stride == 1:
        return {}
    found: dict[str, Any] = {"avg_pool" if layer.pool_average else "max_pool": list(layer.pool)}
    found["pool_stride"] = layer.pool_stride
    if not layer.pool_first and layer.operands > 1 and layer.pool != (1, 1):
        found["pool_first"] = False
    return found


def _places(layer: Layer) -> dict[str, Any]:
    stated = {"in_offset": layer.in_offset, "out_offset": layer.out_offset}
    found: dict[str, Any] = {key: value for key, value in stated.items() if value is not None}
    maps = {"processors": 0 if layer.source else layer.processors}
    maps["output_processors"] = 0 if layer.target else layer.output_processors
    return found | {key: value for key, value in maps.items() if value}


def _rolling(layer: Layer, network: Network) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if layer.source:
        buffer = network.buffer(layer.source)
        assert buffer.offset is not None
        found["in_offset"] = buffer.offset + _pixel_bytes(buffer) * layer.crop[0]
    if layer.target:
        shape = network.buffer(layer.target.buffer).shape
        kept = layer.target.first // shape.cols
        found |= {"buffer_shift": shape.rows - layer.in_shape.rows} if layer.source else {}
        found |= {"buffer_insert": shape.rows - kept} if not layer.source else {}
    return found
