"""A dask.distributed scheduler with its workers: new ones of this machine, or one that runs already."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec

import dask
from distributed import Client, LocalCluster
from distributed.utils import LoopRunner
from distributed.versions import VersionMismatchWarning

from offramp.configs.errors import InputError
from offramp.host.cluster_tasks import ClusterTasks
from offramp.host.stopping import uninterrupted

CONNECT = 10.0  # seconds to wait for a scheduler, and for its first worker
_DASK = {"distributed.admin.large-graph-warning-threshold": "1 TiB"}  # what tasks share may be large
_LATER = (signal.SIGINT, signal.SIGHUP)  # a terminal sends them to all of its processes: workers end when we do


@contextmanager
def connected(
    option: str, workers: int | None, address: str | None, say: Callable[[str], None], packages: Sequence[str]
) -> Iterator[ClusterTasks]:
    """The workers of the scheduler at `address`, or `workers` new ones of this machine; `option` names them in
    messages. InputError if they cannot be had, or have other versions than we, `packages` among them."""
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", VersionMismatchWarning)  # versions are compared below
        stack.enter_context(dask.config.set(_DASK))
        loop = _network()
        stack.callback(loop.stop)
        client = _known(stack, loop, option, address) if address else _new(stack, loop, workers)
        tasks = ClusterTasks(client, option, tuple(packages))
        tasks.compare_versions()
        say(f"{option}: {_dashboard(client)}")
        yield tasks


def _network() -> LoopRunner:
    """A thread for the network. It, and the processes that it starts, get no signal of the terminal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _LATER)
    try:
        loop = LoopRunner()
        loop.start()
        return loop
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _new(stack: ExitStack, loop: LoopRunner, workers: int | None) -> Client:
    """Workers that end with the stack. Nothing but the machine limits their memory."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="offramp-", ignore_cleanup_errors=True))
    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0" if find_spec("bokeh") else None,
        memory_limit=0,
        local_directory=folder,
        silence_logs=logging.CRITICAL,
        loop=loop.loop,
    )
    stack.callback(_end, cluster)
    client = Client(cluster, set_as_default=False)
    stack.enter_context(client)
    return client


def _end(cluster: LocalCluster) -> None:
    """End all workers at once, whatever they do."""
    with uninterrupted():
        for nanny in cluster.workers.values():
            nanny.close_gracefully()  # it starts no other
            if nanny.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(nanny.pid, signal.SIGKILL)
        cluster.close()


def _known(stack: ExitStack, loop: LoopRunner, option: str, address: str) -> Client:
    try:
        client = Client(address, timeout=CONNECT, set_as_default=False, loop=loop.loop)
    except OSError as error:  # TimeoutError is one
        raise InputError(f"{option}: no scheduler answers within {CONNECT:g} s") from error
    stack.enter_context(client)
    try:
        client.wait_for_workers(1, timeout=CONNECT)
    except TimeoutError as error:
        raise InputError(f"{option}: the scheduler has no worker") from error
    return client


def _dashboard(client: Client) -> str:
    if client.run_on_scheduler(_has_bokeh):
        return f"dashboard at {client.dashboard_link}"
    return "no dashboard, as bokeh is not installed there"


def _has_bokeh() -> bool:
    return find_spec("bokeh") is not None
