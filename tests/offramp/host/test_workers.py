"""Tasks on workers of this machine: the same results in the same order as in one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bench.candidates import costs_of, draw, look
from offramp.configs.errors import CheckFailed, Diagnostic, InputError, Where
from offramp.host.workers import executor
from offramp.planner.tasks.executor import IN_PROCESS, Executor
from tests.helpers.clusters import wait_until
from tests.helpers.paths import ROOT


@pytest.fixture(scope="module")
def two() -> Iterator[Executor]:
    with executor(2, say=lambda text: None) as tasks:
        yield tasks


def test_the_choice_does_not_depend_on_where_it_is_made(two: Executor) -> None:
    pool, chains = draw(400, 4), costs_of(4, fronts=False)
    needed = int(pool.right[-1].sum()) - 4
    found = []
    for tasks in (IN_PROCESS, two):
        search, placed = look(pool, chains, needed, tasks)
        costs = [(best.cost.tolist(), best.settings) for best in search.best]
        found.append((search.top, search.bound(), search.work, placed, costs))
    assert found[0] == found[1]


class Weight:
    """A value that counts, in the process that gets it, how often it is unpacked."""

    unpacked = 0

    def __init__(self, values: npt.NDArray[np.int64]) -> None:
        self.values = values

    def __setstate__(self, state: dict[str, npt.NDArray[np.int64]]) -> None:
        self.__dict__ |= state
        Weight.unpacked += 1


def _scaled(shared: Weight, task: int) -> tuple[int, int, int]:
    if task < 0:
        raise CheckFailed(Diagnostic(Where("a.yaml", 7), f"task {task}"))
    time.sleep(0.01)  # it is worth the way to a worker
    return int(shared.values.sum()) * task, os.getpid(), Weight.unpacked


def _divided(shared: int, task: int) -> int:
    return shared // task


def _process(shared: None, task: int) -> int:
    return os.getpid()


def _dies_once(marker: Path, task: int) -> int:
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def _dies(shared: None, task: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_in_order_and_what_is_shared_once(two: Executor) -> None:
    for calls, size in enumerate((3, 5), start=1):
        shared = Weight(np.arange(size))
        for wait in (0, 2.5):  # in which dask drops copies
            time.sleep(wait)
            results, processes, unpacked = zip(*two.map(_scaled, shared, range(40)), strict=True)
            assert list(results) == [int(shared.values.sum()) * task for task in range(40)]
            assert os.getpid() not in processes and len(set(processes)) <= 2
            assert max(unpacked) <= calls


def test_the_first_error_arrives_as_it_is(two: Executor) -> None:
    with pytest.raises(CheckFailed) as failed:
        two.map(_scaled, Weight(np.arange(3)), [1, -2, 2, -3])
    assert failed.value.problems == (Diagnostic(Where("a.yaml", 7), "task -2"),)
    with pytest.raises(ZeroDivisionError):
        two.map(_divided, 1, [1, 0])


def test_what_is_not_worth_the_way_is_done_here(two: Executor) -> None:
    assert os.getpid() not in two.map(_process, None, range(8))
    assert two.map(_process, None, range(8)) == [os.getpid()] * 8


def test_the_tasks_of_a_worker_that_dies_are_done_again(two: Executor, tmp_path: Path) -> None:
    assert two.map(_dies_once, tmp_path / "died", range(8)) == list(range(8))
    assert (tmp_path / "died").exists()


def test_a_task_that_kills_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "1")
    message = r"^--workers 1: task 1 of 1 of dies: 2 workers have died with it, the last one was tcp://127\.0\.0\.1:"
    with executor(1) as tasks, pytest.raises(InputError, match=message):
        tasks.map(_dies, None, [0])


WAITING = """\
import sys, time
from offramp.cli import main
from offramp.commands import plan
from offramp.host.workers import executor_of

def work(shared, task):
    print("begun", flush=True, file=open(shared, "a"))
    time.sleep(100)

def run(args):
    with executor_of(args) as tasks:
        tasks.map(work, str(args.specs[0]), range(9))

plan.run = run
sys.exit(main())
"""


def test_an_interrupt_ends_all_workers(tmp_path: Path) -> None:
    """Ctrl-C in a terminal reaches the command and what it has started."""
    begun = tmp_path / "begun"
    command = [sys.executable, "-c", WAITING, "plan", str(begun), "--workers", "1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    wait_until(begun.exists)
    time.sleep(1)  # the command has handed out its tasks then and waits, as where a user presses Ctrl-C
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[1:] == ["offramp plan: interrupted"]
    wait_until(lambda: not [one for one in commands() if str(tmp_path) in one])
    assert list(tmp_path.iterdir()) == [begun]


SWALLOWED = (
    WAITING.replace("import sys, time", "import os, signal, sys, time")
    .replace(
        "range(9)",
        "[Task()] * 9",
    )
    .replace(
        "def run(args)",
        """class Gone:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

class Task:
    def __reduce__(self):
        Gone()
        return int, ()

def run(args)""",
    )
)


def test_an_interrupt_in_a_finalizer_ends_the_command(tmp_path: Path) -> None:
    """Python takes what is raised there."""
    command = [sys.executable, "-c", SWALLOWED, "plan", str(tmp_path / "begun"), "--workers", "1"]
    process = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=60)
    assert "Exception ignored in" in process.stderr
    assert process.returncode == 130 and process.stderr.splitlines()[-1] == "offramp plan: interrupted"


def commands() -> list[str]:
    """The command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has ended
            continue
    return found


def test_wrong_options() -> None:
    with pytest.raises(InputError, match="--workers 0: at least 1"), executor(0):
        pass
    for address in ("host:8786", "tcp://host", "http://host:80", "tcp://host:8786/x"):
        with pytest.raises(InputError, match="the address of a scheduler is expected"), executor(cluster=address):
            pass


def run_here(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)


def test_one_process_needs_no_dask() -> None:
    script = """\
import sys
from offramp.host.workers import executor
with executor() as tasks:
    print(tasks.map(pow, 2, [3, 4]), {"dask", "distributed"} & set(sys.modules))
sys.modules["distributed"] = None
with executor(2) as tasks:
    pass
"""
    done = run_here(script)
    assert done.stdout == "[8, 16] set()\n"
    assert "InputError: --workers 2 needs dask.distributed; in the folder of Offramp: " in done.stderr
    assert done.stderr.endswith("-m pip install -e '.[cluster]'\n")
