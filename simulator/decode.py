"""Registers of one layer slot to a LayerConfig (UG7456 tables 27-23..27-44, izer backend/max7800x.py)."""

from __future__ import annotations

from collections.abc import Mapping

from offramp.configs.device import Device
from offramp.simulator.arithmetic import Eltwise
from offramp.simulator.checks import check_fields, check_layer, check_same
from offramp.simulator.config import Input, Kernel, LayerConfig, Output, Pooling, Quadrant, Run, Stream
from offramp.simulator.errors import field_error
from offramp.simulator.memory import WORD_BYTES
from offramp.simulator.registers import RegisterFile

LayerFields = Mapping[str, Mapping[str, int]]  # register name -> field name -> value
LOW_PASSES = 16  # passes that LCTRL1 counts; POST counts multiples of them
COUNTER_UNIT = 8  # kernel counter: bits of position within a kernel unit


def decode_layer(registers: RegisterFile, layer: int, run: Run) -> LayerConfig:
    """Decode a layer slot for a run. AcceleratorError names the register and field that is not consistent."""
    device = registers.device
    per_quadrant = {quadrant: _fields(registers, quadrant, layer) for quadrant in run.quadrants}
    fields = per_quadrant[run.master]
    check_same(layer, per_quadrant, run.master)
    check_fields(layer, fields, device)
    kernel = None if fields["POST"]["time_slots"] else _kernel(layer, fields)
    config = LayerConfig(
        layer=layer,
        input=_input(fields, kernel),
        pooling=_pooling(fields, run),
        kernel=kernel,
        output=_output(fields),
        quadrants=_quadrants(device, per_quadrant, run, layer),
        stream=_stream(fields),
        row_buffer=fields["TPTR"]["last"] - fields["TPTR"]["start"],
        streaming=_streams(fields, run),
    )
    check_layer(config, fields, per_quadrant, device)
    return config


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


def passes(fields: LayerFields) -> int:
    """Input passes; flattening extends the count by four bits."""
    low, post = fields["LCTRL1"]["passes"], fields["POST"]
    return (post["passes_high"] * LOW_PASSES + low if post["flatten"] else low) + 1


def _input(fields: LayerFields, kernel: Kernel | None) -> Input:
    oned = fields["ONED"]
    rows, cols = (fields[name]["last"] + 1 - 2 * fields[name]["pad"] for name in ("RCNT", "CCNT"))
    if kernel and kernel.transposed:
        rows, cols = rows // 2, cols // 2  # the counters count the samples with the zeros between them
    return Input(
        word=fields["RPTR_BASE"]["word"],
        rows=rows,
        cols=cols,
        passes=passes(fields),
        operands=oned["operands"] + 1 if oned["eltwise_enable"] else 1,
        op=Eltwise(oned["eltwise_op"]) if oned["eltwise_enable"] else None,
        pool_first=bool(oned["pool_first"]),
        parallel=bool(fields["LCTRL0"]["parallel"]),
    )


def _pooling(fields: LayerFields, run: Run) -> Pooling:
    control = fields["LCTRL0"]
    enabled = control["pool_enable"]
    return Pooling(
        rows=fields["PRCNT"]["last"] + 1 if enabled else 1,
        cols=fields["PCCNT"]["last"] + 1 if enabled else 1,
        stride=fields["STRIDE"]["last"] + 1,
        average=not control["max_pool"],
        round=run.pool_round and not fields["ONED"]["enable"],  # izer: no rounding in one dimension
    )


def weight_bits(fields: LayerFields) -> int:
    """POST.weight_size: 0 means 8 bits, n means 2^(n-1) bits."""
    code = fields["POST"]["weight_size"]
    return 1 << (code - 1) if code else 8


def _kernel(layer: int, fields: LayerFields) -> Kernel:
    oned, post, bits = fields["ONED"], fields["POST"], weight_bits(fields)
    distance = fields["MCNT"]["last"] - fields["MCNT"]["start"]
    if distance < 0 or distance % bits:
        raise field_error(layer, "MCNT.last - MCNT.start", distance, f"a multiple >= 0 of the weights' {bits} bits")
    count = distance // bits + 1
    if count % passes(fields):
        raise field_error(layer, "MCNT (kernels)", count, f"a multiple of the {passes(fields)} input passes (LCTRL1)")
    if fields["LCTRL1"]["expansion"] % bits:
        raise field_error(layer, "LCTRL1.expansion", fields["LCTRL1"]["expansion"], f"a multiple of {bits} bits")
    if oned["width"]:
        rows, cols = (oned["width"], 1) if oned["enable"] else (1, 1)
    else:
        rows, cols = 3, 3
    return Kernel(
        rows=rows,
        cols=cols,
        pad_rows=fields["RCNT"]["pad"],
        pad_cols=fields["CCNT"]["pad"],
        transposed=bool(post["transposed"]),
        bits=bits,
        slots=count // passes(fields),
        slots_per_pass=fields["LCTRL1"]["expansion"] // bits + 1,
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
    fields = per_quadrant[run.master]
    if fields["POST"]["time_slots"]:
        numbers = run.quadrants
    else:
        sources = fields["LCTRL0"]["sources"]
        numbers = (run.master, *(q for q in run.quadrants if sources >> q & 1))
    skew = int(layer == 0 and _streams(fields, run))  # a streaming layer 0 counts biases from one on (izer kbias.py)
    return tuple(_quadrant(device, number, per_quadrant[number], skew) for number in numbers)


def _quadrant(device: Device, number: int, fields: LayerFields, skew: int) -> Quadrant:
    per_quadrant = device.geometry.processors_per_quadrant
    enabled = fields["EN"]["processors"]
    post = fields["POST"]
    return Quadrant(
        quadrant=number,
        processors=tuple(number * per_quadrant + p for p in range(per_quadrant) if enabled >> p & 1),
        counter=fields["MCNT"]["start"],
        start_byte=fields["ONED"]["start_byte"],
        bias_start=post["bias_start"] + skew if post["bias_enable"] else None,
        write_base=fields["WPTR_BASE"]["pointer"],
    )
