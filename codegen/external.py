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
    size = external_size(firmware)
    found = bytearray(size)
    for stage, (begin, end) in zip(firmware.stages, _spans(firmware), strict=True):
        found[begin:end] = chunk_words(stage.external).tobytes()
    HEADER.pack_into(found, 0, MAGIC, 0, size, FORMAT, firmware.digest)
    crc = zlib.crc32(found[CRC_FROM:])
    HEADER.pack_into(found, 0, MAGIC, crc, size, FORMAT, firmware.digest)
    return bytes(found)


def external_places(firmware: Firmware) -> tuple[int, ...]:
    """For each stage the byte of the file that its words begin with; 0 if it has none."""
    return tuple(begin for begin, _ in _spans(firmware))


def external_size(firmware: Firmware) -> int:
    """Bytes of the file; 0 if the image needs none."""
    return max(end for _, end in _spans(firmware))


def _spans(firmware: Firmware) -> list[tuple[int, int]]:
    """For each stage the byte of the file that its words begin with, and the one behind them; zeros if it has none."""
    spans, end = [], HEADER.size
    for stage in firmware.stages:
        if not stage.external:
            spans.append((0, 0))
            continue
        begin = end + -end % FETCH_BYTES
        end = begin + WORD_BYTES * sum(len(chunk.words) for chunk in stage.external)
        spans.append((begin, end))
    return spans


def chunk_words(chunks: Sequence[Chunk]) -> npt.NDArray[np.uint32]:
    """The words of some chunks, one behind the other, least significant byte first."""
    return np.concatenate([np.zeros(0, "<u4"), *(chunk.words for chunk in chunks)]).astype("<u4")
