"""Registers of one layer slot.

Register values: UG7456 chapter 27 and izer backend/max7800x.py "Configure per-layer control registers". Only values
that are not zero are set here; `lower_segment` adds the zeros, because another run may have left something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from offramp.codegen.lower_common import Form, Registers, low_passes
from offramp.codegen.lower_image import IMAGE
from offramp.codegen.lower_streams import stream_registers
from offramp.codegen.lower_window import WINDOW
from offramp.codegen.program import Fields
from offramp.configs.device import Device, Word
from offramp.planner.allocation.place import Placed
from offramp.planner.hardware.hw_layer import BYTE_BITS, HwLayer, instances_of, quadrant_slice, quadrants_of, set_bits
from offramp.planner.hardware.time_slots import time_slots
from offramp.planner.ir.chain import INPUT_TENSOR, Slot
from offramp.planner.ir.network import Network

ELTWISE_CODE = {"sub": 0, "add": 1, "or": 2, "xor": 3}
WEIGHT_SIZE_CODE = {8: 0, 1: 1, 2: 2, 4: 3}
FORMS: Mapping[str, Form] = {"image": IMAGE, "window": WINDOW}  # by `Device.layer_form`


def reads_fifo(placed: Placed, slots: Sequence[Slot]) -> bool:
    """Whether a run takes the input from the FIFO instead of data memory."""
    return network_of(placed, slots).fifo and INPUT_TENSOR in slots[0].reads


def network_of(placed: Placed, slots: Sequence[Slot]) -> Network:
    """The network whose modes hold during a run."""
    return placed.requirements.chain.networks[slots[0].network]


def slot_registers(placed: Placed, slots: Sequence[Slot], slot: Slot, quadrant: int) -> Registers:
    """The registers of one of a run's slots in a quadrant, by name; those that are zero may be missing."""
    hw = placed.requirements.layer(slot)
    device = placed.requirements.device
    form = FORMS[device.layer_form]
    base = placed.base(slot.writes) - hw.surplus
    layers = [placed.requirements.layer(one) for one in slots]
    modes, kernels = form.modes(hw), form.kernels(placed, slot, hw)
    values = form.geometry(hw) | _write_pointers(hw, base, quadrant, device) | kernels
    values["RPTR_BASE"] = {"word": placed.read_base(slot)}
    values["ONED"] = {**_oned(hw), **kernels.get("ONED", {})}
    values["LCTRL0"] = {**_lctrl0(hw), **modes.get("LCTRL0", {}), **_sources(placed, slot, quadrant)}
    values["LCTRL1"] = _lctrl1(hw)
    values["POST"] = {**_post(hw), **modes.get("POST", {}), **_bias(placed, slot, quadrant)}
    processors = quadrant_slice(hw.processors, quadrant, device)
    values |= stream_registers(layers, slots.index(slot), reads_fifo(placed, slots))
    values["EN"] = {"processors": processors, "kernels": 0 if hw.weights is None else processors}
    return values


