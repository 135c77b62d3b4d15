"""A dask.distributed scheduler and workers as processes of their own, on the loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.paths import ROOT

SECONDS = 60  # to start, on a busy machine
DIES = """\
import os, signal
from distributed import WorkerPlugin

class Dies(WorkerPlugin):
    def transition(self, key, start, finish, **more):
        if finish == "executing" and not key.startswith("shared"):
            os.kill(os.getpid(), signal.SIGKILL)

async def dask_setup(worker):
    await worker.plugin_add(Dies(), name="dies")
"""


class RunningCluster:
    """A scheduler; `workers` are added."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start(
            "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file), environment={}
        )
        wait_until(self.file.exists)
        self.address: str = json.loads(self.file.read_text())["address"]

    def add_worker(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """One without a nanny, which nobody starts again."""
        process = self._start(
            "worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard",
            "--local-directory", str(self.folder), *arguments, environment=environment or {},
        )  # fmt: skip
        self.workers.append(process)
        return process

    def add_dying_worker(self) -> subprocess.Popen[bytes]:
        """It is killed as it begins its first task."""
        script = self.folder / "dies.py"
        script.write_text(DIES)
        return self.add_worker("--preload", str(script))

    def _start(self, program: str, *arguments: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, (environment.get("PYTHONPATH"), str(ROOT))))
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{program}", "--host", "127.0.0.1", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment, "PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@contextmanager
def running_cluster(folder: Path) -> Iterator[RunningCluster]:
    """A scheduler without workers. All processes are ended with the block."""
    cluster = RunningCluster(folder)
    try:
        yield cluster
    finally:
        cluster.close()


def wait_until(true: object) -> None:
    assert callable(true)
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)
