"""Signals that wait for the end of what must be done as a whole."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from offramp.host.stopping import Stopped, signals_stop, uninterrupted


def test_a_signal_waits_whichever_thread_gets_it() -> None:
    done, free, ended = [], threading.Event(), threading.Event()
    ignored = signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def other() -> None:  # its signals are not blocked: it begins before the section
        free.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        ended.set()

    with signals_stop(to_the_end=False):
        thread = threading.Thread(target=other)
        thread.start()
        with pytest.raises(Stopped) as stopped, uninterrupted():
            with uninterrupted():
                free.set()
                ended.wait()
            done.append("inner")
            thread.join()
            done.append("outer")
    assert done == ["inner", "outer"] and stopped.value.exit_code == 143
    signal.signal(signal.SIGTERM, ignored)
