"""The input FIFOs: words wait in a queue per port until a frame is complete (UG7456 27.5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator.errors import AcceleratorError
from offramp.simulator.registers import RegisterFile


class Fifos:
    """One queue per port; port i feeds quadrant i. The queues are emptied at once by a running accelerator."""

    def __init__(self, device: Device, registers: RegisterFile) -> None:
        self._device = device
        self._registers = registers
        names = (name for name, register in device.registers.items() if register.block == "fifo")
        self.ports = {name: index for index, name in enumerate(name for name in names if name.startswith("FIFO_DATA"))}
        self._queues: list[list[int]] = [[] for _ in self.ports]

    def push(self, name: str, value: int) -> None:
        """A write to a FIFO port. AcceleratorError if the port is not enabled."""
        port = self.ports[name]
        enabled = self._enabled()
        if not enabled >> port & 1:
            raise AcceleratorError(f"{name} written; FIFO_CTRL.enable is {enabled:#x}, bit {port} must be set")
        self._queues[port].append(value)

    def status(self) -> int:
        """FIFO_STAT: never full; empty where no word waits."""
        empty = sum(1 << port for port, queue in enumerate(self._queues) if not queue)
        return self._device.registers["FIFO_STAT"].encode({"empty": empty})

    def complete(self) -> bool:
        """True once every enabled port holds a whole frame (IFRM words)."""
        return all(len(self._queues[port]) >= self._frame(port) for port in self._active())

    def take_frame(self) -> dict[int, NDArray[np.uint32]]:
        """Remove one frame: quadrant -> its words."""
        frame = {}
        for port in self._active():
            size = self._frame(port)
            frame[port] = np.array(self._queues[port][:size], dtype=np.uint32)
            del self._queues[port][:size]
        return frame

    def reset(self) -> None:
        for queue in self._queues:
            queue.clear()

    def _enabled(self) -> int:
        return self._registers.field("FIFO_CTRL", "enable")

    def _active(self) -> list[int]:
        active = [port for port in self.ports.values() if self._enabled() >> port & 1]
        if not active:
            raise AcceleratorError("CTRL.fifo is 1; FIFO_CTRL.enable is 0, at least one port must be enabled")
        return active

    def _frame(self, port: int) -> int:
        words = self._registers.field("IFRM", "words", port)
        if not words:
            raise AcceleratorError(f"IFRM.words of quadrant {port} is 0; FIFO {port} is enabled and needs a frame size")
        return words
