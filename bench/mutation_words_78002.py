"""Numbers of the MAX78002 from izer and the MSDK, written down without looking at the device file, as in
`bench.mutation_words` for the MAX78000."""

from __future__ import annotations

import numpy as np

from bench.mutation_tables_78002 import CTRL, DATA, LAYER, LCNT_MAX, NEXT_QUADRANT, QUADRANT, SNOOP, STREAM, TEST
from bench.mutation_words import AON, clears, fifo, gives_access, layer_bits, refusal, refuses
from offramp.configs.device import Device
from offramp.configs.errors import OfframpError
from offramp.simulator.accelerator import Accelerator

WEIGHTS = QUADRANT + 0x40_0000
RUNNING = 1 << 3 | 1  # CTRL: clock and enable
PIXEL = 0x0403_0201  # four channels

REFUSED_SWITCHES = {16: "mlat_load", 21: "simple_1bit", 22: "fast_fifo", 23: "fifo_group", 31: "quad_pack"}


def switches(device: Device) -> bool:
    """As on the MAX78000: switches that are refused."""
    return refuses(device, CTRL, REFUSED_SWITCHES)


def layer_switches(device: Device) -> bool:
    """As on the MAX78000: the bits of LCTRL0 that are refused, or needed."""
    return layer_bits(device, LAYER + 48, CTRL)


def self_test(device: Device) -> bool:
    """TEST as izer's --zero-sram writes it: bits 18 to 21 say that the memory's test is done; data are 0 then."""
    for memory, word in enumerate((0x1001, 0x2004, 0x3010, 0x1C40)):
        accelerator = Accelerator(device)
        accelerator.write(TEST, word)
        if accelerator.read(TEST) != word | 1 << (18 + memory) or (memory == 0 and accelerator.read(DATA) != 0):
            return False
    return True


def clear(device: Device) -> bool:
    """TEST 0x1880 and 0x1C80, as cnn_init writes them: bit 25 says that registers are 0; other words are not known."""
    for word in (0x1880, 0x1C80):
        accelerator = Accelerator(device)
        for address in (LCNT_MAX, LAYER + 4, STREAM, SNOOP + 0x20):
            accelerator.write(address, 0x0101)
        accelerator.write(TEST, word)
        found = [accelerator.read(address) for address in (LCNT_MAX, LAYER + 4, STREAM, SNOOP + 0x20)]
        if any(found) or accelerator.read(TEST) != word | 1 << 25:
            return False
    return "TEST.select is 0x10 with clear" in refusal(Accelerator(device), TEST, 0x1080)


def one_shot(device: Device) -> bool:
    """CTRL bit 8 ends the run after slot 0, a copy of one pixel; a second slot is not run."""
    return _copies(device, RUNNING | 1 << 8, 0) == 1 and _copies(device, RUNNING, 1) == 2


def _copies(device: Device, control: int, last: int) -> int:
    """Slots that a run of copies executes."""
    accelerator = _with_copies(device, 2)
    accelerator.write(LCNT_MAX, last)
    accelerator.write(CTRL, control)
    return len(accelerator.layers_run)


def _with_copies(device: Device, slots: int, quadrant: int = 0) -> Accelerator:
    """Slots that copy word 0 of a quadrant, which holds PIXEL, to word 0x1000 of quadrant 0."""
    accelerator, base = Accelerator(device), NEXT_QUADRANT * quadrant
    registers = {1: 1 << 16, 2: 1 << 16, 3: 0x100, 6: 0x10, 7: 0x1000, 12: 0x920, 18: 0xF, 19: 0x300_0000}
    for slot in range(slots):
        for number, word in registers.items():
            accelerator.write(base + LAYER + 0x100 * slot + 4 * number, word)
    accelerator.write(base + DATA, PIXEL)
    return accelerator


def starts(device: Device) -> bool:
    """CTRL 10:9 names the quadrant that bit 11 waits for, each itself here; bit 12: done, until 0 is written to it."""
    for quadrant in range(4):
        accelerator, control = _with_copies(device, 1, quadrant), CTRL + NEXT_QUADRANT * quadrant
        waiting = RUNNING | 1 << 11 | quadrant << 9
        accelerator.write(control, waiting)
        if not accelerator.layers_run or accelerator.read(control) != waiting | 1 << 12:
            return False
        accelerator.write(control, 1 << 3 | 1 << 13)
        if accelerator.read(control) != 1 << 3 | 1 << 13:
            return False
    return True


def snoop_units(device: Device) -> bool:
    """Both units: C1 bit 1 stops, bit 2 takes the link of slot C2, if it writes the word; bits 3 to 5 count."""
    for unit in (0, 1):
        for action, value, slots in ((2, PIXEL, [0]), (4, PIXEL, [0, 3]), (4, 1, [0, 1]), (2, 1, [0, 3])):
            accelerator = _with_copies(device, 4)
            accelerator.write(LAYER, 0x83)  # NXTLYR: link to 3
            accelerator.write(LAYER + 0x100, 0x100)  # stop
            base = SNOOP + 0x30 * unit
            for place, word in ((0, 0x20_1000), (2, value), (6, 0x8202_2039 | action), (7, 0x3000)):
                accelerator.write(base + 4 * place, word)
            accelerator.write(LCNT_MAX, 3)
            accelerator.write(CTRL, RUNNING | 1 << 7)
            counters = [PIXEL, 1, PIXEL, 0x20_1000] if value == PIXEL else [0, 0, 0, 0]
            if accelerator.layers_run != slots:
                return False
            if [accelerator.read(base + 4 * place) for place in range(8, 12)] != counters:
                return False
    return True


