"""Numbers from the manuals, written down without looking at the device file: small bus programs, and a second reading.

`PROGRAMS` send words as UG7456 chapter 27, izer and the MSDK give them and look at what the model does. `TABLES` only
compare the bits of all fields with the manuals' tables. That is a weak witness, because both readings may repeat a
mistake of their source, and nothing runs; the report keeps it apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bench.mutation_networks import prepared
from offramp.configs.device import Device
from offramp.configs.errors import OfframpError
from offramp.corpus.direct import ModelRunner, run_all
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.bus import AcceleratorPort, Peripherals
from offramp.simulator.clock import Clock

QUADRANT, NEXT_QUADRANT = 0x5010_0000, 0x40_0000
DATA = 0x5040_0000
CTRL, SRAM, LCNT_MAX, TEST, IFRM = (QUADRANT + offset for offset in (0x0, 0x4, 0x8, 0xC, 0x990))
FIFO_CTRL, FIFO_STAT, FIFO_PORT, AON = 0x5000_0000, 0x5000_0004, 0x5000_0008, 0x5000_1000
GCFR = 0x4000_5800
CLOCK = 1 << 3  # of CTRL

# The fields' bits by address in quadrant 0 (UG7456 27-10 to 27-44; STRIDE and TPTR as izer uses them).
LAYER = QUADRANT + 0x10  # registers of layer 0, 0x80 apart
FIELD_BITS = {
    FIFO_CTRL: "1:0 4:2 9:7 11 15:12 31:16",
    FIFO_STAT: "3:0 7:4 11:8 15:12",  # 16 to 21 sum these up; the model has none of them
    FIFO_PORT: "31:0",
    FIFO_PORT + 0x4: "31:0",
    FIFO_PORT + 0x8: "31:0",
    FIFO_PORT + 0xC: "31:0",
    AON: "1:0 11:8 15:12 19:16",
    CTRL: "0 2:1 3 4 5 6 7 8 10:9 11 12 13 14 15 16 18:17 19 20 21 22 23 29:24 30 31",
    SRAM: "0 1 5:2 7:6 9:8 10 13:11 15 16 19 20 21 22",
    LCNT_MAX: "4:0",
    TEST: "0 1 2 3 4 5 6 7 13:8 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28",
    IFRM: "16:0",
    QUADRANT + 0x1000: "31:0",  # MLAT
    LAYER: "9:0 17:16",  # RCNT
    LAYER + 0x080: "9:0 17:16",  # CCNT
    LAYER + 0x100: "3:0 7:4 11:8 12 13 15:14 16 17 21:18",  # ONED
    LAYER + 0x180: "3:0",  # PRCNT
    LAYER + 0x200: "3:0",  # PCCNT
    LAYER + 0x280: "3:0",  # STRIDE
    LAYER + 0x300: "16:0",  # WPTR_BASE
    LAYER + 0x380: "16:0",  # WPTR_TOFF
    LAYER + 0x400: "16:0",  # WPTR_MOFF
    LAYER + 0x480: "16:0",  # WPTR_CHOFF
    LAYER + 0x500: "16:0",  # RPTR_BASE
    LAYER + 0x580: "3:0 4 5 6 7 8 9 10 11 15:12 16",  # LCTRL0
    LAYER + 0x600: "15:0 31:16",  # MCNT
    LAYER + 0x680: "11:0 27:16",  # TPTR
    LAYER + 0x700: "15:0 31:16",  # EN
    LAYER + 0x780: "11:0 12 16:13 17 21:18 23:22 24 25 26 27 28",  # POST
    LAYER + 0x800: "13:0",  # STRM0
    LAYER + 0x880: "3:0 8:4 27:16",  # STRM1
    LAYER + 0x900: "16:0",  # FBUF
    LAYER + 0xA00: "3:0 7:4 16:8",  # LCTRL1
    GCFR: "3:0",
    GCFR + 0x4: "3:0",
    GCFR + 0x8: "3:0 19:16 23:20",
    GCFR + 0xC: "3:0",
}

# CTRL switches that the model refuses at a start, by bit (UG7456 27-12).
REFUSED_SWITCHES = {
    4: "calc_max",
    5: "pool_enable",
    6: "big_data",
    8: "one_shot",
    16: "mlat_load",
    21: "simple_1bit",
    22: "fast_fifo",
    23: "fifo_group",
    31: "quad_pack",
}

# The same in LCTRL0 (UG7456 27-34), where the model refuses bits 5 and 11 if they are 0.
REFUSED_LAYER_BITS = {0: "share_group", 1: "share_group", 2: "share_group", 3: "share_group", 4: "share_all"}
REFUSED_LAYER_BITS |= {10: "column_pad_only"}
NEEDED_LAYER_BITS = {5: "master", 11: "global_write"}


def field_bits(device: Device) -> bool:
    """The device's registers have fields of these bits, and no others."""
    return bits_are(device, FIELD_BITS)


