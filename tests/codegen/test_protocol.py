"""The runtime keeps the call protocol of offramp.h: all calls in any order, from interrupts and from `wait` too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from bench.board_inputs import FORMS
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.calls import BY_CONFIDENCE, Context, Format, Open, Operation, Status
from offramp.simulator.board.session import Answer, Session
from offramp.simulator.clock import Clock
from tests.helpers.board_images import BoardImages, two_images
from tests.helpers.protocol import Protocol
from tests.helpers.protocol_calls import make, next_states, refused_by_lock
from tests.helpers.protocol_state import Call, Phase, State

FRAMES = 3
OPTIONS = (
    Open.DEFAULTS,
    Open(0),
    Open.INTERRUPT | Open.CHECK_REGISTERS,
    Open.CLOCK | Open.CHECK_WEIGHTS,
    Open.WAIT | Open.INTERRUPT,
    Open.WAIT | Open.CLOCK | Open.CHECK_REGISTERS,
    Open.SLEEP | Open.INTERRUPT,
    Open.SLEEP | Open.CLOCK,
)

OPERATIONS = (
    *(Operation.OPEN, Operation.CLOSE, Operation.CANCEL, Operation.SLEEP, Operation.WAKE, Operation.SELF_TEST),
    *(Operation.OPEN, Operation.WAKE),
    *(Operation.LOAD, Operation.BEGIN, Operation.POLL, Operation.INFER) * 4,
    *(Operation.OUTPUT, Operation.OUTPUT_WORDS) * 2,
    *(Operation.SET_THRESHOLD, Operation.FORCE_STAGE, Operation.STATISTICS, Operation.STAGE_STATISTICS),
    *(Operation.CLEAR_STATISTICS, Operation.SHAPE, Operation.ON_INTERRUPT, Operation.FORGET),
)
POLLS = 60  # in a row, of a stage that takes its time


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> BoardImages:
    return two_images(tmp_path_factory.mktemp("two"))


@dataclass(frozen=True)
class Drawn:
    """A call as it is drawn: `choice` is a number that is resolved when it is known which calls make sense."""

    operation: Operation
    model: int
    stage: int
    image: int
    frame: int | None
    form: int
    choice: int
    null: bool


drawn_calls = st.builds(
    Drawn,
    operation=st.sampled_from(OPERATIONS),
    model=st.sampled_from((0,) * 7 + (1,)),
    stage=st.integers(0, 3),
    image=st.sampled_from((0, 1, 0, 1, 0, 1, 2)),
    frame=st.sampled_from((*range(FRAMES), *range(FRAMES), None)),
    form=st.sampled_from((*FORMS, *FORMS, 3, Format.PACKED | Format.UNSIGNED)),
    choice=st.integers(0, 63),
    null=st.sampled_from((False,) * 7 + (True,)),
)


class Machine(RuleBasedStateMachine):
    """One program from its start on, and the states in which its runtime may be."""

    program: ClassVar[BoardImages]
    precise: ClassVar[bool] = False

    @initialize(instant=st.booleans(), image=st.integers(0, 1), options=st.sampled_from(OPTIONS))
    def boot(self, instant: bool, image: int, options: Open) -> None:
        self.protocol = Protocol(self.program.images)
        self.states = [State()]
        device = self.program.device
        self.clock = Clock(device, instant=instant)
        accelerator = Accelerator(device, self.clock)
        self.session = Session(self.program.elf, accelerator, device, clock=self.clock, precise=self.precise)
        rng = np.random.default_rng(5)
        sizes = [models[0].input_bytes for models in self.program.images]
        self.frames = [[rng.integers(0, 256, size, np.uint8).tobytes() for _ in range(FRAMES)] for size in sizes]
        self.open(image, options)

    @precondition(lambda self: self.phase is Phase.CLOSED)
    @rule(image=st.integers(0, 1), options=st.sampled_from(OPTIONS))
    def open(self, image: int, options: Open) -> None:
        self.do(Call(Operation.OPEN, image=image, number=options))

    @precondition(lambda self: self.phase is Phase.ASLEEP)
    @rule()
    def wake(self) -> None:
        self.do(Call(Operation.WAKE))

    @precondition(lambda self: self.phase in (Phase.READY, Phase.STALE))
    @rule(frame=st.integers(0, FRAMES - 1), form=st.sampled_from(FORMS), waits=st.booleans())
    def infer(self, frame: int, form: Format, waits: bool) -> None:
        """Or begin, which leaves the rest to other calls."""
        data = self.frames[self.states[0].image][frame]
        self.do(Call(Operation.INFER if waits else Operation.BEGIN, data=data, form=form))

    @precondition(lambda self: self.phase is not Phase.CLOSED)
    @rule(frame=st.integers(0, FRAMES - 1), form=st.sampled_from(FORMS), rest=st.booleans())
    def load_on(self, frame: int, form: Format, rest: bool) -> None:
        """The piece that follows."""
        state = self.states[0]
        model = self.program.images[state.image][0]
        first = state.loaded if state.loaded < model.pixels else 0
        pixels = model.pixels - first if rest else min(16, model.pixels - first)
        self.do(Call(Operation.LOAD, data=self.frames[state.image][frame], form=form, first=first, pixels=pixels))

    @rule(drawn=drawn_calls)
    def call(self, drawn: Drawn) -> None:
        self.do(self.concrete(drawn))

    @precondition(lambda self: self.phase is Phase.RUNNING)
    @rule()
    def poll_until_something_happens(self) -> None:
        polls = 0
        while polls < POLLS and self.do(Call(Operation.POLL)) is Status.BUSY:
            polls += 1

    @precondition(lambda self: self.phase in (Phase.READY, Phase.STALE))
    @rule(drawn=drawn_calls, during=drawn_calls)
    def call_while_infer_waits(self, drawn: Drawn, during: Drawn) -> None:
        """Whatever `wait` calls finds the runtime busy."""
        call, nested = self.concrete(replace(drawn, operation=Operation.INFER)), self.concrete(during)
        if nested.operation is Operation.SHAPE:
            return
        inside = make(self.session, nested, self.program, self.states[0].image, Context.WAIT)
        answer = make(self.session, call, self.program, self.states[0].image)
        if inside.made:
            assert refused_by_lock(nested, inside), (nested, inside.status)
        else:
            self.session.host.streams[Context.WAIT.value].clear()
        self.move(self.reach(self.states, call, answer), call, answer.status)

    @property
    def phase(self) -> Phase:
        return self.states[0].phase

    def do(self, call: Call) -> Status:
        answer = make(self.session, call, self.program, self.states[0].image)
        self.move(self.reach(self.states, call, answer), call, answer.status)
        return answer.status

    def reach(self, states: list[State], call: Call, answer: Answer[Any]) -> list[State]:
        return [after for state in states for after in next_states(self.protocol, state, call, answer)]

    def move(self, states: list[State], *made: object) -> None:
        assert states, (made, self.states)
        self.states = list(dict.fromkeys(states))

    def concrete(self, drawn: Drawn) -> Call:
        state = self.states[0]
        model = self.program.images[state.image][0]
        data = None if drawn.frame is None else self.frames[state.image][drawn.frame]
        first = (state.loaded, state.loaded, 0, drawn.choice)[drawn.choice % 4]
        rest = max(model.pixels - first, 0)
        pixels = (rest, min(rest, 4 * drawn.choice), rest + 1, drawn.choice)[drawn.choice // 4 % 4]
        number = {
            Operation.OPEN: OPTIONS[drawn.choice % len(OPTIONS)],
            Operation.SLEEP: drawn.choice % 4,
            Operation.SELF_TEST: drawn.choice % 16,
            Operation.FORCE_STAGE: (0, 1, 2, 3, BY_CONFIDENCE)[drawn.choice % 5],
            Operation.OUTPUT: (0, 2, 3, 4, 100)[drawn.choice % 5],
            Operation.OUTPUT_WORDS: (0, 2, 3, 4, 100)[drawn.choice % 5],
            Operation.SET_THRESHOLD: self.threshold(drawn),
        }.get(drawn.operation, 0)
        chosen = Call(drawn.operation, drawn.model, drawn.stage, drawn.image, data, drawn.form)
        return replace(chosen, first=first, pixels=pixels, number=number, null=drawn.null)

    def threshold(self, drawn: Drawn) -> int:
        """One about which it matters what a stage says."""
        answers = self.program.images[self.states[0].image][0].answer(
            self.frames[self.states[0].image][drawn.frame or 0]
        )
        return answers[drawn.stage % len(answers)].confidence + drawn.choice % 3 - 1

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.session.finish()


class PreciseMachine(Machine):
    """The same, with interrupts that come while a call is in progress."""

    precise = True

    @rule(drawn=drawn_calls, during=drawn_calls, cycles=st.integers(0, 3000))
    def call_in_an_interrupt(self, drawn: Drawn, during: Drawn, cycles: int) -> None:
        """It comes in before, behind or, if the interrupted call is in progress, finds the runtime busy."""
        call, nested = self.concrete(drawn), self.concrete(during)
        image = self.states[0].image
        if nested.operation is Operation.SHAPE:
            return
        inside = make(self.session, nested, self.program, image, Context.INTERRUPT)
        event = self.clock.call_at(self.clock.now + cycles, self.session.interrupt)
        answer = make(self.session, call, self.program, image)
        if not inside.made:
            self.clock.cancel(event)
            self.session.interrupt()
            self.session.shape(0, 0, 0)
        after = [two for one in self.reach(self.states, nested, inside) for two in self.reach([one], call, answer)]
        after += [two for one in self.reach(self.states, call, answer) for two in self.reach([one], nested, inside)]
        if refused_by_lock(nested, inside):
            after += self.reach(self.states, call, answer)
        self.move(after, call, answer.status, nested, inside.status)


@pytest.mark.slow
def test_calls_in_any_order(program: BoardImages) -> None:
    Machine.program = program
    run_state_machine_as_test(Machine, settings=settings(max_examples=120, stateful_step_count=40))


@pytest.mark.slow
def test_calls_from_interrupts(program: BoardImages) -> None:
    Machine.program = program
    run_state_machine_as_test(PreciseMachine, settings=settings(max_examples=15, stateful_step_count=25))
