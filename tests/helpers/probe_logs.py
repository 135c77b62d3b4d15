"""Logs of the probe, line by line."""

from __future__ import annotations

import zlib
from collections.abc import Iterable


def printed(lines: Iterable[str]) -> str:
    """As the firmware prints lines: each with the checksum of all lines up to it."""
    crc, text = 0, ""
    for line in lines:
        crc = zlib.crc32(f"{line}\n".encode(), crc)
        text += f"{line} #{crc:08x}\n"
    return text


def said(log: str) -> list[str]:
    """The lines without their checksums."""
    return [line.rsplit(" #", 1)[0] for line in log.splitlines()]
