"""What the registers of a layer slot are made of, whatever form they have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from offramp.codegen.program import Fields
from offramp.configs.device import Device
from offramp.planner.allocation.place import Placed
from offramp.planner.hardware.hw_layer import HwLayer
from offramp.planner.hardware.streaming import row_buffer
from offramp.planner.ir.chain import Slot

COUNTER_UNIT = 8  # steps of the kernel counter for the bytes of one kernel

Registers = dict[str, Fields]


@dataclass(frozen=True)
class Form:
    """What differs between devices whose registers of layers count differently (`Device.layer_form`).

    `geometry`: size, padding, pooling and row buffer. `kernels`: which kernels, from a slot's placement. `modes`:
    further fields of LCTRL0 and POST.
    """

    geometry: Callable[[HwLayer], Registers]
    kernels: Callable[[Placed, Slot, HwLayer], Registers]
    modes: Callable[[HwLayer], Registers]


def low_passes(device: Device) -> int:
    """The most that LCTRL1 holds of passes - 1; flattening layers have more bits in POST."""
    return device.registers["LCTRL1"].by_name["passes"].limit


def row_memory(hw: HwLayer) -> Fields:
    """TPTR of a layer that does not stream."""
    if hw.kind == "flatten":
        extra = hw.kernel_passes - 1
        return {"start": extra, "last": 2 * extra + 1} if extra > low_passes(hw.device) else {}
    return {"last": row_buffer(hw) - 1}


def kernel_unit(placed: Placed, slot: Slot, hw: HwLayer) -> tuple[int, int]:
    """The counter of the first kernel, and the bytes of its unit that lie in front of it."""
    unit, byte = divmod(placed.kernel_start(slot) * hw.device.memories["weights"].word_bytes, hw.taps)
    return unit * COUNTER_UNIT, byte
