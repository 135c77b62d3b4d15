"""Tasks on workers of this machine: the same results, how long they take, and what goes over the wire.

    python -m bench.workers [--images N] [--candidates N] [--searched N] [--plan]

Three pieces of work: the integer reference on a data set in batches (examples/mnist, its images again and again), the
search for a chain among drawn candidates (`bench.candidates`), and `offramp train` of examples/motion with a small
budget, in this process and on 1 and 2 workers. `cpu s` is of this process, which does the work or hands it out. With
--plan, `offramp plan` of examples/mnist/auto.yaml too, and the digest of its plan.json. Last, what it comes to for many
images and candidates (docs/SCALE.md). Exit code 1 if results differ.
"""

from __future__ import annotations

import offramp.simulator  # isort: skip  # noqa: F401  before numpy: it sets how many threads BLAS starts

import argparse
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from bench.candidates import costs_of, draw, look
from offramp.cli import main as run_command
from offramp.configs.device import load_device
from offramp.host.progress import SILENT
from offramp.host.workers import executor
from offramp.pipeline.devices import device_of_spec
from offramp.planner.chain.build import build_chain
from offramp.planner.chain.sources import read_sources
from offramp.planner.reference.profile import profile_answers
from offramp.planner.reference.sequence import BATCH
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import ManualSpec
from offramp.planner.tasks.executor import Executor, Result, Shared, Task
from offramp.training.exits import train_exits

EXAMPLE = Path(__file__).parents[1] / "examples" / "mnist"
MOTION = EXAMPLE.parent / "motion"
DROP = 0.01  # of the answers may be lost by the search
IMAGES, CANDIDATES = 10_000_000, 1_000  # of the plan
SEARCHED = 200_000  # images on which chains are searched here
CASES = (None, 1, 2)  # workers

Work = Callable[[Executor], bytes]  # to a digest of what it gives


class Counting:
    """An executor that counts the calls and tasks of another one, and the bytes of tasks and results."""

    def __init__(self, tasks: Executor) -> None:
        self.inner, self.calls, self.tasks, self.sent, self.given = tasks, 0, 0, 0, 0
        self.shared: list[object] = []

    def map(self, work: Callable[[Shared, Task], Result], shared: Shared, tasks: Sequence[Task]) -> list[Result]:
        self.calls, self.tasks = self.calls + 1, self.tasks + len(tasks)
        if not any(one is shared for one in self.shared):
            self.shared.append(shared)
        found = self.inner.map(work, shared, tasks)
        self.sent += sum(len(pickle.dumps(task)) for task in tasks)
        self.given += sum(len(pickle.dumps(result)) for result in found)
        return found

    def shared_bytes(self) -> int:
        """What goes to each worker."""
        return sum(len(pickle.dumps(one)) for one in self.shared)


def profiling(images: int) -> Work:
    """The answers of both stages of examples/mnist on so many images."""
    path = EXAMPLE / "spec.yaml"
    device = device_of_spec(path)
    spec = load_spec(path, device)
    assert isinstance(spec, ManualSpec)
    chain = build_chain(spec, read_sources(spec, device), device)
    with np.load(EXAMPLE / "test.npz") as data:
        x = np.resize(data["x"], (images, *data["x"].shape[1:]))

    def work(tasks: Executor) -> bytes:
        found = profile_answers(chain, x, tasks)
        return sha256(found.classes.tobytes() + found.confidence.tobytes()).digest()

    return work


def searching(images: int, candidates: int) -> Work:
    """The choice among chains of drawn candidates."""
    pool, chains = draw(images, candidates), costs_of(candidates, fronts=False)
    needed = int(pool.right[-1].sum()) - int(DROP * images)

    def work(tasks: Executor) -> bytes:
        search, placed = look(pool, chains, needed, tasks)
        return repr((search.top, search.bound(), search.work, placed)).encode()

    return work


def training(seconds: int) -> Work:
    """The exits of examples/motion, with a budget of so many seconds and without the single network."""

    def work(tasks: Executor) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.yaml"
            text = (MOTION / "train.yaml").read_text(encoding="utf-8").replace("budget: 20 s", f"budget: {seconds} s")
            text = text.replace("single: true\n", "")
            for name in ("main.yaml", "main.pth.tar", "training.npz", "calibration.npz", "test.npz"):
                text = text.replace(name, str(MOTION / name))
            path.write_text(text, encoding="utf-8")
            train_exits(path, Path(folder) / "exits", load_device(), tasks, SILENT)
            return sha256((Path(folder) / "exits" / "report.json").read_bytes()).digest()

    return work


def planning(workers: int | None) -> bytes:
    """plan.json of examples/mnist/auto.yaml."""
    with tempfile.TemporaryDirectory(dir=EXAMPLE) as folder:
        kept = Path(folder) / "plan.json"
        more = [] if workers is None else ["--workers", str(workers)]
        if run_command(["plan", str(EXAMPLE / "auto.yaml"), "-q", "-o", str(kept), *more]):
            sys.exit("offramp plan failed")
        return kept.read_bytes()


