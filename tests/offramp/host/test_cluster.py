"""Tasks on a scheduler and workers that run already, as processes of their own."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
from distributed import Client

from offramp.cli import main
from offramp.configs.errors import InputError
from offramp.host import cluster as connecting
from offramp.host import cluster_tasks
from offramp.host.cluster_worker import Packed, run_task
from offramp.host.versions import versions
from offramp.host.workers import executor
from tests.helpers.clusters import RunningCluster, running_cluster, wait_until
from tests.helpers.paths import EXAMPLES


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """With two workers."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        running.add_worker()
        running.add_worker()
        yield running


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/mnist/auto.yaml without test data."""
    folder = tmp_path_factory.mktemp("mnist") / "mnist"
    folder.mkdir()
    for path in (EXAMPLES / "mnist").iterdir():
        if path.suffix in (".yaml", ".tar", ".npz"):
            shutil.copy(path, folder)
    text = (folder / "auto.yaml").read_text()
    assert text.count("  test: test.npz\n") == 1
    (folder / "auto.yaml").write_text(text.replace("  test: test.npz\n", ""))
    return folder / "auto.yaml"


def plan_bytes(spec: Path, *options: str) -> bytes:
    kept = spec.parent / "plan.json"
    kept.unlink(missing_ok=True)
    assert main(["plan", str(spec), "-o", str(kept), *options]) == 0
    return kept.read_bytes()


@pytest.mark.slow
def test_the_same_plan_everywhere(spec: Path, cluster: RunningCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process, on 1, 2 and 3 workers, on a cluster, and if one of its workers is killed on the way."""
    here = plan_bytes(spec)
    for workers in ("1", "2", "3"):
        assert plan_bytes(spec, "--workers", workers) == here
        assert capsys.readouterr().err.startswith(f"--workers {workers}: ")
    assert plan_bytes(spec, "--cluster", cluster.address) == here
    with workers_added(cluster, cluster.add_dying_worker()) as dying:
        assert plan_bytes(spec, "--cluster", cluster.address) == here
        assert dying.wait(timeout=60) == -signal.SIGKILL


@contextmanager
def workers_added(cluster: RunningCluster, *added: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Within the block there are these workers, too; after it there are not."""
    with Client(cluster.address, set_as_default=False) as client:
        wait_until(lambda: len(client.nthreads()) == 2 + len(added))
        yield added[0]
        for process in added:
            process.kill()
        wait_until(lambda: len(client.nthreads()) == 2)


def test_other_versions_there(cluster: RunningCluster, spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A worker with another networkx, by what is said of it where packages are looked for."""
    said = cluster.folder / "networkx-0.1.dist-info"
    said.mkdir()
    (said / "METADATA").write_text("Metadata-Version: 2.1\nName: networkx\nVersion: 0.1\n")
    other = cluster.add_worker(environment={"PYTHONPATH": str(cluster.folder)})
    with workers_added(cluster, other):
        assert main(["plan", str(spec), "--cluster", cluster.address]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"offramp plan: --cluster {cluster.address}: both ends must have the same versions: ")
    assert message.count("networkx is ") == 1
    assert f"networkx is {version('networkx')} here, 0.1 on tcp://127.0.0.1:" in message


def test_a_worker_with_other_versions_that_joins_later(cluster: RunningCluster) -> None:
    there = {**versions(), "numpy": "0.1"}
    with pytest.raises(InputError, match=r"numpy is 0\.1 here, .* on a worker that has joined"):
        run_task(pickle.dumps(Packed(pickle.dumps((_slow, 1)), "shared", there, ())), 0.0)


def _slow(seconds: float, task: int) -> int:
    time.sleep(seconds)
    return task


def _kill(process: int, task: int) -> None:
    os.kill(process, signal.SIGKILL)
    time.sleep(100)


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker; workers that all go; a scheduler that goes; none."""
    monkeypatch.setattr(connecting, "CONNECT", 1.0)
    with running_cluster(tmp_path) as cluster:
        option = f"--cluster {cluster.address}"
        with (
            pytest.raises(InputError, match=f"^{option}: the scheduler has no worker$"),
            executor(None, cluster.address),
        ):
            pass
        worker = cluster.add_worker()
        monkeypatch.setattr(connecting, "CONNECT", 60.0)
        with executor(None, cluster.address) as tasks:
            assert tasks.map(_slow, 0.1, [3, 4]) == [3, 4]
            monkeypatch.setattr(cluster_tasks, "ALONE", 0.5)
            monkeypatch.setattr(cluster_tasks, "LOOK", 0.2)
            with pytest.raises(InputError, match=f"^{option}: all workers have gone, and none has come for 0.5 s$"):
                tasks.map(_kill, worker.pid, [0])
            cluster.add_worker()
            monkeypatch.setattr(cluster_tasks, "ALONE", 60.0)
            assert tasks.map(_slow, 0.1, [3, 4]) == [3, 4]
            with pytest.raises(InputError, match=f"^{option}: the connection to the scheduler is lost$"):
                tasks.map(_kill, cluster.scheduler.pid, [0])
        monkeypatch.setattr(connecting, "CONNECT", 0.5)
        with pytest.raises(InputError, match="no scheduler answers"), executor(None, cluster.address):
            pass
