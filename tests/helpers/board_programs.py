"""Small C programs of their own for the virtual board: start-up, vector table and console, nothing of the runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.pipeline.compile import find_compiler, run_compiler
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.bus import Bus
from offramp.simulator.board.core import Core
from offramp.simulator.board.elf import Image, load_image
from offramp.simulator.board.host import Host
from offramp.simulator.board.interrupts import FREE_INTERRUPT, Interrupts
from offramp.simulator.clock import Clock
from tests.helpers.accelerator_programs import DEVICE, IDLE, Fields, load_pixels, put_layer

LIMIT = 400_000
CONTROL = DEVICE.registers["CTRL"]
_LINK = """\
ENTRY(reset)
MEMORY { flash (rx) : ORIGIN = 0x10000000, LENGTH = 512K  sram (rwx) : ORIGIN = 0x20000000, LENGTH = 128K }
top = ORIGIN(sram) + LENGTH(sram);
SECTIONS
{
    .text : { KEEP(*(.vectors)) *(.text .text.*) *(.rodata .rodata.*) } > flash
    .bss (NOLOAD) : { *(.bss .bss.* COMMON) } > sram
    /DISCARD/ : { *(.comment .note.* .ARM.attributes .ARM.exidx .ARM.exidx.*) }
}
"""
_HEADER = """\
#include <stdint.h>
#define REG(address) (*(volatile uint32_t *)(address))
#define CNN_IRQ %(cnn)du
#define FREE_IRQ %(free)du
#define ENABLE(irq) (REG(0xE000E100u + 4u * ((irq) / 32u)) = 1u << ((irq) %% 32u))
#define DISABLE(irq) (REG(0xE000E180u + 4u * ((irq) / 32u)) = 1u << ((irq) %% 32u))
#define PEND(irq) (REG(0xE000E200u + 4u * ((irq) / 32u)) = 1u << ((irq) %% 32u))
#define CONTROL REG(%(control)#xu)
#define STARTED %(started)#xu
#define STOPPED %(stopped)#xu
#define DONE %(done)#xu
#define DATA(word) REG(%(data)#xu + 4u * (word))
#define RESULT(word) REG(%(data)#xu + 4u * (4096u + (word)))
#define COUNTER REG(0xE0001004u)

static inline uint32_t host(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static inline void put(uint32_t value)
{
    char text[10];
    for (unsigned i = 0; i < 8u; i++) {
        text[i] = "0123456789abcdef"[value >> (28u - 4u * i) & 15u];
    }
    text[8] = ' ';
    text[9] = 0;
    (void)host(4, text);
}

static inline void leave(int status)
{
    const uint32_t arguments[2] = {0x20026u, (uint32_t)status};
    (void)host(0x20, arguments);
    for (;;) {
    }
}

static inline void count_cycles(void)
{
    REG(0xE000EDFCu) = 1u << 24;
    REG(0xE0001000u) = 1u;
}

static const uint32_t PAIRS[][2] = {%(pairs)s {0u, 0u}};

static inline void configure(void)
{
    for (unsigned i = 0; PAIRS[i][0] != 0u; i++) {
        REG(PAIRS[i][0]) = PAIRS[i][1];
    }
}

void cnn_handler(void);
void free_handler(void);
void tick_handler(void);
typedef void (*vector_t)(void);
"""
_START = """\
void reset(void);
int main(void);
extern uint32_t top[];
static void unexpected(void) { leave(99); }
void reset(void) { leave(main()); }
__attribute__((weak)) void cnn_handler(void) { leave(98); }
__attribute__((weak)) void free_handler(void) { leave(97); }
__attribute__((weak)) void tick_handler(void) { leave(96); }
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    vector_t reset;
    vector_t others[13];
    vector_t tick;
    vector_t interrupts[128];
} vectors = {top, reset, {unexpected, unexpected}, tick_handler, {[CNN_IRQ] = cnn_handler, [FREE_IRQ] = free_handler}};
"""


class Recorder(Accelerator):
    """Notes the words that a bus program writes, to have a C program write them."""

    def __init__(self) -> None:
        super().__init__(DEVICE)
        self.pairs: list[tuple[int, int]] = []

    def write(self, address: int, value: int) -> None:
        place = DEVICE.locate(address)
        if place is None or place.kind == "register":
            self.pairs.append((address, value))
        super().write(address, value)

    def write_block(self, addresses: NDArray[np.uint32], values: NDArray[np.uint32]) -> None:
        self.pairs += zip(addresses.tolist(), values.tolist(), strict=True)
        super().write_block(addresses, values)


def power(quadrants: int = 1) -> list[tuple[int, int]]:
    """Writes that give power to quadrants."""
    names = ("GCFR_MASK", "GCFR_POWER", "GCFR_ISOLATE")
    values = (quadrants, quadrants, ~quadrants & 0xF)
    return [(DEVICE.register_address(name), value) for name, value in zip(names, values, strict=True)]


def layer_program(fields: Fields, pixels: NDArray[np.int8], before: Sequence[tuple[int, int]] = ()) -> str:
    """C source text of a header whose `configure()` powers quadrant 0 and loads one layer and its input."""
    recorder = Recorder()
    recorder.write(DEVICE.register_address("CTRL"), CONTROL.encode({**IDLE, "express": 0}))
    put_layer(recorder, 0, fields)
    load_pixels(recorder, pixels)
    return header([*power(), *before, *recorder.pairs])


def header(pairs: Sequence[tuple[int, int]] = ()) -> str:
    values: Mapping[str, object] = {
        "cnn": DEVICE.core["interrupt"],
        "free": FREE_INTERRUPT,
        "control": DEVICE.register_address("CTRL"),
        "started": CONTROL.encode({"clock_enable": 1, "enable": 1}),
        "stopped": CONTROL.encode({"clock_enable": 1}),
        "done": CONTROL.encode({"done": 1}),
        "data": DEVICE.data_address(0, 0),
        "pairs": " ".join(f"{{{address:#x}u, {value:#x}u}}," for address, value in pairs),
    }
    return _HEADER % values


def compile_program(source: str, folder: Path) -> Image:
    """An image of a program: text of `header` or `layer_program`, then handlers and main()."""
    (folder / "emulator").mkdir(exist_ok=True)
    (folder / "emulator" / "link.ld").write_text(_LINK, encoding="utf-8")
    (folder / "program.c").write_text(source, encoding="utf-8")
    (folder / "start.c").write_text(header() + _START, encoding="utf-8")
    run_compiler(find_compiler(), folder, ["start.c", "program.c"], folder / "program.elf", ("-Wno-unused-function",))
    return load_image(folder / "program.elf")


def run_image(
    image: Image,
    *,
    clock: Clock | None = None,
    accelerator: Bus | None = None,
    interrupts: Interrupts | None = None,
    precise: bool = False,
    device: Device = DEVICE,
) -> tuple[int, list[int]]:
    """Exit status, and what the program `put`. The accelerator has the clock unless another is given."""
    clock, host = clock or Clock(device), Host()
    bus = accelerator or Accelerator(device, clock)
    core = Core(image, device, bus, host, clock=clock, interrupts=interrupts, precise=precise)
    status = core.run(LIMIT)
    assert status is not None  # no program here waits for calls
    return status, [int(word, 16) for word in host.console.split()]