def watched_slot(device: Device) -> bool:
    """C2 7:0 is the slot that is watched: every slot writes PIXEL, and the run stops after it."""
    for unit in (0, 1):
        for slot in range(3):
            accelerator = _with_copies(device, 4)
            base = SNOOP + 0x30 * unit
            for place, word in ((0, 0x20_1000), (2, PIXEL), (6, 0x8202_2003), (7, 0x3000 | slot)):
                accelerator.write(base + 4 * place, word)
            accelerator.write(LCNT_MAX, 3)
            accelerator.write(CTRL, RUNNING | 1 << 7)
            if accelerator.layers_run != list(range(slot + 1)):
                return False
    return True


def unknown_of_snoop_units(device: Device) -> bool:
    """Fields of C1 and C2 whose meaning no test shows are refused, by name; SNOOP2's are 0x30 further."""
    known, bus_clock = 0x8202_2001, 1 << 7
    changes = {
        "C1.mode_low is 3;": 2 << 25,
        "C1.mode_high is 1;": 1 << 27,
        "C1.count_compare is 1;": 1 << 20,
        "C1.data_compare is 1;": 3 << 16,
        "C1.address_compare is 6;": 4 << 12,
        "C2.condition is 2;": 1 << 12,
        "C2.quadrant is 1;": 1 << 8,
    }
    for unit in (0, 1):
        for name, flipped in changes.items():
            accelerator = Accelerator(device)
            base = SNOOP + 0x30 * unit
            accelerator.write(base, 0x20_0000)
            accelerator.write(base + 0x18, known ^ (flipped if name.startswith("C1") else 0))
            accelerator.write(base + 0x1C, 0x3000 ^ (0 if name.startswith("C1") else flipped))
            if f"SNOOP{unit + 1}_{name}" not in refusal(accelerator, CTRL, RUNNING | bus_clock):
                return False
    return True


def whole_words(device: Device) -> bool:
    """Data, counts and counters of snoop units have 32 bits, addresses 22."""
    for unit in (0, 1):
        accelerator, base = Accelerator(device), SNOOP + 0x30 * unit
        for place in (0, 1, 2, 3, 4, 5, 8, 9, 10, 11):
            word = 0x3F_FFFF if place in (0, 1, 11) else 0xFFFF_FFFF
            accelerator.write(base + 4 * place, word)
            if accelerator.read(base + 4 * place) != word:
                return False
    return True


def both_activations(device: Device) -> bool:
    """LCTRL0 bit 9 (ReLU) changes nothing with POST bit 26 (absolute value): a kernel of 1 (bit 30) makes 5 of -5."""
    accelerator = _with_copies(device, 1)
    for number, word in ((12, 0x4000_0920 | 1 << 9), (18, 1), (19, 1 << 26 | 7 << 13)):
        accelerator.write(LAYER + 4 * number, word)
    accelerator.write(DATA, 0xFB)
    accelerator.write(CTRL, RUNNING)
    accelerator.write(CTRL, 1 << 3)
    return accelerator.read(DATA + 0x4000) & 0xFF == 5


def weights_off(device: Device) -> bool:
    """AON bits 15:12: the weight memory of a quadrant loses its content."""
    for quadrant in range(4):
        accelerator = Accelerator(device)
        for other in range(4):
            accelerator.write_words(WEIGHTS + NEXT_QUADRANT * other, np.zeros(4, np.uint32))
        accelerator.write(AON, 1 << (12 + quadrant))
        kept = [_readable(accelerator, WEIGHTS + NEXT_QUADRANT * other) for other in range(4)]
        if kept != [other != quadrant for other in range(4)]:
            return False
    return True


def power(device: Device) -> bool:
    """As on the MAX78000: the quadrants that a power-up gives access to."""
    return gives_access(device, [DATA + NEXT_QUADRANT * quadrant for quadrant in range(4)])


def reset(device: Device) -> bool:
    """As on the MAX78000: the quadrants whose registers a reset clears."""
    return clears(device, [LCNT_MAX + NEXT_QUADRANT * quadrant for quadrant in range(4)], 0x4A59)


def _readable(accelerator: Accelerator, address: int) -> bool:
    try:
        accelerator.read(address)
    except OfframpError:
        return False
    return True


PROGRAMS = {
    function.__name__.replace("_", " "): function
    for function in (
        *(switches, layer_switches, self_test, clear, one_shot, unknown_of_snoop_units),
        *(starts, snoop_units, watched_slot, whole_words, both_activations, fifo, weights_off, power, reset),
    )
}
