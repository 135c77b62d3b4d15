"""What the classes of a stage mean, by number: names of classes and answers looked up."""

from __future__ import annotations

import re
from collections.abc import Sequence

from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.planner.ir.measure import NO_ANSWER
from offramp.planner.ir.network import Layer
from offramp.planner.reference.confidence import gives_logits
from offramp.planner.spec.spec import ManualSpec, StageSpec


def class_labels(spec: ManualSpec, stage: StageSpec) -> tuple[str, ...]:
    """Names of a stage's classes: its own, or those of the answers."""
    return own_labels(spec, stage) or spec.labels


def own_labels(spec: ManualSpec, stage: StageSpec) -> tuple[str, ...]:
    """Names of classes of the network that makes a stage's logits."""
    head = stage.head.network if stage.head else None
    return spec.networks[head or stage.network].labels


def answers_of(spec: ManualSpec, stage: StageSpec, final: Layer) -> tuple[int, ...]:
    """The answer of each class of a stage, as in `ExitStage`. `final`: the layer that makes its result. InputError with
    all that is wrong."""
    last = stage is spec.stages[-1]
    if stage.answers is None:
        return _same_names(spec, stage, final, last) if spec.answers else ()
    if not spec.answers:
        message = f"stage `{stage.name}` says what its classes mean; the spec needs a list of all `answers`"
        raise InputError(Diagnostic(stage.answers.where, message))
    if stage.answers.always is not None:
        if not last:
            message = f"stage `{stage.name}` is not the last one: {{class: answer}} is expected"
            raise InputError(Diagnostic(stage.answers.where, message))
        return (number_of(stage.answers.always, spec.answers, len(spec.answers), "answer", stage.answers.where),)
    if not gives_logits(final):
        hint = "one answer that it always gives (`answers: NAME`) is expected" if last else "it has no classes"
        message = f"stage `{stage.name}` gives {final.out_shape}, which is none of logits; {hint}"
        raise InputError(Diagnostic(stage.answers.where, message))
    return _by_class(spec, stage, stage.exit.classes(final.out_shape.channels), last)


def thresholds_of(spec: ManualSpec, stage: StageSpec, answers: Sequence[int], classes: int) -> tuple[float, ...]:
    """The threshold of each class, in real units, where the spec has different ones; 0 for classes without an answer.
    InputError with all that is wrong."""
    where, labels = stage.exit.where, class_labels(spec, stage)
    given = {number_of(name, labels, classes, "class", where): limit for name, limit in stage.exit.by_class}
    if not given:
        return ()
    wanted = {index for index in range(classes) if not answers or answers[index] != NO_ANSWER}
    problems = [f"class {_name(one, labels)} has no threshold" for one in sorted(wanted - given.keys())]
    problems += [f"class {_name(one, labels)} means no answer: no threshold" for one in sorted(given.keys() - wanted)]
    if problems:
        raise InputError(Diagnostic(where, f"stage `{stage.name}`: {problem}") for problem in problems)
    return tuple(given.get(index, 0.0) for index in range(classes))


def number_of(name: str | int, names: Sequence[str], count: int, what: str, where: Where) -> int:
    """The number of a class or an answer that is given by name or number. InputError if there is none."""
    if str(name) in names:
        return names.index(str(name))
    if re.fullmatch(r"\d{1,9}", str(name)) and int(name) < count:
        return int(name)
    listed = f"there are: {', '.join(names)}" if names else f"numbers from 0 to {count - 1} are allowed"
    raise InputError(Diagnostic(where, f"there is no {what} `{name}`; {listed}"))


def _same_names(spec: ManualSpec, stage: StageSpec, final: Layer, last: bool) -> tuple[int, ...]:
    """Classes mean the answers of their names; where they have none, classes are the answers."""
    if not gives_logits(final):
        if last:
            message = (
                f"stage `{stage.name}` gives {final.out_shape}, which is no class; `answers: NAME` says its answer"
            )
            raise InputError(Diagnostic(stage.where, message))
        return ()
    labels = own_labels(spec, stage)
    unknown = [label for label in labels if label not in spec.answers]
    if unknown:
        found = f"stage `{stage.name}`: no answer is called as its classes {', '.join(unknown)}"
        raise InputError(Diagnostic(stage.where, f"{found}; `answers` says what classes mean"))
    classes = stage.exit.classes(final.out_shape.channels)
    if not labels and classes != len(spec.answers):
        found = f"stage `{stage.name}` has {classes} classes, but there are {len(spec.answers)} answers"
        raise InputError(Diagnostic(stage.where, f"{found}; `answers` says what classes mean"))
    return tuple(spec.answers.index(label) for label in labels)


def _by_class(spec: ManualSpec, stage: StageSpec, classes: int, last: bool) -> tuple[int, ...]:
    assert stage.answers is not None
    where, labels = stage.answers.where, class_labels(spec, stage)
    found = [NO_ANSWER] * classes
    for name, answer in stage.answers.by_class:
        number = number_of(name, labels, classes, "class", where)
        found[number] = number_of(answer, spec.answers, len(spec.answers), "answer", where)
    missing = [_name(index, labels) for index, answer in enumerate(found) if answer == NO_ANSWER]
    if last and missing:
        message = f"stage `{stage.name}` is the last one; an answer is missing for class {', '.join(missing)}"
        raise InputError(Diagnostic(where, message))
    return tuple(found)


def _name(index: int, labels: Sequence[str]) -> str:
    return labels[index] if index < len(labels) else str(index)
