"""What a chain does on a data set, by the integer reference: who leaves where, how often right, at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.configs.device import Device
from offramp.planner.allocation.budget import Budget
from offramp.planner.hardware.cycles import Cycles, network_cycles
from offramp.planner.ir.chain import Chain
from offramp.planner.ir.network import Network
from offramp.planner.reference.layers import run_network
from offramp.planner.reference.profile import Profile, exit_indices, profile
from offramp.planner.spec.dataset import DataSet


@dataclass(frozen=True, eq=False)
class Evaluation:
    """`profiled`: all stages on all images; `exit_index`: stage at which each image leaves, (N,); `y`: labels, (N,)."""

    profiled: Profile
    exit_index: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]

    @property
    def answers(self) -> npt.NDArray[np.int64]:
        """The class that the chain gives each image."""
        return np.stack(self.profiled.answers)[self.exit_index, np.arange(len(self.y))]

    @property
    def accuracy(self) -> float:
        return float((self.answers == self.y).mean())

    def share(self, stage: int) -> float:
        """Share of the images that leave at a stage."""
        return float((self.exit_index == stage).mean())

    def accuracy_leaving(self, stage: int) -> float | None:
        """Accuracy on the images that leave at a stage; None if none does."""
        leaving = self.exit_index == stage
        return float((self.answers == self.y)[leaving].mean()) if leaving.any() else None

    def accuracy_alone(self, stage: int) -> float:
        """Accuracy of a stage on all images."""
        return float((self.profiled.answers[stage] == self.y).mean())


@dataclass(frozen=True)
class Alone:
    """A network run alone, in one stage, on all images."""

    name: str
    accuracy: float
    cycles: Cycles


def evaluate(chain: Chain, data: DataSet) -> Evaluation:
    """Run all stages on all images; every exit must have a threshold."""
    profiled = profile(chain, data.x)
    return Evaluation(profiled, exit_indices(chain, profiled), data.y)


def run_alone(
    networks: Mapping[str, Network], data: DataSet, budget: Budget[Cycles], device: Device
) -> tuple[Alone, ...]:
    """Whole networks on the same images. Their cycles include reading the logits, as a chain's do."""
    results = []
    for name, network in networks.items():
        logits = run_network(network, data.x)[network.layers[-1].index].reshape(len(data.x), -1)
        inference = network_cycles(network, device)
        total = Cycles(inference.cycles + budget.check.cycles, inference.tag, inference.source)
        results.append(Alone(name, float((logits.argmax(axis=1) == data.y).mean()), total))
    return tuple(results)
