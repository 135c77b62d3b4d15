"""Trained networks as the files of a user: an ai8x YAML and a quantized checkpoint.

Keys of the checkpoint are those of the vendor's stock ones (analogdevicesinc/ai8x-synthesis, folder trained/): per
layer the one-element tensors `output_shift`, `weight_bits`, `bias_bits`, `quantize_activation`, `adjust_output_shift`,
then `op.weight` and `op.bias`, all float32 of integers. A bias B is stored as B * 2**(weight_bits - 1).
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from offramp.configs.device import Device
from offramp.configs.errors import CheckFailed
from offramp.host.files import write_bytes, write_text
from offramp.planner.ai8x.load import load_network
from offramp.planner.ai8x.weights import LayerWeights
from offramp.planner.ir.network import Network, Shape
from offramp.training.design import Design, yaml_of


def write_network(
    folder: Path, design: Design, weights: Sequence[LayerWeights], dataset: str, device: Device, comment: str = ""
) -> Network:
    """Write NAME.yaml and NAME.pth.tar, read them back and return the network that they are.

    CheckFailed if it has other weights than those given; InputError if a file cannot be written.
    """
    path = folder / f"{design.name}.yaml"
    write_text(path, yaml_of(design, dataset, comment))
    write_checkpoint(path.with_suffix(".pth.tar"), design.name, weights)
    return read_back(path, path.with_suffix(".pth.tar"), weights, design.input, device)


def write_checkpoint(path: Path, arch: str, weights: Sequence[LayerWeights]) -> None:
    """Write a checkpoint; equal arguments give equal bytes. `arch` as in the network's YAML."""
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    for layer in weights:
        state.update(_entries(layer))
    content = {"epoch": 0, "arch": arch, "extras": {"clipping_method": "MAX_BIT_SHIFT"}, "state_dict": state}
    buffer = io.BytesIO()  # torch.save would put a file's name into the archive
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def _entries(layer: LayerWeights) -> dict[str, torch.Tensor]:
    bits, name = layer.bits or 8, layer.name.removesuffix(".op")
    numbers = {
        "output_shift": layer.output_shift or 0,
        "weight_bits": bits,
        "bias_bits": 8,
        "quantize_activation": 1,
        "adjust_output_shift": 0,
    }
    found = {f"{name}.{key}": torch.tensor([float(value)]) for key, value in numbers.items()}
    found[f"{name}.op.weight"] = torch.from_numpy(layer.weights.astype(np.float32))
    if layer.bias is not None:
        found[f"{name}.op.bias"] = torch.from_numpy(layer.bias.astype(np.float32) * (1 << (bits - 1)))
    return found


def read_back(path: Path, checkpoint: Path, weights: Sequence[LayerWeights], shape: Shape, device: Device) -> Network:
    """The network of a YAML and its checkpoint. CheckFailed if it has other weights than those given."""
    network = load_network(path, device, checkpoint, input_shape=shape)
    layers = [layer for layer in network.layers if layer.has_weights]
    for layer, given in zip(layers, weights, strict=True):
        shift = layer.output_shift == given.output_shift or layer.output_width == 32
        if not (shift and _equal(layer.weights, given.weights) and _equal(layer.bias, given.bias)):
            raise CheckFailed(f"{checkpoint}: layer `{layer.label}` is not what was written")
    return network


def _equal(found: npt.NDArray[np.int8] | None, given: npt.NDArray[np.int8] | None) -> bool:
    if found is None or given is None:
        return found is given
    return np.array_equal(found, given)