@dataclass(frozen=True)
class Row:
    """A piece of work on some workers. `cpu`: seconds of this process, which does the work or hands it out; bytes of
    what tasks share, of all tasks, and of all results."""

    workers: int | None
    start: float
    seconds: float
    cpu: float
    counted: Counting
    digest: bytes

    def line(self, alone: float) -> str:
        """`alone`: seconds on one worker."""
        faster = f"{alone / self.seconds:>8.2f}" if self.workers and self.workers > 1 else " " * 8
        counted = self.counted
        times = f"{self.start:>6.1f} {self.seconds:>7.1f} {self.cpu:>6.1f} {faster}"
        wire = f"{counted.shared_bytes():>12,} {counted.sent:>12,} {counted.given:>10,}"
        return f"{self.workers or 'none':>7} {times} {counted.calls:>6,} {counted.tasks:>6,} {wire}"


def measure(title: str, work: Work) -> list[Row]:
    """Print a line for each number of workers."""
    rows: list[Row] = []
    for workers in CASES:
        begin = time.perf_counter()
        with executor(workers, say=lambda text: None) as tasks:
            start, counting = time.perf_counter() - begin, Counting(tasks)
            begin, used = time.perf_counter(), time.process_time()
            digest = work(counting)
            rows.append(Row(workers, start, time.perf_counter() - begin, time.process_time() - used, counting, digest))
        print(f"{title:<8} {rows[-1].line(rows[min(1, len(rows) - 1)].seconds)}", flush=True)
    return rows


def scale(profiled: Sequence[Row], searched: Sequence[Row], args: argparse.Namespace) -> None:
    """What the measured sizes and times of this process come to for IMAGES images and CANDIDATES candidates."""
    here, there, images, candidates = profiled[0], profiled[1], args.images, args.candidates
    each, sent, given = here.cpu / images, here.counted.sent / images, here.counted.given / images
    tasks, hand = IMAGES / BATCH, there.cpu / there.counted.tasks
    pool = searched[0].counted.shared_bytes() / args.searched / candidates
    print(f"\nfor {IMAGES:,} images and {CANDIDATES:,} candidates:")
    print(f"profile of one chain: {each * IMAGES / 3600:,.1f} core hours ({1e3 * each:.2f} ms an image)")
    print(f"  {tasks:,.0f} tasks, {1e3 * hand:.1f} ms of the command's core to hand out each: {hand * tasks:,.0f} s")
    print(f"  so more than {each * BATCH / hand:,.0f} workers wait for the command")
    print(f"  wire: {sent * IMAGES / 1e9:,.1f} GB of images, once; {given * IMAGES / 1e9:,.2f} GB of answers back;")
    print(f"  {here.counted.shared_bytes() / 1e6:,.2f} MB of chain to each worker")
    print(f"wire that must not be: images once a candidate, {sent * IMAGES * CANDIDATES / 1e12:,.1f} TB")
    print(f"search: {pool:,.1f} bytes an image and candidate, to each worker and in the command's memory:")
    print(f"  {pool * IMAGES * CANDIDATES / 1e12:,.1f} TB for all of both, {pool * IMAGES * candidates / 1e9:,.1f} GB")
    print(f"  for {candidates} candidates; {pool * args.searched * candidates / 1e6:,.1f} MB were sent")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5_000, help="to profile")
    parser.add_argument("--candidates", type=int, default=3, help="to search")
    parser.add_argument("--searched", type=int, default=SEARCHED, help="images on which chains are searched")
    parser.add_argument("--budget", type=int, default=10, help="of the training, in seconds")
    parser.add_argument("--plan", action="store_true")
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, wanted by {os.getloadavg()[0]:.1f} processes in the minute before; profile:")
    print(f"{args.images:,} images, {BATCH} a task; search: {args.candidates} candidates on {args.searched:,} images")
    head = f"{'workers':>7} {'start':>6} {'s':>7} {'cpu s':>6} {'speed-up':>8} {'calls':>6} {'tasks':>6}"
    print(f"{'':<8} {head} {'shared bytes':>12} {'of tasks':>12} {'of results':>10}")
    profiled = measure("profile", profiling(args.images))
    searched = measure("search", searching(args.searched, args.candidates))
    trained = measure("train", training(args.budget))
    same = all(len({row.digest for row in rows}) == 1 for rows in (profiled, searched, trained))
    if args.plan:
        digests = [sha256(planning(workers)).hexdigest() for workers in (None, 1, 2, 3)]
        print(f"plan.json in this process, on 1, 2 and 3 workers: {', '.join(one[:16] for one in digests)}")
        same &= len(set(digests)) == 1
    scale(profiled, searched, args)
    print("\nresults are the same" if same else "\nRESULTS DIFFER")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
