"""Running other programs without trust: they may not exist, hang, print without end, or leave children behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from offramp.configs.errors import InputError
from offramp.host.stopping import uninterrupted

MOST_TEXT = 1 << 20  # bytes that a program may print
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Outcome:
    """The exit status of a program, and what it printed."""

    status: int
    text: str


def run_program(
    command: Sequence[str],
    folder: Path,
    stream: Literal["stdout", "stderr"],
    seconds: float,
    environment: Mapping[str, str],
) -> Outcome:
    """Run a program in a folder, with no input, and return what it prints to a stream.

    It is the first of a group of processes of its own; all of them are killed when it takes too long, prints too much,
    or when we are interrupted, which are InputErrors, as is what cannot be run at all.
    """
    out, errors = (subprocess.PIPE if stream == one else subprocess.DEVNULL for one in ("stdout", "stderr"))
    process: subprocess.Popen[bytes] | None = None
    try:
        with uninterrupted():
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                start_new_session=True,
            )
        output = process.stdout or process.stderr
        assert output is not None
        text = _read(command[0], output, time.monotonic() + seconds)
        status = process.wait(timeout=seconds)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{command[0]} cannot be run: {reason}") from error
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{command[0]} has not ended after {seconds:g} s") from error
    finally:
        if process is not None:
            _end(process)
    if status < 0:
        raise InputError(f"{command[0]} was killed by signal {-status}")
    return Outcome(status, text)


def _read(name: str, output: IO[bytes], deadline: float) -> str:
    """All that comes before the end of the stream."""
    found = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([output], [], [], left)[0]:
            raise subprocess.TimeoutExpired(name, 0)
        chunk = os.read(output.fileno(), _CHUNK)
        if not chunk:
            return found.decode("utf-8", "replace")
        found += chunk
        if len(found) > MOST_TEXT:
            raise InputError(f"{name} prints more than {MOST_TEXT:,} bytes")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the group of a process that has not ended."""
    with uninterrupted():
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
