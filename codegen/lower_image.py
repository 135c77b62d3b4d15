"""Registers of layers that count the padded image (MAX78000): UG7456 chapter 27 and izer backend/max7800x.py."""

from __future__ import annotations

from offramp.codegen.lower_common import COUNTER_UNIT, Form, Registers, kernel_unit, row_memory
from offramp.planner.allocation.place import Placed
from offramp.planner.hardware.hw_layer import HwLayer
from offramp.planner.ir.chain import Slot


def _geometry(hw: HwLayer) -> Registers:
    """Size, padding, pooling and row buffer. A flattening layer has no size: its pixels are passes."""
    if hw.kind == "flatten":
        return {"TPTR": row_memory(hw)}
    layer = hw.layer
    rows, cols, pad = hw.rows * (hw.passes if hw.folded else 1), hw.cols, hw.pad
    if hw.kind == "transposed":
        rows, cols, pad = 2 * rows, 2 * cols, (2 - pad[0], 2 - pad[1])
    return {
        "RCNT": {"last": rows + 2 * pad[0] - 1, "pad": pad[0]},
        "CCNT": {"last": cols + 2 * pad[1] - 1, "pad": pad[1]},
        "PRCNT": {"last": layer.pool[0] - 1},
        "PCCNT": {"last": layer.pool[1] - 1},
        "STRIDE": {"last": layer.pool_stride - 1},
        "TPTR": row_memory(hw),
    }


def _kernels(placed: Placed, slot: Slot, hw: HwLayer) -> Registers:
    """MCNT, and the part of ONED that belongs to it: kernel units from the start of memory, and bytes beyond them."""
    if hw.weights is None:
        return {"MCNT": {"last": 0 if hw.folded else (hw.expansion - 1) * COUNTER_UNIT}}
    start, byte = kernel_unit(placed, slot, hw)
    last = start + (hw.kernels - 1) * hw.layer.weight_bits
    return {"MCNT": {"start": start, "last": last}, "ONED": {"start_byte": byte}}


def _modes(hw: HwLayer) -> Registers:
    return {}


IMAGE = Form(_geometry, _kernels, _modes)
