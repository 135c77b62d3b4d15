"""A dask.distributed scheduler with its workers: new ones of this machine, or one that runs already."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import dask
from distributed import Client
from distributed.versions import VersionMismatchWarning

from offramp.configs.errors import InputError
from offramp.host.cluster_tasks import ClusterTasks
from offramp.host.stopping import uninterrupted

CONNECT = 10.0  # seconds to wait for a scheduler, and for its first worker
_DASK = {"distributed.admin.large-graph-warning-threshold": "1 TiB"}  # what tasks share may be large
_LOGGERS = ("distributed", "distributed.client")  # those of dask that have a level of their own


@contextmanager
def connected(
    option: str, workers: int | None, address: str | None, say: Callable[[str], None], packages: Sequence[str]
) -> Iterator[ClusterTasks]:
    """The workers of the scheduler at `address`, or `workers` new ones of this machine; `option` names them in
    messages. InputError if they cannot be had, or have other versions than we, `packages` among them."""
    with ExitStack() as stack:
        stack.enter_context(_silence())
        stack.enter_context(dask.config.set(_DASK))
        if workers is not None:
            address = stack.enter_context(_local_scheduler(option, workers))
        try:
            client = Client(address, timeout=CONNECT, set_as_default=False)
        except OSError as error:  # TimeoutError is one
            raise InputError(f"{option}: no scheduler answers within {CONNECT:g} s") from error
        stack.enter_context(client)
        try:
            client.wait_for_workers(1, timeout=CONNECT)
        except TimeoutError as error:
            raise InputError(f"{option}: the scheduler has no worker") from error
        tasks = ClusterTasks(client, option, tuple(packages))
        tasks.compare_versions()
        say(f"{option}: {_dashboard(client)}")
        stack.callback(tasks.close)
        yield tasks


@contextmanager
def _silence() -> Iterator[None]:
    """What goes wrong on the way and is put right needs no words; the rest becomes an exception."""
    before = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)  # we compare them ourselves
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _local_scheduler(option: str, workers: int) -> Iterator[str]:
    """The address of a scheduler with new workers, a group of processes of their own: no signal of the terminal
    reaches them, and they end with the block, whatever they do."""
    with tempfile.TemporaryDirectory(prefix="offramp-", ignore_cleanup_errors=True) as folder:
        errors = Path(folder) / "errors.txt"
        process: subprocess.Popen[str] | None = None
        try:
            with uninterrupted(), errors.open("w") as stderr:
                process = subprocess.Popen(
                    [sys.executable, "-m", "offramp.host.local_cluster", str(workers), folder],
                    env={**os.environ, "DASK_TEMPORARY_DIRECTORY": folder, "PYTHONPATH": _path()},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                    start_new_session=True,
                )
            assert process.stdout is not None
            if not (address := process.stdout.readline().strip()):
                last = (errors.read_text(errors="replace").splitlines() or ["no reason is known"])[-1]
                raise InputError(f"{option}: the workers cannot be started: {last}")
            yield address
        finally:
            if process is not None:
                _end(process)


def _path() -> str:
    """For another Python to find the modules that this one finds."""
    return os.pathsep.join(path or os.getcwd() for path in sys.path)


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a group of processes."""
    with uninterrupted():
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def _dashboard(client: Client) -> str:
    if client.run_on_scheduler(_has_bokeh):
        return f"dashboard at {client.dashboard_link}"
    return "no dashboard, as bokeh is not installed there"


def _has_bokeh() -> bool:
    return find_spec("bokeh") is not None
