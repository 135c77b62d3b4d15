"""What a finished network computes on a data set: inputs of heads, answers of teachers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from offramp.configs.errors import CheckFailed, InputError
from offramp.planner.ir.network import Network
from offramp.planner.reference.layers import Tensor, run_network
from offramp.planner.tasks.executor import IN_PROCESS, Executor
from offramp.training.fit import one_thread
from offramp.training.frozen import frozen, run_frozen

BATCH = 500  # images of a task
SAMPLE = 8  # images that are computed twice


def tensor_of(network: Network, index: int, x: npt.NDArray[np.int8], tasks: Executor = IN_PROCESS) -> Tensor:
    """What layer `index` writes, int8 or int32 (N, channels, rows, cols), for inputs int8 (N, channels, rows, cols).

    The first images of every batch are compared with the integer reference: CheckFailed if they differ. ValueError if
    the network has rolling buffers, with which the order of images matters.
    """
    front = replace(network, layers=network.layers[: index + 1])
    parts = tasks.map(_tensor, front, [x[start : start + BATCH] for start in range(0, len(x), BATCH)])
    return np.concatenate(parts)


def _tensor(network: Network, x: npt.NDArray[np.int8]) -> Tensor:
    last = len(network.layers) - 1
    try:
        module = frozen(network)
    except InputError:
        return run_network(network, x)[last]
    with one_thread():
        found = run_frozen(module, x)[last]
    if not np.array_equal(found[:SAMPLE], run_network(network, x[:SAMPLE])[last]):
        raise CheckFailed(f"network `{network.name}`: layer {last} differs from the integer reference")
    return found