def bits_are(device: Device, table: Mapping[int, str]) -> bool:
    """Whether the fields of a device are those of a table, by address."""
    found = {}
    for register in device.registers.values():
        bits = {(field.low + field.width - 1, field.low) for field in register.fields}
        found[device.register_address(register.name)] = bits
    return found == {address: {_ends(field) for field in bits.split()} for address, bits in table.items()}


def _ends(bits: str) -> tuple[int, int]:
    """`7:4` or `7` as highest and lowest bit."""
    high, _, low = bits.partition(":")
    return int(high), int(low or high)


def switches(device: Device) -> bool:
    """A start with a switch that the model does not know is refused, by the switch's name."""
    return refuses(device, CTRL, REFUSED_SWITCHES)


def refuses(device: Device, ctrl: int, names: Mapping[int, str]) -> bool:
    """Whether a start is, with each of some bits of a control register set."""
    return all(
        f"CTRL.{name} is 1;" in refusal(Accelerator(device), ctrl, CLOCK | 1 | 1 << bit) for bit, name in names.items()
    )


def layer_switches(device: Device) -> bool:
    """A layer with LCTRL0 bits that the model does not know, or without those that it needs, is refused by name."""
    return layer_bits(device, LAYER + 0x580, CTRL)


def layer_bits(device: Device, lctrl0: int, ctrl: int) -> bool:
    """The same, with the addresses of the registers."""
    needed = sum(1 << bit for bit in NEEDED_LAYER_BITS)
    words = {bit: needed | 1 << bit for bit in REFUSED_LAYER_BITS} | {
        bit: needed & ~(1 << bit) for bit in NEEDED_LAYER_BITS
    }
    for bit, word in words.items():
        accelerator = Accelerator(device)
        accelerator.write(lctrl0, word)
        name = (REFUSED_LAYER_BITS | NEEDED_LAYER_BITS)[bit]
        value = 1 << bit if name == "share_group" else word >> bit & 1
        if f"LCTRL0.{name} is {value};" not in refusal(accelerator, ctrl, CLOCK | 1):
            return False
    return True


def refusal(accelerator: Accelerator, address: int, value: int) -> str:
    """What the model says about a write; nothing if it takes it."""
    try:
        accelerator.write(address, value)
    except OfframpError as error:
        return str(error)
    return ""


def self_test(device: Device) -> bool:
    """TEST: bits 0, 2, 4, 6 test and 1, 3, 5, 7 zero a memory; 18..21 and 27, 22..25 and 28 say that it is done."""
    for memory in range(4):
        for zero in (0, 1):
            accelerator = Accelerator(device)
            ask = 1 << (2 * memory + zero)
            accelerator.write(TEST, ask)
            done = 1 << (18 + 4 * zero + memory) | 1 << (27 + zero)
            if accelerator.read(TEST) != ask | done:
                return False
            if memory == 0 and accelerator.read(DATA) != 0:
                return False
    return True


