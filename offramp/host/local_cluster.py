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

from distributed import LocalCluster


def main() -> None:
    """Nothing but the machine limits the memory of the workers. `FOLDER` is for their files."""
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
