"""Addresses and bits of the MAX78002's registers from izer and the MSDK, read a second time."""

from __future__ import annotations

from bench.mutation_words import AON, FIFO_CTRL, FIFO_PORT, FIFO_STAT, GCFR, bits_are
from offramp.configs.device import Device

QUADRANT, NEXT_QUADRANT = 0x5100_0000, 0x100_0000
CTRL, SRAM, LCNT_MAX, TEST = (QUADRANT + offset for offset in (0x0, 0x4, 0x8, 0xC))
LAYER = QUADRANT + 0x10_0000  # registers of layer 0, 4 apart
STREAM = QUADRANT + 0x10_8000
SNOOP = STREAM + 0x80
DATA = QUADRANT + 0x80_0000

_POINTER = "20:0"
_ADDRESS = "20:0 21"
_UNIT = (
    *(_ADDRESS, _ADDRESS, "31:0", "31:0", "31:0", "31:0"),
    "0 1 2 3 4 5 14:12 18:16 22:20 26:25 28:27 31:29",
    "7:0 9:8 14:12",
    *("31:0", "31:0", "31:0", _ADDRESS),
)
FIELD_BITS = {
    FIFO_CTRL: "1:0 4:2 9:7 11 15:12 31:16",
    FIFO_STAT: "3:0 7:4 11:8 15:12",
    **{FIFO_PORT + 4 * port: "31:0" for port in range(4)},
    AON: "1:0 11:8 15:12 19:16",
    CTRL: "0 2:1 3 4 5 6 7 8 10:9 11 12 13 14 15 16 18:17 19 20 21 22 23 29:24 30 31",
    SRAM: "0 1 5:2 7:6 9:8 10 13:11 15 16 19 20 21 22",
    LCNT_MAX: "7:0 15:8",
    TEST: "0 2 4 6 7 13:8 14 15 16 17 18 19 20 21 25",
    STREAM + 0x60: "21:0",  # IFRM
    QUADRANT + 0x11_0000: "31:0",  # MLAT
    LAYER: "6:0 7 8",  # NXTLYR
    LAYER + 4: "10:0 14:13 15 31:16",  # RCNT
    LAYER + 8: "10:0 14:13 15 31:16",  # CCNT
    LAYER + 12: "3:0 7:4 11:8 12 13 15:14 16 17 21:18",  # ONED
    LAYER + 16: "3:0 7:4",  # PRCNT
    LAYER + 20: "3:0 7:4",  # PCCNT
    LAYER + 24: "3:0 31:4",  # STRIDE
    **{LAYER + 4 * number: _POINTER for number in range(7, 12)},  # WPTR_BASE, _TOFF, _MOFF, _CHOFF, RPTR_BASE
    LAYER + 48: "3:0 4 5 6 7 8 9 10 11 15:12 16 17 21:18 25:22 28:26 29 30",  # LCTRL0
    LAYER + 52: "3:0 11:4 20:12",  # LCTRL1
    LAYER + 56: "18:0",  # MCNT1
    LAYER + 60: "18:0",  # MCNT2
    LAYER + 64: "18:0",  # OCHAN
    LAYER + 68: "13:0 29:16",  # TPTR
    LAYER + 72: "15:0 31:16",  # EN
    LAYER + 76: "11:0 12 16:13 17 21:18 23:22 24 25 26 27 28 29 30 31",  # POST
    STREAM: "14:0 25",  # STRM0
    STREAM + 0x20: "3:0 8:4 29:16",  # STRM1
    STREAM + 0x40: "17:0",  # FBUF
    **{SNOOP + 0x30 * unit + 4 * place: bits for unit in (0, 1) for place, bits in enumerate(_UNIT)},
    GCFR: "3:0",
    GCFR + 0x4: "3:0",
    GCFR + 0x8: "3:0 19:16 23:20",
    GCFR + 0xC: "3:0",
}


def field_bits(device: Device) -> bool:
    """The device's registers have fields of these bits, and no others."""
    return bits_are(device, FIELD_BITS)


TABLES = {"field bits": field_bits}
