"""What is tried: rows of the table of faults, each with its trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.fault_board import INPUTS, NO_OPTIONS, NO_TESTS, SLEEPING, Life, Subject, Trial
from offramp.simulator.board import faults
from offramp.simulator.board.calls import Open, SelfTest
from offramp.simulator.board.faults import AtAccess, AtStart, ByHost, Fault, When

STARTS = (2, 3, 4)  # of the stages that follow the first answer: both of an input, and the first of the next one
POINTS = 40  # of time, at which power is lost
FLIPPED = {"weights": 50, "biases": 20, "registers": 60, "other tables": 40}  # bits in flash, by what they belong to
LIVE_REGISTERS, LIVE_COLUMNS, LIVE_BIASES, LOADED_COLUMNS = 60, 4, 4, 4
ONES = 0xFFFFFFFF


@dataclass(frozen=True)
class Check:
    """Checks that an application can ask for, and what the table calls them."""

    name: str
    options: Open = NO_OPTIONS
    tests: SelfTest = NO_TESTS


REGISTERS = Check("`check_registers`", Open.CHECK_REGISTERS)
WEIGHTS = Check("`check_weights`", Open.CHECK_WEIGHTS)
SELF_TEST = Check("self test before the next input", tests=SelfTest.ALL)
IMAGE_TEST = Check("self test of the image before the next input", tests=SelfTest.IMAGE)


@dataclass(frozen=True)
class Row:
    """A fault and its trials; `check`: what notices it, where the default does not."""

    name: str
    trials: tuple[Trial, ...]
    check: Check | None = None

    def checked(self) -> tuple[Trial, ...]:
        """The trials with the check."""
        check = self.check
        if check is None:
            return ()
        return tuple(replace(one, options=one.options | check.options, tests=check.tests) for one in self.trials)


def rows(subject: Subject, seed: int = 1) -> list[Row]:
    """All of them; the same seed, the same trials."""
    random = np.random.default_rng(seed)
    return [
        *_completion(),
        *_interrupts(),
        *_power(subject),
        *_absence(),
        *_flash(subject, random),
        *_live(subject, random),
    ]


def _completion() -> Iterator[Row]:
    kinds: Sequence[tuple[str, Callable[[When], Fault]]] = (
        ("never done", faults.NeverDone),
        ("done late: ten times the cycles", faults.DoneLate),
        ("done late: twice the cycles", lambda when: faults.DoneLate(when, factor=2)),
        ("done early: at once, without results", faults.DoneEarly),
        ("hangs until it is reset", faults.HangsUntilReset),
    )
    for name, make in kinds:
        trials = [Trial((make(AtStart(number)),), options=_options(number), instant=False) for number in STARTS]
        yield Row(name, tuple(trials))


def _options(number: int) -> Open:
    """Polling and sleeping in turn."""
    return SLEEPING if number % 2 else NO_OPTIONS


def _interrupts() -> Iterator[Row]:
    kinds: Sequence[tuple[str, Callable[[When], Fault]]] = (
        ("interrupt lost", faults.InterruptLost),
        ("interrupt late", faults.InterruptLate),
        ("interrupt twice", faults.InterruptTwice),
        ("interrupt stuck", faults.InterruptStuck),
    )
    for name, make in kinds:
        yield Row(name, tuple(Trial((make(AtStart(number)),), options=SLEEPING) for number in STARTS))


def _power(subject: Subject) -> Iterator[Row]:
    """At every point between calls, and at points all over an input that needs all stages."""
    first, last = accesses_of_an_answer(subject)
    points: list[When] = [AtAccess(int(number)) for number in np.linspace(first, last, POINTS)]
    within: list[When] = [AtStart(number, 500) for number in STARTS]
    kinds: Sequence[tuple[str, Callable[[When], Fault]]] = (
        ("power lost for a moment", faults.PowerLost),
        ("power lost for a moment, weights retained", lambda when: faults.PowerLost(when, retain_weights=True)),
        ("power lost until it is given again", lambda when: faults.PowerLost(when, restored=False)),
    )
    for name, make in kinds:
        between_calls = [
            Trial((make(ByHost()),), strike=number, between=between) for number in (1, 2) for between in (False, True)
        ]
        yield Row(f"{name}: between calls", tuple(between_calls))
        yield Row(f"{name}: during calls and stages", tuple(Trial((make(when),)) for when in (*points, *within)))


def accesses_of_an_answer(subject: Subject) -> tuple[int, int]:
    """The first and the last access to the accelerator for the second input, in a life without faults."""
    life = Life(subject)
    life.session.open()
    life.infer(subject.inputs[0])
    life.read(subject.inputs[0])
    first = life.bus.accesses + 1
    life.infer(subject.inputs[1])
    life.read(subject.inputs[1])
    return first, life.bus.accesses


def _absence() -> Iterator[Row]:
    for name, value in (("zeros", 0), ("ones", ONES)):
        absent = faults.BlockAbsent(AtAccess(1), value)
        lost = tuple(Trial((faults.BlockAbsent(AtStart(number), value),)) for number in STARTS)
        between = tuple(Trial((faults.BlockAbsent(ByHost(), value),), strike=number) for number in (1, 2))
        yield Row(f"block absent from the start, reads give {name}", (Trial((absent,)),))
        yield Row(f"block disappears, reads give {name}", lost + between)


def _flash(subject: Subject, random: np.random.Generator) -> Iterator[Row]:
    for name, count in FLIPPED.items():
        bits = [bit for bit in _bits(subject, name, count, random)]
        yield Row(f"bit flipped in flash: {name}", tuple(Trial(flips=(bit,)) for bit in bits))
        late = tuple(Trial(flips=(bit,), late=True) for bit in bits[: count // 4])
        yield Row(f"bit flips in flash after the first answer: {name}", late, IMAGE_TEST)


def _bits(subject: Subject, kind: str, count: int, random: np.random.Generator) -> list[tuple[int, int]]:
    """Bytes of the image and bits, drawn from all tables of a kind."""
    places = np.concatenate(
        [np.arange(one.at, one.at + len(one.data)) for one in subject.image.members if _kind(one.name) == kind]
    )
    return [(int(byte), int(random.integers(8))) for byte in random.choice(places, count, replace=False)]


def _kind(member: str) -> str:
    stem = member.rstrip("0123456789").rstrip("_")
    known = {"weight_words": "weights", "bias_bytes": "biases", "values": "registers"}
    switches = dict.fromkeys(("advance", "restore", "start", "stop", "init", "readable"), "registers")
    return (known | switches).get(stem, "other tables")


def _live(subject: Subject, random: np.random.Generator) -> Iterator[Row]:
    """What the accelerator holds changes between two inputs."""
    registers = tuple(_struck(_register(subject, random)) for _ in range(LIVE_REGISTERS))
    yield Row("live register changed", registers, REGISTERS)
    columns = [_column(subject, random) for _ in range(LIVE_COLUMNS)]
    weights = [faults.WeightsOverwritten(ByHost(), processor, column) for processor, column in columns]
    yield Row("live weights changed", tuple(map(_struck, weights)), SELF_TEST)
    biases = [faults.BiasOverwritten(ByHost(), *_bias(subject, random)) for _ in range(LIVE_BIASES)]
    yield Row("live biases changed", tuple(map(_struck, biases)), SELF_TEST)
    loaded = accesses_of_an_answer(subject)[0]
    points = [AtAccess(loaded - 900 - 40 * number) for number in range(LOADED_COLUMNS)]
    missing = [faults.WeightsOverwritten(when, *_column(subject, random)) for when in points]
    yield Row("weights changed while the image is loaded", tuple(Trial((one,)) for one in missing), WEIGHTS)


def _struck(fault: Fault) -> Trial:
    return Trial((fault,), strike=INPUTS // 2)


def _register(subject: Subject, random: np.random.Generator) -> Fault:
    """A bit of a register that the model uses."""
    writes = subject.firmware.models[0].stages[0].registers
    place = subject.device.locate(writes[int(random.integers(len(writes)))].address)
    assert place is not None
    mask = subject.device.registers[place.name].mask
    bits = [bit for bit in range(32) if mask >> bit & 1]
    return faults.RegisterFlipped(ByHost(), place.name, int(random.choice(bits)), place.quadrant, place.unit)


def _column(subject: Subject, random: np.random.Generator) -> tuple[int, int]:
    """A processor and a kernel column that has weights."""
    chunk = subject.firmware.weights[int(random.integers(len(subject.firmware.weights)))]
    place = subject.device.locate(chunk.plain)
    assert place is not None
    processor = place.quadrant * subject.device.geometry.processors_per_quadrant + place.unit
    first = place.index // subject.device.memories["weights"].word_stride
    return processor, first + int(random.integers(chunk.columns))


def _bias(subject: Subject, random: np.random.Generator) -> tuple[int, int]:
    """A quadrant and a byte of its biases."""
    run = subject.firmware.biases[int(random.integers(len(subject.firmware.biases)))]
    place = subject.device.locate(run.address)
    assert place is not None
    return place.quadrant, place.index + int(random.integers(len(run.values)))
