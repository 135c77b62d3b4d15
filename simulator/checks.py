"""Register combinations that the accelerator does not run: each rule raises an AcceleratorError naming the field."""

from __future__ import annotations

from collections.abc import Mapping

from offramp.configs.device import Device
from offramp.simulator.config import Depthwise, Kernel, LayerConfig
from offramp.simulator.errors import AcceleratorError, field_error
from offramp.simulator.form import LayerFields, LayerForm
from offramp.simulator.memory import WORD_BYTES
from offramp.simulator.store import placements

# What a quadrant may have for itself; everything else steps the array and must agree (izer backend/max7800x.py).
OWN_FIELDS = {
    ("LCTRL0", "sources"),
    ("EN", "processors"),
    ("EN", "kernels"),
    ("POST", "bias_start"),
    ("POST", "bias_enable"),
    ("ONED", "start_byte"),
}
REQUIRED = {("LCTRL0", "master"): 1, ("LCTRL0", "global_write"): 1}
# What the hardware does with these in a pass-through layer is not known.
CONVOLUTION_ONLY = (
    ("LCTRL0", "wide"),
    ("LCTRL0", "relu"),
    ("LCTRL0", "sources"),
    ("POST", "transposed"),
    ("POST", "absolute"),
    ("POST", "shift"),
    ("POST", "shift_right"),
    ("POST", "flatten"),
    ("POST", "four_outputs"),
    ("LCTRL0", "bypass"),
)
NOT_MODELLED = (("LCTRL0", "share_group"), ("LCTRL0", "share_all"), ("LCTRL0", "column_pad_only"))


def check_same(layer: int, per_quadrant: Mapping[int, LayerFields], master: int, form: LayerForm) -> None:
    """Registers that step the array are equal in all participating quadrants."""
    first = per_quadrant[master]
    own = OWN_FIELDS | set(form.own_fields) | ({("WPTR_BASE", "pointer")} if first["POST"]["time_slots"] else set())
    for quadrant, fields in per_quadrant.items():
        for register, values in fields.items():
            for name, value in values.items():
                if (register, name) not in own and value != first[register][name]:
                    raise field_error(
                        layer,
                        f"{register}.{name} of quadrant {quadrant}",
                        value,
                        f"participating quadrants must agree and quadrant {master} has {first[register][name]}",
                    )
        if form.distance(fields) != form.distance(first):
            found, wanted = form.distance(fields), form.distance(first)
            raise field_error(
                layer, f"{form.distance_name} of quadrant {quadrant}", found, f"quadrant {master} has {wanted}"
            )


def check_fields(layer: int, fields: LayerFields, device: Device) -> None:
    """Single fields: required, not modelled, or beyond a limit of the device."""
    for (register, name), value in REQUIRED.items():
        if fields[register][name] != value:
            raise field_error(layer, f"{register}.{name}", fields[register][name], f"must be {value}")
    for register, name in NOT_MODELLED:
        if fields[register][name]:
            raise field_error(layer, f"{register}.{name}", fields[register][name], "not modelled, must be 0")
    _check_kernel_shape(layer, fields, device)


def _check_kernel_shape(layer: int, fields: LayerFields, device: Device) -> None:
    oned, post = fields["ONED"], fields["POST"]
    width = oned["width"]
    if width > device.limits["conv1d_kernel"]:
        raise field_error(layer, "ONED.width", width, f"at most {device.limits['conv1d_kernel']}")
    if oned["enable"] and not width:
        raise field_error(layer, "ONED.width", width, "at least 1 with ONED.enable")
    if width > 1 and not oned["enable"]:
        raise field_error(layer, "ONED.width", width, "0 (3x3) or 1 (1x1) without ONED.enable")
    if oned["enable"] and oned["eltwise_enable"]:
        raise field_error(layer, "ONED.eltwise_enable", 1, "0 with ONED.enable")
    if post["transposed"] and width:
        raise field_error(layer, "ONED.width", width, "0 with POST.transposed")
    if post["passes_high"] and not post["flatten"]:
        raise field_error(layer, "POST.passes_high", post["passes_high"], "0 without POST.flatten")


def check_layer(
    config: LayerConfig, fields: LayerFields, per_quadrant: Mapping[int, LayerFields], device: Device, first: int
) -> None:
    """Rules between fields of a decoded layer. `first`: the layer with which the run begins."""
    _check_eltwise(config, fields)
    _check_row_buffer(config, fields)
    if config.kernel:
        _check_convolution(config, per_quadrant)
        if config.kernel.depthwise:
            _check_depthwise(config, config.kernel, fields, device)
    else:
        _check_pass_through(config, fields, per_quadrant, device)
    _check_parallel(config, device, first)
    _check_writes(config, device)
    if config.input.ahead and not config.streaming:
        _check_read_ahead(config, device)


