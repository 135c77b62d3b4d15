"""What the core's loads and stores reach outside its own memories: the accelerator and the chip's other registers.

Writes are collected and handed to the accelerator as one block, in order, when something could notice: a read, a byte
write, a write to CTRL, which may start it, a power register, a look at the time, a host call, or sleep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator.board.cnn_clock import IPLL_CTRL, PCLKDIV, CnnClock
from offramp.simulator.clock import Clock

Words = NDArray[np.uint32]

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
    """Buffered access to an accelerator; each access takes its time of the clock."""

    def __init__(self, accelerator: Bus, device: Device, clock: Clock) -> None:
        self.accelerator = accelerator
        self._clock = clock
        self._control = {device.register_address("CTRL", quadrant) for quadrant in range(device.geometry.quadrants)}
        self._addresses: list[int] = []
        self._values: list[int] = []

    def write(self, address: int, size: int, value: int) -> None:
        if size == 4:
            self._addresses.append(address)
            self._values.append(value & 0xFFFFFFFF)
            if address in self._control:
                self.flush()
            return
        self.flush()
        self._clock.pass_accesses(1)
        if size != 1:
            raise ValueError(f"{8 * size}-bit write at {address:#010x}; the accelerator takes 32 or 8 bits")
        self.accelerator.write8(address, value & 0xFF)

    def read(self, address: int, size: int) -> int:
        self.flush()
        self._clock.pass_accesses(1)
        if size != 4:
            raise ValueError(f"{8 * size}-bit read at {address:#010x}; the accelerator answers 32 bits")
        return self.accelerator.read(address)

    def flush(self) -> None:
        """Hand over all writes so far."""
        if self._addresses:
            addresses, values = np.array(self._addresses, dtype=np.uint32), np.array(self._values, dtype=np.uint32)
            self._addresses, self._values = [], []
            self._clock.pass_accesses(len(addresses))
            self.accelerator.write_block(addresses, values)

    @property
    def done(self) -> bool:
        self.flush()
        return self.accelerator.done


class Peripherals:
    """Power, reset and isolation of the accelerator's quadrants, and where the device has a PLL its clock; what the
    serial port sends goes to `say`; other registers just keep what is written."""

    def __init__(self, device: Device, port: AcceleratorPort, say: Callable[[str], None], clock: Clock) -> None:
        names = ("GCFR_POWER", "GCFR_MASK", "GCFR_ISOLATE", "GCFR_RESET")
        self._gcfr = {device.register_address(name): device.registers[name] for name in names}
        everything = (1 << device.geometry.quadrants) - 1
        self._state = {"GCFR_POWER": 0, "GCFR_MASK": 0, "GCFR_ISOLATE": everything, "GCFR_RESET": 0}
        self._words: dict[int, int] = {}
        self._clock = clock
        self._cnn_clock = CnnClock(device, clock) if device.clock_tree.pll else None
        self._wait = device.core.get("power_wait_us", 0) * clock.core_hz // 10**6
        self._powered_at = 0
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
            if self._cnn_clock and address in (IPLL_CTRL, PCLKDIV):
                self._port.flush()
                self._cnn_clock.write(address, value)
            else:
                self._words[address] = value
            return
        self._port.flush()
        self._switch(register.name, register.decode(value)["quadrants"])
        state = self._state
        self._port.accelerator.power(state["GCFR_POWER"] & ~state["GCFR_ISOLATE"], state["GCFR_MASK"])
        self._port.accelerator.reset(state["GCFR_RESET"])

    def _switch(self, name: str, quadrants: int) -> None:
        """Change one of the power registers. ValueError where quadrants are connected before their power is stable."""
        if name == "GCFR_POWER" and quadrants & ~self._state[name]:
            self._powered_at = self._clock.now
        connected = self._state["GCFR_ISOLATE"] & ~quadrants & self._state["GCFR_POWER"]
        passed = self._clock.now - self._powered_at
        if name == "GCFR_ISOLATE" and connected and passed < self._wait:
            raise ValueError(f"isolation ends {passed} cycles after power came; {self._wait} have to pass")
        self._state[name] = quadrants

    def read(self, address: int, size: int) -> int:
        del size
        if self._cnn_clock and address in (IPLL_CTRL, PCLKDIV):
            return self._cnn_clock.read(address)
        if address in self._gcfr:
            register = self._gcfr[address]
            return register.encode({"quadrants": self._state[register.name]})
        return 0 if address in _CLEARED else self._words.get(address, 0) | _READY.get(address, 0)
