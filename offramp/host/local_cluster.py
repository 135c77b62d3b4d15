"""A scheduler and workers of this machine, as a program of its own:

    python -m offramp.host.local_cluster WORKERS FOLDER

It prints the scheduler's address, and lives until its standard input ends, which it does with whoever started it. What
workers print goes to its standard error.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib.util import find_spec

import dask
from distributed import LocalCluster

# A thread for each worker. dask would also set MALLOC_TRIM_THRESHOLD_, for which glibc maps each large array anew:
# tasks of `bench.workers` took up to three times as long.
_ENVIRONMENT = {name: 1 for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def main() -> None:
    """Nothing but the machine limits the memory of the workers. `FOLDER` is for their files."""
    dask.config.set({"distributed.nanny.pre-spawn-environ": _ENVIRONMENT})
    answer = os.dup(1)
    os.dup2(2, 1)
    cluster = LocalCluster(
        n_workers=int(sys.argv[1]),
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0" if find_spec("bokeh") else None,
        memory_limit=0,
        local_directory=sys.argv[2],
    )
    os.write(answer, f"{cluster.scheduler_address}\n".encode())
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
