"""Object files that are none, and a library that is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from offramp.configs.errors import Damaged, InputError
from offramp.simulator.board.objects import read_object


@pytest.mark.parametrize("data", [b"", b"\x7fELF", Path(sys.executable).resolve().read_bytes()])
def test_no_object_file(data: bytes) -> None:
    with pytest.raises(Damaged, match=r"x\.o: not an object file, or damaged"):
        read_object("x.o", data, {})


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "capstone", None)
    with pytest.raises(InputError, match=r"capstone is needed to read x\.o; .*pip install -e '.\[board\]'"):
        read_object("x.o", b"", {})
