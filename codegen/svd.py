"""The registers of a device as a CMSIS-SVD file, with which debuggers show them by name.

Format: Arm, CMSIS-SVD, schema 1.3 (https://open-cmsis-pack.github.io/svd-spec). A register of layers is an array.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from offramp.configs.device import Device
from offramp.configs.registers import Register

SCHEMA = "1.3"  # the attribute is a decimal: 1.3.9 is refused by its own schema
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_WORD = 4  # bytes
_ALL = (1 << 32) - 1
_NAMES = {"fifo": "CNN_FIFO", "aon": "CNN_AON", "gcfr": "CNN_GCFR"}
_ABOUT = {
    "fifo": "Input FIFOs of the accelerator.",
    "aon": "Always-on control of the accelerator.",
    "gcfr": "Power and reset of the accelerator's quadrants.",
}


def svd_text(device: Device) -> str:
    """The file's text: a peripheral for each block; for each quadrant one with its registers and those of layers."""
    root = ElementTree.Element("device", {"schemaVersion": SCHEMA, "xmlns:xs": _INSTANCE})
    root.set("xs:noNamespaceSchemaLocation", "CMSIS-SVD.xsd")
    about = f"CNN accelerator of the {device.name}: registers that Offramp knows of."
    _add(root, name=f"{device.name}_CNN", version="1.0", description=about, addressUnitBits="8", width="32", size="32")
    peripherals = ElementTree.SubElement(root, "peripherals")
    repeated = [name for name in device.blocks if "quadrant_stride" in device.blocks[name]]
    for block in device.blocks:
        if block not in repeated:
            text = _ABOUT.get(block, f"Block {block} of the accelerator.")
            _add_peripheral(peripherals, device, _NAMES.get(block, f"CNN_{block.upper()}"), text, (block,))
    if repeated:
        _add_quadrants(peripherals, device, repeated)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _add_quadrants(peripherals: ElementTree.Element, device: Device, blocks: Sequence[str]) -> None:
    """CNN0 with all that a quadrant has; the others are like it, at other addresses."""
    _add_peripheral(peripherals, device, "CNN0", "Quadrant 0: its registers, and those of its layers.", blocks)
    first = min(device.blocks[block]["base"] for block in blocks)
    stride = device.blocks[blocks[0]]["quadrant_stride"]
    for quadrant in range(1, device.geometry.quadrants):
        other = ElementTree.SubElement(peripherals, "peripheral", {"derivedFrom": "CNN0"})
        about = f"Quadrant {quadrant}: its registers, and those of its layers."
        _add(other, name=f"CNN{quadrant}", description=about, baseAddress=_hex(first + quadrant * stride))


def _add_peripheral(
    peripherals: ElementTree.Element, device: Device, name: str, about: str, blocks: Sequence[str]
) -> None:
    base = min(device.blocks[block]["base"] for block in blocks)
    registers = [register for register in device.registers.values() if register.block in blocks]
    ends = [device.register_address(one.name, 0, max(one.layers - 1, 0)) + _WORD for one in registers]
    peripheral = ElementTree.SubElement(peripherals, "peripheral")
    _add(peripheral, name=name, description=about, groupName="CNN", baseAddress=_hex(base))
    block = ElementTree.SubElement(peripheral, "addressBlock")
    _add(block, offset="0x0", size=_hex(max(ends) - base), usage="registers")
    listed = ElementTree.SubElement(peripheral, "registers")
    for register in sorted(registers, key=lambda one: device.register_address(one.name)):
        _add_register(listed, device, register, device.register_address(register.name) - base)


def _add_register(listed: ElementTree.Element, device: Device, register: Register, offset: int) -> None:
    """`offset`: from the peripheral's base, of layer 0."""
    element = ElementTree.SubElement(listed, "register")
    if register.layers:
        increment = device.blocks[register.block]["layer_stride"]
        _add(element, dim=str(register.layers), dimIncrement=_hex(increment), name=f"{register.name}[%s]")
    else:
        _add(element, name=register.name)
    known = register.reset is not None
    _add(
        element,
        description=f"{register.meaning} Source: {register.source}.",
        addressOffset=_hex(offset),
        size="32",
        access=register.access,
        resetValue=_hex(register.reset or 0),
        resetMask=_hex(_ALL if known else 0),
    )
    fields = ElementTree.SubElement(element, "fields")
    for field in register.fields:
        one = ElementTree.SubElement(fields, "field")
        _add(one, name=field.name, description=field.meaning, bitOffset=str(field.low), bitWidth=str(field.width))


def _add(parent: ElementTree.Element, **values: str) -> None:
    """Children with a text each, in this order, which the schema prescribes."""
    for name, text in values.items():
        ElementTree.SubElement(parent, name).text = text


def _hex(value: int) -> str:
    return f"0x{value:X}"
