"""Registers of a layer that count up to the last pooling window (MAX78002; izer backend/max7800x.py, tornadocnn.py).

What no source says and no program of the vendor shows is refused, with the fields that it is about.
"""

from __future__ import annotations

from offramp.configs.device import Device
from offramp.simulator.config import Depthwise, Kernel, Run
from offramp.simulator.errors import field_error
from offramp.simulator.form import (
    Image,
    LayerFields,
    LayerForm,
    depthwise,
    has_kernels,
    kernel_shape,
    operands,
    passes,
    weight_bits,
)
from offramp.simulator.window_streams import PASSES_AHEAD, expected_stream

BYPASS_BITS = 8  # what counters count with, where there are no kernels
SLOTS_AT_ONCE = 4  # with POST.four_outputs


def check(layer: int, fields: LayerFields, device: Device) -> None:
    """Single fields and pairs of them that say the same."""
    control, post = fields["LCTRL0"], fields["POST"]
    for register in ("RCNT", "CCNT"):
        pad = _pad(fields, register)
        if pad > device.limits["pad"]:
            raise field_error(layer, f"{register}.pad", pad - 1, f"at most {device.limits['pad'] - 1}")
        if fields[register]["pad"] and not pad:
            raise field_error(layer, f"{register}.pad", fields[register]["pad"], "0 without pad_enable")
    columns = fields["CCNT"]["last_window"] + fields["CCNT"]["rest"]
    if fields["ONED"]["enable"] and columns != 1:
        raise field_error(layer, "CCNT (columns)", columns, "1 with ONED.enable")
    if has_kernels(fields) and (control["kernel_rows"] + 1, control["kernel_cols"] + 1) != kernel_shape(fields):
        found = f"{control['kernel_rows'] + 1} x {control['kernel_cols'] + 1}"
        raise field_error(layer, "LCTRL0.kernel_rows, kernel_cols", found, "ONED.width and enable say another kernel")
    _check_ahead(layer, fields)
    if depthwise(fields):
        _check_depthwise(layer, fields)
    if control["broadcast"] and not (depthwise(fields) or control["read_ahead"]):
        raise field_error(layer, "LCTRL0.broadcast", 1, "0 without POST.depthwise or read_ahead")
    if post["four_outputs"] and (post["depthwise"] or post["time_slots"] or control["bypass"]):
        raise field_error(layer, "POST.four_outputs", 1, "0 without kernels, and not known in a depthwise layer")


