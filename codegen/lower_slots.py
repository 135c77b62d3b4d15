"""Registers of one layer slot.

Register values: UG7456 chapter 27 and izer backend/max7800x.py "Configure per-layer control registers". Only values
that are not zero are set here; `lower_segment` adds the zeros, because another run may have left something else.
"""

from __future__ import annotations

from collections.abc import Sequence

from offramp.codegen.lower_streams import stream_registers
from offramp.codegen.program import Fields
from offramp.configs.device import Device, Word
from offramp.planner.allocation.place import Placed
from offramp.planner.hardware.hw_layer import BYTE_BITS, HwLayer, ceil_div, instances_of, quadrant_slice, quadrants_of
from offramp.planner.ir.chain import INPUT_TENSOR, Slot
from offramp.planner.ir.network import Network

COUNTER_UNIT = 8  # steps of the kernel counter for the bytes of one kernel
ELTWISE_CODE = {"sub": 0, "add": 1, "or": 2, "xor": 3}
WEIGHT_SIZE_CODE = {8: 0, 1: 1, 2: 2, 4: 3}


def reads_fifo(placed: Placed, slots: Sequence[Slot]) -> bool:
    """Whether a run takes the input from the FIFO instead of data memory."""
    return network_of(placed, slots).fifo and INPUT_TENSOR in slots[0].reads


def network_of(placed: Placed, slots: Sequence[Slot]) -> Network:
    """The network whose modes hold during a run."""
    return placed.requirements.chain.networks[slots[0].network]


def slot_registers(placed: Placed, slots: Sequence[Slot], slot: Slot, quadrant: int) -> dict[str, Fields]:
    """The registers of one of a run's slots in a quadrant, by name; those that are zero may be missing."""
    hw = placed.requirements.layer(slot)
    device = placed.requirements.device
    base = placed.base(slot.writes) - hw.surplus
    layers = [placed.requirements.layer(one) for one in slots]
    values = _geometry(hw) | _write_pointers(hw, base, quadrant, device)
    values["RPTR_BASE"] = {"word": placed.read_base(slot)}
    values["ONED"] = {**_oned(hw, device), **_kernel_start(placed, slot, hw)[1]}
    values["MCNT"] = _kernel_start(placed, slot, hw)[0]
    values["LCTRL0"] = {**_lctrl0(hw), **_sources(placed, slot, quadrant)}
    values["LCTRL1"] = _lctrl1(hw)
    values["POST"] = {**_post(hw), **_bias(placed, slot, quadrant)}
    processors = quadrant_slice(hw.processors, quadrant, device)
    values |= stream_registers(layers, slots.index(slot), reads_fifo(placed, slots))
    values["EN"] = {"processors": processors, "kernels": 0 if hw.kind == "passthrough" else processors}
    return values


def _geometry(hw: HwLayer) -> dict[str, Fields]:
    """Size, padding, pooling and row buffer. A flattening layer has no size: its pixels are passes."""
    if hw.kind == "flatten":
        extra = hw.kernel_passes - 1
        return {"TPTR": {"start": extra, "last": 2 * extra + 1} if extra > _low_passes(hw.device) else {}}
    layer = hw.layer
    rows, cols, pad = hw.rows * (hw.passes if hw.folded else 1), hw.cols, hw.pad
    if hw.kind == "transposed":
        rows, cols, pad = 2 * rows, 2 * cols, (2 - pad[0], 2 - pad[1])
    row_buffer = (2 * hw.pooled[1] if hw.kind == "transposed" else hw.pooled[1]) + 2 * pad[1] - 3
    has_rows = hw.kind in ("conv3x3", "transposed")
    return {
        "RCNT": {"last": rows + 2 * pad[0] - 1, "pad": pad[0]},
        "CCNT": {"last": cols + 2 * pad[1] - 1, "pad": pad[1]},
        "PRCNT": {"last": layer.pool[0] - 1},
        "PCCNT": {"last": layer.pool[1] - 1},
        "STRIDE": {"last": layer.pool_stride - 1},
        "TPTR": {"last": max(0, row_buffer) if has_rows else 0},
    }


