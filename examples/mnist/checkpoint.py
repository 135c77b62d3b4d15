"""Quantized checkpoints in the layout of the vendor's training tool.

The layout was read off the stock checkpoints that ship with analogdevicesinc/ai8x-synthesis (folder trained/): a
dictionary with `epoch`, `arch`, `extras` and `state_dict`; per layer the one-element tensors `output_shift`,
`weight_bits`, `bias_bits`, `quantize_activation`, `adjust_output_shift`, then `op.weight` and, if any, `op.bias`.  All
tensors are float32 and hold integers.  A stored bias is B * 2**(weight_bits - 1) for the device's 8-bit bias B; the
reader divides and rounds down.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

try:
    import torch
except ModuleNotFoundError as error:
    raise SystemExit("error: checkpoints are read and written with PyTorch here: pip install torch") from error
from layers import ExampleError, Layer
from torch import Tensor

WEIGHT_BITS = 8
BIAS_BITS = 8
BIAS_SCALE = 2 ** (WEIGHT_BITS - 1)


@dataclass(frozen=True)
class LayerWeights:
    """What one layer loads into the device; the tensors are float32 and hold integers."""

    weight: Tensor  # (out, in, kernel, kernel) or (out, in)
    bias: Tensor | None  # (out,), -128..127; the accumulator gets 128 times as much
    output_shift: int


@dataclass(frozen=True)
class Header:
    """The entries of a checkpoint that are not weights."""

    arch: str
    epoch: int


def write_checkpoint(path: Path, header: Header, layers: Iterable[Layer], weights: Iterable[LayerWeights]) -> None:
    """Write a checkpoint; equal arguments give equal bytes."""
    state: OrderedDict[str, Tensor] = OrderedDict()
    for layer, values in zip(layers, weights, strict=True):
        state[f"{layer.name}.output_shift"] = torch.tensor([float(values.output_shift)])
        state[f"{layer.name}.weight_bits"] = torch.tensor([float(WEIGHT_BITS)])
        state[f"{layer.name}.bias_bits"] = torch.tensor([float(BIAS_BITS)])
        state[f"{layer.name}.quantize_activation"] = torch.tensor([1.0])
        state[f"{layer.name}.adjust_output_shift"] = torch.tensor([0.0])
        state[f"{layer.name}.op.weight"] = values.weight.detach().clone().contiguous()
        if values.bias is not None:
            state[f"{layer.name}.op.bias"] = values.bias.detach() * BIAS_SCALE
    extras = {"clipping_method": "MAX_BIT_SHIFT"}
    content = {"epoch": header.epoch, "arch": header.arch, "extras": extras, "state_dict": state}
    # Through memory: torch.save() would otherwise put the file's name into the archive.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    partial = path.with_suffix(".partial")
    partial.write_bytes(buffer.getvalue())
    partial.replace(path)


def read_checkpoint(path: Path, layers: Iterable[Layer]) -> tuple[LayerWeights, ...]:
    """Read the weights of `layers` back from a checkpoint file."""
    try:
        state = torch.load(path, weights_only=True)["state_dict"]
    except OSError as error:
        raise ExampleError(f"{path}: {error.strerror}; python train.py writes it") from error
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError) as error:
        raise ExampleError(f"{path}: not a checkpoint with a state_dict of plain tensors") from error
    return tuple(_layer_weights(path, state, layer) for layer in layers)


def _layer_weights(path: Path, state: dict[str, Tensor], layer: Layer) -> LayerWeights:
    """One layer's tensors, checked against its shape."""
    weight, shift = state.get(f"{layer.name}.op.weight"), state.get(f"{layer.name}.output_shift")
    if weight is None or shift is None:
        raise ExampleError(f"{path}: no weight or output_shift for layer {layer.name}")
    if tuple(weight.shape) != layer.weight_shape:
        raise ExampleError(
            f"{path}: {layer.name}.op.weight has shape {tuple(weight.shape)}; the network needs {layer.weight_shape}"
        )
    stored = state.get(f"{layer.name}.op.bias")
    bias = None if stored is None else torch.floor(stored / BIAS_SCALE)
    return LayerWeights(weight, bias, int(shift.item()))
