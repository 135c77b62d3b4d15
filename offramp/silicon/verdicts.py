"""What a log says of each question: what we assume, what this chip did, whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from offramp.configs.errors import Diagnostic, InputError
from offramp.silicon.log import Log, Seen
from offramp.silicon.steps import Measurement, Question, Values

SHOWN = 4  # values that a cell shows
TROUBLES = {
    "refused": "the model refuses it",
    "timeout": "never done",
    "bus-fault": "bus fault",
    "no-clock": "no clock on this board",
}


class Verdict(Enum):
    AGREES = "agrees"
    DIFFERS = "differs"
    NEW = "new"  # nothing is assumed, and the chip has answered
    UNKNOWN = "no answer"  # nothing is assumed and nothing was seen, or there is no clock


@dataclass(frozen=True)
class Answer:
    """One measurement. saw: in words."""

    measurement: Measurement
    saw: str
    verdict: Verdict
    values: Values
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Answered:
    """A question with all its measurements."""

    question: Question
    answers: tuple[Answer, ...]

    @property
    def verdict(self) -> Verdict:
        """The one that matters most: one that differs, one that is new, one without an answer."""
        found = {answer.verdict for answer in self.answers}
        order = (Verdict.DIFFERS, Verdict.NEW, Verdict.UNKNOWN, Verdict.AGREES)
        return next(verdict for verdict in order if verdict in found)

    @property
    def saw(self) -> str:
        """A sentence: what was seen where that is not what is assumed, or that all was as assumed."""
        odd = [answer for answer in self.answers if answer.verdict != Verdict.AGREES]
        count, rest = len(self.answers), len(self.answers) - len(odd)
        if not odd:
            return "as assumed" + (f", in {count} measurements" if count > 1 else "")
        if len(odd) > 1 and len({answer.saw for answer in odd}) == 1:
            return f"{odd[0].saw}, in {len(odd)} of {count} measurements"
        told = "; ".join(f"{answer.measurement.short}: {answer.saw}" for answer in odd)
        return told + (f"; as assumed: {rest} of {count}" if rest else "")


def answer(log: Log, questions: Sequence[Question], digest: str, device: str) -> tuple[Answered, ...]:
    """Every question with what the log says of it. InputError for a log of other questions, or another device."""
    if log.device != device:
        raise InputError(Diagnostic(log.where, f"a log of a {log.device}; of a {device} is expected (--device)"))
    if log.digest != digest:
        message = f"a log of questions {log.digest}; this version of Offramp asks {digest}: write and run its firmware"
        raise InputError(Diagnostic(log.where, message))
    asked = {one.name for question in questions for one in question.measurements}
    if log.seen.keys() != asked:
        names = ", ".join(sorted(log.seen.keys() ^ asked))
        raise InputError(Diagnostic(log.where, f"measurements that are missing, or that nobody has asked for: {names}"))
    return tuple(
        Answered(question, tuple(_answer(one, log.seen) for one in question.measurements)) for question in questions
    )


def _answer(measurement: Measurement, seen: dict[str, Seen]) -> Answer:
    found = seen[measurement.name]
    verdict = _trouble_verdict(found, measurement) if found.problems else _verdict(found.values, measurement, seen)
    saw = _trouble(found) if found.problems else _told(found.values, measurement)
    return Answer(measurement, saw, verdict, () if found.problems else found.values, found.problems)


def _verdict(values: Values, measurement: Measurement, seen: dict[str, Seen]) -> Verdict:
    if not measurement.assumes:
        return Verdict.NEW
    return Verdict.AGREES if _agrees(values, measurement, seen) else Verdict.DIFFERS


def _trouble_verdict(found: Seen, measurement: Measurement) -> Verdict:
    """What the model refuses agrees with assuming nothing; something else going wrong is a finding."""
    if "no-clock" in found.problems:
        return Verdict.UNKNOWN
    if measurement.values is not None or measurement.same_as:
        return Verdict.DIFFERS
    return Verdict.AGREES if measurement.unlike or found.problems == ("refused",) else Verdict.NEW


def _trouble(found: Seen) -> str:
    return ", ".join(TROUBLES[problem] for problem in found.problems)


def _agrees(values: Values, measurement: Measurement, seen: dict[str, Seen]) -> bool:
    if measurement.values is not None:
        return _near(values, measurement.values, measurement.tolerance)
    if measurement.same_as:
        return values == seen[measurement.same_as].values
    return values != seen[measurement.unlike].values


def _near(values: Values, wanted: Values, tolerance: tuple[float, int]) -> bool:
    share, cycles = tolerance
    return len(values) == len(wanted) and all(
        abs(value - one) <= share * one + cycles for value, one in zip(values, wanted, strict=True)
    )


def _told(values: Values, measurement: Measurement) -> str:
    """Values in words: what they mean if that is known, else the values themselves."""
    for meaning, known in measurement.others.items():
        if values == known:
            return meaning
    if measurement.tolerance != (0.0, 0) and measurement.values:
        return f"{values[0]} cycles, the model says {measurement.values[0]}"
    shown = " ".join(f"{value:08x}" for value in values[:SHOWN])
    return shown + (" ..." if len(values) > SHOWN else "")
