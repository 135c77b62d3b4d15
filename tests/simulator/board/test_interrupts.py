"""Interrupts on the virtual board: which handlers run, when, and what a program sees of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.errors import BoardError, Ending
from offramp.simulator.board.interrupts import FREE_INTERRUPT, Interrupts
from offramp.simulator.clock import Clock
from tests.helpers.accelerator_programs import DEVICE, pass_fields, random_bytes
from tests.helpers.board_programs import compile_program, header, layer_program, run_image

PIXELS = random_bytes(1, 16, 4)
COPY = layer_program(pass_fields(rows=4, cols=4, inputs=4), PIXELS)
HANDLER = """
static volatile uint32_t count;
void cnn_handler(void)
{
    uint32_t active;
    __asm__ volatile("mrs %0, ipsr" : "=r"(active));
    put(active);
    CONTROL = STOPPED;
    count++;
}
"""
WORDS = [int(word) for word in PIXELS.view("<u4")[:, 0]]


@pytest.mark.parametrize("precise", [False, True])
@pytest.mark.parametrize("instant", [False, True])
def test_the_accelerators_interrupt_ends_a_sleep_in_its_handler(tmp_path: Path, instant: bool, precise: bool) -> None:
    main = """
int main(void)
{
    configure();
    ENABLE(CNN_IRQ);
    CONTROL = STARTED;
    while (count == 0u) {
        __asm__ volatile("wfi");
    }
    put(RESULT(0));
    put(RESULT(15));
    return (int)count;
}
"""
    image = compile_program(COPY + HANDLER + main, tmp_path)
    found = run_image(image, clock=Clock(DEVICE, instant=instant), precise=precise)
    assert found == (1, [16 + DEVICE.core["interrupt"], WORDS[0], WORDS[15]])


def test_a_program_that_spins_on_a_variable_is_interrupted(tmp_path: Path) -> None:
    main = """
int main(void)
{
    configure();
    ENABLE(CNN_IRQ);
    CONTROL = STARTED;
    while (count == 0u) {
    }
    return 7;
}
"""
    assert run_image(compile_program(COPY + HANDLER + main, tmp_path))[0] == 7


def test_a_handler_that_leaves_done_set_is_called_again(tmp_path: Path) -> None:
    body = """
static volatile uint32_t count;
void cnn_handler(void)
{
    if (++count == 3u) {
        CONTROL = STOPPED;
    }
}
int main(void)
{
    configure();
    ENABLE(CNN_IRQ);
    CONTROL = STARTED;
    for (volatile uint32_t i = 0; i < 40000u; i++) {
    }
    return (int)count;
}
"""
    assert run_image(compile_program(COPY + body, tmp_path))[0] == 3


FREE = """
static volatile uint32_t count;
void free_handler(void)
{
    put(0xF4EE);
    count++;
}
"""


def test_registers_survive_a_handler_floating_point_too(tmp_path: Path) -> None:
    """The handler overwrites every register that it may; the program's are as before."""
    body = """
/* Encoded, because neither compiler is told of the floating-point unit: vmov s0, r0; vmov s15, r0 ... */
void free_handler(void)
{
    __asm__ volatile("movs r0, #1\\n movs r1, #1\\n movs r2, #1\\n movs r3, #1\\n mov r12, r0\\n"
                     ".inst.w 0xee000a10\\n .inst.w 0xee070a90\\n cmp r0, #2" ::: "r0", "r1", "r2", "r3", "r12", "cc");
}
int main(void)
{
    uint32_t sum, single;
    REG(0xE000ED88u) = 0xFu << 20; /* floating-point unit on */
    ENABLE(FREE_IRQ);
    /* ... vmov s15, r3; store to the set-pending register; vmov r4, s15 */
    __asm__ volatile("movs r0, #10\\n movs r1, #20\\n movs r2, #30\\n movs r3, #40\\n mov r12, r3\\n"
                     ".inst.w 0xee073a90\\n movw r5, #0xE200\\n movt r5, #0xE000\\n movs r6, #1\\n"
                     "lsl r6, r6, #IRQ\\n cmp r0, #10\\n str r6, [r5]\\n nop\\n nop\\n"
                     "ite eq\\n moveq r6, #1000\\n movne r6, #0\\n"
                     "add r0, r0, r1\\n add r0, r0, r2\\n add r0, r0, r3\\n add r0, r0, r12\\n add r6, r0, r6\\n"
                     ".inst.w 0xee174a90\\n mov %0, r6\\n mov %1, r4"
                     : "=&r"(sum), "=r"(single)::"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r12", "cc");
    put(single);
    return (int)sum;
}
"""
    image = compile_program(header() + body.replace("#IRQ", f"#{FREE_INTERRUPT}"), tmp_path)
    assert run_image(image, precise=True) == (1140, [40])


