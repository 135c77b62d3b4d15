"""What every stage of a chain answers on a data set, by the integer reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.planner.ir.chain import INPUT_TENSOR, Chain, ExitStage, TensorId
from offramp.planner.reference.confidence import confidence, confident
from offramp.planner.reference.layers import Tensor, run_layer
from offramp.planner.reference.sequence import BATCH, run_sequence, start_state, with_rows
from offramp.planner.tasks.executor import IN_PROCESS, Executor


@dataclass(frozen=True, eq=False)
class Profile:
    """Per stage: logits int32 (N, classes) and confidence uint32 (N,). All stages are run for all images."""

    logits: tuple[npt.NDArray[np.int32], ...]
    confidence: tuple[npt.NDArray[np.uint32], ...]

    @property
    def answers(self) -> tuple[npt.NDArray[np.int64], ...]:
        """Class per stage and image: the first of the largest logits."""
        return tuple(logits.argmax(axis=1) for logits in self.logits)


def profile(chain: Chain, x: npt.NDArray[np.int8]) -> Profile:
    """Run all stages on all images, `x`: int8 (N, channels, rows, cols). Every stage must have an exit.

    With rolling buffers the images follow one another in this order, the first one with empty buffers.
    """
    parts = list(_batches(chain, x))
    logits = tuple(np.concatenate(stage) for stage in zip(*parts, strict=True))
    return Profile(logits, tuple(stage_confidence(s, one) for s, one in zip(chain.exits, logits, strict=True)))


@dataclass(frozen=True, eq=False)
class Answers:
    """By stage: classes int32 and confidence uint32, (stages, N) each. All stages are run for all images."""

    classes: npt.NDArray[np.int32]
    confidence: npt.NDArray[np.uint32]


def profile_answers(chain: Chain, x: npt.NDArray[np.int8], tasks: Executor = IN_PROCESS) -> Answers:
    """As `profile`, without the logits: what is kept of a batch is small, however many classes there are."""
    if chain.buffers:
        parts = [_answers(chain, logits) for logits in _batches(chain, x)]
    else:
        parts = tasks.map(_batch_answers, chain, [x[start : start + BATCH] for start in range(0, len(x), BATCH)])
    return Answers(*(np.concatenate(one, axis=1) for one in zip(*parts, strict=True)))


def _batch_answers(chain: Chain, x: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
    return _answers(chain, _run(chain, x))


def _answers(
    chain: Chain, logits: Sequence[npt.NDArray[np.int32]]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
    classes = np.stack([logit.argmax(axis=1) for logit in logits]).astype(np.int32)
    return classes, np.stack([stage_confidence(stage, one) for stage, one in zip(chain.exits, logits, strict=True)])


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


def stage_confidence(stage: ExitStage, logits: npt.NDArray[np.int32]) -> npt.NDArray[np.uint32]:
    """Confidence of a stage's logits, int32 (N, classes), as the firmware computes it."""
    return confidence(stage.exit.measure, logits, stage.exit.fraction_bits, stage.exit.temperature_q16)


def exit_indices(chain: Chain, profiled: Profile) -> npt.NDArray[np.int64]:
    """Index of the stage at which each image leaves, (N,)."""
    exit_index = np.full(len(profiled.logits[0]), len(chain.stages) - 1)
    for index in reversed(range(len(chain.stages) - 1)):
        rule = chain.exits[index].exit
        assert rule.threshold is not None
        exit_index[confident(rule.measure, profiled.confidence[index], rule.threshold)] = index
    return exit_index


def _batches(chain: Chain, x: npt.NDArray[np.int8]) -> Iterator[list[npt.NDArray[np.int32]]]:
    """Logits of all stages, a batch of images at a time."""
    state = start_state(chain)
    for start in range(0, len(x), BATCH):
        part = x[start : start + BATCH]
        if not chain.buffers:
            yield _run(chain, part)
            continue
        results = [stage.result for stage in chain.stages]
        tensors, state = run_sequence(chain, part, state, results)
        yield [tensors[result].astype(np.int32).reshape(len(part), -1) for result in results]


def _run(chain: Chain, x: npt.NDArray[np.int8]) -> list[npt.NDArray[np.int32]]:
    tensors: dict[TensorId, Tensor] = {INPUT_TENSOR: x}
    last_use = {tensor: position for position, slot in enumerate(chain.slots) for tensor in slot.reads}
    results: dict[TensorId, npt.NDArray[np.int32]] = {}
    wanted = {stage.result for stage in chain.stages}
    for position, slot in enumerate(chain.slots):
        rounding = chain.networks[slot.network].avg_pool_rounding
        tensors[slot.writes] = run_layer(slot.layer, [tensors[tensor] for tensor in slot.reads], rounding)
        if slot.writes in wanted:
            results[slot.writes] = tensors[slot.writes].astype(np.int32).reshape(len(x), -1)
        for tensor in [one for one in tensors if last_use.get(one, -1) <= position]:
            del tensors[tensor]
    return [results[stage.result] for stage in chain.stages]
