"""Time on the virtual board: what passes it, and who sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.errors import BoardError, Ending
from offramp.simulator.clock import Clock
from offramp.simulator.errors import AcceleratorError
from tests.helpers.accelerator_programs import DEVICE, IDLE, get, idle, pass_fields, put, random_bytes, stop
from tests.helpers.board_programs import compile_program, header, layer_program, run_image
from tests.helpers.single_layers import OUT, copying

COPY_CYCLES = 1 + 16 * 3
PIXELS = random_bytes(1, 16, 4)
COPY = layer_program(pass_fields(rows=4, cols=4, inputs=4), PIXELS)
ACCESS = DEVICE.costs["bus_wait_ns"] / 10 + 1  # cycles at 100 MHz


def timed(instant: bool) -> tuple[Clock, Accelerator]:
    clock = Clock(DEVICE, instant=instant)
    return clock, copying((0,), clock)[0]


def test_accesses_and_cycles_pass_time_and_the_clocks_are_related() -> None:
    clock = Clock(DEVICE)
    clock.pass_accesses(10)
    assert clock.now == int(10 * ACCESS)
    for _ in range(90):
        clock.pass_accesses(1)
    assert clock.now == int(100 * ACCESS)  # nothing is lost to rounding
    clock.pass_cycles(11)
    assert clock.now == int(100 * ACCESS) + 11
    assert (clock.core_cycles(50), clock.cnn_cycles(101)) == (100, 50)
    assert Clock(DEVICE, core_hz=60_000_000, cnn_hz=7_500_000).core_cycles(3) == 24


def test_events_happen_in_order_of_time_and_at_most_once() -> None:
    clock = Clock(DEVICE)
    seen: list[tuple[str, int]] = []
    clock.call_at(30, lambda: seen.append(("late", clock.now)))
    clock.call_at(10, lambda: seen.append(("early", clock.now)))
    clock.cancel(clock.call_at(20, lambda: seen.append(("never", clock.now))))
    assert clock.next_event() == 10
    clock.jump(100)
    assert seen == [("early", 10), ("late", 30)] and clock.now == 100 and clock.next_event() is None
    clock.wait_for(clock.call_at(150, lambda: seen.append(("waited", clock.now))))
    assert seen[-1] == ("waited", 150)


def test_done_shows_when_the_cycles_are_over() -> None:
    clock, accelerator = timed(instant=False)
    put(accelerator, "CTRL", IDLE | {"enable": 1})
    assert not accelerator.done
    clock.pass_cycles(2 * COPY_CYCLES - 1)
    assert not get(accelerator, "CTRL")["done"]
    clock.pass_cycles(1)
    assert get(accelerator, "CTRL")["done"] and accelerator.done


def test_a_look_at_ctrl_waits_for_the_end_on_an_instant_clock() -> None:
    clock, accelerator = timed(instant=True)
    put(accelerator, "CTRL", IDLE | {"enable": 1})
    assert not accelerator.done
    assert get(accelerator, "CTRL")["done"]
    assert clock.now == 2 * COPY_CYCLES


@pytest.mark.parametrize("end", ["stop", "reset", "power"])
def test_a_run_that_is_stopped_leaves_its_results_undefined(end: str) -> None:
    clock, accelerator = timed(instant=False)
    put(accelerator, "CTRL", IDLE | {"enable": 1})
    clock.pass_cycles(10)
    if end == "stop":
        stop(accelerator)
    elif end == "reset":
        accelerator.reset(1)
    else:
        accelerator.power(0)
        accelerator.power(1)
    clock.pass_cycles(10_000)
    assert not accelerator.done
    with pytest.raises(AcceleratorError, match=r"a run writes that was stopped|was never written"):
        accelerator.read(DEVICE.data_address(0, OUT))
    if end != "power":
        assert accelerator.read(DEVICE.data_address(0, 0)) == int(PIXELS.view("<u4")[0, 0])  # its input is still there


def test_a_run_refuses_memory_accesses_and_layer_registers() -> None:
    clock, accelerator = timed(instant=False)
    put(accelerator, "CTRL", IDLE | {"enable": 1})
    with pytest.raises(AcceleratorError, match=r"data memory of quadrant 0 accessed while CTRL.enable is 1"):
        accelerator.write(DEVICE.data_address(0, 0), 1)
    with pytest.raises(AcceleratorError, match=r"quadrant 0: RCNT of layer 3 written during a run"):
        put(accelerator, "RCNT", {"last": 1}, layer=3)
    clock.pass_cycles(10_000)
    put(accelerator, "RCNT", {"last": 1}, layer=3)


def test_without_a_clock_a_run_is_done_at_once() -> None:
    accelerator, _ = copying()
    idle(accelerator)
    put(accelerator, "CTRL", IDLE | {"enable": 1})
    assert accelerator.done


POLL = """
int main(void)
{
    configure();
    count_cycles();
    uint32_t before = COUNTER, looks = 0;
    CONTROL = STARTED;
    while ((CONTROL & DONE) == 0u) {
        looks++;
    }
    uint32_t passed = COUNTER - before;
    CONTROL = STOPPED;
    put(passed);
    return (int)looks;
}
"""


@pytest.mark.parametrize("instant", [False, True])
def test_a_program_sees_how_long_a_run_takes(tmp_path: Path, instant: bool) -> None:
    image = compile_program(COPY + POLL, tmp_path)
    looks, (passed,) = run_image(image, clock=Clock(DEVICE, instant=instant))
    assert looks == (0 if instant else int((2 * COPY_CYCLES) / ACCESS))
    assert 2 * COPY_CYCLES + ACCESS <= passed <= 2 * COPY_CYCLES + 2 * ACCESS + 2
    for precise in (False, True):  # the same each time
        assert run_image(image, clock=Clock(DEVICE, instant=instant), precise=precise) == (looks, [passed])


def test_the_cycle_counter_needs_both_switches_and_wraps(tmp_path: Path) -> None:
    body = """