def test_interrupts_wait_while_they_are_masked_or_disabled(tmp_path: Path) -> None:
    main = """
int main(void)
{
    PEND(FREE_IRQ);
    put(REG(0xE000E200u) >> FREE_IRQ & 1u);
    put(count);
    __asm__ volatile("cpsid i" ::: "memory");
    ENABLE(FREE_IRQ);
    put(count);
    __asm__ volatile("cpsie i\\n nop\\n nop" ::: "memory");
    put(count);
    DISABLE(FREE_IRQ);
    PEND(FREE_IRQ);
    put(count);
    REG(0xE000E280u) = 1u << FREE_IRQ;
    ENABLE(FREE_IRQ);
    put(REG(0xE000E180u));
    return (int)count;
}
"""
    image = compile_program(header() + FREE + main, tmp_path)
    status, found = run_image(image, precise=True)
    assert (status, found) == (1, [1, 0, 0, 0xF4EE, 1, 1, 1 << FREE_INTERRUPT])


def test_a_masked_interrupt_ends_a_sleep_without_its_handler(tmp_path: Path) -> None:
    main = """
int main(void)
{
    configure();
    __asm__ volatile("cpsid i" ::: "memory");
    ENABLE(CNN_IRQ);
    CONTROL = STARTED;
    __asm__ volatile("wfi");
    put(count);
    put(CONTROL & DONE);
    __asm__ volatile("cpsie i\\n nop" ::: "memory");
    return (int)count;
}
"""
    status, found = run_image(compile_program(COPY + HANDLER + main, tmp_path), precise=True)
    assert status == 1 and found[:2] == [0, 1 << 12]


def test_handlers_do_not_nest_and_the_lowest_number_comes_first(tmp_path: Path) -> None:
    body = """
void free_handler(void) { put(1); PEND(CNN_IRQ); put(2); }
void cnn_handler(void) { put(3); }
int main(void)
{
    ENABLE(FREE_IRQ);
    ENABLE(CNN_IRQ);
    __asm__ volatile("cpsid i" ::: "memory");
    PEND(CNN_IRQ);
    PEND(FREE_IRQ);
    __asm__ volatile("cpsie i\\n nop\\n nop" ::: "memory");
    put(4);
    return 0;
}
"""
    assert run_image(compile_program(header() + body, tmp_path), precise=True) == (0, [1, 2, 3, 4])


def test_a_vector_table_in_ram(tmp_path: Path) -> None:
    body = """
static vector_t table[16 + 128] __attribute__((aligned(1024)));
static void other(void) { put(5); }
int main(void)
{
    table[16u + FREE_IRQ] = other;
    REG(0xE000ED08u) = (uint32_t)(uintptr_t)table;
    ENABLE(FREE_IRQ);
    PEND(FREE_IRQ);
    put(6);
    return REG(0xE000ED08u) != (uint32_t)(uintptr_t)table;
}
"""
    assert run_image(compile_program(header() + body, tmp_path), precise=True) == (0, [5, 6])


def test_an_interrupt_without_a_handler_is_told(tmp_path: Path) -> None:
    body = "int main(void) { ENABLE(5u); PEND(5u); for (;;) { } }"
    with pytest.raises(BoardError, match=r"exception 21 at 0x1000.*its vector, 0x0, is no code") as caught:
        run_image(compile_program(header() + body, tmp_path))
    assert caught.value.ending is Ending.INTERRUPT


def test_a_host_raises_the_free_interrupt_while_the_core_sleeps(tmp_path: Path) -> None:
    main = 'int main(void) { ENABLE(FREE_IRQ); __asm__ volatile("wfi"); return (int)count; }'
    image, clock, interrupts = compile_program(header() + FREE + main, tmp_path), Clock(DEVICE), Interrupts()
    clock.call_at(5000, lambda: interrupts.raise_interrupt(FREE_INTERRUPT))
    bus = Accelerator(DEVICE, clock)
    assert run_image(image, clock=clock, accelerator=bus, interrupts=interrupts) == (1, [0xF4EE])
    assert clock.now >= 5000
