"""What a start does and when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from offramp.configs.device import Place
from offramp.simulator.clock import Clock, Event
from offramp.simulator.config import Run
from offramp.simulator.cycles import RunCycles
from offramp.simulator.fifo import Fifos
from offramp.simulator.registers import RegisterFile
from offramp.simulator.sequencer import Frame, Sequencer


class Runner:
    """Runs of the array. Results are computed inside the start (through the FIFO: inside the write that completes the
    frame). With a clock, CTRL.done shows when the run's cycles are over, else at once; a run that is stopped before
    (enable cleared, reset, power lost) leaves everything it writes undefined.

    `on_start` is called before a run; `completion` turns the core cycles that it takes into those until done shows,
    None for never. Both are for faults.
    """

    def __init__(self, registers: RegisterFile, sequencer: Sequencer, fifos: Fifos, clock: Clock | None) -> None:
        self.layers_run: list[int] = []
        self.cycles = RunCycles(())
        self.on_layer: Callable[[int], None] | None = None
        self.on_start: Callable[[], None] | None = None
        self.completion: Callable[[int], int | None] | None = None
        self._registers = registers
        self._fifos = fifos
        self._clock = clock
        self._sequencer = sequencer
        self._waiting: Run | None = None  # started, frame not complete yet
        self._running: Run | None = None  # results are there, done is not
        self._done: Event | None = None
        self._started = 0

    def start(self, run: Run) -> None:
        if self.on_start:
            self.on_start()
        self._started = self._clock.now if self._clock else 0
        if run.fifo:
            self._waiting = run
            self.feed()
        else:
            self._execute(run, {})

    def feed(self) -> None:
        """A word has come through the FIFO."""
        if self._waiting and self._fifos.complete():
            run, self._waiting = self._waiting, None
            self._execute(run, self._fifos.take_frame())

    def stop(self, quadrants: Iterable[int]) -> None:
        """Some quadrants are stopped: what waits for them or runs on them ends."""
        stopped = set(quadrants)
        if self._waiting and not stopped.isdisjoint(self._waiting.quadrants):
            self._waiting = None
        if self._running and not stopped.isdisjoint(self._running.quadrants):
            self._running = None
            self.spoil()
            if self._clock and self._done:
                self._clock.cancel(self._done)

    @property
    def unfinished(self) -> bool:
        """A run with CTRL.one_shot has layers left, of which the next start runs one."""
        return self._sequencer.unfinished

    def forget(self) -> None:
        """Registers are cleared: no run goes on."""
        self._sequencer.forget()

    def spoil(self) -> None:
        """What the last run has written becomes undefined."""
        self._sequencer.spoil()

    def runs_on(self, quadrant: int) -> bool:
        """Whether a quadrant works or waits for input."""
        return any(run and quadrant in run.quadrants for run in (self._running, self._waiting))

    def look(self) -> None:
        """Software looks whether a run is done: with an instant clock it is."""
        if self._clock and self._clock.instant and self._running and self._done:
            self._clock.wait_for(self._done)

    def _execute(self, run: Run, frame: Frame) -> None:
        if not (run.one_shot and self.unfinished):
            self.layers_run = []
        self.cycles = self._sequencer.run(run, frame, self._finished)
        if self._clock is None:
            self._show_done(run)
            return
        passed = self._clock.now - self._started
        cycles = self._clock.core_cycles(self.cycles.finished(0, self._clock.cnn_cycles(passed))) - passed
        delay = self.completion(cycles) if self.completion else cycles
        self._running, self._done = run, None
        if delay is not None:
            self._done = self._clock.call_at(self._clock.now + delay, lambda: self._show_done(run))

    def _show_done(self, run: Run) -> None:
        self._running = None
        done = self._registers.device.registers["CTRL"].encode({"done": 1})
        for quadrant in run.quadrants:
            place = Place("register", "CTRL", quadrant, -1, 0)
            self._registers.write(place, self._registers.read("CTRL", quadrant) | done)

    def _finished(self, layer: int) -> None:
        self.layers_run.append(layer)
        if self.on_layer:
            self.on_layer(layer)
