"""What candidates learn from: variants of the training images with main's answers, and tensors inside main for heads.

All of it is computed once, before any training, and is the same for all candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from offramp.pipeline.costing import layer_macs
from offramp.planner.ir.network import Network
from offramp.planner.tasks.executor import IN_PROCESS, Executor
from offramp.training.augment import augment
from offramp.training.data import Split
from offramp.training.features import tensor_of
from offramp.training.fit import one_thread
from offramp.training.objective import Logits
from offramp.training.task import Augmentation, Copy, Teacher, TrainingData
from offramp.training.teachers import taught, teacher_of
from offramp.training.work import answer_work

STRENGTH = 0.6  # of the augmentation
_BATCH = 500  # images of a task
_MOST_BYTES = 256 << 20  # of all variants, and of the tensors for a head
_MOST_COPIES = 6
_VARIANTS = 7  # what a random sequence is for


@dataclass(frozen=True, eq=False)
class Basics:
    """Main on the training images. `answers`: of all of them, (N,); `taught`: distributions over the classes."""

    split: Split
    main: Network
    teacher: Teacher
    answers: npt.NDArray[np.int64]
    taught: npt.NDArray[np.float32]

    @property
    def truth(self) -> npt.NDArray[np.int64]:
        """The right answers of all training images: labels or, without them, main's answers."""
        return self.answers if self.split.labels is None else self.split.labels

    @property
    def fitting_labels(self) -> npt.NDArray[np.int64] | None:
        labels = self.split.labels
        return None if labels is None else labels[self.split.fitting]


def read_main(main: Network, split: Split, tasks: Executor) -> Basics:
    """Main's answers to all training images."""
    logits = flat_logits(main, split.images.x, tasks)
    fitting = split.fitting
    labels = None if split.labels is None else split.labels[fitting]
    teacher = teacher_of(main, logits[fitting], labels)
    answers = logits.argmax(axis=1).astype(np.int64)
    return Basics(split, main, teacher, answers, taught(logits, teacher.sharpness))


def front_data(basics: Basics, augmentation: Augmentation, copies: int, seed: int, tasks: Executor) -> TrainingData:
    """What fronts learn from: `copies` variants of every image or, without augmentation, the images as they are."""
    x = basics.split.images.x[basics.split.fitting]
    labels = basics.fitting_labels
    if augmentation == "none":
        return TrainingData((Copy(x, basics.taught[basics.split.fitting]),), labels)
    starts = range(0, len(x), _BATCH)
    jobs = [(x[start : start + _BATCH], (seed, copy, start)) for copy in range(copies) for start in starts]
    parts = tasks.map(_variants, (basics.teacher, augmentation), jobs)
    made = [parts[at : at + len(starts)] for at in range(0, len(parts), len(starts))]
    joined = [Copy(*(np.concatenate(arrays) for arrays in zip(*one, strict=True))) for one in made]
    return TrainingData(tuple(joined), labels)


def _variants(
    shared: tuple[Teacher, Augmentation], job: tuple[npt.NDArray[np.int8], tuple[int, int, int]]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Variants of some images, and what the teacher says of them."""
    (teacher, augmentation), (x, place) = shared, job
    drawn = np.random.SeedSequence([_VARIANTS, *place]).generate_state(1, np.uint64)[0]
    with one_thread():
        generator = torch.Generator().manual_seed(int(drawn) >> 1)
        varied = augment(torch.from_numpy(x.astype(np.float32)), augmentation, STRENGTH, generator)
        images = varied.numpy().astype(np.int8)
    return images, taught(flat_logits(teacher.network, images), teacher.sharpness)


def flat_logits(network: Network, x: npt.NDArray[np.int8], tasks: Executor = IN_PROCESS) -> Logits:
    """What a network gives for inputs, int32 (N, classes)."""
    return tensor_of(network, len(network.layers) - 1, x, tasks).reshape(len(x), -1).astype(np.int32)


def copies_for(basics: Basics, epochs: int, work: int) -> int:
    """How many variants of every image are worth while: not more than a training has epochs, nor more than main can be
    asked about with the work."""
    images = len(basics.split.fitting)
    memory = int(basics.split.images.x[0].nbytes) * images
    asking = images * answer_work(sum(layer_macs(layer) for layer in basics.main.layers))
    return max(1, min(epochs, _MOST_COPIES, _MOST_BYTES // memory, work // asking))


@dataclass(frozen=True, eq=False)
class HeadData:
    """What heads at a cut learn from, max-pooled as their first layer does it. `validation`: the same of the images
    that are compared on."""

    data: TrainingData
    validation: npt.NDArray[np.int8]


def head_data(basics: Basics, cut: int, pool: int, tasks: Executor) -> HeadData:
    """Tensors behind main's layer `cut`, of as many images as fit into the memory that they may take."""
    shape = basics.main.layers[cut].out_shape
    one = shape.channels * (shape.rows // pool) * max(1, shape.cols // pool)
    numbers = basics.split.fitting[: max(1, _MOST_BYTES // one)]
    labels = basics.split.labels
    x = _pooled_tensors(basics, cut, pool, numbers, tasks)
    data = TrainingData((Copy(x, basics.taught[numbers]),), None if labels is None else labels[numbers])
    return HeadData(data, _pooled_tensors(basics, cut, pool, basics.split.validation, tasks))


def _pooled_tensors(
    basics: Basics, cut: int, pool: int, numbers: npt.NDArray[np.int64], tasks: Executor
) -> npt.NDArray[np.int8]:
    x = basics.split.images.x
    batches = [x[numbers[start : start + _BATCH]] for start in range(0, len(numbers), _BATCH)]
    return np.concatenate(tasks.map(_pooled_tensor, (basics.main, cut, pool), batches))


def _pooled_tensor(shared: tuple[Network, int, int], x: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    main, cut, pool = shared
    return max_pooled(tensor_of(main, cut, x).astype(np.int8), pool)


def max_pooled(x: npt.NDArray[np.int8], pool: int) -> npt.NDArray[np.int8]:
    """The largest values of windows of `pool` rows and columns (of one column: rows) that lie side by side; what is
    left over at the end is dropped."""
    across = 1 if x.shape[3] == 1 else pool
    rows, cols = x.shape[2] // pool, x.shape[3] // across
    inside = x[:, :, : rows * pool, : cols * across]
    windows = inside.reshape(*x.shape[:2], rows, pool, cols, across)
    found: npt.NDArray[np.int8] = windows.max(axis=(3, 5))
    return found
