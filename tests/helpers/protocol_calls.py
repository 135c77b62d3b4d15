"""Calls of the protocol model, made on the virtual board, and whether what they did is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.board_inputs import encode
from offramp.simulator.board.calls import Context, Open, Operation, Result, Shape, StageStatistics, Statistics, Status
from offramp.simulator.board.session import Answer, Session
from tests.helpers.board_images import BoardImages
from tests.helpers.protocol import Protocol
from tests.helpers.protocol_state import WORD, Call, Outcome, State

Maker = Callable[[Session, Call, bytes | None, Context], Answer[Any]]
ORDINARY: Mapping[Operation, Maker] = {
    Operation.OPEN: lambda s, c, data, context: s.open(c.image, Open(c.number), context=context),
    Operation.CLOSE: lambda s, c, data, context: s.close(context=context),
    Operation.LOAD: lambda s, c, data, context: s.load(c.model, data, c.first, c.pixels, c.form, context=context),
    Operation.BEGIN: lambda s, c, data, context: s.begin(c.model, data, c.form, context=context),
    Operation.POLL: lambda s, c, data, context: s.poll(null=c.null, context=context),
    Operation.INFER: lambda s, c, data, context: s.infer(c.model, data, c.form, null=c.null, context=context),
    Operation.CANCEL: lambda s, c, data, context: s.cancel(context=context),
    Operation.OUTPUT: lambda s, c, data, context: s.output(WORD * c.number, null=c.null, context=context),
    Operation.OUTPUT_WORDS: lambda s, c, data, context: s.output_words(c.number, null=c.null, context=context),
    Operation.SET_THRESHOLD: lambda s, c, data, context: s.set_threshold(c.model, c.stage, c.number, context=context),
    Operation.FORCE_STAGE: lambda s, c, data, context: s.force_stage(c.model, c.number, context=context),
    Operation.STATISTICS: lambda s, c, data, context: s.statistics(null=c.null, context=context),
    Operation.STAGE_STATISTICS: lambda s, c, data, context: s.stage_statistics(
        c.model, c.stage, null=c.null, context=context
    ),
    Operation.CLEAR_STATISTICS: lambda s, c, data, context: s.clear_statistics(context=context),
    Operation.FORGET: lambda s, c, data, context: s.forget(c.model, context=context),
    Operation.SELF_TEST: lambda s, c, data, context: s.self_test(c.number, context=context),
    Operation.SLEEP: lambda s, c, data, context: s.sleep(c.number, context=context),
    Operation.WAKE: lambda s, c, data, context: s.wake(context=context),
    Operation.SHAPE: lambda s, c, data, context: s.shape(c.image, c.model, c.stage, null=c.null),
    Operation.ON_INTERRUPT: lambda s, c, data, context: s.on_interrupt(context=context),
}
CHECKED_FIRST = (Operation.POLL, Operation.INFER, Operation.OUTPUT, Operation.OUTPUT_WORDS)  # null pointers, before all


def make(
    session: Session, call: Call, program: BoardImages, image: int, context: Context = Context.MAIN
) -> Answer[Any]:
    """Make a call, or have it made in a context. `image`: whose inputs its data are."""
    data = call.data
    if data is not None:
        whole = call.operation is not Operation.LOAD
        model = program.images[image][0]
        first, pixels = (0, model.pixels) if whole else (call.first, call.pixels)
        data = encode(data, model.layout, call.form, first, pixels)
    return ORDINARY[call.operation](session, call, data, context)


def next_states(protocol: Protocol, state: State, call: Call, answer: Answer[Any]) -> list[State]:
    """States in which the runtime may be after a call that has done this; none if it may not do it."""
    outcomes = protocol.outcomes(state, call)
    return [outcome.state for outcome in outcomes if _agrees(outcome, answer)]


def refused_by_lock(call: Call, answer: Answer[Any]) -> bool:
    """Whether a call has done what it has to do while another call is in progress."""
    if call.operation in CHECKED_FIRST and call.null:
        return answer.status is Status.E_ARGUMENT
    if call.operation is Operation.ON_INTERRUPT:
        return answer.status is Status.OK
    return answer.status is Status.BUSY and answer.value is None


def _agrees(outcome: Outcome, answer: Answer[Any]) -> bool:
    if outcome.status is not answer.status:
        return False
    if answer.status is not Status.OK:
        return answer.value is None or answer.value == Result(0, 0, 0, 0, 0)
    return outcome.value is None or outcome.value == _written(answer.value, len(outcome.value))


def _written(value: Any, count: int) -> tuple[Any, ...]:
    """What a call has written, as the model has it; of a buffer as much as the result takes."""
    if isinstance(value, Result):
        return (value.stage, value.answer, value.class_index, value.confidence)
    if isinstance(value, Statistics):
        return (value.begun, value.cancelled, value.errors, value.reloads, value.last_error)
    if isinstance(value, StageStatistics):
        return (value.threshold, value.answers)
    if isinstance(value, Shape):
        return (value.channels, value.rows, value.columns, value.bits)
    return tuple(int(one) for one in value[:count])
