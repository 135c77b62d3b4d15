"""What a chain does on a data set, by the integer reference: who leaves where, how often right, at what cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.pipeline.chains import TEST_DATA, TRAIN_DATA, disjoint_data
from offramp.planner.ir.chain import Chain, without_exits
from offramp.planner.ir.network import Network
from offramp.planner.plan import Plan
from offramp.planner.reference.confidence import gives_logits
from offramp.planner.reference.exits import right_answers
from offramp.planner.reference.profile import Profile, exit_indices, profile
from offramp.planner.reference.sequence import run_in_order
from offramp.planner.spec.dataset import DataSet, Images
from offramp.planner.spec.spec import Against
from offramp.planner.tasks.executor import IN_PROCESS, Executor


@dataclass(frozen=True, eq=False)
class Evaluation:
    """`profiled`: all stages on all images of `data`; `exit_index`: stage at which each image leaves, (N,). `right`:
    whether each stage is right, (stages, N), None where nothing tells.

    `right_alone`: the same if none leaves early, which makes a difference for rolling buffers that miss images.
    """

    profiled: Profile
    exit_index: npt.NDArray[np.int64]
    data: Images
    right: npt.NDArray[np.bool_] | None
    right_alone: npt.NDArray[np.bool_] | None

    @property
    def images(self) -> int:
        return len(self.exit_index)

    @property
    def against(self) -> Against | None:
        """What tells which answers are right: labels, or without them what the last network answers."""
        if self.right is None:
            return None
        return "labels" if isinstance(self.data, DataSet) else "main"

    @property
    def accuracy(self) -> float | None:
        """Of the chain."""
        return self._accuracy(self.exit_index, np.ones(self.images, np.bool_), self.right)

    def share(self, stage: int) -> float:
        """Share of the images that leave at a stage."""
        return float((self.exit_index == stage).mean())

    def accuracy_leaving(self, stage: int) -> float | None:
        """Accuracy on the images that leave at a stage; None if none does."""
        return self._accuracy(self.exit_index, self.exit_index == stage, self.right)

    def accuracy_alone(self, stage: int) -> float | None:
        """Accuracy of a stage on all images."""
        return self._accuracy(np.full(self.images, stage), np.ones(self.images, np.bool_), self.right_alone)

    def _accuracy(
        self,
        stages: npt.NDArray[np.int64],
        of: npt.NDArray[np.bool_],
        right: npt.NDArray[np.bool_] | None,
    ) -> float | None:
        """On some images, if each leaves at the stage that is given; None if nothing tells, or there are none."""
        if right is None or not of.any():
            return None
        return float(right[stages, np.arange(self.images)][of].mean())


def evaluate(chain: Chain, data: Images, tasks: Executor = IN_PROCESS) -> Evaluation:
    """Run all stages on all images; every exit must have a threshold."""
    profiled = profile(chain, data.x, tasks)
    right = _right(chain, profiled, data)
    alone = _right(chain, profile(without_exits(chain), data.x), data) if chain.misses_inputs else right
    return Evaluation(profiled, exit_indices(chain, profiled), data, right, alone)


def _right(chain: Chain, profiled: Profile, data: Images) -> npt.NDArray[np.bool_] | None:
    return right_answers(chain, np.stack(profiled.answers), data.y if isinstance(data, DataSet) else None)


def evaluate_plan(plan: Plan, tasks: Executor = IN_PROCESS) -> Evaluation | None:
    """The chain on the spec's test data; None if it has none. InputError if it is training data."""
    if TEST_DATA not in plan.spec.data:
        return None
    # Where something was calibrated, all data sets were compared.
    names = (TEST_DATA,) if plan.calibration else (TEST_DATA, TRAIN_DATA)
    return evaluate(plan.chain, disjoint_data(plan.spec, plan.chain, names)[0], tasks)


def accuracy_of(network: Network, data: Images, answers: int) -> float | None:
    """Of a network alone on all images; None if they have no labels, or its classes are not the `answers`."""
    last = network.layers[-1]
    if not isinstance(data, DataSet) or not gives_logits(last) or last.out_shape.channels != answers:
        return None
    logits = run_in_order(network, data.x)[last.index].reshape(len(data.x), -1)
    return float((logits.argmax(axis=1) == data.y).mean())
