"""The CMSIS-SVD file, read back by a public parser and compared with the device file, register by register."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cmsis_svd.model import SVDRegisterArray
from cmsis_svd.parser import SVDParser
from lxml import etree

from offramp.codegen.svd import svd_text
from offramp.configs.device import Device, device_names, load_device
from tests.helpers.devices import VARIANTS
from tests.helpers.devices import changed as changed_device
from tests.helpers.small_firmware import DEVICE

SHARED = {"CNN_FIFO": "fifo", "CNN_AON": "aon", "CNN_GCFR": "gcfr"}


def parsed(device: Device, folder: Path) -> Any:
    path = folder / "device.svd"
    path.write_text(svd_text(device), encoding="utf-8")
    return SVDParser.for_xml_file(str(path)).get_device()


def registers(found: Any) -> dict[int, tuple[str, int, int, Any]]:
    """By address: name, quadrant (0 where there is one for all), layer (-1 where it has none), register."""
    places: dict[int, tuple[str, int, int, Any]] = {}
    for peripheral in found.get_peripherals():
        quadrant = 0 if peripheral.name in SHARED else int(peripheral.name.removeprefix("CNN"))
        for entry in peripheral.registers:
            array = isinstance(entry, SVDRegisterArray)
            for layer, register in enumerate(entry.registers if array else [entry]):
                address = peripheral.base_address + register.address_offset
                assert address not in places
                name = register.name.removesuffix(f"[{layer}]") if array else register.name
                assert array == (name != register.name), register.name
                places[address] = (name, quadrant, layer if array else -1, register)
    return places


@pytest.mark.parametrize("variant", [*device_names(), *VARIANTS])
def test_it_has_every_register_and_no_other(variant: str, tmp_path: Path) -> None:
    device = changed_device(VARIANTS[variant]) if variant in VARIANTS else load_device(variant)
    found = registers(parsed(device, tmp_path))
    expected = {address: (place.name, place.quadrant, place.unit) for address, place in device.register_places()}
    assert {address: entry[:3] for address, entry in found.items()} == expected


def test_registers_are_those_of_the_device_file(tmp_path: Path) -> None:
    for name, _, _, register in registers(parsed(DEVICE, tmp_path)).values():
        ours = DEVICE.registers[name]
        assert str(register.access.value) == ours.access and register.size == 32
        assert (register.reset_value, register.reset_mask) == (
            (0, 0) if ours.reset is None else (ours.reset, 0xFFFFFFFF)
        )
        assert register.description == f"{ours.meaning} Source: {ours.source}."
        fields = [(one.name, one.bit_offset, one.bit_width, one.description) for one in register.fields]
        assert fields == [(one.name, one.low, one.width, one.meaning) for one in ours.fields]


def test_a_quadrant_is_described_once(tmp_path: Path) -> None:
    text = svd_text(DEVICE)
    assert text.count('derivedFrom="CNN0"') == 3 and text.count("<name>RCNT[%s]</name>") == 1


@pytest.mark.parametrize("variant", ["as it is", *VARIANTS])
def test_it_keeps_to_the_schema(variant: str) -> None:
    device = changed_device(VARIANTS[variant]) if variant in VARIANTS else DEVICE
    tree = etree.parse(BytesIO(svd_text(device).encode("utf-8")))
    assert SVDParser.validate_xml_tree(tree, schema_version_detection=False) == (True, "")