def fifo(device: Device) -> bool:
    """FIFO_STAT bits 7:4: empty; a word pushed into an enabled port shows in that port's bit only."""
    for port in range(4):
        accelerator = Accelerator(device)
        accelerator.write(FIFO_CTRL, 1 << (12 + port))
        if accelerator.read(FIFO_STAT) != 0xF0:
            return False
        accelerator.write(FIFO_PORT + 4 * port, 0x8000_0001)
        if accelerator.read(FIFO_STAT) != 0xF0 & ~(1 << (4 + port)):
            return False
    return True


def both_activations(device: Device) -> bool:
    """LCTRL0 bit 9 (ReLU) set in addition changes nothing in a layer with POST bit 26 (absolute value)."""
    placed, x, expected = prepared("convolutions")
    machine = ModelRunner(placed, Accelerator(device))
    machine.load()
    machine.write_input(x)
    machine.write(machine.switching.configure(0))
    machine.stage = 0
    for quadrant in machine.programs[0].quadrants:
        control = QUADRANT + NEXT_QUADRANT * quadrant + 0x590 + 4  # LCTRL0 of layer 1
        machine.accelerator.write(control, machine.accelerator.read(control) | 1 << 9)
    machine.run_stage(0)
    return bool(np.array_equal(machine.read(placed.requirements.chain.slots[-1].writes), expected))


def weights_off(device: Device) -> bool:
    """AON bits 15:12: a quadrant's weight memory loses its content; the network uses quadrant 0 only."""
    placed, x, expected = prepared("4-bit weights")
    for quadrant in range(4):
        machine = ModelRunner(placed, Accelerator(device))
        machine.load()
        machine.accelerator.write(AON, 1 << (12 + quadrant))
        try:
            kept = np.array_equal(run_all(machine, [x])[0], expected)
        except OfframpError as error:
            kept = "never written" not in str(error)
        if kept != (quadrant > 0):
            return False
    return True


def power(device: Device) -> bool:
    """The power-up of generated code (izer cnn_enable) gives access to the quadrants that it names and no others."""
    return gives_access(device, [DATA + NEXT_QUADRANT * quadrant for quadrant in range(4)])


def gives_access(device: Device, data: Sequence[int]) -> bool:
    """The same, with an address of the data memory of each quadrant."""
    for used in range(16):
        accelerator, control = _board(device)
        for offset, value in ((0xC, 0xF), (0x4, used), (0x0, used), (0x8, ~used & 0xF), (0xC, 0)):
            control(offset, value)
        if [not refusal(accelerator, address, 1) for address in data] != [bool(used >> q & 1) for q in range(4)]:
            return False
    return True


def reset(device: Device) -> bool:
    """A pulse of GCFR.reg3 clears the registers of the quadrants that it names, one bit each."""
    return clears(device, [LCNT_MAX + NEXT_QUADRANT * quadrant for quadrant in range(4)], 0x1F)


def clears(device: Device, registers: Sequence[int], word: int) -> bool:
    """The same, with the address of a register of each quadrant that holds a word."""
    for quadrant in range(4):
        accelerator, control = _board(device)
        for offset, value in ((0x0, 0xF), (0x8, 0)):
            control(offset, value)
        for address in registers:
            accelerator.write(address, word)
        for value in (1 << quadrant, 0):
            control(0xC, value)
        left = [accelerator.read(address) for address in registers]
        if left != [0 if other == quadrant else word for other in range(4)]:
            return False
    return True


def _board(device: Device) -> tuple[Accelerator, Callable[[int, int], None]]:
    """An accelerator, and what writes to the GCFR registers that control it: an offset and a word."""
    accelerator, clock = Accelerator(device), Clock(device)
    peripherals = Peripherals(device, AcceleratorPort(accelerator, device, clock), lambda text: None, clock)

    def control(offset: int, value: int) -> None:
        if offset == 0x8:  # isolation, which ends 10 ms after the load switches where a device has some
            clock.pass_cycles(clock.core_hz // 100)
        peripherals.write(GCFR + offset, 4, value)

    return accelerator, control


PROGRAMS = {
    function.__name__.replace("_", " "): function
    for function in (switches, layer_switches, self_test, fifo, both_activations, weights_off, power, reset)
}
TABLES = {"field bits": field_bits}
