"""ai8x checkpoints (`.pth.tar`): integer weights, biases and shifts of each layer.

The meaning of the names, the division of the biases and what counts as a layer follow izer/checkpoint.py of
analogdevicesinc/ai8x-synthesis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from offramp.configs.bounds import CHECKPOINT_VALUES
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.planner.ai8x.torch_file import Tensor, TorchFile, mapping_items, read_torch_file
from offramp.planner.ai8x.weights import LayerWeights
from offramp.planner.ir.network import Op


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """`layers`: weights as the file has them, those of transposed convolutions as (in, out, rows, cols).

    Which of them are a network's: those whose names begin with `prefix` (whole words between points) and with none of
    `without`; `parts.layers_of` finds them.
    """

    where: Where
    arch: str  # empty if the file does not say
    layers: tuple[LayerWeights, ...]
    prefix: str = ""
    without: tuple[str, ...] = ()


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a quantized ai8x checkpoint. Nothing in the file is executed.

    InputError if the file is missing, damaged, not a checkpoint, or not quantized; all layers' problems at once.
    """
    file = read_torch_file(path)
    content = mapping_items(file.content)
    state = mapping_items(content.get("state_dict")) if content else None
    if not content or not state:
        raise file.refuse("no `state_dict`; an ai8x checkpoint (.pth.tar, saved by the training tools) is expected")
    arch = content.get("arch", "")
    reader = _Reader(file, {key: value for key, value in state.items() if isinstance(key, str)})
    layers = tuple(layer for key in reader.state if (layer := reader.layer(key)) is not None)
    reader.check_shifts(layers)
    if not layers and not reader.problems:
        raise file.refuse("`state_dict` holds no weights")
    if reader.problems:
        raise InputError(reader.problems)
    return Checkpoint(Where(str(path)), arch if isinstance(arch, str) else "", layers)


class _Reader:
    """Reads the layers of one state_dict and collects their problems."""

    def __init__(self, file: TorchFile, state: Mapping[str, Any]) -> None:
        self.file = file
        self.state = state
        self.values = 0
        self.problems: list[Diagnostic] = []

    def wrong(self, message: str) -> None:
        self.problems.append(Diagnostic(Where(str(self.file.path)), message))

    def tensor(self, key: str) -> Tensor:
        """A tensor of the state. InputError if all of them, some perhaps parts of one storage, have too many values."""
        values = self.file.tensor(self.state[key])
        self.values += values.size
        if self.values > CHECKPOINT_VALUES:
            raise self.file.refuse(f"its tensors have more than {CHECKPOINT_VALUES:,} values")
        return values

    def layer(self, key: str) -> LayerWeights | None:
        """The layer whose weights are `key`; None if `key` is something else or cannot be used."""
        levels = key.rsplit(".", 2)
        if len(levels) < 2 or levels[-1] != "weight":
            return None
        layer = levels[0]
        values = self.tensor(key)
        if values.ndim < 2:
            self.wrong(f"`{key}` has one dimension: fold batch normalization into the convolutions first")
            return None
        weights = self.integers(key, values)
        bits = self.number(f"{layer}.weight_bits")
        bias = self.bias(key.removesuffix("weight") + "bias", bits or 8)
        if weights is None:
            return None
        out, inputs, rows, cols = (*weights.shape, 1, 1)[:4]
        return LayerWeights(
            name=key.removesuffix(".weight"),
            shape=(out, inputs, rows, cols),
            weights=weights.reshape(out, inputs, rows, cols),
            bias=bias,
            bits=bits or None,
            output_shift=self.number(f"{layer}.output_shift"),
        )

    def check_shifts(self, layers: Sequence[LayerWeights]) -> None:
        """Plain layers of one nn.Sequential have no shift of their own: the vendor's quantize.py names it after what
        holds them, and what it writes for one layer takes the place of the one before."""
        names: dict[str, list[str]] = {}
        for layer in layers:
            names.setdefault(f"{layer.name.rpartition('.')[0]}.output_shift", []).append(layer.name)
        for key, owners in names.items():
            if len(owners) > 1 and key in self.state:
                found = f"`{key}` is the one shift of {len(owners)} layers ({', '.join(owners[:2])}, ...)"
                self.wrong(f"{found}: make them of the layers of ai8x.py, which have one each, and quantize again")

    def integers(self, key: str, values: Tensor) -> npt.NDArray[np.int8] | None:
        if not np.all(np.isfinite(values)):
            self.wrong(f"`{key}` holds values that are not finite")
            return None
        if not np.array_equal(values, np.rint(values)):
            example = float(values[values != np.rint(values)].flat[0])
            self.wrong(f"`{key}` holds fractions ({example:.4g}): the checkpoint is not quantized; quantize it first")
            return None
        if values.size == 0 or values.min() < -128 or values.max() > 127:
            self.wrong(f"`{key}` is empty or holds values outside -128..127")
            return None
        if values.ndim > 4:
            self.wrong(f"`{key}` has {values.ndim} dimensions; at most 4 are expected")
            return None
        return values.astype(np.int8)

    def number(self, key: str) -> int | None:
        """A one-element tensor, such as a layer's shift."""
        if key not in self.state:
            return None
        values = self.tensor(key)
        if values.size != 1 or not np.isfinite(values).all() or values.flat[0] != int(values.flat[0]):
            self.wrong(f"`{key}` is not one whole number")
            return None
        return int(values.flat[0])

    def bias(self, key: str, bits: int) -> npt.NDArray[np.int8] | None:
        """In units of 2**(bits - 1), the 128 of the hardware for 8 bits."""
        if key not in self.state or bits not in (1, 2, 4, 8):
            return None
        with np.errstate(invalid="ignore"):  # from what is no number; that is told below
            values = self.tensor(key).astype(np.float64)
        if values.ndim != 1 or not np.isfinite(values).all():
            self.wrong(f"`{key}` is not a list of finite numbers")
            return None
        scaled = np.floor(values / (1 << (bits - 1)))
        if values.size == 0 or scaled.min() < -128 or scaled.max() > 127:
            self.wrong(f"`{key}` holds values outside {-128 << (bits - 1)}..{(128 << (bits - 1)) - 1}")
            return None
        return scaled.astype(np.int8)


def layer_weights(found: LayerWeights, op: Op, bits: int | None) -> LayerWeights:
    """A checkpoint's weights as a layer of kind `op` takes them; `bits`: the width that the YAML asks for.

    Kernels of transposed convolutions are rotated and their channels swapped, so that they act as a correlation.
    InputError (without a place) if the weights do not fit the width.
    """
    weights = found.weights
    if op == "convtranspose2d":
        weights = np.ascontiguousarray(np.flip(weights, (2, 3)).swapaxes(0, 1))
    width = bits or found.bits or 8
    if width not in (1, 2, 4, 8):
        raise InputError(f"`{found.name}` has {width} weight bits; allowed: 1, 2, 4, 8")
    low, high = int(weights.min()), int(weights.max())
    if low < -(1 << (width - 1)) or high >= 1 << (width - 1):
        raise InputError(f"the weights of `{found.name}` range from {low} to {high}; {width} bits do not hold that")
    out, inputs, rows, cols = weights.shape
    if found.bias is not None and found.bias.size != out:
        raise InputError(f"`{found.name}` has {out} output channels, but {found.bias.size} biases")
    return replace(found, shape=(out, inputs, rows, cols), weights=weights, bits=width)
