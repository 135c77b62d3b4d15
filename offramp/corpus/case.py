"""Cases of the golden corpus (vendor programs with known answers) as networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from offramp.configs.arrays import read_array, read_arrays
from offramp.configs.bounds import CORPUS_FILE
from offramp.configs.device import Device
from offramp.configs.errors import Damaged, Diagnostic, Where
from offramp.corpus.case_files import read_meta
from offramp.planner.ai8x.load import Options, load_network
from offramp.planner.ai8x.weights import LayerWeights
from offramp.planner.ir.network import Network, Shape

OVERLAP = "--overlap-data"  # the vendor tool does not check that live data are overwritten


@dataclass(frozen=True, eq=False)
class Case:
    """A corpus case: the network with its weights, and the sample input, int8 (channels, rows, cols).

    `overlap`: whether it was made with that option.
    """

    name: str
    network: Network
    sample: npt.NDArray[np.int8]
    meta: Mapping[str, Any]
    overlap: bool


def load_case(folder: Path, device: Device) -> Case:
    """Read network.yaml, weights.npz, input.npy and meta.json of a case. InputError if one is missing or unsuitable,
    Damaged if one is damaged."""
    meta, sample = read_meta(folder, needed=True), read_array(folder / "input.npy", CORPUS_FILE)
    arrays = read_arrays(folder / "weights.npz", CORPUS_FILE)
    try:
        arguments = meta["izer_args"]
        options = Options(
            fifo="--fifo" in arguments,
            avg_pool_rounding="--avg-pool-rounding" in arguments,
            output_width=_number(arguments, "--output-width"),
            stop_after=_number(arguments, "--stop-after"),
            start_layer=_number(arguments, "--start-layer") or 0,
        )
        pixels = _int8(sample)
        shape = Shape(*pixels.shape)
        weights = _case_weights(arrays)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Damaged(Diagnostic(Where(str(folder)), f"is not a whole case, or damaged: {error!r}")) from error
    network = load_network(folder / "network.yaml", device, weights=weights, input_shape=shape, options=options)
    if "--calcx4" in arguments:
        network = replace(network, layers=tuple(replace(layer, calcx4=True) for layer in network.layers))
    return Case(folder.name, network, pixels, meta, OVERLAP in arguments)


def _int8(values: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """ValueError for values that do not fit 8 bits."""
    if values.size and (values.min() < -128 or values.max() > 127):
        raise ValueError(f"values from {values.min()} to {values.max()}; -128..127 are allowed")
    return values.astype(np.int8)


def _number(arguments: list[str], name: str) -> int | None:
    return int(arguments[arguments.index(name) + 1]) if name in arguments else None


def _case_weights(arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[LayerWeights, ...]:
    """Weights in the order of the layers. The corpus' `output_shift` includes the 8 - bits that the hardware adds."""
    found = []
    for index, bits in enumerate(arrays["quantization"]):
        if f"w{index}" not in arrays:
            continue
        weights = _int8(arrays[f"w{index}"])
        out, inputs, rows, cols = (*weights.shape, 1, 1)[:4]
        shape = (out, inputs, rows, cols)
        bias = _int8(arrays[f"b{index}"]) if f"b{index}" in arrays else None
        shift = int(arrays["output_shift"][index]) - (8 - abs(int(bits)))
        found.append(
            LayerWeights(
                name=f"w{index}",
                shape=shape,
                weights=weights.reshape(shape),
                bias=bias,
                bits=int(bits),
                output_shift=shift,
            )
        )
    return tuple(found)
