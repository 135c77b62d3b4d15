"""The MAX78002's file: addresses that izer's programs write, and what is not regular in its memories."""

from __future__ import annotations

import pytest

from offramp.configs.device import Place, load_device

DEVICE = load_device("MAX78002")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (0x51000008, Place("register", "LCNT_MAX", 0, -1, 0)),
        (0x51100000, Place("register", "NXTLYR", 0, 0, 0)),
        (0x5210054C, Place("register", "POST", 1, 5, 0)),
        (0x51107F3C, Place("register", "MCNT2", 0, 127, 0)),
        (0x54108024, Place("register", "STRM1", 3, 1, 0)),
        (0x51108060, Place("register", "IFRM", 0, -1, 0)),
        (0x51108098, Place("register", "SNOOP1_C1", 0, -1, 0)),
        (0x541080D0, Place("register", "SNOOP2_ACC", 3, -1, 0)),
        (0x51108064, None),
        (0x51100050, None),
        (0x511807FC, Place("bias", "bias", 0, 0, 511)),
        (0x51182000, None),
        (0x51413FFC, Place("weights", "weights", 0, 0, 0x13FFC)),
        (0x51414000, None),
        (0x52420000, Place("weights", "weights", 1, 1, 0)),
        (0x54860000, Place("data", "data", 3, 3, 0)),
        (0x51813FFC, Place("data", "data", 0, 0, 20479)),
        (0x51814000, None),
    ],
)
def test_what_is_at_an_address(address: int, place: Place | None) -> None:
    assert DEVICE.locate(address) == place


def test_memories() -> None:
    assert DEVICE.weight_memory_bytes == 2340 * 1024
    assert (DEVICE.columns(16), DEVICE.columns(17), DEVICE.instance_bytes) == (5120, 4096, 80 * 1024)
    assert (DEVICE.pointer(3, 20479), DEVICE.split_pointer(0x1FFFF)) == (3 << 15 | 20479, (3, 0x7FFF))


def test_physical_weight_memories_side_by_side() -> None:
    columns = [
        DEVICE.bank_column(bank, column) for bank, column in ((0, 5), (3, 1023), (0, 1024), (2, 1030), (3, 1279))
    ]
    assert columns == [5, 4095, 4096, 4096 + 512 + 6, 5119]


def test_clocks() -> None:
    settings = DEVICE.clock_tree.cnn_settings(DEVICE.clocks["core_hz"])
    assert next(iter(settings)) == DEVICE.clocks["cnn_hz"] == 200_000_000
    assert (settings[50_000_000].source, settings[50_000_000].divider) == (3, 1)
