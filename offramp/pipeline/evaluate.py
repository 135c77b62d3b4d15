"""What a chain does on a data set, by the integer reference: who leaves where, how often right, at what cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.pipeline.chains import TEST_DATA, TRAIN_DATA, disjoint_data
from offramp.planner.ir.chain import Chain, without_exits
from offramp.planner.ir.network import Network
from offramp.planner.plan import Plan
from offramp.planner.reference.profile import Profile, exit_indices, profile
from offramp.planner.reference.sequence import run_in_order
from offramp.planner.spec.dataset import DataSet


@dataclass(frozen=True, eq=False)
class Evaluation:
    """`profiled`: all stages on all images of `data`; `exit_index`: stage at which each image leaves, (N,).

    `alone`: as `profiled`, but none leaves early, which makes a difference for rolling buffers that miss images.
    """

    profiled: Profile
    alone: Profile
    exit_index: npt.NDArray[np.int64]
    data: DataSet

    @property
    def y(self) -> npt.NDArray[np.int64]:
        """Labels, (N,)."""
        return self.data.y

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
        return float((self.alone.answers[stage] == self.y).mean())


def evaluate(chain: Chain, data: DataSet) -> Evaluation:
    """Run all stages on all images; every exit must have a threshold."""
    profiled = profile(chain, data.x)
    alone = profile(without_exits(chain), data.x) if chain.misses_inputs else profiled
    return Evaluation(profiled, alone, exit_indices(chain, profiled), data)


def evaluate_plan(plan: Plan) -> Evaluation | None:
    """The chain on the spec's test data; None if it has none. InputError if it is training data."""
    if TEST_DATA not in plan.spec.data:
        return None
    # Where something was calibrated, all data sets were compared.
    names = (TEST_DATA,) if plan.calibration else (TEST_DATA, TRAIN_DATA)
    return evaluate(plan.chain, disjoint_data(plan.spec, plan.chain, names)[0])


def accuracy_of(network: Network, data: DataSet) -> float:
    """Of a network alone on all images."""
    logits = run_in_order(network, data.x)[network.layers[-1].index].reshape(len(data.x), -1)
    return float((logits.argmax(axis=1) == data.y).mean())