def _check_writes(config: LayerConfig, device: Device) -> None:
    """No word is written twice: every group of slots has words of its own."""
    if config.out_rows < 1 or config.out_cols < 1:
        raise AcceleratorError(
            f"layer {config.layer}: RCNT, CCNT: the padded image is smaller than the kernel, "
            f"{config.out_rows} x {config.out_cols} results"
        )
    step = config.output.pixel_step
    reach = (config.out_pixels - 1) * step
    width = device.geometry.processors_per_instance if config.output.wide else 1
    starts: dict[tuple[int, int], list[int]] = {}  # instance, word modulo the step -> first words
    for place in (place for writer in config.writers for place in placements(config, writer, device)):
        for word in range(place.word, place.word + width):
            others = starts.setdefault((place.instance, word % step), [])
            if any(abs(word - other) <= reach for other in others):
                raise AcceleratorError(
                    f"layer {config.layer}: word {word} of instance {place.instance} is written for two groups of "
                    "slots; WPTR_BASE, WPTR_MOFF, WPTR_TOFF, WPTR_CHOFF and LCTRL1.write_step must keep them apart"
                )
            others.append(word)


def _check_read_ahead(config: LayerConfig, device: Device) -> None:
    """What is read ahead and what is written lie in different physical memories of an instance (README)."""
    size = device.memories["data"].bank_words
    read = _banks(config.input.word, config.input.words, size)
    read_from = {device.instance_of(processor) for processor in config.processors}
    reach = (config.out_pixels - 1) * config.output.pixel_step + (WORD_BYTES if config.output.wide else 1)
    for place in (place for writer in config.writers for place in placements(config, writer, device)):
        if place.instance in read_from and read & _banks(place.word, reach, size):
            found = f"word {config.input.word}, and {place.word} of instance {place.instance} is written"
            allowed = f"different physical memories, of {size} words, with LCTRL0.read_ahead"
            raise field_error(config.layer, "RPTR_BASE.word", found, allowed)


