"""Random applications with everything at once, planned, lowered and run, against the integer reference, bit for bit.

`python -m bench.applications 2000 --workers 2` draws applications of the seeds 0 to 1,999: stages with classes of their
own, thresholds by class, tensors as results, several models side by side, weights that are written again, rolling
buffers, stages of more layers than a run can have, through the FIFO or not. They run among junk on the accelerator
model, every 20th as firmware on the virtual board. What is refused is counted by its reason. An application that
answers wrong is printed with its seed, and the exit code is 1; `--reduce SEED` looks for the smallest one like it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from offramp.host.workers import executor
from offramp.planner.tasks.executor import apply
from tests.helpers.application_runs import Outcome, judged
from tests.helpers.applications import Application, applications, drawn

TOLD = 50  # applications between two lines of progress
LINES = 12  # of a traceback that are shown


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.applications", description=__doc__.split("\n\n")[0])
    parser.add_argument("count", type=int, nargs="?", default=2000, help="how many (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first (default 0)")
    parser.add_argument("--workers", type=int, help="worker processes (default: this one alone)")
    parser.add_argument("--board", type=int, default=20, help="run every one of so many as firmware (default 20)")
    parser.add_argument(
        "--reduce", type=int, metavar="SEED", help="the smallest application that is wrong like this one"
    )
    arguments = parser.parse_args()
    if arguments.reduce is not None:
        reduce(arguments.reduce, arguments.reduce % arguments.board == 0)
        return 0
    seeds = range(arguments.seed, arguments.seed + arguments.count)
    outcomes = list(_told(run_all(seeds, arguments.workers, arguments.board), len(seeds)))
    print(table(outcomes, arguments.board))
    return int(any(outcome.wrong for outcome in outcomes))


def run_all(seeds: Sequence[int], workers: int | None, board: int) -> Iterator[Outcome]:
    """The outcome of each seed, in order; those that are wrong are printed."""
    work = partial(outcome_of, board=board)
    with executor(workers) as tasks:
        for start in range(0, len(seeds), TOLD):
            part = seeds[start : start + TOLD]
            for number, outcome in zip(part, tasks.map(apply, work, part), strict=True):
                if outcome.wrong:
                    listed = "\n  ".join(outcome.wrong[:LINES])
                    print(f"seed {number}: {drawn(number)}\n  {listed}", flush=True)
                yield outcome


def outcome_of(number: int, board: int) -> Outcome:
    """Draw and judge the application of a seed. What is raised is an outcome, too: nothing that is drawn may end so."""
    application = drawn(number)
    try:
        return _judged(application, number % board == 0)
    except Exception:
        shown = traceback.format_exc().splitlines()[-LINES:]
        return Outcome("", wrong=("\n".join(shown),))


def _judged(application: Application, firmware: bool) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        return judged(application, Path(folder), firmware)


def reduce(number: int, firmware: bool) -> None:
    """Print the smallest application that hypothesis finds from a wrong one on, with what is wrong."""

    @seed(number)
    @settings(max_examples=2, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @settings(phases=[Phase.generate, Phase.shrink], print_blob=False)
    @given(applications())
    def answers_as_the_reference(application: Application) -> None:
        wrong = _judged(application, firmware).wrong
        assert not wrong, "\n".join(wrong)

    answers_as_the_reference()
    print(f"seed {number} answers as the reference")


def _told(outcomes: Iterator[Outcome], count: int) -> Iterator[Outcome]:
    """The same, with lines of progress."""
    start = time.monotonic()
    refused = wrong = 0
    for number, outcome in enumerate(outcomes, 1):
        refused, wrong = refused + bool(outcome.refused), wrong + bool(outcome.wrong)
        if number % TOLD == 0 or number == count:
            spent = time.monotonic() - start
            print(f"{number} of {count}: {refused} refused, {wrong} wrong, {spent:.0f} s", file=sys.stderr, flush=True)
        yield outcome


def table(outcomes: Sequence[Outcome], board: int) -> str:
    """How many there were of each kind."""
    built = [outcome for outcome in outcomes if not outcome.refused]
    firmware = [outcome for outcome in built if outcome.firmware]
    answers, wrong = sum(outcome.answers for outcome in built), sum(bool(outcome.wrong) for outcome in built)
    lines = [f"{len(outcomes):,} applications: {len(built):,} built, {len(outcomes) - len(built):,} refused"]
    lines.append(f"{answers:,} answers, {wrong} applications with a wrong one")
    lines.append(
        f"{len(firmware):,} of them (every {board}th seed) as firmware on the virtual board, others by registers"
    )
    lines += ["", "applications  with"]
    lines += _counted(feature for outcome in built for feature in outcome.features)
    lines += ["", "applications  refused because"]
    return "\n".join(lines + _counted(outcome.refused for outcome in outcomes if outcome.refused))


def _counted(names: Iterator[str]) -> list[str]:
    counts = sorted(Counter(names).items(), key=lambda one: (-one[1], one[0]))
    return [f"{count:12,}  {name}" for name, count in counts]


if __name__ == "__main__":
    sys.exit(main())
