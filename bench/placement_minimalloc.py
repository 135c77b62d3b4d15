"""Activations of published hard instances: `python -m bench.placement --minimalloc FOLDER`.

The folder holds files `NAME.CAPACITY.csv` with the columns id, lower, upper, size, as benchmarks/challenging of
google/minimalloc: a buffer is live in [lower, upper).
"""

from __future__ import annotations

import csv
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.absent import INPUT_WRONG
from offramp.configs.errors import Infeasible, OfframpError
from offramp.planner.placement.check import check
from offramp.planner.placement.interval_problem import Limits
from offramp.planner.placement.problem import Buffer, Problem
from offramp.planner.placement.solve import solve

LIMITS = Limits(effort=40.0)  # the chains of a spec get 2; these instances have no word to spare


def report_minimalloc(folder: Path, problem: Problem) -> int:
    """Place every instance of the folder in one memory of the capacity in its file name; a wrong placement ends it.
    The exit code."""
    files = sorted(folder.glob("*.*.csv"))
    if not files:
        print(f"{folder} has no file NAME.CAPACITY.csv: nothing is placed", file=sys.stderr)
        return INPUT_WRONG
    placed = 0
    for file in files:
        blocks = buffers(file)
        capacity = int(file.suffixes[-2][1:])
        begin = time.perf_counter()
        state = place(replace(problem, data=blocks, data_words=capacity))
        seconds = time.perf_counter() - begin
        placed += state.startswith("placed")
        print(f"  {file.name}: {len(blocks)} buffers, {state}, {seconds:.2f} s", flush=True)
    print(f"placed: {placed} of {len(files)}")
    return 0


def buffers(file: Path) -> tuple[Buffer, ...]:
    with file.open(newline="") as lines:
        rows = [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(lines)]
    return tuple(Buffer(row["id"], (0,), int(row["size"]), int(row["lower"]), int(row["upper"]) - 1) for row in rows)


def place(problem: Problem) -> str:
    try:
        placement = solve(problem, LIMITS)
    except Infeasible:
        return "proved impossible"
    except OfframpError:
        return "not decided"
    violations = check(problem, placement)
    if violations:
        raise SystemExit(violations[0].message)
    end = max(placement.data[block.name] + block.words for block in problem.data)
    return f"placed in {end:,} of {problem.data_words:,} words"
