"""The console of a board on a serial port, by pyserial, an optional part."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

from offramp.configs.errors import InputError
from offramp.configs.extras import install_command

BAUD = 115200  # of the consoles of the vendor's boards
SILENCE = 60.0  # seconds without a byte after which nothing more is expected
_MOST_BYTES = 1 << 24


def read_port(port: str, first: str, last: str, silence: float = SILENCE) -> str:
    """What a board prints from a line that begins with `first` up to the one that begins with `last`, both with it.

    InputError if pyserial is not installed, the port cannot be read, or `silence` seconds pass without a byte.
    """
    serial = _pyserial()
    data = bytearray()
    try:
        with serial.Serial(port, BAUD, timeout=0.1) as console:
            since = time.monotonic()
            while not _whole(data, first.encode(), last.encode()):
                received = console.read(max(1, console.in_waiting))
                since = time.monotonic() if received else since
                data += received
                if time.monotonic() - since > silence or len(data) > _MOST_BYTES:
                    raise InputError(f"--port {port}: {_missing(data, first)}")
    except (OSError, ValueError) as error:  # serial.SerialException is an OSError
        raise InputError(f"--port {port}: cannot be read: {error}") from error
    return data.decode("utf-8", "replace")


def _pyserial() -> Any:
    try:
        return import_module("serial")
    except ImportError as error:
        message = (
            f"--port needs pyserial; {install_command('serial')}, or save the console's output and give it as --log"
        )
        raise InputError(message) from error


def _whole(data: bytearray, first: bytes, last: bytes) -> bool:
    start = data.rfind(first)
    end = data.find(b"\n" + last, start)
    return start >= 0 and end >= 0 and data.find(b"\n", end + 1) >= 0


def _missing(data: bytearray, first: str) -> str:
    if first.encode() in data:
        return "the log stopped before its end"
    return f"no line `{first.strip()} ...` in {len(data)} bytes; reset the board while the command waits"
