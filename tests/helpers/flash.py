"""Images in the flash of a compiled firmware, as offramp_image.h lays them out."""

from __future__ import annotations

import zlib

MAGIC = b"OFR1"
_CRC_AT, _BYTES_AT, _COVERED_FROM = 4, 8, 8


def place_of_image(content: bytes) -> tuple[int, int]:
    """First byte and number of bytes of the only image in a file."""
    found = [at for at in range(0, len(content), 4) if content[at : at + 4] == MAGIC]
    sizes = [int.from_bytes(content[at + _BYTES_AT : at + _BYTES_AT + 4], "little") for at in found]
    places = [(at, size) for at, size in zip(found, sizes, strict=True) if _checksum(content, at, size)]
    assert len(places) == 1, places
    return places[0]


def with_changed_image(content: bytes, old: bytes, new: bytes) -> bytes:
    """A file whose image has other bytes, and the checksum that belongs to them."""
    at, size = place_of_image(content)
    image = content[at : at + size]
    assert image.count(old) == 1 and len(old) == len(new)
    image = image.replace(old, new)
    crc = zlib.crc32(image[_COVERED_FROM:]).to_bytes(4, "little")
    return content[:at] + image[:_CRC_AT] + crc + image[_CRC_AT + 4 :] + content[at + size :]


def _checksum(content: bytes, at: int, size: int) -> bool:
    crc = int.from_bytes(content[at + _CRC_AT : at + _CRC_AT + 4], "little")
    return zlib.crc32(content[at + _COVERED_FROM : at + size]) == crc
