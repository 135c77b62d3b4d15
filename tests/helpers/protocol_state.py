"""What the model of the call protocol remembers, and what a call may do to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from offramp.simulator.board.calls import Format, Operation, Sleep, Status
from tests.helpers.board_images import ModelFacts

WORD = 4  # bytes


class Phase(Enum):
    """What the runtime is doing. STALE: the accelerator has to be loaded again before it can be used."""

    CLOSED = 0
    READY = 1
    RUNNING = 2
    STALE = 3
    ASLEEP = 4


@dataclass(frozen=True)
class Call:
    """A call and its arguments; those that the operation has not are not looked at.

    `data`: the whole input, int8 in the order channel, row, column, of which offramp_load gives `pixels` pixels from
    `first` on; None for a null pointer. `null`: the place for the result is a null pointer. `number`: a threshold, a
    stage to force, a mode of sleep, the tests of a self test, or the words that a buffer has room for; of OPEN: its
    options.
    """

    operation: Operation
    model: int = 0
    stage: int = 0
    image: int = 0
    data: bytes | None = field(default=None, repr=False)
    form: int = Format.CHW
    first: int = 0
    pixels: int = 0
    number: int = 0
    null: bool = False


@dataclass(frozen=True)
class State:
    """What the runtime has to remember.

    `frame`: the input of the model `input_model` as far as it has come, `loaded` pixels of it. While a stage of `model`
    runs: `frames`, the inputs of the stages until this one, through the FIFO one each; `whole`: given at once, so later
    stages get it again; `sent`: the FIFO has taken what was given. `answer`: (model, stage, input) whose result can be
    read. `answers`: how many each stage of each model has given.
    """

    image: int = 0
    phase: Phase = Phase.CLOSED
    slept: Sleep = Sleep.OFF
    input_model: int | None = None
    frame: bytes = field(default=b"", repr=False)
    loaded: int = 0
    model: int = 0
    frames: tuple[bytes, ...] = field(default=(), repr=False)
    whole: bool = False
    sent: bool = False
    answer: tuple[int, int, bytes] | None = field(default=None, repr=False)
    forced: tuple[int, ...] = ()
    thresholds: tuple[tuple[int, ...], ...] = ()
    answers: tuple[tuple[int, ...], ...] = ()
    begun: int = 0
    cancelled: int = 0
    reloads: int = 0


@dataclass(frozen=True)
class Outcome:
    """Something that a call may do. `value`: what it has to write, if that is said."""

    status: Status
    state: State
    value: tuple[object, ...] | None = None


def idle(state: State) -> list[Outcome]:
    """Why what is possible between inferences only is not possible now."""
    wrong = {Phase.CLOSED: Status.NOT_READY, Phase.RUNNING: Status.BUSY}
    return [Outcome(wrong[state.phase], state)] if state.phase in wrong else []


def unusable(state: State) -> list[Outcome]:
    """Why the accelerator cannot be used now."""
    return [Outcome(Status.NOT_READY, state)] if state.phase is Phase.ASLEEP else idle(state)


def forgetful(state: State) -> State:
    """Inputs and answers are lost."""
    return replace(state, input_model=None, frame=b"", loaded=0, frames=(), whole=False, sent=False, answer=None)


def ready(state: State) -> State:
    """The accelerator can be used, and has been loaded again if it had to be."""
    if state.phase is Phase.STALE:
        return replace(forgetful(state), phase=Phase.READY, reloads=state.reloads + 1)
    return state


def known(form: int) -> bool:
    return form in (Format.CHW, Format.HWC, Format.PACKED, Format.CHW | Format.UNSIGNED, Format.HWC | Format.UNSIGNED)


def with_piece(state: State, call: Call, model: ModelFacts) -> State:
    """A piece has been added to the input; it begins anew with the first one."""
    assert call.data is not None
    before = state.frame if call.first else bytes(len(call.data))
    frame = model.merge(before, call.data, call.first, call.pixels)
    frames = (*state.frames[:-1], frame) if state.phase is Phase.RUNNING else state.frames
    return replace(state, frame=frame, loaded=call.first + call.pixels, frames=frames)


def counted(answers: tuple[tuple[int, ...], ...], model: int, stage: int) -> tuple[tuple[int, ...], ...]:
    rows = [list(row) for row in answers]
    rows[model][stage] += 1
    return tuple(tuple(row) for row in rows)
