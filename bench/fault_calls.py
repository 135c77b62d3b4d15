"""Calls that come at a wrong time: from an interrupt, from another task, in a wrong order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bench.fault_board import RIGHT, WRONG, Known, Life, Subject
from offramp.simulator.board.calls import BY_CONFIDENCE, Context, Format, Open, SelfTest, Sleep, Status
from offramp.simulator.board.session import Answer, Session

POINTS = 12  # of time in an inference at which the interrupt comes
MOST_POLLS = 200_000

Call = Callable[[Session, Known, Context], Answer[Any]]
CALLS: Mapping[str, Call] = {
    "offramp_open": lambda s, other, context: s.open(context=context),
    "offramp_close": lambda s, other, context: s.close(context=context),
    "offramp_load": lambda s, other, context: s.load(0, other.data, 0, pixels(other), context=context),
    "offramp_begin": lambda s, other, context: s.begin(0, other.data, context=context),
    "offramp_infer": lambda s, other, context: s.infer(0, other.data, context=context),
    "offramp_output": lambda s, other, context: s.output(4 * len(other.values), context=context),
    "offramp_output_words": lambda s, other, context: s.output_words(len(other.values), context=context),
    "offramp_set_threshold": lambda s, other, context: s.set_threshold(0, 0, 0, context=context),
    "offramp_force_stage": lambda s, other, context: s.force_stage(0, 0, context=context),
    "offramp_clear_statistics": lambda s, other, context: s.clear_statistics(context=context),
    "offramp_self_test": lambda s, other, context: s.self_test(SelfTest.REGISTERS, context=context),
    "offramp_sleep": lambda s, other, context: s.sleep(Sleep.CLOCK, context=context),
    "offramp_wake": lambda s, other, context: s.wake(context=context),
    "offramp_on_interrupt": lambda s, other, context: s.on_interrupt(context=context),
}
IN_ANY_PHASE: Mapping[str, Call] = {
    **CALLS,
    "offramp_poll": lambda s, other, context: s.poll(context=context),
    "offramp_cancel": lambda s, other, context: s.cancel(context=context),
    "offramp_statistics": lambda s, other, context: s.statistics(context=context),
}


@dataclass(frozen=True)
class Met:
    """A trial: what became of the answers, in order, and what the call that came at a wrong time returned."""

    outcomes: tuple[str, ...]
    status: str


def pixels(known: Known) -> int:
    return len(known.data)  # of one channel


def from_interrupts(subject: Subject, name: str) -> list[Met]:
    """The interrupt's handler makes the call at points of time all over an inference that needs all stages."""
    life = Life(subject, precise=True)
    life.session.open()
    begun = life.clock.now
    assert life.infer(subject.inputs[1]) == RIGHT
    duration = life.clock.now - begun
    return [_interrupted(life, subject, name, int(at)) for at in np.linspace(1, 0.95 * duration, POINTS)]


def _interrupted(life: Life, subject: Subject, name: str, cycles: int) -> Met:
    known, other = subject.inputs[1], subject.inputs[0]
    inside = CALLS[name](life.session, other, Context.INTERRUPT)
    life.clock.call_at(life.clock.now + cycles, life.session.interrupt)
    outcome = life.infer(known)
    if not inside.made:  # it was too late
        life.session.shape(0, 0, 0)
    if outcome == RIGHT and inside.made and inside.status is Status.BUSY:
        outcome = life.read(known)
    status = inside.status.name if inside.made else "not made"
    return Met((outcome, _again(life, subject)), status)


def from_another_task(subject: Subject, name: str) -> list[Met]:
    """The call comes while a stage runs: before the first poll, and between two."""
    life = Life(subject)
    life.session.open()
    return [_while_a_stage_runs(life, subject, name, polls) for polls in (0, 1, 2, 20, 40)]


def _while_a_stage_runs(life: Life, subject: Subject, name: str, polls: int) -> Met:
    known, other = subject.inputs[1], subject.inputs[0]
    session = life.session
    session.begin(0, known.data)
    life.clock.instant = False
    for _ in range(polls):
        session.poll()
    status = CALLS[name](session, other, Context.MAIN).status
    life.clock.instant = True
    return Met((_poll_to_the_end(life, known), _again(life, subject)), status.name)


def _poll_to_the_end(life: Life, known: Known) -> str:
    polled = life.session.poll()
    polls = 1
    while polled.status is Status.BUSY and polls < MOST_POLLS:
        polled = life.session.poll()
        polls += 1
    if polled.status:
        return polled.status.name
    found = polled.result
    same = (found.stage, found.class_index, found.confidence) == (known.stage, known.class_index, known.confidence)
    return life.read(known) if same else WRONG


def in_phases(subject: Subject, name: str) -> list[Met]:
    """The call comes in each phase of the runtime."""
    life = Life(subject)
    found = []
    for enter in PHASES.values():
        _settle(life)
        enter(life, subject)
        status = IN_ANY_PHASE[name](life.session, subject.inputs[0], Context.MAIN).status
        found.append(Met((_again(life, subject),), status.name))
    return found


def _close(life: Life, subject: Subject) -> None:
    life.session.close()


def _answer(life: Life, subject: Subject) -> None:
    life.session.infer(0, subject.inputs[1].data)


def _begin(life: Life, subject: Subject) -> None:
    life.session.begin(0, subject.inputs[1].data)


def _half(life: Life, subject: Subject) -> None:
    life.session.load(0, subject.inputs[1].data, 0, pixels(subject.inputs[1]) // 2 // 4 * 4, Format.CHW)


def _cancel(life: Life, subject: Subject) -> None:
    _begin(life, subject)
    life.session.cancel()


def _sleep(mode: Sleep, life: Life, subject: Subject) -> None:
    _answer(life, subject)
    life.session.sleep(mode)


PHASES: Mapping[str, Callable[[Life, Subject], None]] = {
    "closed": _close,
    "open": lambda life, subject: None,
    "half an input loaded": _half,
    "answered": _answer,
    "a stage runs": _begin,
    "cancelled": _cancel,
    "asleep, clock off": partial(_sleep, Sleep.CLOCK),
    "asleep, weights retained": partial(_sleep, Sleep.RETAIN),
    "asleep, power off": partial(_sleep, Sleep.OFF),
}


def _again(life: Life, subject: Subject) -> str:
    """What becomes of an input when all is in order again: whatever runs is stopped, the image is open and awake."""
    _settle(life)
    outcome = life.infer(subject.inputs[1])
    return life.read(subject.inputs[1]) if outcome == RIGHT else outcome


def _settle(life: Life) -> None:
    session = life.session
    session.cancel()
    session.wake()
    session.open(options=Open.DEFAULTS)
    session.set_threshold(0, 0, _threshold(life.subject))
    session.force_stage(0, BY_CONFIDENCE)


def _threshold(subject: Subject) -> int:
    """The planned one of the first stage."""
    rule = subject.firmware.stages[0].exit
    assert rule is not None and rule.threshold is not None
    return rule.threshold


def summary(found: Sequence[Met]) -> str:
    """What the calls that came at a wrong time returned."""
    return ", ".join(f"{status} {count}" for status, count in Counter(one.status for one in found).most_common())