int main(void)
{
    put(COUNTER == COUNTER);
    REG(0xE0001000u) = 1u;
    put(COUNTER == COUNTER);
    REG(0xE000EDFCu) = 1u << 24;
    put(COUNTER == COUNTER);
    COUNTER = 0xFFFFFFF0u;
    uint32_t before = COUNTER;
    for (unsigned i = 0; i < 40u; i++) {
        (void)COUNTER;
    }
    put(before > COUNTER);
    put(COUNTER - before);
    return 0;
}
"""
    assert run_image(compile_program(header() + body, tmp_path))[1] == [1, 1, 0, 1, 42]


TICK = """
static volatile uint32_t ticks;
void tick_handler(void) { ticks++; }
"""


def test_the_tick_wakes_and_counts(tmp_path: Path) -> None:
    body = """
int main(void)
{
    count_cycles();
    REG(0xE000E014u) = 999u;
    REG(0xE000E018u) = 0u;
    REG(0xE000E010u) = 7u;
    uint32_t before = COUNTER;
    while (ticks < 3u) {
        __asm__ volatile("wfi");
    }
    put(COUNTER - before);
    REG(0xE000E010u) = 5u;
    put(REG(0xE000E010u) >> 16 & 1u);
    put(COUNTER - before);
    return (int)ticks;
}
"""
    status, (slept, counted, polled) = run_image(compile_program(header() + TICK + body, tmp_path))
    assert status == 3 and 2990 <= slept <= 3010
    assert counted == 1 and 2990 <= polled <= 4010


def test_a_sleep_ends_at_whatever_comes_first(tmp_path: Path) -> None:
    """The tick is due before the run is done; then the run is."""
    body = """
int main(void)
{
    configure();
    __asm__ volatile("cpsid i" ::: "memory");
    ENABLE(CNN_IRQ);
    REG(0xE000E014u) = 59u;
    REG(0xE000E010u) = 7u;
    CONTROL = STARTED;
    __asm__ volatile("wfi");
    put(REG(0xE000ED04u) >> 26 & 1u);
    put(REG(0xE000E200u + 12u) >> 5 & 1u);
    REG(0xE000E010u) = 5u;
    REG(0xE000ED04u) = 1u << 25;
    __asm__ volatile("wfi");
    put(REG(0xE000E200u + 12u) >> 5 & 1u);
    return 0;
}
"""
    image = compile_program(COPY + body, tmp_path)
    assert run_image(image, clock=Clock(DEVICE, instant=False)) == (0, [1, 0, 1])


def test_a_sleep_that_nothing_ends_is_told(tmp_path: Path) -> None:
    body = 'int main(void) { configure(); CONTROL = STARTED; __asm__ volatile("wfi"); return 0; }'
    with pytest.raises(BoardError) as caught:  # the interrupt is not enabled
        run_image(compile_program(COPY + body, tmp_path))
    assert caught.value.ending is Ending.ASLEEP