def _banks(first: int, words: int, size: int) -> set[int]:
    return set(range(first // size, (first + words - 1) // size + 1))


def _check_eltwise(config: LayerConfig, fields: LayerFields) -> None:
    oned, post = fields["ONED"], fields["POST"]
    if oned["eltwise_enable"] and not oned["operands"]:
        raise field_error(config.layer, "ONED.operands", 0, "at least 1 (two operands) with ONED.eltwise_enable")
    if oned["eltwise_conv"] != int(bool(oned["eltwise_enable"] and config.kernel)):
        raise field_error(
            config.layer,
            "ONED.eltwise_conv",
            oned["eltwise_conv"],
            "1 if and only if element-wise precedes a convolution",
        )
    if post["one_by_one"] != int(bool(config.kernel is None and not oned["eltwise_enable"])):
        raise field_error(
            config.layer, "POST.one_by_one", post["one_by_one"], "1 if and only if pass-through without element-wise"
        )


def _check_row_buffer(config: LayerConfig, fields: LayerFields) -> None:
    """TPTR must hold the row buffer's length; a wrong one makes the hardware convolve wrong columns."""
    start = fields["TPTR"]["start"]
    expected_start, length = 0, 0
    kernel = config.kernel
    if kernel and fields["POST"]["flatten"]:
        expected_start, length = config.input.passes - 1, config.input.passes
    elif kernel and kernel.cols == 3:
        columns = config.pooled_cols * (2 if kernel.transposed else 1)
        length = max(0, columns + 2 * kernel.pad_cols - kernel.cols)
    if config.row_buffer != length:
        raise field_error(config.layer, "TPTR.last - TPTR.start", config.row_buffer, f"must be {length}")
    if start != expected_start and not config.streaming:
        raise field_error(config.layer, "TPTR.start", start, f"must be {expected_start}")


def _check_convolution(config: LayerConfig, per_quadrant: Mapping[int, LayerFields]) -> None:
    master = config.quadrants[0].quadrant
    collected = {quadrant.quadrant for quadrant in config.quadrants}
    sources = per_quadrant[master]["LCTRL0"]["sources"]
    if sources >> master & 1:
        raise field_error(config.layer, "LCTRL0.sources", sources, f"bit {master} is the master itself, must be 0")
    for quadrant in range(sources.bit_length()):
        if sources >> quadrant & 1 and quadrant not in per_quadrant:
            raise field_error(config.layer, "LCTRL0.sources", sources, f"quadrant {quadrant} does not take part")
    for quadrant, fields in per_quadrant.items():
        enable, post = fields["EN"], fields["POST"]
        name = f"of quadrant {quadrant}"
        expected = 0 if config.kernel and config.kernel.bypass else enable["processors"]
        if enable["kernels"] != expected:
            found = f"{enable['kernels']:#x}"
            allowed = "0 with LCTRL0.bypass" if expected == 0 else f"equal to EN.processors {expected:#x}"
            raise field_error(config.layer, f"EN.kernels {name}", found, allowed)
        if quadrant in collected:
            continue
        if enable["processors"] or post["bias_enable"]:
            field = "EN.processors" if enable["processors"] else "POST.bias_enable"
            raise field_error(
                config.layer, f"{field} {name}", "set", f"its sum is lost: LCTRL0.sources is {sources:#x}"
            )
    if not config.processors:
        raise field_error(config.layer, "EN.processors", 0, "at least one processor in a collected quadrant")


def _check_depthwise(config: LayerConfig, kernel: Kernel, fields: LayerFields, device: Device) -> None:
    """Time slots of the fullest quadrant, kernels, and what is known of biases (izer max7800x.py, kbias.py)."""
    layer, group, passes = config.layer, device.geometry.processors_per_instance, config.input.passes
    counts = [len(quadrant.processors) for quadrant in config.writers]
    slots = min(max(counts), group) if kernel.depthwise == Depthwise.BROADCAST else max(counts)
    slots *= group if config.output.wide else 1
    for name, found, wanted in (
        ("ONED.time_slots", fields["ONED"]["time_slots"] + 1, slots),
        ("OCHAN.last", fields["OCHAN"]["last"] + 1, slots * passes),
    ):
        if found != wanted:
            raise field_error(layer, name, found - 1, f"{wanted - 1} with {max(counts)} processors of a quadrant")
    distance = fields["MCNT1"]["last"] - fields["MCNT2"]["start"]
    if not kernel.bypass and distance != (passes - 1) * kernel.bits:
        raise field_error(layer, "MCNT1.last - MCNT2.start", distance, f"{passes - 1} kernels of {kernel.bits} bits")
    if kernel.depthwise == Depthwise.MOVING:
        _check_moving(config, device)


def _check_moving(config: LayerConfig, device: Device) -> None:
    """Channels that are written one after the other: processors without gaps, and biases whose place is known."""
    for quadrant in config.writers:
        first, last = quadrant.processors[0], quadrant.processors[-1]
        if last - first + 1 != len(quadrant.processors):
            raise field_error(config.layer, "EN.processors", f"gaps in quadrant {quadrant.quadrant}", "not modelled")
    last_one = config.writers[-1]
    ragged = len(last_one.processors) < device.geometry.processors_per_quadrant
    if last_one.bias_start is not None and config.input.passes > 1 and ragged:
        allowed = f"0: where later passes of quadrant {last_one.quadrant}, which is not full, have biases is not known"
        raise field_error(config.layer, "POST.bias_enable", 1, allowed)


def _check_pass_through(
    config: LayerConfig, fields: LayerFields, per_quadrant: Mapping[int, LayerFields], device: Device
) -> None:
    layer = config.layer
    slots = fields["ONED"]["time_slots"] + 1
    group = device.geometry.processors_per_instance
    for quadrant in config.quadrants:
        needed = -(-len(quadrant.processors) // group)
        if needed > slots:
            found = f"{slots - 1} ({slots} time slots)"
            raise field_error(layer, "ONED.time_slots", found, f"quadrant {quadrant.quadrant} needs {needed}")
        if quadrant.bias_start is not None:
            raise field_error(layer, "POST.bias_enable", 1, "0 in a pass-through layer")
    if not config.processors:
        raise field_error(layer, "EN.processors", 0, "at least one processor")
    for register, name in CONVOLUTION_ONLY:
        if fields[register].get(name):
            raise field_error(
                layer, f"{register}.{name}", fields[register][name], "not modelled in a pass-through layer"
            )


def _check_parallel(config: LayerConfig, device: Device, first: int) -> None:
    if not config.input.parallel:
        return
    if config.layer != first or config.input.words_per_pixel > 1:
        raise AcceleratorError(
            f"layer {config.layer}: LCTRL0.parallel is 1; only layer {first}, with one pass and one operand, reads CHW "
            "data"
        )
    group = device.geometry.processors_per_instance
    for processor in config.processors:
        if processor % group:
            raise field_error(
                config.layer, "EN.processors", f"processor {processor} enabled", f"CHW: multiples of {group} only"
            )
