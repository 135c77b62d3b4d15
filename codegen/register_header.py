"""The registers and memories of a device as a C header, cnn_regs.h: addresses, fields, and checks that a compiler does.

The text is as the device file has it; a firmware's folder holds it for code and debuggers beside the runtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from offramp.codegen.c_templates import c_templates
from offramp.configs.device import Device
from offramp.configs.registers import Field, Register

_ALL = (1 << 32) - 1
TITLES = {
    "fifo": "Input FIFOs",
    "aon": "Always-on control",
    "quadrant": "Quadrants",
    "layer": "Layer slots of the quadrants",
    "stream": "Streams of the quadrants' first layer slots",
    "snoop": "Snoop units of the quadrants",
    "gcfr": "Power and reset of the quadrants, outside the accelerator",
}


@dataclass(frozen=True)
class _Address:
    """How an address is computed: a macro's parameters and expression, and both for its largest arguments."""

    parameters: str
    expression: str
    largest: str
    last: int


def register_header(device: Device) -> str:
    """The header's text."""
    values = {"device": device, "counts": _counts(device), "memories": _memories(device), "groups": _groups(device)}
    return c_templates().get_template("cnn_regs.h.j2").render(values)


def _counts(device: Device) -> list[tuple[str, int, str]]:
    geometry = device.geometry
    return [
        ("CNN_QUADRANTS", geometry.quadrants, "quadrants of the accelerator"),
        ("CNN_LAYERS", geometry.layers, "layer slots of a quadrant"),
        ("CNN_STREAM_LAYERS", geometry.stream_layers, "layer slots that have the stream registers"),
        ("CNN_PROCESSORS", geometry.processors_per_quadrant, "processors of a quadrant"),
        ("CNN_INSTANCES", geometry.instances_per_quadrant, "data memory instances of a quadrant"),
        ("CNN_DATA_WORDS", device.memories["data"].words, "32-bit words of an instance"),
        ("CNN_WEIGHT_COLUMNS", device.memories["weights"].words, "kernel columns of a processor"),
        ("CNN_BIAS_BYTES", device.memories["bias"].words, "bias bytes of a quadrant"),
        ("CNN_TRAM_WORDS", device.memories["tram"].words, "row memory words of a processor"),
    ]


def _memories(device: Device) -> Iterator[dict[str, str]]:
    """The macros of the memories: (name, unit, index, bytes from index to index, what it is)."""
    size = device.memories["weights"].word_bytes
    rows = (
        ("data", "DATA", "instance", "word", None, "Data memory: a word of four channels or pixels."),
        ("weights", "WEIGHTS", "processor", "column", None, f"Weight memory: a column of {size} bytes, word by word."),
        (
            "weights",
            "WEIGHTS_EXPRESS",
            "processor",
            "column",
            device.express_stride,
            "The same with CTRL.express: a byte write to this + 1 sets the column that packed words go on from.",
        ),
        ("bias", "BIAS", "", "index", None, "Bias memory: one signed byte in each 32-bit word."),
        ("tram", "TRAM", "processor", "word", None, "Row memory: 16 bits in each 32-bit word."),
    )
    for name, macro, unit, index, stride, meaning in rows:
        memory = device.memories[name]
        names = ["quadrant", *([unit] if unit else []), index]
        strides = [memory.quadrant_stride, *([memory.unit_stride] if unit else []), stride or memory.word_stride]
        address = _expression(memory.base, dict(zip(names, strides, strict=True)))
        yield {"call": f"CNN_{macro}({', '.join(names)})", "address": address, "meaning": meaning}


def _groups(device: Device) -> list[Mapping[str, Any]]:
    """The registers block by block, those of layers in the order of their numbers."""
    found: list[Mapping[str, Any]] = []
    for block in device.blocks:
        registers = [register for register in device.registers.values() if register.block == block]
        rows = [_register(device, register) for register in registers]
        found.append({"title": TITLES.get(block, block), "registers": rows})
    return found


def _register(device: Device, register: Register) -> Mapping[str, Any]:
    macro = f"CNN_{register.name}"
    address = _address(device, register)
    fewer = register.layers and register.layers < device.geometry.layers
    return {
        "macro": macro,
        "check": macro.lower(),
        "call": macro + address.parameters,
        "address": address.expression,
        "last_call": macro + address.largest,
        "last_address": _word(address.last),
        "meaning": register.meaning,
        "note": f"Layers 0 to {register.layers - 1} only. " if fewer else _ACCESS.get(register.access, ""),
        "source": register.source,
        "reset": "" if register.reset is None else _word(register.reset),
        "reserved": _word(_ALL & ~register.mask),
        "fields": [_field(macro, field) for field in register.fields],
        "all_fields": " +\n               ".join(f"{macro}_{field.name.upper()}_MASK" for field in register.fields),
    }


_ACCESS = {"read-only": "Read only. ", "write-only": "Write only. "}


def _field(register: str, field: Field) -> Mapping[str, Any]:
    macro = f"{register}_{field.name.upper()}"
    return {
        "macro": macro,
        "check": macro.lower(),
        "low": field.low,
        "bits": bits_text(field),
        "mask": _word(field.encode(field.limit)),
        "limit": f"0x{field.limit:x}u",
        "meaning": field.meaning,
    }


def bits_text(field: Field) -> str:
    """`high:low`, or one number."""
    return str(field.low) if field.width == 1 else f"{field.low + field.width - 1}:{field.low}"


def _address(device: Device, register: Register) -> _Address:
    block = device.blocks[register.block]
    base = block["base"] + register.offset
    strides = {"quadrant": block["quadrant_stride"]} if "quadrant_stride" in block else {}
    largest = [device.geometry.quadrants - 1] if strides else []
    if register.layers:
        strides["layer"] = block["layer_stride"]
        largest.append(register.layers - 1)
    last = device.register_address(register.name, *largest)
    if not strides:
        return _Address("", _word(base), "", last)
    arguments = ", ".join(f"{argument}u" for argument in largest)
    return _Address(f"({', '.join(strides)})", _expression(base, strides), f"({arguments})", last)


def _expression(base: int, strides: Mapping[str, int]) -> str:
    steps = (f" + 0x{stride:x}u * (uint32_t)({name})" for name, stride in strides.items())
    return _word(base) + "".join(steps)


def _word(value: int) -> str:
    return f"0x{value:08x}u"
