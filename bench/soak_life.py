"""One firmware that is soaked: random calls from a seed, and what the integer reference says of each answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.board_inputs import FORMS, encode, may_end, pixels_of
from offramp.codegen.assemble import assemble
from offramp.codegen.firmware import Firmware
from offramp.codegen.render import render
from offramp.configs.device import Device, load_device
from offramp.host.files import write_tree
from offramp.host.progress import SILENT
from offramp.pipeline.chains import TEST_DATA, data_set
from offramp.pipeline.compile import compile_firmware
from offramp.pipeline.planning import make_plan
from offramp.planner.ir.chain import Chain
from offramp.planner.reference.confidence import confident
from offramp.planner.reference.profile import Profile, profile
from offramp.planner.spec.reader import load_spec
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.calls import BY_CONFIDENCE, Format, Open, Result, SelfTest, Sleep, Status
from offramp.simulator.board.session import Answer, Session
from offramp.simulator.clock import Clock

IMAGES = 300
OPTIONS = (
    Open.DEFAULTS,
    Open.INTERRUPT | Open.CLOCK | Open.CHECK_REGISTERS,
    Open.WAIT | Open.CLOCK,
    Open.SLEEP | Open.CLOCK | Open.INTERRUPT,
    Open.SLEEP | Open.INTERRUPT,
)
POLLS = 100_000
EVERY = {"threshold": 5, "force": 8, "sleep": 60, "test": 90, "cancel": 70, "reopen": 120}  # inferences, on average


@dataclass(frozen=True, eq=False)
class SoakSubject:
    """A firmware, inputs as bytes, and the reference's answers of all stages to them."""

    name: str
    elf: Path
    device: Device
    firmware: Firmware
    chain: Chain
    inputs: tuple[bytes, ...]
    known: Profile


@dataclass
class Soaked:
    """What was done, and what was wrong."""

    inferences: int = 0
    ways: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def text(self) -> str:
        ways = ", ".join(f"{count:,} {way}" for way, count in sorted(self.ways.items()))
        return f"{self.inferences:,} inferences, {len(self.problems)} problems ({ways})"


def soak_subject(spec: Path, folder: Path) -> SoakSubject:
    """Plan and compile a spec."""
    device = load_device()
    made = make_plan(load_spec(spec, device), device, SILENT)
    firmware = assemble(made.lowered, made.plan.spec.name)
    write_tree(folder / "firmware", render(firmware, device))
    elf = compile_firmware(folder / "firmware", folder / "firmware.elf").elf
    x = data_set(made.plan.spec, made.chain, TEST_DATA).x[:IMAGES]
    inputs = tuple(image.tobytes() for image in x)
    return SoakSubject(firmware.name, elf, made.device, firmware, made.chain, inputs, profile(made.chain, x))


def soak(subject: SoakSubject, inferences: int, seed: int) -> Soaked:
    """So many inferences."""
    life = _Life(subject, seed)
    life.open()
    while life.found.inferences < inferences:
        life.step()
    life.close()
    life.session.finish()
    return life.found


