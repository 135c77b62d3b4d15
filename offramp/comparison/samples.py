"""Who leaves where: inputs of the test data at each stage - the surest, the least sure, wrong ones - and what is taken
for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.pipeline.evaluate import Evaluation
from offramp.pipeline.planning import Planned
from offramp.planner.exits.frontier import to_scores
from offramp.planner.reference.confidence import to_real
from offramp.planner.spec.dataset import DataSet

EACH = 5  # inputs of a kind
KINDS = ("surest", "least sure", "wrong")
MOST_ANSWERS = 12  # in a table; of more, the most frequent mistakes are listed
MISTAKES = 12


@dataclass(frozen=True, eq=False)
class Sample:
    """An input: int8 (channels, rows, columns). `confidence` in real units, None where there is none; `truth`: the
    label, or what the last stage answers where there are none."""

    number: int
    x: npt.NDArray[np.int8]
    answer: str
    truth: str
    right: bool
    confidence: float | None


@dataclass(frozen=True)
class Mistake:
    """How often `truth` was answered `answer`."""

    truth: str
    answer: str
    count: int


@dataclass(frozen=True)
class Confusion:
    """`names`: of the answers; `counts`: by truth, then answer. Of many answers both are empty. `mistakes`: the most
    frequent ones, and `more` that are not among them."""

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    mistakes: tuple[Mistake, ...]
    more: int


@dataclass(frozen=True, eq=False)
class StageSamples:
    """Of the images that leave at a stage. `kinds`: name and inputs; a kind without inputs is missing. `measure`: of
    their confidence, None where there is none. `confusion`: None if nothing leaves here or nothing tells."""

    stage: str
    images: int
    measure: str | None
    kinds: tuple[tuple[str, tuple[Sample, ...]], ...]
    confusion: Confusion | None


def samples_of(made: Planned, found: Evaluation) -> tuple[StageSamples, ...]:
    """Of each stage, in order."""
    return tuple(_stage(made, found, index) for index in range(len(made.chain.stages)))


def _stage(made: Planned, found: Evaluation, index: int) -> StageSamples:
    stage, here = made.chain.exits[index], np.flatnonzero(found.exit_index == index)
    answers = found.profiled.answers[index]
    truth = found.data.y if isinstance(found.data, DataSet) else found.profiled.answers[-1]
    right = None if found.right is None else found.right[index]
    names = _names(made, int(max(answers.max(initial=0), truth.max(initial=0))) + 1)
    rule, confidences = stage.exit, found.profiled.confidence[index]
    picked: dict[str, npt.NDArray[np.int64]] = {}
    if rule:
        scores = to_scores(rule.measure, confidences[here])
        order = here[np.argsort(-scores, kind="stable")]
        picked = {"surest": order[:EACH], "least sure": order[::-1][:EACH]}
        if right is not None:
            picked["wrong"] = order[~right[order]][:EACH]
    elif len(here):
        picked = {"the first": here[:EACH]}

    def sample(number: int) -> Sample:
        sure = to_real(rule.measure, int(confidences[number]), rule.fraction_bits) if rule else None
        correct = right is None or bool(right[number])
        return Sample(number, found.data.x[number], names[answers[number]], names[truth[number]], correct, sure)

    kinds = tuple((kind, tuple(map(sample, one.tolist()))) for kind, one in picked.items() if len(one))
    shown = rule is not None and right is not None and len(here) > 0
    confusion = _confusion(names, truth[here], answers[here]) if shown else None
    return StageSamples(stage.name, len(here), rule.measure if rule else None, kinds, confusion)


def _names(made: Planned, count: int) -> Sequence[str]:
    """Of answers."""
    names = made.plan.spec.names
    return [names[number] if number < len(names) else str(number) for number in range(max(count, len(names)))]


def _confusion(names: Sequence[str], truth: npt.NDArray[np.integer], answers: npt.NDArray[np.integer]) -> Confusion:
    count = len(names)
    table = np.bincount(truth * count + answers, minlength=count * count).reshape(count, count)
    wrong = [
        (int(table[one, other]), one, other) for one, other in zip(*np.nonzero(table), strict=True) if one != other
    ]
    wrong.sort(key=lambda found: (-found[0], found[1:]))
    mistakes = tuple(Mistake(names[one], names[other], times) for times, one, other in wrong[:MISTAKES])
    more = sum(times for times, *_ in wrong[MISTAKES:])
    if count > MOST_ANSWERS:
        return Confusion((), (), mistakes, more)
    return Confusion(tuple(names), tuple(map(tuple, table.tolist())), mistakes, more)
