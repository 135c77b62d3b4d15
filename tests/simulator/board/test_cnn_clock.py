"""Power and clock of a device with a PLL and load switches, as its core sees them."""

from __future__ import annotations

import pytest

from offramp.configs.device import load_device
from offramp.simulator.board.bus import AcceleratorPort, Peripherals
from offramp.simulator.board.cnn_clock import ENABLE, IPLL_CTRL, LOCK_US, PCLKDIV, READY
from offramp.simulator.clock import Clock

DEVICE = load_device("MAX78002")
POWER, ISOLATE = (DEVICE.register_address(name) for name in ("GCFR_POWER", "GCFR_ISOLATE"))
FROM_PLL = 3 << 17 | 4 << 14  # GCR.PCLKDIV: the PLL, divided by 1


class Quiet:
    """An accelerator that nothing is asked of."""

    done = False

    def write8(self, address: int, value: int) -> None: ...

    def write_block(self, addresses: object, values: object) -> None: ...

    def read(self, address: int) -> int:
        return 0

    def power(self, quadrants: int, retain_weights: int = 0) -> None: ...

    def reset(self, quadrants: int) -> None: ...


@pytest.fixture
def clock() -> Clock:
    return Clock(DEVICE)


@pytest.fixture
def chip(clock: Clock) -> Peripherals:
    return Peripherals(DEVICE, AcceleratorPort(Quiet(), DEVICE, clock), lambda text: None, clock)


def pass_us(clock: Clock, microseconds: int) -> None:
    clock.pass_cycles(DEVICE.clocks["core_hz"] // 10**6 * microseconds)


def test_a_clock_from_a_pll_that_is_not_ready_is_refused(chip: Peripherals, clock: Clock) -> None:
    with pytest.raises(ValueError, match="not ready"):
        chip.write(PCLKDIV, 4, FROM_PLL)
    chip.write(IPLL_CTRL, 4, ENABLE)
    assert chip.read(IPLL_CTRL, 4) == ENABLE
    with pytest.raises(ValueError, match="not ready"):
        chip.write(PCLKDIV, 4, FROM_PLL)
    pass_us(clock, LOCK_US)
    assert chip.read(IPLL_CTRL, 4) == ENABLE | READY
    chip.write(PCLKDIV, 4, FROM_PLL)
    assert chip.read(PCLKDIV, 4) == FROM_PLL
    chip.write(IPLL_CTRL, 4, 0)
    assert chip.read(IPLL_CTRL, 4) == 0


@pytest.mark.parametrize(
    ("source", "divider", "hz"), [(3, 4, 200_000_000), (3, 1, 50_000_000), (0, 0, 30_000_000), (1, 4, 60_000_000)]
)
def test_the_accelerator_takes_the_time_that_its_clock_gives(
    chip: Peripherals, clock: Clock, source: int, divider: int, hz: int
) -> None:
    chip.write(IPLL_CTRL, 4, ENABLE)
    pass_us(clock, LOCK_US)
    chip.write(PCLKDIV, 4, source << 17 | divider << 14)
    assert clock.core_cycles(1000) == -(-1000 * DEVICE.clocks["core_hz"] // hz)


def test_a_clock_that_there_is_not_is_refused(chip: Peripherals) -> None:
    with pytest.raises(ValueError, match="no such clock"):
        chip.write(PCLKDIV, 4, 2 << 17)


def test_isolation_may_not_end_before_the_load_switches_are_through(chip: Peripherals, clock: Clock) -> None:
    chip.write(POWER, 4, 1)
    pass_us(clock, DEVICE.core["power_wait_us"] - 1)
    with pytest.raises(ValueError, match="isolation ends"):
        chip.write(ISOLATE, 4, 0xE)
    pass_us(clock, 1)
    chip.write(ISOLATE, 4, 0xE)
    assert chip.read(ISOLATE, 4) == 0xE
