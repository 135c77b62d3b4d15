"""The call protocol of offramp.h as a function: a state and a call give all that the call may do.

Written from the header's comments; nothing here knows how the runtime does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.board_inputs import may_end
from offramp.simulator.board.calls import BY_CONFIDENCE, Sleep, Status
from tests.helpers.board_images import ModelFacts
from tests.helpers.protocol_state import (
    WORD,
    Call,
    Outcome,
    Phase,
    State,
    counted,
    forgetful,
    idle,
    known,
    ready,
    unusable,
    with_piece,
)


class Protocol:
    """The protocol of a program with some images, each of some models."""

    def __init__(self, images: tuple[tuple[ModelFacts, ...], ...]) -> None:
        self._images = images

    def outcomes(self, state: State, call: Call) -> list[Outcome]:
        """All that the header allows."""
        action = getattr(self, f"_{call.operation.name.lower()}")
        return list(action(state, call))

    # ---- open, close, sleep

    def _open(self, state: State, call: Call) -> Iterator[Outcome]:
        if state.phase is not Phase.CLOSED:
            yield Outcome(Status.BUSY, state)
        elif call.image >= len(self._images):
            yield Outcome(Status.E_ARGUMENT, state)
        else:
            models = self._images[call.image]
            none = tuple((0,) * len(model.stages) for model in models)
            fresh = State(call.image, Phase.READY, forced=(BY_CONFIDENCE,) * len(models), answers=none)
            yield Outcome(Status.OK, replace(fresh, thresholds=tuple(model.thresholds for model in models)))

    def _close(self, state: State, call: Call) -> Iterator[Outcome]:
        yield from idle(state) or [Outcome(Status.OK, State())]

    def _sleep(self, state: State, call: Call) -> Iterator[Outcome]:
        if refused := unusable(state):
            yield from refused
        elif call.number > Sleep.OFF:
            yield Outcome(Status.E_ARGUMENT, state)
        else:
            mode = Sleep.OFF if state.phase is Phase.STALE else Sleep(call.number)
            kept = state if mode is Sleep.CLOCK else forgetful(state)
            yield Outcome(Status.OK, replace(kept, phase=Phase.ASLEEP, slept=mode))

    def _wake(self, state: State, call: Call) -> Iterator[Outcome]:
        if state.phase is Phase.ASLEEP:
            yield Outcome(Status.OK, replace(state, phase=Phase.READY))
        else:
            yield Outcome(Status.BUSY if state.phase is Phase.RUNNING else Status.NOT_READY, state)

    def _self_test(self, state: State, call: Call) -> Iterator[Outcome]:
        yield from unusable(state) or [Outcome(Status.OK, ready(state))]

    # ---- inputs

    def _load(self, state: State, call: Call) -> Iterator[Outcome]:
        if state.phase in (Phase.CLOSED, Phase.ASLEEP):
            yield Outcome(Status.NOT_READY, state)
        elif self._model(state, call.model) is None or call.data is None or not known(call.form):
            yield Outcome(Status.E_ARGUMENT, state)
        elif state.phase is Phase.RUNNING:
            yield from self._load_running(state, call)
        else:
            model = self._images[state.image][call.model]
            follows = call.first == 0 or (
                not model.fifo and (state.input_model, state.loaded) == (call.model, call.first)
            )
            if follows and may_end(model.layout, call.first, call.pixels):
                usable = ready(state)
                kept = usable if model.fifo else replace(usable, answer=None)  # it may lie where the input goes
                yield Outcome(Status.OK, with_piece(replace(kept, input_model=call.model), call, model))
            else:
                yield Outcome(Status.E_ARGUMENT, state)

    def _load_running(self, state: State, call: Call) -> Iterator[Outcome]:
        """What follows what the FIFO has taken."""
        model = self._images[state.image][state.model]
        if call.model != state.model or not model.fifo:
            yield Outcome(Status.BUSY, state)
            return
        if not state.sent:
            yield Outcome(Status.BUSY, state)
        if state.sent or state.loaded == model.pixels:
            yield Outcome(Status.E_ARGUMENT, state)
        for now in (state, *self._next_stage(state)):  # it may run already
            if now.sent and call.first == now.loaded and may_end(model.layout, call.first, call.pixels):
                yield Outcome(Status.OK, replace(with_piece(now, call, model), sent=False))

    def _next_stage(self, state: State) -> Iterator[State]:
        """The state after a stage that asks for the input again has begun."""
        model = self._images[state.image][state.model]
        stage = len(state.frames) - 1
        given = state.whole or state.loaded < model.pixels
        if model.fifo and not given and not self._leaves(state, state.model, stage, state.frames[stage]):
            yield replace(state, frames=(*state.frames, b""), frame=b"", loaded=0, sent=True)

    # ---- inferences

    def _begin(self, state: State, call: Call) -> Iterator[Outcome]:
        yield from self._started(state, call, needs_all=False)

    def _started(self, state: State, call: Call, needs_all: bool) -> Iterator[Outcome]:
        if state.phase in (Phase.CLOSED, Phase.ASLEEP):
            yield Outcome(Status.NOT_READY, state)
        elif self._model(state, call.model) is None or (call.data is not None and not known(call.form)):
            yield Outcome(Status.E_ARGUMENT, state)
        elif state.phase is Phase.RUNNING:
            yield Outcome(Status.BUSY, state)
        else:
            model, usable = self._images[state.image][call.model], ready(state)
            if call.data is not None:
                usable = replace(usable, input_model=call.model, frame=call.data, loaded=model.pixels)
            elif usable.input_model != call.model:
                usable = replace(usable, input_model=call.model, frame=b"", loaded=0)
            there = usable.loaded == model.pixels
            if there or (model.fifo and not needs_all):
                yield Outcome(Status.OK, self._running(usable, call.model, there))
            else:
                yield Outcome(Status.NOT_READY, state)
                yield Outcome(Status.NOT_READY, ready(state))

    def _running(self, state: State, number: int, there: bool) -> State:
        model = self._images[state.image][number]
        frames = (state.frame,) if model.fifo and not there else (state.frame,) * len(model.stages)
        running = replace(state, phase=Phase.RUNNING, model=number, frames=frames, answer=None, begun=state.begun + 1)
        return replace(running, whole=there, sent=not state.loaded, input_model=number if model.fifo else None)

    def _poll(self, state: State, call: Call) -> Iterator[Outcome]:
        if call.null:
            yield Outcome(Status.E_ARGUMENT, state)
        elif state.phase is not Phase.RUNNING:
            yield Outcome(Status.NOT_READY, state)
        else:
            yield from self._polled(state)

    def _polled(self, state: State) -> Iterator[Outcome]:
        model = self._images[state.image][state.model]
        if not state.whole and state.loaded < model.pixels:
            yield Outcome(Status.WANTS_INPUT, replace(state, sent=True))
        else:
            yield from self._answered(state)
        for following in self._next_stage(state):
            yield Outcome(Status.WANTS_INPUT, following)
        if not state.sent:
            yield Outcome(Status.BUSY, state)

    def _answered(self, state: State) -> Iterator[Outcome]:
        """The answer of the first stage that leaves; where stages got inputs of their own, that of the last one."""
        stage = 0 if state.whole else len(state.frames) - 1
        while not self._leaves(state, state.model, stage, state.frames[stage]):
            stage += 1
            if stage == len(state.frames):
                return
        frame = state.frames[stage]
        answers = counted(state.answers, state.model, stage)
        after = replace(forgetful(state), phase=Phase.READY, answer=(state.model, stage, frame), answers=answers)
        given = self._images[state.image][state.model].answer(frame)[stage]
        yield Outcome(Status.OK, after, (stage, given.answer, given.class_index, given.confidence))

    def _infer(self, state: State, call: Call) -> Iterator[Outcome]:
        if call.null:
            yield Outcome(Status.E_ARGUMENT, state)
            return
        for started in self._started(state, call, needs_all=True):
            if started.status is Status.OK:
                yield from self._answered(started.state)
            else:
                yield started

    def _cancel(self, state: State, call: Call) -> Iterator[Outcome]:
        if state.phase is Phase.RUNNING:
            stale = replace(forgetful(state), phase=Phase.STALE, cancelled=state.cancelled + 1)
            yield Outcome(Status.OK, stale)
        else:
            yield Outcome(Status.NOT_READY, state)

    def _output(self, state: State, call: Call) -> Iterator[Outcome]:
        yield from self._read(state, call, widened=False)

    def _output_words(self, state: State, call: Call) -> Iterator[Outcome]:
        yield from self._read(state, call, widened=True)

    def _read(self, state: State, call: Call, widened: bool) -> Iterator[Outcome]:
        if call.null:
            yield Outcome(Status.E_ARGUMENT, state)
        elif state.phase is Phase.RUNNING:
            yield Outcome(Status.BUSY, state)
        elif state.answer is None or state.phase is Phase.ASLEEP:
            yield Outcome(Status.NOT_READY, state)
        else:
            number, stage, frame = state.answer
            given = self._images[state.image][number].answer(frame)[stage]
            wanted = given.values if widened else tuple(given.data)
            room = call.number if widened else WORD * call.number
            fits = room >= len(wanted)
            yield Outcome(Status.OK, state, wanted) if fits else Outcome(Status.E_ARGUMENT, state)

    # ---- settings and statistics

    def _set_threshold(self, state: State, call: Call) -> Iterator[Outcome]:
        yield from idle(state) or [self._set(state, call)]

    def _set(self, state: State, call: Call) -> Outcome:
        model = self._model(state, call.model)
        if model is None or call.stage + 1 >= len(model.stages):
            return Outcome(Status.E_ARGUMENT, state)
        row = list(state.thresholds[call.model])
        row[call.stage] = call.number
        rows = list(state.thresholds)
        rows[call.model] = tuple(row)
        return Outcome(Status.OK, replace(state, thresholds=tuple(rows)))

    def _force_stage(self, state: State, call: Call) -> Iterator[Outcome]:
        yield from idle(state) or [self._force(state, call)]

    def _force(self, state: State, call: Call) -> Outcome:
        model = self._model(state, call.model)
        if model is None or (call.number != BY_CONFIDENCE and call.number >= len(model.stages)):
            return Outcome(Status.E_ARGUMENT, state)
        forced = list(state.forced)
        forced[call.model] = call.number
        return Outcome(Status.OK, replace(state, forced=tuple(forced)))

    def _forget(self, state: State, call: Call) -> Iterator[Outcome]:
        known_model = not unusable(state) and self._model(state, call.model) is not None
        status = Status.OK if known_model else Status.E_ARGUMENT
        yield from unusable(state) or [Outcome(status, ready(state))]

    def _statistics(self, state: State, call: Call) -> Iterator[Outcome]:
        if call.null:
            yield Outcome(Status.E_ARGUMENT, state)
        elif state.phase is Phase.CLOSED:
            yield Outcome(Status.NOT_READY, state)
        else:
            yield Outcome(Status.OK, state, (state.begun, state.cancelled, 0, state.reloads, 0))

    def _stage_statistics(self, state: State, call: Call) -> Iterator[Outcome]:
        model = self._model(state, call.model)
        if state.phase is Phase.CLOSED:
            yield Outcome(Status.NOT_READY, state)
        elif model is None or call.stage >= len(model.stages) or call.null:
            yield Outcome(Status.E_ARGUMENT, state)
        else:
            threshold, answers = (rows[call.model][call.stage] for rows in (state.thresholds, state.answers))
            yield Outcome(Status.OK, state, (threshold, answers))

    def _clear_statistics(self, state: State, call: Call) -> Iterator[Outcome]:
        none = tuple((0,) * len(row) for row in state.answers)
        yield from idle(state) or [Outcome(Status.OK, replace(state, answers=none, begun=0, cancelled=0, reloads=0))]

    def _shape(self, state: State, call: Call) -> Iterator[Outcome]:
        models = self._images[call.image] if call.image < len(self._images) else ()
        model = models[call.model] if call.model < len(models) else None
        if model is None or call.stage >= len(model.stages) or call.null:
            yield Outcome(Status.E_ARGUMENT, state)
        else:
            yield Outcome(Status.OK, state, model.stages[call.stage])

    def _on_interrupt(self, state: State, call: Call) -> Iterator[Outcome]:
        yield Outcome(Status.OK, state)

    # ---- helpers

    def _model(self, state: State, number: int) -> ModelFacts | None:
        models = self._images[state.image]
        return models[number] if number < len(models) else None

    def _leaves(self, state: State, number: int, stage: int, frame: bytes) -> bool:
        model = self._images[state.image][number]
        if stage + 1 == len(model.stages):
            return True
        if state.forced[number] != BY_CONFIDENCE:
            return state.forced[number] == stage
        return model.leaves(stage, frame, state.thresholds[number][stage])