def _check_ahead(layer: int, fields: LayerFields) -> None:
    control, post = fields["LCTRL0"], fields["POST"]
    shift = control["read_ahead_shift"] | (0 if depthwise(fields) else control["broadcast"] << 3)
    last = passes(fields) - 1
    expected = (last // PASSES_AHEAD if post["tcalc"] else last) if control["read_ahead"] else 0
    if shift != expected & 0xF:
        raise field_error(layer, "LCTRL0.read_ahead_shift", shift, f"{expected & 0xF} with {last + 1} passes")
    if post["tcalc"] and not control["read_ahead"]:
        raise field_error(layer, "POST.tcalc", 1, "0 without LCTRL0.read_ahead")


def _check_depthwise(layer: int, fields: LayerFields) -> None:
    post = fields["POST"]
    for register, name in (("LCTRL0", "sources"), ("POST", "flatten"), ("POST", "one_by_one")):
        if fields[register][name]:
            raise field_error(layer, f"{register}.{name}", fields[register][name], "0 with POST.depthwise")
    if not post["time_slots"]:
        raise field_error(layer, "POST.time_slots", 0, "1 with POST.depthwise")


def idle(fields: LayerFields) -> bool:
    """All registers are 0, beside where the run goes on: only another quadrant works (a slot that resets pooling)."""
    return not any(value for name, values in fields.items() if name != "NXTLYR" for value in values.values())


def _pad(fields: LayerFields, register: str) -> int:
    return fields[register]["pad"] + 1 if fields[register]["pad_enable"] else 0


def image(layer: int, fields: LayerFields) -> Image:
    """From the last window and the steps between windows. AcceleratorError where they contradict each other."""
    stride, last_rows = fields["STRIDE"]["last"] + 1, fields["RCNT"]["last_window"]
    last_cols, rest = fields["CCNT"]["last_window"], fields["CCNT"]["rest"]
    for register, last in (("RCNT", last_rows), ("CCNT", last_cols)):
        if last % stride:
            raise field_error(layer, f"{register}.last_window", last, f"a multiple of the stride, {stride}")
    step, left = divmod(fields["STRIDE"]["window_step"], stride)
    if left or not step:
        raise field_error(layer, "STRIDE.window_step", fields["STRIDE"]["window_step"], f"a multiple of {stride} > 0")
    between = (rest + (stride - 1) * (last_cols + rest)) * step
    if fields["RCNT"]["row_step"] != between & 0xFFFF:
        raise field_error(layer, "RCNT.row_step", fields["RCNT"]["row_step"], f"{between} with STRIDE and CCNT")
    reach = [_reach(layer, fields, register) for register in ("PRCNT", "PCCNT")]
    if reach[1][0] > rest:
        found = f"{last_cols}, and windows of {reach[1][0]} columns"
        raise field_error(layer, "CCNT.last_window", found, f"the row ends {rest} columns from there")
    rows, cols = last_rows + reach[0][0], last_cols + rest
    windows = (last_rows // stride + 1, last_cols // stride + 1)
    if fields["POST"]["transposed"]:
        rows, cols, windows = rows // 2, cols // 2, (windows[0] // 2, windows[1] // 2)
    words = passes(fields) * operands(fields)
    if rows * cols > 1 and not fields["LCTRL0"]["parallel"] and (step < words or (step > words > operands(fields))):
        allowed = f"{words} words, more only with a single pass"
        raise field_error(layer, "STRIDE.window_step", f"{step} words from pixel to pixel", allowed)
    return Image(rows, cols, False, windows, (reach[0][1], reach[1][1]), max(step, words))


def _reach(layer: int, fields: LayerFields, register: str) -> tuple[int, int]:
    """Samples from the first to the last one of a window, and their distance."""
    last, dilation = fields[register]["last"], fields[register]["dilation"] + 1
    if last % dilation:
        raise field_error(layer, f"{register}.last", last, f"a multiple of the dilation, {dilation}")
    return (last + 1 if fields["LCTRL0"]["pool_enable"] else 1), dilation


def kernel(layer: int, fields: LayerFields, run: Run) -> Kernel:
    """AcceleratorError if OCHAN does not count whole output slots, or MCNT1 says something else."""
    control, post = fields["LCTRL0"], fields["POST"]
    bits = BYPASS_BITS if control["bypass"] else weight_bits(fields)
    if fields["LCTRL1"]["expansion"] % bits:
        raise field_error(layer, "LCTRL1.expansion", fields["LCTRL1"]["expansion"], f"a multiple of {bits} bits")
    slots = 1 if depthwise(fields) else _slots(layer, fields, bits)
    rows, cols = kernel_shape(fields)
    return Kernel(
        rows=rows,
        cols=cols,
        pad_rows=_pad(fields, "RCNT"),
        pad_cols=_pad(fields, "CCNT"),
        transposed=bool(post["transposed"]),
        bits=bits,
        slots=slots,
        slots_per_pass=1 if depthwise(fields) else fields["LCTRL1"]["expansion"] // bits + 1,
        depthwise=_depthwise(fields),
        bypass=bool(control["bypass"]),
        binary=run.binary and bits == 1,
        four_outputs=bool(post["four_outputs"]),
    )


def _slots(layer: int, fields: LayerFields, bits: int) -> int:
    count = fields["OCHAN"]["last"] + 1
    if fields["LCTRL0"]["bypass"]:
        return count
    if fields["POST"]["four_outputs"]:
        count *= SLOTS_AT_ONCE  # MCNT1 is not looked at: izer writes two different values
    elif _distance(fields) != (count - 1) * bits:
        raise field_error(layer, "MCNT1.last - MCNT2.start", _distance(fields), f"{count - 1} kernels of {bits} bits")
    if count % passes(fields):
        raise field_error(layer, "OCHAN (kernels)", count, f"a multiple of the {passes(fields)} input passes (LCTRL1)")
    return count // passes(fields)


def _depthwise(fields: LayerFields) -> Depthwise | None:
    if not depthwise(fields):
        return None
    return Depthwise.BROADCAST if fields["LCTRL0"]["broadcast"] else Depthwise.MOVING


def _distance(fields: LayerFields) -> int:
    return fields["MCNT1"]["last"] - fields["MCNT2"]["start"]


def _bias_unit(fields: LayerFields) -> int:
    in_fours = fields["POST"]["four_outputs"] or _depthwise(fields) == Depthwise.BROADCAST
    return SLOTS_AT_ONCE if in_fours else 1


WINDOW_FORM = LayerForm(
    own_fields={("MCNT1", "last"), ("MCNT2", "start")},
    check=check,
    idle=idle,
    image=image,
    kernel=kernel,
    counter=lambda fields: fields["MCNT2"]["start"],
    distance=_distance,
    distance_name="MCNT1.last - MCNT2.start",
    bias_unit=_bias_unit,
    one_shot=True,
    bias_skew=False,
    stream=expected_stream,
)
