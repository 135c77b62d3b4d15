"""The file of weights outside flash: a header that names the image, and the words of each stage that has such weights,
from a multiple of the bytes on that one reading can have (`codegen/static/include/offramp_external.h`)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from offramp.codegen.firmware import Chunk, Firmware
from offramp.planner.hardware.hw_layer import WORD_BYTES

MAGIC, FORMAT = 0x3157464F, 1  # "OFW1"
FETCH_BYTES = 512
HEADER = struct.Struct("<4I16s")  # magic, CRC-32 of all that follows it, bytes, format, digest of the image
CRC_FROM = 8


def external_name(firmware: Firmware) -> str:
    """What the file is called in the firmware's folder."""
    return f"{firmware.identifier}_weights.bin"


def external_file(firmware: Firmware) -> bytes:
    """All bytes of the file; none if the image needs no such file."""
    if not firmware.external:
        return b""
    body = b""
    for stage in firmware.stages:
        if stage.external:
            body += bytes(-(HEADER.size + len(body)) % FETCH_BYTES) + chunk_words(stage.external).tobytes()
    size = HEADER.size + len(body)
    crc = zlib.crc32(HEADER.pack(MAGIC, 0, size, FORMAT, firmware.digest)[CRC_FROM:] + body)
    return HEADER.pack(MAGIC, crc, size, FORMAT, firmware.digest) + body


def external_places(firmware: Firmware) -> tuple[int, ...]:
    """For each stage the byte of the file that its words begin with; 0 if it has none."""
    places, end = [], HEADER.size
    for stage in firmware.stages:
        at = end + -end % FETCH_BYTES if stage.external else 0
        places.append(at)
        end = at + WORD_BYTES * len(chunk_words(stage.external)) if stage.external else end
    return tuple(places)


def chunk_words(chunks: Sequence[Chunk]) -> npt.NDArray[np.uint32]:
    """The words of some chunks, one behind the other, least significant byte first."""
    return np.concatenate([np.zeros(0, "<u4"), *(chunk.words for chunk in chunks)]).astype("<u4")
