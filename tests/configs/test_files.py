"""Files are read as a whole, once and with care."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from offramp.configs.errors import InputError
from offramp.configs.files import digest_of, is_file, read_bytes, recorded_reads

LONG = "x" * 5000


def refused(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        read_bytes(Path(path), 10)
    return str(caught.value)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    assert read_bytes(path, 10) == b"0123456789"
    path.write_bytes(b"0123456789+")
    assert refused(path).startswith(f"{path}: cannot be read: 11 bytes; at most 10 are allowed")


def test_what_is_no_file(tmp_path: Path) -> None:
    """A pipe that nobody writes to is not waited for."""
    os.mkfifo(tmp_path / "pipe")
    assert "cannot be read: a pipe; a file is expected" in refused(tmp_path / "pipe")
    assert "cannot be read: a device" in refused("/dev/zero")
    assert "cannot be read: Is a directory" in refused(tmp_path)
    assert "cannot be read: No such file" in refused(tmp_path / "gone")
    assert "cannot be read: File name too long" in refused(tmp_path / LONG)
    assert "cannot be read: embedded null byte" in refused("a\0b")
    assert not any(is_file(tmp_path / name) for name in ("pipe", "gone", LONG, "a\0b", "."))


def test_the_digest_is_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with recorded_reads():
        read_bytes(path, 10)
        path.write_bytes(b"after")
        assert digest_of(path) == hashlib.sha256(b"before").hexdigest()
        with pytest.raises(InputError, match="a: has changed while it was being used"):
            read_bytes(path, 10)
    assert digest_of(path) == hashlib.sha256(b"after").hexdigest()