class _Life:
    """A board and what the application has to know of it."""

    def __init__(self, subject: SoakSubject, seed: int) -> None:
        self.subject = subject
        self.random = np.random.default_rng(seed)
        self.found = Soaked()
        self.model = subject.firmware.models[0]
        clock = Clock(subject.device)
        accelerator = Accelerator(subject.device, clock)
        self.session = Session(subject.elf, accelerator, subject.device, clock=clock)
        self.stages = len(self.model.stages)
        self.thresholds: list[int] = []
        self.forced = BY_CONFIDENCE
        self.begun = self.cancelled = 0
        self.cycles: list[list[int]] = []

    # ---- what happens between inferences

    def open(self) -> None:
        """With options by lot; all that is remembered begins anew."""
        options = OPTIONS[int(self.random.integers(len(OPTIONS)))]
        self.expect("open", self.session.open(options=options))
        self.thresholds = [_planned(stage) for stage in self.subject.chain.exits]
        self.forced, self.begun, self.cancelled = BY_CONFIDENCE, 0, 0
        self.cycles = [[] for _ in range(self.stages)]

    def close(self) -> None:
        """After a look at the statistics."""
        self.check_statistics()
        self.expect("close", self.session.close())

    def step(self) -> None:
        """One inference, and by lot something before it."""
        actions: dict[str, Callable[[], None]] = {
            "threshold": self.change_threshold,
            "force": self.force_stage,
            "sleep": self.sleep,
            "test": self.self_test,
            "cancel": self.cancel,
            "reopen": self.reopen,
        }
        for name, action in actions.items():
            if self.random.integers(EVERY[name]) == 0:
                action()
        self.infer()

    def change_threshold(self) -> None:
        """To about what some input gives."""
        if self.stages == 1:
            return
        stage = int(self.random.integers(self.stages - 1))
        value = int(self.random.choice(self.subject.known.confidence[stage])) + int(self.random.integers(-1, 2))
        self.thresholds[stage] = max(value, 0)
        self.expect("set_threshold", self.session.set_threshold(0, stage, self.thresholds[stage]))

    def force_stage(self) -> None:
        self.forced = [*range(self.stages), BY_CONFIDENCE, BY_CONFIDENCE][int(self.random.integers(self.stages + 2))]
        self.expect("force_stage", self.session.force_stage(0, self.forced))

    def sleep(self) -> None:
        mode = Sleep(int(self.random.integers(3)))
        self.expect("sleep", self.session.sleep(mode))
        self.expect("wake", self.session.wake())
        self.found.ways[f"sleep {mode.name.lower()}"] += 1

    def self_test(self) -> None:
        tests = SelfTest.IMAGE | SelfTest.REGISTERS | SelfTest.BIASES
        self.expect("self_test", self.session.self_test(tests))
        self.found.ways["self tests"] += 1

    def cancel(self) -> None:
        self.expect("begin", self.session.begin(0, self.whole(self.subject.inputs[0], Format.CHW)))
        self.expect("cancel", self.session.cancel())
        self.begun, self.cancelled = self.begun + 1, self.cancelled + 1
        self.found.ways["cancelled"] += 1

    def reopen(self) -> None:
        self.close()
        self.open()
        self.found.ways["opened again"] += 1

    # ---- inferences

    def infer(self) -> None:
        """An input by lot, given in a way by lot."""
        index = int(self.random.integers(len(self.subject.inputs)))
        data = self.subject.inputs[index]
        form = FORMS[int(self.random.integers(len(FORMS)))]
        self.session.shift = int(self.random.integers(4)) if form is not Format.PACKED else 0
        ways: dict[str, Callable[[bytes, Format], Answer[Result]]] = {
            "blocking": self.blocking,
            "polled": self.polled,
            "in pieces": self.pieces_later if self.model.input.fifo else self.pieces_before,
        }
        way = list(ways)[int(self.random.integers(len(ways)))]
        answer = ways[way](data, form)
        self.begun += 1
        self.found.inferences += 1
        self.found.ways[way] += 1
        self.check(f"{way}, {form!r}, input {index}", index, answer)

    def blocking(self, data: bytes, form: Format) -> Answer[Result]:
        return self.session.infer(0, self.whole(data, form), form)

    def polled(self, data: bytes, form: Format) -> Answer[Result]:
        self.expect("begin", self.session.begin(0, self.whole(data, form), form))
        return self.poll()

    def pieces_before(self, data: bytes, form: Format) -> Answer[Result]:
        """All pieces are there when the first stage begins."""
        for first, pixels in self.pieces():
            self.expect(
                "load", self.session.load(0, encode(data, self.model.input, form, first, pixels), first, pixels, form)
            )
        return self.session.infer(0)

    def pieces_later(self, data: bytes, form: Format) -> Answer[Result]:
        """Each piece is given when the stage asks for it, and all again for each stage that reads them."""
        self.expect("begin", self.session.begin(0))
        answer = self.poll()
        while answer.status is Status.WANTS_INPUT:
            for first, pixels in self.pieces():
                part = encode(data, self.model.input, form, first, pixels)
                self.expect("load", self.session.load(0, part, first, pixels, form))
                answer = self.poll()
                if answer.status is not Status.WANTS_INPUT:
                    break
        return answer

    def pieces(self) -> Iterator[tuple[int, int]]:
        layout = self.model.input
        first = 0
        while first < pixels_of(layout):
            pixels = int(self.random.integers(1, pixels_of(layout) + 1))
            while not may_end(layout, first, pixels):
                pixels = int(self.random.integers(1, pixels_of(layout) - first + 1))
            yield first, pixels
            first += pixels

    def poll(self) -> Answer[Result]:
        for _ in range(POLLS):
            answer = self.session.poll()
            if answer.status is not Status.BUSY:
                break
        return answer

    def whole(self, data: bytes, form: Format) -> bytes:
        return encode(data, self.model.input, form)

    # ---- what has to come of them

    def check(self, what: str, index: int, answer: Answer[Result]) -> None:
        """The answer and all values of its result."""
        if answer.status:
            self.found.problems.append(f"{what}: {answer.status.name}")
            return
        stage = self.leaving(index)
        known = self.subject.known
        values: NDArray[np.int32] = known.results[stage][index]
        wanted = stage, int(known.classes[stage][index]), int(known.confidence[stage][index])
        found = answer.result
        self.cycles[found.stage].append(found.cycles)
        if (found.stage, found.class_index, found.confidence) != wanted:
            self.found.problems.append(f"{what}: {found}, expected {wanted}")
            return
        read = self.session.output_words(len(values))
        if read.status or read.result.tolist() != values.tolist():
            self.found.problems.append(f"{what}: {read.status.name}, other values")

    def leaving(self, index: int) -> int:
        """The stage that has to answer an input."""
        for stage, one in enumerate(self.subject.chain.exits[:-1]):
            if self.forced != BY_CONFIDENCE:
                leaves = self.forced == stage
            else:
                assert one.exit is not None
                value = self.subject.known.confidence[stage][index : index + 1]
                leaves = bool(confident(one.exit.measure, value, self.thresholds[stage])[0])
            if leaves:
                return stage
        return self.stages - 1

    def check_statistics(self) -> None:
        """They add up to what was done."""
        found = self.session.statistics().result
        wanted = (self.begun, self.cancelled, 0, 0)
        if (found.begun, found.cancelled, found.errors, found.last_error) != wanted:
            self.found.problems.append(f"{found}; expected {wanted}")
        for stage, cycles in enumerate(self.cycles):
            one = self.session.stage_statistics(0, stage).result
            sums = (len(cycles), max(cycles, default=0), sum(cycles), self.thresholds[stage])
            if (one.answers, one.worst_cycles, one.cycles, one.threshold) != sums:
                self.found.problems.append(f"stage {stage}: {one}; expected {sums}")

    def expect(self, what: str, answer: Answer[None]) -> None:
        if answer.status:
            self.found.problems.append(f"{what}: {answer.status.name}")


def _planned(stage: object) -> int:
    """The threshold of the plan; 0 without one."""
    rule = getattr(stage, "exit", None)
    return (rule.threshold or 0) if rule is not None else 0
