"""When a metered core does what it does, estimated by the device file's costs."""

from __future__ import annotations

from offramp.configs.device import Device, Place
from offramp.simulator.board.meter import Access
from offramp.simulator.cycles import RunCycles

_UNIT = 10**9  # parts of a cycle that are counted
_FIFO_ACCESSES = 2  # of a word: its look at the state and its write share the cost of the word


class CoreTime:
    """Cycles of the core since power-up: one for each instruction, `bus_wait_ns` more for an access to the accelerator,
    `fifo_wait_ns` for a word of the FIFO, and what is left of a run when the core finds it done."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._bus, self._fifo = (
            device.costs[name] * device.costs["core_hz"] for name in ("bus_wait_ns", "fifo_wait_ns")
        )
        self._done = device.registers["CTRL"].by_name["done"]
        self._now = 0  # in parts of a cycle
        self._instructions = 0
        self._started, self._fed = 0, 0  # cycles of the accelerator's clock
        self._ready = 0  # when the last run is done, in parts of a core's cycle

    @property
    def cycles(self) -> int:
        return self._now // _UNIT

    @property
    def microseconds(self) -> float:
        return self._now / _UNIT / self._device.clocks["core_hz"] * 1e6

    def access(self, access: Access, place: Place | None) -> None:
        """Time passes until an access is done."""
        self._now += (access.instructions - self._instructions) * _UNIT
        self._instructions = access.instructions
        if place is None:
            return
        block = self._device.registers[place.name].block if place.kind == "register" else ""
        if block != "gcfr":
            fifo = place.name == "FIFO_STAT" or place.name.startswith("FIFO_DATA")
            self._now += self._fifo // _FIFO_ACCESSES if fifo else self._bus
        if place.name == "CTRL":
            self._control(access)
        elif block == "fifo" and access.write:
            self._fed = self._accelerator_now()

    def ran(self, cycles: RunCycles) -> None:
        """A run has been computed: it began when the last quadrant was enabled, and works while it is fed."""
        end = cycles.finished(self._started, max(self._fed, self._started))
        self._ready = -(-end * self._device.clocks["core_hz"] * _UNIT // self._device.clocks["cnn_hz"])

    def _control(self, access: Access) -> None:
        if access.write:
            self._started = self._accelerator_now()
        elif self._done.decode(access.value):
            self._now = max(self._now, self._ready)

    def _accelerator_now(self) -> int:
        return self._now * self._device.clocks["cnn_hz"] // (self._device.clocks["core_hz"] * _UNIT)
