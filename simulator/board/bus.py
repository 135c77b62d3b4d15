"""What the core's loads and stores reach outside its own memories: the accelerator, power registers, system control.

Writes are collected and handed to the accelerator as one block, in order, when something could notice: a read, a byte
write, a power register, a host call, or sleep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device

Words = NDArray[np.uint32]

# System control space of the Armv7-M core (Arm DDI 0403, B3.2).
SYSTICK_CTRL = 0xE000E010
NVIC_ENABLE = 0xE000E100
NVIC_DISABLE = 0xE000E180
NVIC_WORDS = 8
TICK_ENABLED, TICK_INTERRUPT, TICK_COUNTED = 1 << 0, 1 << 1, 1 << 16

# Bits that read as 1 or 0 whatever was written: clocks are ready at once, resets are over, the cache is ready, the
# timer has taken over what was written, the serial port's clock is ready (MSDK gcr_regs.h, icc_regs.h, tmr_regs.h and
# uart_regs.h: GCR.CLKCTRL, GCR.RST0, GCR.RST1, ICC0.CTRL, TMR0.INTFL, TMR0.CTRL1, UART0.CTRL).
_READY = {
    0x40000008: 0x3E002000,
    0x4002A100: 1 << 16,
    0x4001000C: 1 << 24 | 1 << 8,
    0x40010018: 0xC000C,
    0x40042000: 1 << 19,
}
_CLEARED = {0x40000004, 0x40000044}
UART_FIFO = 0x40042020  # of the serial port that the SDK prints to; it is never full


class Bus(Protocol):
    """The accelerator as the board sees it; `simulator.accelerator.Accelerator` is one."""

    @property
    def done(self) -> bool: ...

    def write8(self, address: int, value: int) -> None: ...

    def write_block(self, addresses: Words, values: Words) -> None: ...

    def read(self, address: int) -> int: ...

    def power(self, quadrants: int, retain_weights: int = 0) -> None: ...

    def reset(self, quadrants: int) -> None: ...


class AcceleratorPort:
    """Buffered access to an accelerator."""

    def __init__(self, accelerator: Bus) -> None:
        self.accelerator = accelerator
        self._addresses: list[int] = []
        self._values: list[int] = []

    def write(self, address: int, size: int, value: int) -> None:
        if size == 4:
            self._addresses.append(address)
            self._values.append(value & 0xFFFFFFFF)
            return
        self.flush()
        if size != 1:
            raise ValueError(f"{8 * size}-bit write at {address:#010x}; the accelerator takes 32 or 8 bits")
        self.accelerator.write8(address, value & 0xFF)

    def read(self, address: int, size: int) -> int:
        self.flush()
        if size != 4:
            raise ValueError(f"{8 * size}-bit read at {address:#010x}; the accelerator answers 32 bits")
        return self.accelerator.read(address)

    def flush(self) -> None:
        """Hand over all writes so far."""
        if self._addresses:
            addresses, values = np.array(self._addresses, dtype=np.uint32), np.array(self._values, dtype=np.uint32)
            self._addresses, self._values = [], []
            self.accelerator.write_block(addresses, values)

    @property
    def done(self) -> bool:
        self.flush()
        return self.accelerator.done


class Peripherals:
    """Power, reset and isolation of the accelerator's quadrants; what the serial port sends goes to `say`; other
    registers just keep what is written."""

    def __init__(self, device: Device, port: AcceleratorPort, say: Callable[[str], None]) -> None:
        names = ("GCFR_POWER", "GCFR_MASK", "GCFR_ISOLATE", "GCFR_RESET")
        self._gcfr = {device.register_address(name): device.registers[name] for name in names}
        everything = (1 << device.geometry.quadrants) - 1
        self._state = {"GCFR_POWER": 0, "GCFR_MASK": 0, "GCFR_ISOLATE": everything, "GCFR_RESET": 0}
        self._words: dict[int, int] = {}
        self._port = port
        self._say = say
        port.accelerator.power(0)

    def write(self, address: int, size: int, value: int) -> None:
        del size
        register = self._gcfr.get(address)
        if address == UART_FIFO:
            self._say(chr(value & 0x7F))
            return
        if register is None:
            self._words[address] = value
            return
        self._port.flush()
        self._state[register.name] = register.decode(value)["quadrants"]
        state = self._state
        self._port.accelerator.power(state["GCFR_POWER"] & ~state["GCFR_ISOLATE"], state["GCFR_MASK"])
        self._port.accelerator.reset(state["GCFR_RESET"])

    def read(self, address: int, size: int) -> int:
        del size
        if address in self._gcfr:
            register = self._gcfr[address]
            return register.encode({"quadrants": self._state[register.name]})
        return 0 if address in _CLEARED else self._words.get(address, 0) | _READY.get(address, 0)


class SystemControl:
    """SysTick and the interrupt controller, as far as waking from sleep needs them. There is no time: a tick comes when
    the core sleeps with the tick's interrupt on, and a read of the counter finds that it has counted."""

    def __init__(self, interrupt: int) -> None:
        self._interrupt = interrupt  # the accelerator's
        self._words: dict[int, int] = {}
        self._enabled: set[int] = set()

    def write(self, address: int, size: int, value: int) -> None:
        del size
        for first, change in ((NVIC_ENABLE, self._enabled.update), (NVIC_DISABLE, self._enabled.difference_update)):
            if first <= address < first + 4 * NVIC_WORDS:
                change(8 * (address - first) + bit for bit in range(32) if value >> bit & 1)
        self._words[address] = value

    def read(self, address: int, size: int) -> int:
        del size
        value = self._words.get(address, 0)
        return value | TICK_COUNTED if address == SYSTICK_CTRL and value & TICK_ENABLED else value

    @property
    def cnn_enabled(self) -> bool:
        return self._interrupt in self._enabled

    @property
    def ticks(self) -> bool:
        wanted = TICK_ENABLED | TICK_INTERRUPT
        return self._words.get(SYSTICK_CTRL, 0) & wanted == wanted
