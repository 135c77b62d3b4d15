"""Reading a user's files: regular ones only, whole, within a bound. Digests are of the bytes that were read."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from offramp.configs.bounds import DATA_FILE
from offramp.configs.errors import Diagnostic, InputError, Where

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}

# SHA-256 of the files that have been read, by absolute path; None: no record is kept.
_digests: ContextVar[dict[str, str] | None] = ContextVar("digests", default=None)


@contextmanager
def recorded_reads() -> Iterator[None]:
    """Within the block `digest_of` is about the bytes that `read_bytes` returned, not about files as they are now."""
    token = _digests.set({})
    try:
        yield
    finally:
        _digests.reset(token)


def read_bytes(path: Path, limit: int, shown_as: str | None = None, recorded: bool = True) -> bytes:
    """The content of a regular file of at most `limit` bytes; `shown_as` replaces the path in messages, `recorded`
    False keeps no record of it.

    InputError if it cannot be read, is something else or longer, or is not what it was when the command first read it.
    """
    where = Where(shown_as or str(path))
    try:
        data = _read(path, limit)
    except OSError as error:
        raise InputError(Diagnostic(where, f"cannot be read: {error.strerror}")) from error
    except ValueError as error:  # a null character in the name, or what _read refuses
        raise InputError(Diagnostic(where, f"cannot be read: {error}")) from error
    digests = _digests.get()
    if recorded and digests is not None:
        found = hashlib.sha256(data).hexdigest()
        if digests.setdefault(os.path.abspath(path), found) != found:
            raise InputError(Diagnostic(where, "has changed while it was being used"))
    return data


def _read(path: Path, limit: int) -> bytes:
    """ValueError for what is no regular file, or too long. A pipe is opened, but never waited for."""
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind:
            raise ValueError(f"{kind}; a file is expected")
        if status.st_size > limit:
            raise ValueError(f"{status.st_size:,} bytes; at most {limit:,} are allowed")
        data = file.read(status.st_size + 1)
    if len(data) != status.st_size:
        raise ValueError("it changed while it was read")
    return data


def digest_of(path: Path) -> str:
    """SHA-256, hexadecimal, of the bytes that were read within `recorded_reads`; else of the file as it is now."""
    known = (_digests.get() or {}).get(os.path.abspath(path))
    return known or hashlib.sha256(read_bytes(path, DATA_FILE)).hexdigest()


def files_read() -> tuple[str, ...]:
    """Absolute paths of the files that have been read within `recorded_reads`."""
    return tuple(_digests.get() or {})


def is_file(path: Path) -> bool:
    """Is it a regular file? Never an exception, whatever the name."""
    return os.path.isfile(path)
