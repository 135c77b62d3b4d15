"""Registers of a layer that count the padded image (UG7456 tables 27-23, 27-24, 27-28, 27-35)."""

from __future__ import annotations

from offramp.configs.device import Device
from offramp.simulator.config import Kernel, Run
from offramp.simulator.errors import field_error
from offramp.simulator.form import Image, LayerFields, LayerForm, kernel_shape, operands, passes, weight_bits
from offramp.simulator.image_streams import expected_stream


def check(layer: int, fields: LayerFields, device: Device) -> None:
    """Rows and columns, and what kernels need of them."""
    for register in ("RCNT", "CCNT"):
        pad, last = fields[register]["pad"], fields[register]["last"]
        if pad > device.limits["pad"]:
            raise field_error(layer, f"{register}.pad", pad, f"at most {device.limits['pad']}")
        if last + 1 - 2 * pad < 1:
            raise field_error(layer, f"{register}.last", last, f"at least 2 * pad = {2 * pad}")
        if fields["POST"]["transposed"] and (last + 1) % 2:
            raise field_error(layer, f"{register}.last", last, "odd with POST.transposed")
    if fields["ONED"]["enable"] and fields["CCNT"]["last"]:
        raise field_error(layer, "CCNT.last", fields["CCNT"]["last"], "0 with ONED.enable")


def image(layer: int, fields: LayerFields) -> Image:
    """AcceleratorError for a pooling window that is larger than the image."""
    rows, cols = (fields[name]["last"] + 1 - 2 * fields[name]["pad"] for name in ("RCNT", "CCNT"))
    if fields["POST"]["transposed"]:
        rows, cols = rows // 2, cols // 2  # the counters count the samples with the zeros between them
    stride, pools = fields["STRIDE"]["last"] + 1, fields["LCTRL0"]["pool_enable"]
    windows = []
    for register, size in (("PRCNT", rows), ("PCCNT", cols)):
        window = fields[register]["last"] + 1 if pools else 1
        if window > size:
            raise field_error(layer, f"{register}.last", window - 1, f"the image has {size} samples")
        windows.append((size - window) // stride + 1)
    return Image(rows, cols, True, (windows[0], windows[1]), (1, 1), passes(fields) * operands(fields))


def kernel(layer: int, fields: LayerFields, run: Run) -> Kernel:
    """AcceleratorError if MCNT does not count whole output slots."""
    bits, distance = weight_bits(fields), _distance(fields)
    if distance < 0 or distance % bits:
        raise field_error(layer, "MCNT.last - MCNT.start", distance, f"a multiple >= 0 of the weights' {bits} bits")
    count = distance // bits + 1
    if count % passes(fields):
        raise field_error(layer, "MCNT (kernels)", count, f"a multiple of the {passes(fields)} input passes (LCTRL1)")
    if fields["LCTRL1"]["expansion"] % bits:
        raise field_error(layer, "LCTRL1.expansion", fields["LCTRL1"]["expansion"], f"a multiple of {bits} bits")
    rows, cols = kernel_shape(fields)
    return Kernel(
        rows=rows,
        cols=cols,
        pad_rows=fields["RCNT"]["pad"],
        pad_cols=fields["CCNT"]["pad"],
        transposed=bool(fields["POST"]["transposed"]),
        bits=bits,
        slots=count // passes(fields),
        slots_per_pass=fields["LCTRL1"]["expansion"] // bits + 1,
    )


def _distance(fields: LayerFields) -> int:
    return fields["MCNT"]["last"] - fields["MCNT"]["start"]


IMAGE_FORM = LayerForm(
    own_fields={("MCNT", "start"), ("MCNT", "last")},  # compared as a count
    check=check,
    idle=lambda fields: False,
    image=image,
    kernel=kernel,
    counter=lambda fields: fields["MCNT"]["start"],
    distance=_distance,
    distance_name="MCNT.last - MCNT.start",
    bias_unit=lambda fields: 1,
    one_shot=False,
    bias_skew=True,  # izer kbias.py
    stream=expected_stream,
)
