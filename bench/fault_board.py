"""One trial of a fault: a firmware on a virtual board of its own, some inputs, and what came of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offramp.codegen.assemble import assemble
from offramp.codegen.firmware import Firmware
from offramp.codegen.image import Image, lay_out
from offramp.codegen.render import render
from offramp.configs.device import Device, load_device
from offramp.host.files import write_tree
from offramp.host.progress import SILENT
from offramp.pipeline.chains import TEST_DATA, data_set
from offramp.pipeline.compile import compile_firmware
from offramp.pipeline.planning import make_plan
from offramp.planner.reference.profile import exit_indices, profile
from offramp.planner.spec.reader import load_spec
from offramp.simulator.board.calls import Open, SelfTest, Status
from offramp.simulator.board.elf import load_image
from offramp.simulator.board.errors import BoardError
from offramp.simulator.board.faults import Fault
from offramp.simulator.board.faulty_bus import FaultyBus
from offramp.simulator.board.interrupts import Interrupts
from offramp.simulator.board.session import Session
from offramp.simulator.clock import Clock
from offramp.simulator.lenient import LenientAccelerator

SPEC = Path(__file__).parents[1] / "examples" / "mnist" / "spec.yaml"
SLEEPING = Open.SLEEP | Open.INTERRUPT | Open.CLOCK
NO_OPTIONS, NO_TESTS = Open(0), SelfTest(0)
RIGHT, WRONG, STOPPED = "right", "wrong", "core stops"  # what became of a call, or the name of an error status
INPUTS = 6  # they leave at the first and at the last stage in turn
MOST_INSTRUCTIONS = 60_000_000


@dataclass(frozen=True)
class Known:
    """An input as bytes, and its answer by the integer reference."""

    data: bytes
    stage: int
    class_index: int
    confidence: int
    values: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Subject:
    """The firmware that is tried. `flash`: where its image begins."""

    elf: Path
    device: Device
    firmware: Firmware
    image: Image
    flash: int
    inputs: tuple[Known, ...]


@dataclass(frozen=True)
class Trial:
    """What goes wrong in one life of a board.

    `flips`: byte of the image and bit; they are in flash from the start or, with `late`, from the first answer on.
    `faults`: of the bus; those that wait for the host happen before input `strike`, with `between` after its inference
    and before its result is read. `tests`: self tests before the input that follows what goes wrong. `instant`: who
    looks whether a stage is done waits until it is, unless it never will be; else all looks are made.
    """

    faults: tuple[Fault, ...] = ()
    flips: tuple[tuple[int, int], ...] = ()
    late: bool = False
    strike: int | None = None
    between: bool = False
    options: Open = NO_OPTIONS
    tests: SelfTest = NO_TESTS
    instant: bool = True


def make_subject(folder: Path, spec: Path = SPEC) -> Subject:
    """Plan and compile a spec; inputs are test images that leave at the first and at the last stage in turn."""
    device = load_device()
    made = make_plan(load_spec(spec, device), device, SILENT)
    firmware = assemble(made.lowered, made.plan.spec.name)
    write_tree(folder / "firmware", render(firmware, device))
    elf = compile_firmware(folder / "firmware", folder / "firmware.elf").elf
    x = data_set(made.plan.spec, made.chain, TEST_DATA).x[:400]
    found = profile(made.chain, x)
    leaving = exit_indices(made.chain, found)
    last = len(made.chain.exits) - 1
    first_ones, last_ones = np.flatnonzero(leaving == 0), np.flatnonzero(leaving == last)
    chosen = [int(group[number // 2]) for number in range(INPUTS) for group in ((first_ones, last_ones)[number % 2],)]
    inputs = tuple(
        Known(
            x[index].tobytes(),
            int(leaving[index]),
            int(found.classes[leaving[index]][index]),
            int(found.confidence[leaving[index]][index]),
            tuple(found.results[leaving[index]][index].tolist()),
        )
        for index in chosen
    )
    image = lay_out(firmware, device)
    return Subject(elf, device, firmware, image, _address(elf, image.data), inputs)


def _address(elf: Path, data: bytes) -> int:
    """Where bytes of a program lie in flash."""
    places = [(one.address, one.data.find(data)) for one in load_image(elf).segments]
    return next(address + offset for address, offset in places if offset >= 0)


class Life:
    """A board from its power-up on."""

    def __init__(self, subject: Subject, faults: Sequence[Fault] = (), precise: bool = False) -> None:
        self.subject = subject
        self.clock = Clock(subject.device)
        interrupts = Interrupts()
        accelerator = LenientAccelerator(subject.device, self.clock, seed=1)
        self.bus = FaultyBus(accelerator, self.clock, interrupts, faults)
        self.session = Session(
            subject.elf,
            self.bus,
            subject.device,
            limit=MOST_INSTRUCTIONS,
            clock=self.clock,
            interrupts=interrupts,
            precise=precise,
        )

    def flip(self, flips: Sequence[tuple[int, int]]) -> None:
        """Invert bits of the image in flash."""
        for byte, bit in flips:
            self.session.invert(self.subject.flash + byte, bit)

    def infer(self, known: Known) -> str:
        """What became of an input."""
        answer = self.session.infer(0, known.data)
        if answer.status:
            return answer.status.name
        found = answer.result
        wanted = known.stage, known.class_index, known.confidence
        return RIGHT if (found.stage, found.class_index, found.confidence) == wanted else WRONG

    def read(self, known: Known) -> str:
        """What became of reading the result."""
        answer = self.session.output_words(len(known.values))
        if answer.status:
            return answer.status.name
        return RIGHT if tuple(answer.result.tolist()) == known.values else WRONG


def run_trial(subject: Subject, trial: Trial) -> list[str]:
    """What became of offramp_open, and of each input."""
    outcomes: list[str] = []
    life = Life(subject, trial.faults)
    life.clock.instant = trial.instant
    try:
        if not trial.late:
            life.flip(trial.flips)
        status = life.session.open(0, trial.options).status
        outcomes.append(RIGHT if status is Status.OK else status.name)
        if status is Status.OK:
            for number, known in enumerate(subject.inputs):
                if trial.late and number == 1:
                    life.flip(trial.flips)
                outcomes.append(_step(life, trial, number, known))
    except BoardError as error:
        outcomes.append(f"{STOPPED} ({error.ending.name.lower()})")
    return outcomes


def _step(life: Life, trial: Trial, number: int, known: Known) -> str:
    struck = trial.strike == number
    if struck and not trial.between:
        life.bus.strike()
    if trial.tests and number == (1 if trial.strike is None else trial.strike):
        status = life.session.self_test(trial.tests).status
        if status is not Status.OK:
            return status.name
    outcome = life.infer(known)
    if struck and trial.between:
        life.bus.strike()
    return life.read(known) if outcome == RIGHT else outcome
