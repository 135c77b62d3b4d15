"""What a trace tells together and what apart, and which part of a profile instructions are counted for."""

from __future__ import annotations

from offramp.configs.device import load_device
from offramp.simulator.board.meter import OUTSIDE, Access, Meter
from offramp.simulator.board.profile import (
    CHECK,
    DECIDE,
    INPUT,
    NOBODY,
    REST,
    RESULT,
    START,
    SWITCH,
    WAIT,
    Part,
    Profiler,
)
from offramp.simulator.board.symbols import UNKNOWN, Functions, Symbol
from offramp.simulator.board.trace import FIFO, MEMORY, OTHER, REGISTER, RUN, Tracer
from offramp.simulator.cycles import LayerCycles, RunCycles

DEVICE = load_device()
CYCLES = RunCycles((LayerCycles(0, 10, False, 0),))
CTRL = DEVICE.register_address("CTRL")
RCNT = DEVICE.register_address("RCNT", 0, 2)
STATE = DEVICE.register_address("FIFO_STAT")
PORT = DEVICE.register_address("FIFO_DATA0")
ENABLE = 1


def touch(meter: Meter, address: int, value: int | None = None, instructions: int = 1, at: int = 0x1000) -> None:
    """Some instructions at an address of the flash, the last of which writes `value` or, without, reads 0."""
    for _ in range(instructions):
        meter.step(None, at, 2, None)
    meter.note(Access(meter.instructions, value is not None, address, value or 0))


def kinds(tracer: Tracer) -> list[tuple[str, int, int]]:
    return [(entry.kind, entry.reads, entry.writes) for entry in tracer.entries]


def test_a_stretch_of_one_memory_unit_is_one_entry() -> None:
    tracer = Tracer(DEVICE)
    for instance, word in ((0, 5), (0, 6), (0, 9), (1, 0)):
        touch(tracer, DEVICE.data_address(instance, word), 7)
    touch(tracer, DEVICE.data_address(1, 0))
    assert kinds(tracer) == [(MEMORY, 0, 3), (MEMORY, 0, 1), (MEMORY, 1, 0)]
    assert tracer.entries[0].addresses == (DEVICE.data_address(0, 5), DEVICE.data_address(0, 9))


def test_looks_at_an_unchanged_register_are_one_entry_and_writes_are_not() -> None:
    tracer = Tracer(DEVICE)
    for _ in range(3):
        touch(tracer, CTRL)
    tracer.note(Access(4, False, CTRL, 1 << 12))
    touch(tracer, RCNT, 0x2001F)
    touch(tracer, RCNT, 0x2001F)
    assert kinds(tracer) == [(REGISTER, 3, 0), (REGISTER, 1, 0), (REGISTER, 0, 1), (REGISTER, 0, 1)]
    assert tracer.entries[1].fields == {"done": 1}
    assert tracer.entries[2].fields == {"last": 31, "pad": 2}
    place = tracer.entries[2].place
    assert place is not None and (place.name, place.quadrant, place.unit) == ("RCNT", 0, 2)


def test_the_fifo_is_one_entry_and_a_run_ends_it() -> None:
    tracer = Tracer(DEVICE)
    tracer.given(0)
    for _ in range(5):
        touch(tracer, STATE)
        touch(tracer, PORT, 1)
    tracer.ran(CYCLES)
    touch(tracer, STATE)
    tracer.answered()
    touch(tracer, STATE)
    assert kinds(tracer) == [(FIFO, 5, 5), (RUN, 0, 0), (FIFO, 1, 0), (FIFO, 1, 0)]
    assert [entry.image for entry in tracer.entries] == [0, 0, 0, OUTSIDE]
    assert [entry.instructions for entry in tracer.entries] == [1, 10, 11, 12]


def test_accesses_beside_the_accelerator_are_told_too() -> None:
    tracer = Tracer(DEVICE)
    touch(tracer, 0x40000024, 1)
    assert kinds(tracer) == [(OTHER, 0, 1)] and tracer.entries[0].place is None


def profiler() -> Profiler:
    return Profiler(DEVICE, Functions([Symbol(0x1000, 0x1010, "here"), Symbol(0x2000, 0x2004, "there")]))


def stage(meter: Profiler, result: int, again: bool = False) -> None:
    """Start, look, stop and read: 4 instructions each."""
    touch(meter, CTRL, 0x800, 2)  # arms: belongs to the start
    touch(meter, CTRL, ENABLE, 2)
    meter.ran(CYCLES)
    touch(meter, CTRL, None, 4)
    touch(meter, CTRL, 0, 2)
    touch(meter, result, None, 2)


def counts(meter: Profiler) -> dict[Part, int]:
    return {part: sum(functions.values()) for part, functions in meter.finish().items()}


def test_instructions_belong_to_what_their_next_access_does() -> None:
    meter = profiler()
    touch(meter, CTRL, 0, 100)  # start-up code up to the first access
    touch(meter, RCNT, 1, 3)
    meter.given(0)
    touch(meter, DEVICE.data_address(0, 0), 1, 10)
    stage(meter, DEVICE.data_address(0, 9))
    touch(meter, RCNT, 2, 7)  # has decided, and begins to switch
    touch(meter, RCNT, 3, 5)
    stage(meter, DEVICE.data_address(0, 9))
    for _ in range(6):
        meter.step(None, 0x1000, 2, None)
    meter.answered()
    found = counts(meter)
    assert found == {
        Part(OUTSIDE, REST): 100,
        Part(OUTSIDE, SWITCH, 0, NOBODY): 3,
        Part(0, INPUT): 10,
        Part(0, START, 0): 4,
        Part(0, WAIT, 0): 4,
        Part(0, RESULT, 0): 4,
        Part(0, DECIDE, 0): 7,
        Part(0, SWITCH, 1, 0): 5,
        Part(0, START, 1): 4,
        Part(0, WAIT, 1): 4,
        Part(0, RESULT, 1): 4,
        Part(0, DECIDE, 1): 6,
    }
    assert sum(found.values()) == meter.instructions


def test_a_restored_configuration_is_a_switch_to_the_first_stage() -> None:
    meter = profiler()
    meter.given(0)
    for _ in range(2):
        stage(meter, DEVICE.data_address(0, 9))
    touch(meter, RCNT, 1, 2)
    touch(meter, RCNT, 1, 3)
    meter.answered()
    assert counts(meter)[Part(0, SWITCH, 0, 1)] == 3


def test_reading_back_before_a_run_is_checking() -> None:
    meter = profiler()
    meter.given(0)
    touch(meter, RCNT, None, 4)
    touch(meter, DEVICE.data_address(0, 0), None, 4)
    assert counts(meter)[Part(0, CHECK)] == 8


def test_functions_by_address_and_calls_by_their_first_instruction() -> None:
    meter = profiler()
    meter.given(0)
    for address in (0x1000, 0x1002, 0x1000, 0x2000, 0x2004, 0x1010):
        meter.step(None, address, 2, None)
    meter.answered()
    assert meter.finish() == {Part(0, REST): {"here": 3, "there": 1, UNKNOWN: 2}}
    assert meter.calls == {"here": 2, "there": 1}
