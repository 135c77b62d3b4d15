"""Registers of layers that count up to the last pooling window (MAX78002): izer backend/max7800x.py and tornadocnn.py.

No register holds the size of the image: it follows from the first row and column of the last window, and from the words
between windows.
"""

from __future__ import annotations

from offramp.codegen.lower_common import COUNTER_UNIT, Form, Registers, kernel_unit, row_memory
from offramp.codegen.program import Fields
from offramp.planner.allocation.place import Placed
from offramp.planner.hardware.hw_layer import BYTE_BITS, PASSES_AHEAD, HwLayer
from offramp.planner.hardware.time_slots import time_slots
from offramp.planner.ir.chain import Slot


def _geometry(hw: HwLayer) -> Registers:
    layer = hw.layer
    pooled, cols, stride, pad = hw.pooled, hw.cols, layer.pool_stride, hw.pad
    if hw.kind == "transposed":
        pooled, cols, stride = (2 * pooled[0], 2 * pooled[1]), 2 * cols, 1
        pad = (2 - pad[0], 2 - pad[1])
    if hw.kind == "flatten":
        pooled, cols, stride, pad = (1, 1), 1, 1, (0, 0)
    row, col = stride * (pooled[0] - 1), stride * (pooled[1] - 1)
    step = cols - col + (stride - 1) * cols
    return {
        "RCNT": {"last_window": row, "row_step": step * hw.pixel_words, **_padding(pad[0])},
        "CCNT": {"last_window": col, "rest": cols - col, **_padding(pad[1])},
        "PRCNT": _window(layer.pool[0], layer.pool_dilation[0]),
        "PCCNT": _window(layer.pool[1], layer.pool_dilation[1]),
        "STRIDE": {"last": stride - 1, "window_step": stride * hw.pixel_words},
        "TPTR": row_memory(hw),
    }


def _padding(pad: int) -> Fields:
    return {"pad": pad - 1, "pad_enable": 1} if pad else {}


def _window(pool: int, dilation: int) -> Fields:
    return {"last": (pool - 1) * dilation, "dilation": dilation - 1}


def _kernels(placed: Placed, slot: Slot, hw: HwLayer) -> Registers:
    """First and last kernel, and how many. Outputs at once have theirs at the same place of their memories. Of a
    depthwise layer the number of steps counts in place of that of kernels."""
    layer = hw.layer
    if hw.kind == "passthrough":
        return {"MCNT2": {"start": (hw.expansion - 1) * COUNTER_UNIT}, "OCHAN": {"last": time_slots(hw) - 1}}
    if layer.depthwise:
        count = time_slots(hw) * hw.passes
    elif layer.bypass:
        count = layer.out_shape.channels
    else:
        count = hw.kernels // hw.at_once
    start, byte = (0, 0) if hw.weights is None else kernel_unit(placed, slot, hw)
    kernels = hw.passes if layer.depthwise else hw.slots * hw.kernel_passes // hw.at_once
    bits = BYTE_BITS if layer.bypass else layer.weight_bits
    return {
        "MCNT1": {"last": start + (kernels - 1) * bits},
        "MCNT2": {"start": start},
        "OCHAN": {"last": count - 1},
        "ONED": {"start_byte": byte},
    }


def _modes(hw: HwLayer) -> Registers:
    """The kernel's size, read-ahead, and kinds of layers that the MAX78000 has not."""
    layer = hw.layer
    rows, cols = {"conv1d": (hw.taps, 1), "conv3x3": (3, 3), "transposed": (3, 3)}.get(hw.kind, (1, 1))
    shift = (hw.passes - 1) // PASSES_AHEAD if layer.tcalc else hw.passes - 1
    shift = shift if layer.readahead else 0
    return {
        "LCTRL0": {
            "read_ahead": int(layer.readahead),
            "kernel_rows": rows - 1,
            "kernel_cols": cols - 1,
            "read_ahead_shift": shift & 7,
            "broadcast": int(hw.broadcast) | shift >> 3,
            "bypass": int(layer.bypass),
        },
        "POST": {
            "four_outputs": int(layer.calcx4),
            "depthwise": int(layer.depthwise),
            "tcalc": int(layer.tcalc),
        },
    }


def reset_registers(values: Registers) -> Registers:
    """A slot in front of a layer that averages: one pixel of the first processor passes through, to where the layer
    writes first (izer `avgpool_reset_layer`). `values`: the layer's own registers."""
    return {
        "RCNT": {"row_step": 1},
        "CCNT": {"rest": 1},
        "STRIDE": {"window_step": 1},
        "ONED": {"width": 1},
        "LCTRL0": {"master": 1, "global_write": 1, "max_pool": 1},
        "POST": {"time_slots": 1, "one_by_one": 1},
        "EN": {"processors": 1},
        **{name: values[name] for name in ("RPTR_BASE", "WPTR_BASE", "WPTR_TOFF") if name in values},
    }


WINDOW = Form(_geometry, _kernels, _modes)