def _write_pointers(hw: HwLayer, base: Word, quadrant: int, device: Device) -> dict[str, Fields]:
    gap = hw.layer.write_gap
    instance_step = device.pointer(1, 0)
    if hw.kind == "passthrough":
        own = [one for one in instances_of(hw.output_processors, device) if device.quadrant(one) == quadrant]
        instance = own[0] if own else 0
        lanes = device.geometry.processors_per_instance
        several = hw.processors.bit_count() > lanes or (hw.operands > 1 and hw.passes > 1)
        return {
            "WPTR_BASE": {"pointer": device.pointer(instance, base)},
            "WPTR_TOFF": {"step": instance_step if several else instance_step // lanes},
            "WPTR_CHOFF": {"step": gap + 1 if hw.expansion > 1 else 0},
        }
    return {
        "WPTR_BASE": {"pointer": device.pointer(device.instance_of(hw.first_slot), base)},
        "WPTR_TOFF": {"step": 1 if hw.kind in ("conv1x1", "flatten") else 0},
        "WPTR_MOFF": {"step": instance_step},
        "WPTR_CHOFF": {"step": hw.word_factor * (gap + 1) if hw.expansion > 1 else 0},
    }


def _time_slots(hw: HwLayer, device: Device) -> int:
    """Words that the fullest quadrant writes for one pixel and pass of a pass-through layer."""
    counts = [quadrant_slice(hw.processors, q, device).bit_count() for q in quadrants_of(hw.processors, device)]
    return ceil_div(max(counts), device.geometry.processors_per_instance)


def _oned(hw: HwLayer, device: Device) -> Fields:
    layer = hw.layer
    fields: dict[str, int] = {}
    if hw.operands > 1:
        assert layer.eltwise is not None
        pooled = layer.pool != (1, 1)
        fields |= {"eltwise_enable": 1, "eltwise_op": ELTWISE_CODE[layer.eltwise], "operands": hw.operands - 1}
        fields |= {"pool_first": int(layer.pool_first and pooled), "eltwise_conv": int(hw.kind != "passthrough")}
    if hw.kind == "passthrough":
        fields["time_slots"] = _time_slots(hw, device) - 1
        fields["width"] = int(hw.operands == 1)
    elif hw.kind == "conv1d":
        fields |= {"width": hw.taps, "enable": 1}
    elif hw.kind in ("conv1x1", "flatten"):
        fields["width"] = 1
    return fields


def _kernel_start(placed: Placed, slot: Slot, hw: HwLayer) -> tuple[Fields, Fields]:
    """MCNT, and the part of ONED that belongs to it: kernel units from the start of memory, and bytes beyond them."""
    if hw.weights is None:
        return {"last": 0 if hw.folded else (hw.expansion - 1) * COUNTER_UNIT}, {}
    unit, byte = divmod(placed.kernel_start(slot) * hw.device.memories["weights"].word_bytes, hw.taps)
    start = unit * COUNTER_UNIT
    return {"start": start, "last": start + (hw.kernels - 1) * hw.layer.weight_bits}, {"start_byte": byte}


def _lctrl0(hw: HwLayer) -> Fields:
    layer = hw.layer
    return {
        "master": 1,
        "global_write": 1,
        "parallel": int(layer.data_format == "CHW"),
        "pool_enable": int(layer.pool != (1, 1)),
        "max_pool": int(not layer.pool_average),
        "relu": int(layer.activation == "relu"),
        "wide": int(layer.output_width == 32),
    }


def _sources(placed: Placed, slot: Slot, quadrant: int) -> Fields:
    """Quadrants whose partial sums the first quadrant adds: those with processors of the layer or with its bias."""
    hw = placed.requirements.layer(slot)
    if quadrant != 0 or hw.kind == "passthrough":
        return {}
    others = set(quadrants_of(hw.processors, placed.requirements.device))
    if slot.name in placed.placement.biases:
        others.add(placed.placement.biases[slot.name].quadrant)
    return {"sources": sum(1 << other for other in others - {0})}


def _low_passes(device: Device) -> int:
    """The most that LCTRL1 holds of passes - 1; flattening layers have more bits in POST."""
    return device.registers["LCTRL1"].by_name["passes"].limit


def _lctrl1(hw: HwLayer) -> Fields:
    gap = hw.layer.write_gap
    if hw.kind == "passthrough":
        return {"passes": 0 if hw.folded else hw.passes - 1, "write_step": gap}
    return {
        "passes": hw.kernel_passes - 1 & _low_passes(hw.device),
        "write_step": hw.expansion * (gap + 1) - 1,
        "expansion": (hw.slots_per_pass - 1) * hw.layer.weight_bits,
    }


def _post(hw: HwLayer) -> Fields:
    layer = hw.layer
    shift = layer.output_shift + BYTE_BITS - layer.weight_bits
    extra = hw.kernel_passes - 1
    flatten = hw.kind == "flatten" and extra > _low_passes(hw.device)
    return {
        "shift": abs(shift),
        "shift_right": int(shift < 0),
        "passes_high": extra // (_low_passes(hw.device) + 1) if flatten else 0,
        "weight_size": WEIGHT_SIZE_CODE[layer.weight_bits],
        "time_slots": int(hw.kind == "passthrough"),
        "one_by_one": int(hw.kind == "passthrough" and hw.operands == 1),
        "absolute": int(layer.activation == "abs"),
        "flatten": int(flatten),
        "transposed": int(hw.kind == "transposed"),
    }


def _bias(placed: Placed, slot: Slot, quadrant: int) -> Fields:
    place = placed.placement.biases.get(slot.name)
    if place is None or place.quadrant != quadrant:
        return {}
    return {"bias_start": place.start, "bias_enable": 1}
