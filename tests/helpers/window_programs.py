"""Small bus programs for the MAX78002, whose layer registers count up to the last pooling window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from offramp.configs.device import load_device
from offramp.simulator.accelerator import Accelerator
from tests.helpers.accelerator_programs import Fields, idle, load_pixels, put, random_bytes, start, stop

DEVICE = load_device("MAX78002")
OUTPUT = 4096  # word of instance 0 that layers write to
NEXT_INSTANCE = 0x8000
SNOOP_SWITCHES = {"bus_clock_enable": 1}


def geometry(rows: int, cols: int, pad: int = 0, *, stride: int = 1, step: int = 1) -> dict[str, dict[str, int]]:
    """RCNT, CCNT and STRIDE of an image without pooling windows, `step` words from pixel to pixel."""
    last_row, last_col = (rows - 1) // stride * stride, (cols - 1) // stride * stride
    padding = {"pad": pad - 1, "pad_enable": 1} if pad else {}
    between = (cols - last_col + (stride - 1) * cols) * step
    return {
        "RCNT": {"last_window": last_row, "row_step": between, **padding},
        "CCNT": {"last_window": last_col, "rest": cols - last_col, **padding},
        "STRIDE": {"last": stride - 1, "window_step": stride * step},
    }


def convolution(rows: int, cols: int, inputs: int, outputs: int, pad: int = 1) -> dict[str, dict[str, int]]:
    """A 3x3 convolution in quadrant 0, kernels from column 0 on."""
    processors = (1 << inputs) - 1
    return {
        **geometry(rows, cols, pad),
        "WPTR_BASE": {"pointer": OUTPUT},
        "WPTR_MOFF": {"step": NEXT_INSTANCE},
        "LCTRL0": {"master": 1, "max_pool": 1, "global_write": 1, "kernel_rows": 2, "kernel_cols": 2},
        "LCTRL1": {"expansion": (outputs - 1) * 8},
        "MCNT1": {"last": (outputs - 1) * 8},
        "OCHAN": {"last": outputs - 1},
        "TPTR": {"last": cols + 2 * pad - 3},
        "EN": {"processors": processors, "kernels": processors},
    }


def depthwise(rows: int, cols: int, channels: int, *, moving: bool = False) -> dict[str, dict[str, int]]:
    """A 3x3 depthwise convolution in quadrant 0; broadcast, or one output after the other from instance 1 on."""
    fields = convolution(rows, cols, channels, channels)
    slots = channels if moving else min(channels, 4)
    fields["LCTRL0"]["broadcast"] = int(not moving)
    fields |= {
        "ONED": {"time_slots": slots - 1},
        "POST": {"time_slots": 1, "depthwise": 1},
        "OCHAN": {"last": slots - 1},
        "MCNT1": {"last": 0},
        "WPTR_TOFF": {"step": NEXT_INSTANCE},
        "WPTR_BASE": {"pointer": OUTPUT + NEXT_INSTANCE * moving},
    }
    return fields


def copy(rows: int, cols: int, *, read: int = 0, write: int = OUTPUT) -> dict[str, dict[str, int]]:
    """A pass-through layer of four channels."""
    return {
        **geometry(rows, cols),
        "WPTR_BASE": {"pointer": write},
        "WPTR_TOFF": {"step": NEXT_INSTANCE},
        "RPTR_BASE": {"word": read},
        "LCTRL0": {"master": 1, "max_pool": 1, "global_write": 1},
        "ONED": {"width": 1},
        "EN": {"processors": 0xF},
        "POST": {"time_slots": 1, "one_by_one": 1},
    }


def put_slot(accelerator: Accelerator, slot: int, fields: Fields) -> None:
    """The registers of a slot that are named."""
    for name, values in fields.items():
        put(accelerator, name, values, layer=slot)


def put_snoop(accelerator: Accelerator, unit: str, fields: Fields) -> None:
    """Registers of a snoop unit, by the end of their names."""
    for name, values in fields.items():
        put(accelerator, f"{unit}_{name}", values)


def loaded(pixels: int = 16, channels: int = 4) -> Accelerator:
    """An idle accelerator with random pixels in front of layer 0."""
    accelerator = Accelerator(DEVICE)
    idle(accelerator)
    load_pixels(accelerator, random_bytes(1, pixels, channels))
    return accelerator


def run(
    accelerator: Accelerator, first: int = 0, last: int = 0, switches: Mapping[str, int] | None = None
) -> list[int]:
    """Run slots; those that have run."""
    put(accelerator, "LCNT_MAX", {"first_layer": first, "last_layer": last})
    start(accelerator, switches=switches or {})
    slots = accelerator.layers_run
    stop(accelerator)
    return slots


def run_slots(slots: Mapping[int, Fields], first: int, last: int) -> Sequence[int]:
    """Write slots and run them."""
    accelerator = loaded()
    for slot, fields in slots.items():
        put_slot(accelerator, slot, fields)
    return run(accelerator, first, last)
