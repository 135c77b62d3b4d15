"""Standard output and error for any terminal, file and pipe; text of users cannot control the terminal."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from offramp.configs.errors import InputError

# Control characters, but the end of a line; its other ends; what changes the direction of text; halves of pairs.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST = 2000  # characters of a line of a message


class CannotPrint(InputError):
    """Standard output cannot be written. Without problems where its reader has gone away, which is no error."""


def shown(text: str) -> str:
    """Text that is safe to print: what would control a terminal is escaped, line ends are kept."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def shortened(text: str) -> str:
    """The text; a line that is too long loses its middle."""
    half = LONGEST // 2
    lines = text.split("\n")
    return "\n".join(line if len(line) <= LONGEST else f"{line[:half]} ... {line[-half:]}" for line in lines)


def tell(text: str) -> None:
    """A line on standard error, if there is one."""
    with suppress(OSError):
        if sys.stderr:
            print(shortened(shown(text)), file=sys.stderr, flush=True)


class _Checked:
    """A text stream whose failures are CannotPrint."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _failing():
            return self._stream.write(text)

    def flush(self) -> None:
        with _failing():
            self._stream.flush()


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise CannotPrint(()) from error
    except OSError as error:
        raise CannotPrint(f"standard output: cannot be written: {error.strerror}") from error


@contextmanager
def checked_output() -> Iterator[None]:
    """Within the block all that is printed appears, or CannotPrint is raised, at the end of the block at the latest.

    Characters that the terminal's encoding lacks are escaped.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:
        raise CannotPrint("standard output: is closed")
    before = sys.stdout
    checked = _Checked(before)
    sys.stdout = cast(TextIO, checked)
    try:
        yield
        checked.flush()
    except CannotPrint:
        _abandon(before)
        raise
    finally:
        sys.stdout = before


def _abandon(stream: TextIO) -> None:
    """Discard what is still to be written: nothing may fail a second time at the end of the process."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
