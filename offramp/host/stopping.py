"""Signals that end the program become exceptions, so that everything is cleaned up on the way out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_WORDS: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal that asks the program to end. `exit_code` is what a shell reports of a program that it has killed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        return 128 + self.number

    def __str__(self) -> str:
        return _WORDS[self.number]


@contextmanager
def signals_stop(to_the_end: bool) -> Iterator[None]:
    """Within the block the signals raise Stopped, except those that the caller's caller wants ignored (nohup).

    `to_the_end`: nothing follows the block but the end of the process, which no further signal shall disturb.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.getsignal(one) for one in STOPPING}
    for one, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(one, _stop)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, signal.SIG_IGN if to_the_end else handler)


def ignore_signals() -> None:
    """For the end of the program, which nothing may interrupt."""
    if threading.current_thread() is threading.main_thread():
        for one in STOPPING:
            signal.signal(one, signal.SIG_IGN)


_sections = 0  # uninterrupted ones that the main thread is in
_waiting: list[int] = []  # signals that have come meanwhile
_raised: list[int] = []  # all others


def _stop(number: int, frame: FrameType | None) -> None:
    if _sections:
        _waiting.append(number)
    else:
        _raised.append(number)
        raise Stopped(number)


def stops() -> int:
    """How many signals have raised Stopped."""
    return len(_raised)


def stop_since(before: int) -> None:
    """Raise Stopped if a signal has done so since there were `before` of them: what a signal raises inside a finalizer
    or a callback of the garbage collector goes no further."""
    if len(_raised) > before:
        raise Stopped(_raised[before])


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A section that is done as a whole or not at all: signals wait for its end.

    They are blocked, and so they are in processes and threads that are started meanwhile; one that another thread gets
    waits, too.
    """
    global _sections
    main = threading.current_thread() is threading.main_thread()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    _sections += main
    try:
        yield
    finally:
        _sections -= main
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if main and _waiting and not _sections:
            number = _waiting[0]
            _waiting.clear()
            raise Stopped(number)
