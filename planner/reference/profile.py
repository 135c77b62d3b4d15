"""What every stage of a chain answers on a data set, by the integer reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.planner.ir.chain import INPUT_TENSOR, Chain, ExitStage, TensorId
from offramp.planner.reference.exits import Results, leaving, stage_answers, stage_classes, stage_confidence
from offramp.planner.reference.layers import Tensor, run_layer
from offramp.planner.reference.sequence import BATCH, run_sequence, start_state, with_rows
from offramp.planner.tasks.executor import IN_PROCESS, Executor


@dataclass(frozen=True, eq=False)
class Profile:
    """All stages on all of N images. `results`: what each stage gives, in the order channel, row, column: (N, values),
    int32 of logits, else as the stage leaves it. `classes`: of the largest logit, the first of equals, int64 (N,), and
    `confidence`: uint32 (N,); 0 where a result is none of logits. `answers`: what the classes mean, int64 (N,)."""

    results: tuple[Results, ...]
    classes: tuple[npt.NDArray[np.int64], ...]
    confidence: tuple[npt.NDArray[np.uint32], ...]
    answers: tuple[npt.NDArray[np.int64], ...]

    @property
    def images(self) -> int:
        return len(self.results[0])

    def first(self, images: int) -> Profile:
        """Of the first images only."""
        return Profile(
            tuple(one[:images] for one in self.results),
            tuple(one[:images] for one in self.classes),
            tuple(one[:images] for one in self.confidence),
            tuple(one[:images] for one in self.answers),
        )


def profile(chain: Chain, x: npt.NDArray[np.int8], tasks: Executor = IN_PROCESS) -> Profile:
    """Run all stages on all images, `x`: int8 (N, channels, rows, cols). Every stage must be one of an application.

    With rolling buffers the images follow one another in this order, the first one with empty buffers, all in this
    process; else batches are tasks.
    """
    parts = list(_in_order(chain, x)) if chain.buffers else tasks.map(_run, chain, _batches(x))
    results = tuple(np.concatenate(stage) for stage in zip(*parts, strict=True))
    classes = tuple(stage_classes(stage, own) for stage, own in zip(chain.exits, results, strict=True))
    return Profile(
        results,
        classes,
        tuple(stage_confidence(stage, own) for stage, own in zip(chain.exits, results, strict=True)),
        tuple(stage_answers(stage, own) for stage, own in zip(chain.exits, classes, strict=True)),
    )


@dataclass(frozen=True, eq=False)
class Answers:
    """By stage: classes int32 and confidence uint32, (stages, N) each. All stages are run for all images."""

    classes: npt.NDArray[np.int32]
    confidence: npt.NDArray[np.uint32]

    def answers(self, chain: Chain) -> npt.NDArray[np.int64]:
        """What the classes mean, (stages, N)."""
        return np.stack([stage_answers(stage, own) for stage, own in zip(chain.exits, self.classes, strict=True)])


def profile_answers(chain: Chain, x: npt.NDArray[np.int8], tasks: Executor = IN_PROCESS) -> Answers:
    """As `profile`, without the results: what is kept of a batch is small, however large they are."""
    if chain.buffers:
        parts = [_answers(chain, results) for results in _in_order(chain, x)]
    else:
        parts = tasks.map(_batch_answers, chain, _batches(x))
    return Answers(*(np.concatenate(one, axis=1) for one in zip(*parts, strict=True)))


def _batch_answers(chain: Chain, x: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
    return _answers(chain, _run(chain, x))


def _answers(chain: Chain, results: Sequence[Results]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
    stages = list(zip(chain.exits, results, strict=True))
    classes = np.stack([stage_classes(stage, own) for stage, own in stages]).astype(np.int32)
    return classes, np.stack([stage_confidence(stage, own) for stage, own in stages])


def chain_tensors(chain: Chain, x: npt.NDArray[np.int8]) -> dict[TensorId, Tensor]:
    """What every layer of every stage writes, and the input: (N, channels, rows, cols) each, for few images. Each of
    them is the first one of a sequence."""
    empty = {name: values[None].repeat(len(x), axis=0) for name, values in start_state(chain).buffers.items()}
    tensors: dict[TensorId, Tensor] = {INPUT_TENSOR: x, **empty}
    for slot in chain.slots:
        rounding = chain.networks[slot.network].avg_pool_rounding
        tensors[slot.writes] = run_layer(slot.layer, [tensors[tensor] for tensor in slot.reads], rounding)
        if slot.into:
            tensors[slot.into] = with_rows(tensors[slot.into], slot, tensors[slot.writes])
    return tensors


def exit_indices(chain: Chain, profiled: Profile) -> npt.NDArray[np.int64]:
    """Index of the stage at which each image leaves, (N,)."""
    exit_index = np.full(profiled.images, len(chain.stages) - 1)
    for index in reversed(range(len(chain.stages) - 1)):
        exit_index[leaving(chain.exits[index], profiled.classes[index], profiled.confidence[index])] = index
    return exit_index


def _batches(x: npt.NDArray[np.int8]) -> list[npt.NDArray[np.int8]]:
    """At least one, which may be empty."""
    return [x[start : start + BATCH] for start in range(0, max(len(x), 1), BATCH)]


def _in_order(chain: Chain, x: npt.NDArray[np.int8]) -> Iterator[list[Results]]:
    """Results of all stages, a batch of images at a time, each image after the one before it."""
    state = start_state(chain)
    for part in _batches(x):
        tensors, state = run_sequence(chain, part, state, [stage.result for stage in chain.stages])
        yield [_result(stage, tensors[stage.result]) for stage in chain.exits]


def _result(stage: ExitStage, tensor: Tensor) -> Results:
    """(N, values), int32 of logits, else as the stage leaves it."""
    return (tensor.astype(np.int32) if stage.exit else tensor).reshape(len(tensor), -1)


def _run(chain: Chain, x: npt.NDArray[np.int8]) -> list[Results]:
    tensors: dict[TensorId, Tensor] = {INPUT_TENSOR: x}
    last_use = {tensor: position for position, slot in enumerate(chain.slots) for tensor in slot.reads}
    stages = {stage.result: stage for stage in chain.exits}
    results: dict[TensorId, Results] = {}
    for position, slot in enumerate(chain.slots):
        rounding = chain.networks[slot.network].avg_pool_rounding
        found = run_layer(slot.layer, [tensors[tensor] for tensor in slot.reads], rounding)
        tensors[slot.writes] = found
        if slot.writes in stages:
            results[slot.writes] = _result(stages[slot.writes], found)
        for tensor in [one for one in tensors if last_use.get(one, -1) <= position]:
            del tensors[tensor]
    return [results[stage.result] for stage in chain.stages]
