"""Where the tasks of a command are done: in this process, on workers of this machine, or on those of a cluster."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from offramp.configs.errors import InputError
from offramp.configs.extras import install_command
from offramp.host.output import tell
from offramp.planner.tasks.executor import IN_PROCESS, Executor

_ADDRESS = re.compile(r"tcp://(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}")


def add_arguments(parser: argparse.ArgumentParser, cluster: bool = True) -> None:
    """`--workers`, and `--cluster` where tasks read no files."""
    where = parser.add_mutually_exclusive_group()
    text = "worker processes of this machine that share the work (default: this process alone)"
    where.add_argument("--workers", type=int, metavar="N", help=text)
    if cluster:
        text = "scheduler of a dask.distributed cluster that does the work; it runs code as you"
        where.add_argument("--cluster", metavar="tcp://HOST:PORT", help=text)
    else:
        parser.set_defaults(cluster=None)


@contextmanager
def executor_of(args: argparse.Namespace, packages: Sequence[str] = ()) -> Iterator[Executor]:
    """What does the tasks of a command with these arguments. Says where, on standard error, unless it is quiet."""
    quiet = getattr(args, "quiet", False)
    with executor(args.workers, args.cluster, (lambda text: None) if quiet else tell, packages) as tasks:
        yield tasks


@contextmanager
def executor(
    workers: int | None = None,
    cluster: str | None = None,
    say: Callable[[str], None] = tell,
    packages: Sequence[str] = (),
) -> Iterator[Executor]:
    """What does tasks: `workers` processes of this machine with a thread each, the workers of the scheduler at
    `cluster`, or, without both, this process. Results are the same bytes.

    `packages`: what must have the same version on both ends, beside what planning needs. `say` gets the address of the
    dashboard. InputError for numbers and addresses that are none, without the extra `cluster`, and where nobody answers
    or versions differ.
    """
    if workers is None and cluster is None:
        yield IN_PROCESS
        return
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: at least 1")
    if cluster is not None and not _ADDRESS.fullmatch(cluster):
        raise InputError(f"--cluster {cluster}: the address of a scheduler is expected, as tcp://HOST:8786")
    option = f"--workers {workers}" if cluster is None else f"--cluster {cluster}"
    try:
        from offramp.host import cluster as dask_cluster
    except ImportError as error:
        if (error.name or "").split(".")[0] not in ("dask", "distributed"):
            raise
        raise InputError(f"{option} needs dask.distributed; {install_command('cluster')}") from error
    with dask_cluster.connected(option, workers, cluster, say, packages) as tasks:
        yield tasks
