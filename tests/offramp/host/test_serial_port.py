"""The console of a board, here a pseudo terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

import pytest

from offramp.configs.errors import InputError
from offramp.host.serial_port import read_port

pytest.importorskip("serial")
FIRST, LAST = "offramp probe ", "end"


@pytest.fixture
def console() -> Iterator[tuple[int, str]]:
    """The board's end of a serial port, and the name of the other end."""
    board, port = os.openpty()
    yield board, os.ttyname(port)
    os.close(board)
    os.close(port)


def test_a_log_is_read_to_its_end(console: tuple[int, str]) -> None:
    board, name = console
    parts = [b"boot\nend of it\nofframp pro", b"be 1 #0\nlayer\n", b"end #1\n"]
    threading.Timer(0.3, lambda: [os.write(board, part) for part in parts]).start()
    text = read_port(name, FIRST, LAST, silence=5)
    assert text.replace("\r", "") == b"".join(parts).decode()


@pytest.mark.parametrize(
    ("said", "message"),
    [(b"", "no line `offramp probe ...` in 0 bytes; reset"), (b"offramp probe 1 #0\nlay", "stopped before its end")],
)
def test_a_board_that_falls_silent(console: tuple[int, str], said: bytes, message: str) -> None:
    board, name = console
    threading.Timer(0.1, os.write, (board, said)).start()
    with pytest.raises(InputError, match=message):
        read_port(name, FIRST, LAST, silence=0.5)


def test_no_such_port() -> None:
    with pytest.raises(InputError, match="--port /dev/no-board: cannot be read"):
        read_port("/dev/no-board", FIRST, LAST)


def test_without_pyserial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(InputError, match=r"needs pyserial; .*\[serial\].*--log"):
        read_port("/dev/no-board", FIRST, LAST)
