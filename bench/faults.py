"""Let faults happen to a firmware on the virtual board, and see whether it says so: writes docs/FAULTS.md.

    python -m bench.faults [--workers N]

Exit code 1 if an answer was wrong although the call returned OK, where the runtime can notice it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.fault_board import Subject, make_subject, run_trial
from bench.fault_calls import CALLS, IN_ANY_PHASE, PHASES, Met, from_another_task, from_interrupts, in_phases, summary
from bench.fault_lines import Line, judge
from bench.fault_page import page
from bench.fault_rows import Row, rows
from offramp.host.workers import executor
from offramp.planner.tasks.executor import Executor

PAGE = Path(__file__).parents[1] / "docs" / "FAULTS.md"
WHERE = {
    "from an interrupt, during `offramp_infer`": (from_interrupts, CALLS),
    "from another task, while a stage runs": (from_another_task, CALLS),
    f"in each of {len(PHASES)} phases": (in_phases, IN_ANY_PHASE),
}


def try_faults(subject: Subject, chosen: Sequence[Row], tasks: Executor) -> Iterator[Line]:
    """All trials of some rows."""
    for row in chosen:
        default = judge(tasks.map(run_trial, subject, row.trials))
        if row.check is None:
            yield Line(row.name, default)
        else:
            yield Line(row.name, default, row.check.name, judge(tasks.map(run_trial, subject, row.checked())))


def try_calls(subject: Subject, tasks: Executor) -> Iterator[Line]:
    """All calls at wrong times."""
    for where, (_, calls) in WHERE.items():
        found = tasks.map(_calls, subject, [(where, name) for name in calls])
        for name, met in zip(calls, found, strict=True):
            yield Line(f"`{name}` {where}: {summary(met)}", judge([one.outcomes for one in met]))


def _calls(subject: Subject, task: tuple[str, str]) -> list[Met]:
    where, name = task
    return WHERE[where][0](subject, name)


def unnoticed(lines: Sequence[Line]) -> list[Line]:
    """Rows with wrong answers and OK although a check was on that can notice the fault."""
    return [line for line in lines if (line.checked or line.default).wrong]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, executor(args.workers) as tasks:
        subject = make_subject(Path(folder))
        faults, calls = [], []
        for line in try_faults(subject, rows(subject), tasks):
            print(line, flush=True)
            faults.append(line)
        for line in try_calls(subject, tasks):
            print(line, flush=True)
            calls.append(line)
    PAGE.write_text(page(faults, calls), encoding="utf-8")
    bad = unnoticed([*faults, *calls])
    for line in bad:
        print(f"WRONG ANSWERS WITH OK: {line.name}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