def _write_pointers(hw: HwLayer, base: Word, quadrant: int, device: Device) -> Registers:
    gap = hw.layer.write_gap
    step = device.pointer(1, 0)
    lanes = device.geometry.processors_per_instance
    passes = {"step": hw.word_factor * (gap + 1) if hw.expansion > 1 else 0}
    if hw.kind == "passthrough":
        own = [one for one in instances_of(hw.output_processors, device) if device.quadrant(one) == quadrant]
        several = hw.processors.bit_count() > lanes or (hw.operands > 1 and hw.passes > 1)
        return {
            "WPTR_BASE": {"pointer": device.pointer(own[0] if own else 0, base)},
            "WPTR_TOFF": {"step": step if several else step // lanes},
            "WPTR_CHOFF": passes,
        }
    instance = device.instance_of(hw.first_slot)
    within = 1 if hw.kind in ("conv1x1", "flatten") and not hw.layer.depthwise else 0
    if hw.layer.depthwise and not hw.broadcast:
        instance, within = _moved_instance(hw, quadrant), step
    return {
        "WPTR_BASE": {"pointer": device.pointer(instance, base)},
        "WPTR_TOFF": {"step": within},
        "WPTR_MOFF": {"step": step},
        "WPTR_CHOFF": passes,
    }


def _moved_instance(hw: HwLayer, quadrant: int) -> int:
    """The instance for which a quadrant's first processor writes, where a depthwise layer writes for other processors
    than its own: one after the other, in the order of the quadrants."""
    width = hw.device.geometry.processors_per_quadrant
    before = (hw.processors & (1 << quadrant * width) - 1).bit_count()
    return hw.device.instance_of(set_bits(hw.output_processors)[0] + before)


def _oned(hw: HwLayer) -> Fields:
    layer = hw.layer
    fields: dict[str, int] = {}
    if hw.operands > 1:
        assert layer.eltwise is not None
        pooled = layer.pool != (1, 1)
        fields |= {"eltwise_enable": 1, "eltwise_op": ELTWISE_CODE[layer.eltwise], "operands": hw.operands - 1}
        fields |= {"pool_first": int(layer.pool_first and pooled), "eltwise_conv": int(hw.kind != "passthrough")}
    if hw.kind == "passthrough" or layer.depthwise:
        fields["time_slots"] = time_slots(hw) - 1
    if hw.kind == "passthrough":
        fields["width"] = int(hw.operands == 1)
    elif hw.kind == "conv1d":
        fields |= {"width": hw.taps, "enable": 1}
    elif hw.kind in ("conv1x1", "flatten"):
        fields["width"] = 1
    return fields


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
    """Quadrants whose partial sums the first quadrant adds: those with processors of the layer or with its bias. In
    layers without sums over processors there are none."""
    hw = placed.requirements.layer(slot)
    if quadrant != 0 or hw.kind == "passthrough" or hw.layer.depthwise:
        return {}
    others = set(quadrants_of(hw.processors, placed.requirements.device))
    if slot.name in placed.placement.biases:
        others.add(placed.placement.biases[slot.name].quadrant)
    return {"sources": sum(1 << other for other in others - {0})}


def _lctrl1(hw: HwLayer) -> Fields:
    gap = hw.layer.write_gap
    if hw.kind == "passthrough":
        return {"passes": 0 if hw.folded else hw.passes - 1, "write_step": gap}
    return {
        "passes": hw.kernel_passes - 1 & low_passes(hw.device),
        "write_step": hw.expansion * (gap + 1) - 1,
        "expansion": (hw.slots_per_pass - 1) * hw.layer.weight_bits,
    }


def _post(hw: HwLayer) -> Fields:
    layer = hw.layer
    shift = layer.output_shift + BYTE_BITS - layer.weight_bits
    extra, low = hw.kernel_passes - 1, low_passes(hw.device)
    flatten = hw.kind == "flatten" and extra > low
    return {
        "shift": abs(shift),
        "shift_right": int(shift < 0),
        "passes_high": extra // (low + 1) if flatten else 0,
        "weight_size": WEIGHT_SIZE_CODE[layer.weight_bits],
        "time_slots": int(hw.kind == "passthrough" or layer.depthwise),
        "one_by_one": int(hw.kind == "passthrough" and hw.operands == 1),
        "absolute": int(layer.activation == "abs"),
        "flatten": int(flatten),
        "transposed": int(hw.kind == "transposed"),
    }


def _bias(placed: Placed, slot: Slot, quadrant: int) -> Fields:
    """Where the biases start: in bytes, in fours where four outputs are computed at once or written for each word."""
    place = placed.bias(slot, quadrant)
    if place is None:
        return {}
    hw = placed.requirements.layer(slot)
    lanes = hw.device.geometry.processors_per_instance
    unit = hw.at_once if hw.at_once > 1 else lanes if hw.broadcast else 1
    return {"bias_start": place.start // unit, "bias_enable": 1}
