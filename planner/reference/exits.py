"""What a stage's result says: its class, what that means, how sure the stage is, and whether it leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from offramp.planner.ir.chain import Chain, ExitStage, Threshold
from offramp.planner.ir.measure import NO_ANSWER
from offramp.planner.reference.confidence import confidence, confident

Results = npt.NDArray[np.int8 | np.int32]  # (N, values), in the order channel, row, column


def stage_classes(stage: ExitStage, results: Results) -> npt.NDArray[np.int64]:
    """Of the largest logit, the first of equals, (N,); 0 if the result is none of logits."""
    if stage.exit is None:
        return np.zeros(len(results), np.int64)
    found: npt.NDArray[np.int64] = results[:, : stage.exit.classes(results.shape[1])].argmax(axis=1).astype(np.int64)
    return found


def stage_answers(stage: ExitStage, classes: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """What a stage's classes, (N,), mean; NO_ANSWER where it could not leave."""
    wide = classes.astype(np.int64)
    return np.array(stage.answers, np.int64)[wide] if stage.answers else wide


def class_numbers(answers: Sequence[int], classes: int) -> npt.NDArray[np.int64]:
    """Which of a stage's classes mean an answer: numbers among those that do, NO_ANSWER for others, (classes,).
    `answers`: as in ExitStage."""
    meant = np.array(answers or range(classes))
    return np.where(meant != NO_ANSWER, np.cumsum(meant != NO_ANSWER) - 1, NO_ANSWER)


def numbers_of_classes(chain: Chain, stage: ExitStage) -> npt.NDArray[np.int64]:
    """`class_numbers` of a stage of a chain whose result is logits."""
    return class_numbers(stage.answers, stage.rule.classes(chain.producers[stage.result].layer.out_shape.channels))


def meant_classes(chain: Chain, stage: ExitStage) -> list[int]:
    """Classes of a stage that mean an answer, in the order of their numbers."""
    found: list[int] = np.flatnonzero(numbers_of_classes(chain, stage) != NO_ANSWER).tolist()
    return found


def groups_met(
    chain: Chain,
    stage: ExitStage,
    classes: npt.NDArray[np.integer],
    confidences: npt.NDArray[np.uint32],
    per_class: bool,
) -> npt.NDArray[np.int64]:
    """Which of a stage's thresholds each image has to meet, (N,): the only one, or that of its class, by number among
    those that mean an answer; NO_ANSWER where it cannot leave. Thresholds of hardware exits are above 0."""
    numbers = numbers_of_classes(chain, stage)[classes]
    found = numbers if per_class else np.minimum(numbers, 0)
    return np.where(confidences > 0, found, NO_ANSWER) if stage.hardware else found


def by_class(threshold: Threshold, numbers: npt.NDArray[np.int64]) -> Threshold:
    """Thresholds of all classes from those of the classes that mean an answer; one for all stays as it is."""
    if isinstance(threshold, int):
        return threshold
    return tuple(threshold[number] if number != NO_ANSWER else 0 for number in numbers.tolist())


def stage_confidence(stage: ExitStage, results: Results) -> npt.NDArray[np.uint32]:
    """Confidence of what a stage gives, (N, values), as the firmware computes it; 0 if that is none of logits."""
    rule = stage.exit
    if rule is None:
        return np.zeros(len(results), np.uint32)
    return confidence(rule.measure, results.astype(np.int32), rule.fraction_bits, rule.temperature_q16)


def leaving(
    stage: ExitStage, classes: npt.NDArray[np.int64], confidences: npt.NDArray[np.uint32]
) -> npt.NDArray[np.bool_]:
    """Whether a stage before the last one may answer, (N,). Its thresholds must be known."""
    rule = stage.rule
    assert rule.known
    limits = np.array(rule.by_class, np.int64)[classes] if rule.by_class else np.array(rule.threshold, np.int64)
    found: npt.NDArray[np.bool_] = stage_answers(stage, classes) != NO_ANSWER
    return found & confident(rule.measure, confidences, limits)


def right_answers(
    chain: Chain, answers: npt.NDArray[np.integer], labels: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.bool_] | None:
    """Whether each stage is right, (stages, N). `answers`: by stage, (stages, N). `labels`: (N,); without them the last
    stage is right, and others where they answer the same.

    A last stage that gives a tensor is always right: it is what early stages save, and who gets it loses nothing. So
    without labels nothing tells then: None.
    """
    tensor = chain.exits[-1].exit is None
    if labels is None and tensor:
        return None
    right: npt.NDArray[np.bool_] = answers == (answers[-1] if labels is None else labels)
    right[-1] |= tensor
    return right
