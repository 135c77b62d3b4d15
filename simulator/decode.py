"""Registers of one layer slot to a LayerConfig (UG7456 tables 27-23..27-44, izer backend/max7800x.py)."""

from __future__ import annotations

from collections.abc import Mapping

from offramp.configs.device import Device
from offramp.simulator.arithmetic import Eltwise
from offramp.simulator.checks import check_fields, check_layer, check_same
from offramp.simulator.config import Input, LayerConfig, Output, Pooling, Quadrant, Run, Stream
from offramp.simulator.errors import AcceleratorError
from offramp.simulator.form import Image, LayerFields, LayerForm, has_kernels, operands, passes
from offramp.simulator.forms import form_of
from offramp.simulator.memory import WORD_BYTES
from offramp.simulator.registers import RegisterFile


def decode_layer(registers: RegisterFile, layer: int, run: Run) -> LayerConfig:
    """Decode a layer slot for a run. AcceleratorError names the register and field that is not consistent."""
    device, form = registers.device, form_of(registers.device)
    per_quadrant = _fields_by_quadrant(registers, layer, run, form)
    fields = per_quadrant[run.master]
    check_same(layer, per_quadrant, run.master, form)
    check_fields(layer, fields, device)
    form.check(layer, fields, device)
    image = form.image(layer, fields)
    config = LayerConfig(
        layer=layer,
        input=_input(fields, image),
        pooling=_pooling(fields, image, run),
        kernel=form.kernel(layer, fields, run) if has_kernels(fields) else None,
        output=_output(fields),
        quadrants=_quadrants(device, per_quadrant, run, layer),
        stream=_stream(fields),
        row_buffer=fields["TPTR"]["last"] - fields["TPTR"]["start"],
        streaming=_streams(fields, run),
    )
    check_layer(config, fields, per_quadrant, device, run.first)
    return config


def _fields_by_quadrant(registers: RegisterFile, layer: int, run: Run, form: LayerForm) -> dict[int, LayerFields]:
    """Of the quadrants that take part. AcceleratorError if they, or idle ones, do not go on with the same layer."""
    fields = {quadrant: _fields(registers, quadrant, layer) for quadrant in run.quadrants}
    for quadrant, found in fields.items():
        if found.get("NXTLYR") != fields[run.master].get("NXTLYR"):
            raise AcceleratorError(f"layer {layer}: NXTLYR of quadrant {quadrant} and of quadrant {run.master} differ")
    return {quadrant: found for quadrant, found in fields.items() if quadrant == run.master or not form.idle(found)}


def _fields(registers: RegisterFile, quadrant: int, layer: int) -> LayerFields:
    return {
        register.name: registers.fields(register.name, quadrant, layer)
        for register in registers.device.layer_registers()
        if layer < register.layers
    }


def _streams(fields: LayerFields, run: Run) -> bool:
    return run.stream and "FBUF" in fields and fields["FBUF"]["words"] != 0


def _stream(fields: LayerFields) -> Stream | None:
    if "FBUF" not in fields:
        return None
    delta = fields["STRM1"]
    return Stream(
        start=fields["STRM0"]["start"],
        input_volume=delta["input_volume"],
        row_delta=delta["row_delta"],
        multi_row_delta=delta["multi_row_delta"],
        words=fields["FBUF"]["words"],
        row_buffer=fields["TPTR"]["start"],
    )


def _input(fields: LayerFields, image: Image) -> Input:
    oned = fields["ONED"]
    return Input(
        word=fields["RPTR_BASE"]["word"],
        rows=image.rows,
        cols=image.cols,
        whole=image.whole,
        passes=passes(fields),
        operands=operands(fields),
        op=Eltwise(oned["eltwise_op"]) if oned["eltwise_enable"] else None,
        pool_first=bool(oned["pool_first"]),
        parallel=bool(fields["LCTRL0"]["parallel"]),
        pixel_step=image.pixel_step,
        ahead=bool(fields["LCTRL0"].get("read_ahead")),
        ahead_in_passes=bool(fields["POST"].get("tcalc")),
    )


def _pooling(fields: LayerFields, image: Image, run: Run) -> Pooling:
    control = fields["LCTRL0"]
    rows, cols = (
        fields[name]["last"] // step + 1 if control["pool_enable"] else 1
        for name, step in zip(("PRCNT", "PCCNT"), image.dilation, strict=True)
    )
    return Pooling(
        windows=image.windows,
        rows=rows,
        cols=cols,
        dilation=image.dilation,
        stride=fields["STRIDE"]["last"] + 1,
        average=not control["max_pool"],
        round=run.pool_round and not fields["ONED"]["enable"],  # izer: no rounding in one dimension
    )


def _output(fields: LayerFields) -> Output:
    post, control = fields["POST"], fields["LCTRL0"]
    step = "WPTR_TOFF" if post["time_slots"] else "WPTR_MOFF"
    wide = bool(control["wide"])
    return Output(
        group_step=fields[step]["step"],
        pass_step=fields["WPTR_CHOFF"]["step"],
        pixel_step=(fields["LCTRL1"]["write_step"] + 1) * (WORD_BYTES if wide else 1),
        wide=wide,
        shift=-post["shift"] if post["shift_right"] else post["shift"],
        relu=bool(control["relu"]),
        absolute=bool(post["absolute"]),
    )


def _quadrants(device: Device, per_quadrant: Mapping[int, LayerFields], run: Run, layer: int) -> tuple[Quadrant, ...]:
    fields, form = per_quadrant[run.master], form_of(device)
    if fields["POST"]["time_slots"]:
        numbers = tuple(per_quadrant)
    else:
        sources = fields["LCTRL0"]["sources"]
        numbers = (run.master, *(q for q in per_quadrant if sources >> q & 1))
    skew = int(form.bias_skew and layer == 0 and _streams(fields, run))  # a streaming layer 0 counts biases from one on
    return tuple(_quadrant(device, number, per_quadrant[number], skew) for number in numbers)


def _quadrant(device: Device, number: int, fields: LayerFields, skew: int) -> Quadrant:
    form, per_quadrant = form_of(device), device.geometry.processors_per_quadrant
    enabled = fields["EN"]["processors"]
    post = fields["POST"]
    return Quadrant(
        quadrant=number,
        processors=tuple(number * per_quadrant + p for p in range(per_quadrant) if enabled >> p & 1),
        counter=form.counter(fields),
        start_byte=fields["ONED"]["start_byte"],
        bias_start=post["bias_start"] * form.bias_unit(fields) + skew if post["bias_enable"] else None,
        write_base=fields["WPTR_BASE"]["pointer"],
    )
