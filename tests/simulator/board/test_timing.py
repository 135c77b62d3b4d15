"""The time of a trace: instructions, waits of the bus and runs, by the costs of the device file."""

from __future__ import annotations

import pytest

from offramp.configs.device import Device, load_device
from offramp.planner.spec.clocks import with_clocks
from offramp.simulator.board.meter import Access
from offramp.simulator.board.timing import CoreTime
from offramp.simulator.cycles import LayerCycles, RunCycles

DEVICE = load_device()
MHZ = 1_000_000
BUS_NS, FIFO_NS = DEVICE.costs["bus_wait_ns"], DEVICE.costs["fifo_wait_ns"]


def touch(time: CoreTime, device: Device, instructions: int, address: int, write: bool, value: int = 0) -> float:
    """Nanoseconds since power-up, when an access is done."""
    time.access(Access(instructions, write, address, value), device.locate(address))
    return time.microseconds * 1000


def test_an_access_takes_its_instructions_and_its_wait() -> None:
    time = CoreTime(DEVICE)
    assert touch(time, DEVICE, 100, DEVICE.data_address(0, 0), True) == pytest.approx(100 * 10 + BUS_NS)
    assert touch(time, DEVICE, 130, DEVICE.register_address("RCNT"), True) == pytest.approx(130 * 10 + 2 * BUS_NS)


def test_what_is_outside_the_accelerator_does_not_wait() -> None:
    time = CoreTime(DEVICE)
    assert touch(time, DEVICE, 7, 0x40000024, True) == pytest.approx(70)
    assert touch(time, DEVICE, 9, DEVICE.register_address("GCFR_RESET"), True) == pytest.approx(90)


def test_a_word_of_the_fifo_is_looked_for_and_written() -> None:
    time = CoreTime(DEVICE)
    touch(time, DEVICE, 3, DEVICE.register_address("FIFO_STAT"), False)
    assert touch(time, DEVICE, 5, DEVICE.register_address("FIFO_DATA0"), True) == pytest.approx(50 + FIFO_NS)


@pytest.mark.parametrize(("core", "cnn"), [(100, 50), (60, 30), (100, 25)])
def test_a_run_is_done_after_its_cycles(core: int, cnn: int) -> None:
    device = with_clocks(DEVICE, {"core_hz": core * MHZ, "cnn_hz": cnn * MHZ})
    time, control = CoreTime(device), device.register_address("CTRL")
    started = touch(time, device, 50, control, True, 1)
    time.ran(RunCycles((LayerCycles(0, 4000, False, 0), LayerCycles(1, 999, False, 0))))
    assert touch(time, device, 60, control, False, 0) < started + 1000  # finds it working
    done = touch(time, device, 70, control, False, 1 << 12)
    assert done == pytest.approx(started + 5000 * 1000 / cnn, abs=2000 / cnn)  # within a cycle of its clock


def test_a_run_that_is_over_is_not_waited_for() -> None:
    time, control = CoreTime(DEVICE), DEVICE.register_address("CTRL")
    touch(time, DEVICE, 50, control, True, 1)
    time.ran(RunCycles((LayerCycles(0, 100, False, 0),)))
    assert touch(time, DEVICE, 10_000, control, False, 1 << 12) == pytest.approx(10_000 * 10 + 2 * BUS_NS)


def test_streaming_layers_work_while_they_are_fed() -> None:
    time, control = CoreTime(DEVICE), DEVICE.register_address("CTRL")
    touch(time, DEVICE, 0, control, True, 1)
    fed = touch(time, DEVICE, 100_000, DEVICE.register_address("FIFO_DATA0"), True)
    time.ran(RunCycles((LayerCycles(0, 4000, True, 100), LayerCycles(1, 200, False, 0))))
    done = touch(time, DEVICE, 100_010, control, False, 1 << 12)
    assert done == pytest.approx(fed + (100 + 200 + 1) * 20, abs=40)
