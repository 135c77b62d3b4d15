"""Every fault, as a program on the board sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from offramp.simulator.board.elf import Image
from offramp.simulator.board.errors import BoardError, Ending
from offramp.simulator.board.external import External
from offramp.simulator.board.fault_names import FAULTS, ONES
from offramp.simulator.board.faults import (
    OUTSIDE,
    AtAccess,
    AtStart,
    BiasOverwritten,
    BlockAbsent,
    ByHost,
    DataOverwritten,
    DoneEarly,
    DoneLate,
    ExternalDamaged,
    ExternalFails,
    ExternalShort,
    Fault,
    HangsUntilReset,
    InterruptLate,
    InterruptLost,
    InterruptRaised,
    InterruptStuck,
    InterruptTwice,
    NeverDone,
    PowerLost,
    RegisterFlipped,
    WeightsOverwritten,
)
from offramp.simulator.board.faulty_bus import FaultyBus
from offramp.simulator.board.interrupts import Interrupts
from offramp.simulator.clock import Clock
from offramp.simulator.lenient import LenientAccelerator
from tests.helpers.accelerator_programs import DEVICE, pass_fields, random_bytes
from tests.helpers.board_programs import compile_program, layer_program, run_image

PIXELS = random_bytes(1, 16, 4)
WORDS = [int(word) for word in PIXELS.view("<u4")[:, 0]]
COPY = layer_program(pass_fields(rows=4, cols=4, inputs=4), PIXELS)
RUN_CYCLES = 2 * (1 + 16 * 3)
# Three runs, each polled for at most 100 looks and stopped: how long until done showed (0: not), and two results.
POLL = """
int main(void)
{
    configure();
    count_cycles();
    for (unsigned run = 0; run < 3u; run++) {
        uint32_t before = COUNTER, looks = 0, done = 0;
        CONTROL = STARTED;
        while (done == 0u && looks++ < 100u) {
            done = CONTROL & DONE;
        }
        put(done != 0u ? COUNTER - before : 0u);
        CONTROL = STOPPED;
        put(RESULT(0));
        put(RESULT(15));
    }
    return 0;
}
"""
# Two runs by interrupt, at most eight ticks of 20,000 cycles each: interrupts of the accelerator, time, last result.
SLEEP = """
static volatile uint32_t count, ticks;
void tick_handler(void) { ticks++; }
void cnn_handler(void) { CONTROL = STOPPED; count++; }
int main(void)
{
    configure();
    count_cycles();
    REG(0xE000E014u) = 19999u;
    REG(0xE000E010u) = 7u;
    ENABLE(CNN_IRQ);
    for (unsigned run = 0; run < 2u; run++) {
        uint32_t before = COUNTER, first = count;
        ticks = 0;
        CONTROL = STARTED;
        while (count == first && ticks < 8u) {
            __asm__ volatile("wfi");
        }
        for (unsigned i = 0; i < 4u; i++) {
            (void)COUNTER;
            __asm__ volatile("nop");
        }
        CONTROL = STOPPED;
        put(count);
        put(COUNTER - before);
        put(RESULT(15));
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def poll(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return compile_program(COPY + POLL, tmp_path_factory.mktemp("poll"))


@pytest.fixture(scope="module")
def sleep(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return compile_program(COPY + SLEEP, tmp_path_factory.mktemp("sleep"))


class Board:
    """A board with faults."""

    def __init__(self, *faults: Fault, instant: bool = False) -> None:
        self.clock, self.interrupts = Clock(DEVICE, instant=instant), Interrupts()
        self.accelerator = LenientAccelerator(DEVICE, self.clock, seed=3)
        self.bus = FaultyBus(self.accelerator, self.clock, self.interrupts, faults)

    def run(self, image: Image) -> list[int]:
        """What the program `put`."""
        status, found = run_image(
            image, clock=self.clock, accelerator=self.bus, interrupts=self.interrupts, precise=True
        )
        assert status == 0
        return found


def polled(image: Image, *faults: Fault) -> list[tuple[int, bool]]:
    """For each of three runs: when done showed, whether its results are right."""
    found = Board(*faults).run(image)
    return [(found[at], found[at + 1 : at + 3] == [WORDS[0], WORDS[15]]) for at in (0, 3, 6)]


def slept(image: Image, *faults: Fault) -> list[tuple[int, int, bool]]:
    """For each of two runs: interrupts so far, cycles, whether its results are right."""
    found = Board(*faults).run(image)
    return [(found[at], found[at + 1], found[at + 2] == WORDS[15]) for at in (0, 3)]


def right(runs: Sequence[tuple[int, bool]]) -> list[bool]:
    return [0 < cycles < 2 * RUN_CYCLES and good for cycles, good in runs]


def test_without_faults(poll: Image, sleep: Image) -> None:
    board = Board()
    assert board.run(poll)[1::3] == [WORDS[0]] * 3
    assert board.bus.starts == 3 and board.accelerator.refused == []
    assert board.bus.accesses > 50
    assert [(count, good) for count, _, good in slept(sleep)] == [(1, True), (2, True)]


def test_never_done(poll: Image) -> None:
    runs = polled(poll, NeverDone(AtStart(2)))
    assert right(runs) == [True, False, True] and runs[1][0] == 0
    assert right(polled(poll, NeverDone(AtStart(2), runs=2))) == [True, False, False]


def test_done_late(poll: Image) -> None:
    (first, _), (second, good), _ = polled(poll, DoneLate(AtStart(2), factor=5))
    assert good and abs(second - first - 4 * RUN_CYCLES) < 25


def test_done_early(poll: Image) -> None:
    runs = polled(poll, DoneEarly(AtStart(2)))
    assert right(runs) == [True, False, True]
    assert 0 < runs[1][0] < RUN_CYCLES


def test_interrupt_lost(sleep: Image) -> None:
    (count, cycles, _), (after, _, good) = slept(sleep, InterruptLost(AtStart(1)))
    assert count == 0 and cycles > 7 * 20_000
    assert after == 1 and good


def test_interrupt_late(sleep: Image) -> None:
    (count, cycles, good), _ = slept(sleep, InterruptLate(AtStart(1), cycles=50_000))
    assert count == 1 and good and 50_000 < cycles < 51_000


def test_interrupt_twice(sleep: Image) -> None:
    counts = [count for count, _, _ in slept(sleep, InterruptTwice(AtStart(1)))]
    assert counts == [2, 3]


def test_interrupt_stuck(sleep: Image) -> None:
    with pytest.raises(BoardError) as caught:  # its handler is all that still runs
        Board(InterruptStuck(AtStart(1))).run(sleep)
    assert caught.value.ending is Ending.LIMIT


RESET = """
int main(void)
{
    for (unsigned run = 0; run < 3u; run++) {
        if (run != 1u) {
            REG(0x4000580Cu) = 15u;
            REG(0x4000580Cu) = 0u;
        }
        configure();
        CONTROL = STARTED;
        uint32_t looks = 0;
        while ((CONTROL & DONE) == 0u && looks < 50u) {
            looks++;
        }
        put(looks < 50u);
        CONTROL = STOPPED;
    }
    return 0;
}
"""


def test_hangs_until_reset(tmp_path: Path) -> None:
    image = compile_program(COPY + RESET, tmp_path)
    assert Board(HangsUntilReset(AtStart(1))).run(image) == [0, 0, 1]
    assert Board(NeverDone(AtStart(1))).run(image) == [0, 1, 1]


@pytest.mark.parametrize("cycles", [0, 50])
def test_power_lost_during_a_run(poll: Image, cycles: int) -> None:
    runs = polled(poll, PowerLost(AtStart(2, cycles)))
    assert right(runs) == [True, False, False]  # the program does not configure it again
    assert runs[1][0] == 0


def test_power_lost_between_runs_with_and_without_the_weights() -> None:
    address = DEVICE.weight_address(0) + 4
    for kept in (True, False):
        board = Board(PowerLost(ByHost(), retain_weights=kept))
        board.bus.power(0b0001, 0b0001)
        board.bus.overwrite_weights(0, 0, bytes(range(9)))
        board.bus.strike()
        assert (board.bus.read(address) == 0x01020304) == kept
        assert board.accelerator.powered == {0}


def test_power_that_is_not_restored(poll: Image) -> None:
    board = Board(PowerLost(AtStart(2, 20), restored=False))
    found = board.run(poll)
    assert found[3:] == [0] * 6
    assert board.accelerator.powered == set() and "without power" in board.accelerator.refused[0]


@pytest.mark.parametrize("value", [0, ONES])
def test_block_absent(poll: Image, value: int) -> None:
    found = Board(BlockAbsent(AtAccess(1), value)).run(poll)
    assert found[1:3] == [value, value]
    assert (found[0] == 0) == (value == 0)  # ones look like done


def test_register_flipped(poll: Image) -> None:
    runs = polled(poll, RegisterFlipped(AtStart(2), "WPTR_BASE", 10, layer=0))
    assert [good for _, good in runs] == [True, True, True]  # the results of run 1 are still there ...
    found = polled(poll, RegisterFlipped(AtStart(1), "WPTR_BASE", 10, layer=0))
    assert [good for _, good in found] == [False, False, False]  # ... and it stays
    with pytest.raises(ValueError, match=r"RCNT has no bit 31"):
        Board(RegisterFlipped(ByHost(), "RCNT", 31, layer=0)).bus.strike()


def test_memories_overwritten() -> None:
    faults = (
        WeightsOverwritten(AtAccess(1), 17, 5, bytes(range(9))),
        BiasOverwritten(AtAccess(1), 1, 7, 0x81),
        DataOverwritten(AtAccess(2), 4, 100, 0xDEADBEEF),
    )
    bus = Board(*faults).bus
    column = DEVICE.weight_address(17) + 5 * DEVICE.memories["weights"].word_stride
    assert bus.read(column + 4) == 0x01020304
    assert bus.read(DEVICE.data_address(4, 100)) == 0xDEADBEEF
    assert bus.read(DEVICE.bias_address(1, 7)) == 0x81


RAISED = """
static volatile uint32_t where;
void free_handler(void) { put(where); }
int main(void)
{
    configure();
    ENABLE(FREE_IRQ);
    for (uint32_t i = 1; i <= 10u; i++) {
        where = i;
        DATA(i) = i;
    }
    return 0;
}
"""


def test_an_interrupt_comes_at_the_access_that_is_named(tmp_path: Path) -> None:
    image = compile_program(COPY + RAISED, tmp_path)
    quiet = Board()
    quiet.run(image)
    board = Board(*(InterruptRaised(AtAccess(quiet.bus.accesses - back)) for back in (7, 1)))
    assert board.run(image) == [3, 9]


def test_faults_are_counted_within_a_block() -> None:
    """Words that come as one block are accesses of their own: what a fault overwrites before them, they overwrite."""
    addresses = np.array([DEVICE.data_address(0, 5)] * 4, dtype=np.uint32)
    for number, left in ((4, 4), (5, 99)):
        bus = Board(DataOverwritten(AtAccess(number), 0, 5, 99)).bus
        bus.write_block(addresses, np.arange(1, 5, dtype=np.uint32))
        assert bus.accesses == 4
        assert bus.read(DEVICE.data_address(0, 5)) == left


def test_faults_compose(poll: Image) -> None:
    runs = polled(poll, DoneLate(AtStart(1), factor=3), NeverDone(AtStart(3)), DataOverwritten(AtStart(2), 0, 15, 0))
    assert [cycles > 0 for cycles, _ in runs] == [True, True, False]
    assert [good for _, good in runs] == [True, False, False]
    assert runs[0][0] > 3 * RUN_CYCLES


def test_the_registry_names_faults_that_can_be_made() -> None:
    for name, entry in FAULTS.items():
        assert entry.description and name == name.lower() and " " not in name
        fault = entry.make(AtStart(1))
        assert fault == entry.make(AtStart(1)) != entry.make(AtStart(2))
        with pytest.raises(FrozenInstanceError):
            fault.when = ByHost()  # type: ignore[misc]
        if not isinstance(fault, OUTSIDE):
            Board(entry.make(ByHost())).bus.strike()
    assert {type(entry.make(ByHost())) for entry in FAULTS.values()} == set(Fault.__args__)


@pytest.mark.parametrize(
    ("fault", "readings"),
    [
        (ExternalFails(AtStart(2)), [None, b"bcd", b"bcd"]),
        (ExternalFails(AtStart(2), readings=2), [None, None, b"bcd"]),
        (ExternalShort(AtStart(2), size=2), [b"bc", b"bcd", b"bcd"]),
        (ExternalDamaged(AtStart(2), byte=1, bit=0), [b"bbd", b"bcd", b"bcd"]),
        (ExternalDamaged(AtStart(2), byte=3), [b"bcd"] * 3),
    ],
)
def test_a_memory_outside_flash_is_read_wrongly(fault: Fault, readings: list[bytes | None]) -> None:
    external, clock = External(b"abcd"), Clock(DEVICE)
    bus = FaultyBus(LenientAccelerator(DEVICE, clock, seed=1), clock, Interrupts(), [fault], external)
    bus._on_start()
    assert external.read(1, 9) == b"bcd"
    bus._on_start()
    assert [external.read(1, 9) for _ in readings] == readings
    assert external.read_bytes == 3 + sum(len(one or b"") for one in readings)


def test_a_board_without_such_a_memory_says_so() -> None:
    with pytest.raises(ValueError, match="no memory outside flash"):
        Board(ExternalFails(ByHost())).bus.strike()


def test_a_bit_of_flash_flips(poll: Image) -> None:
    segment = poll.segments[0]
    address = segment.address + 5
    flipped = poll.with_flipped_bit(address, 3)
    assert flipped.segments[0].data[5] == segment.data[5] ^ 8
    assert flipped.with_flipped_bit(address, 3) == poll
    with pytest.raises(ValueError, match=r"the program has no byte at 0x20000000"):
        poll.with_flipped_bit(0x20000000, 0)
