"""Corpus cases on the command line: finding them, judging each, counting those that pass."""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from offramp.configs.device import Device
from offramp.configs.errors import Damaged, Diagnostic, InputError, Where
from offramp.configs.files import is_file
from offramp.host.console import add_arguments as add_console_arguments
from offramp.host.console import make_console
from offramp.host.stopping import default_signals
from offramp.pipeline.devices import add_device, device_of_case

Judge = Callable[[Path, Device], tuple[str, ...]]  # a case folder, its device -> why the case fails; () if it passes
T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cases", nargs="+", type=Path, metavar="CASE", help="a case folder, or a folder of cases")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    add_console_arguments(parser)
    add_device(parser, "device of cases whose meta.json names none")


def judge_cases(args: argparse.Namespace, judge: Judge) -> int:
    """A line per failing case, last line `N passed, M failed`. Exit code 2 if one is damaged, else 1 if one failed."""
    console = make_console(args)
    passed = failed = code = 0
    for case, (reasons, damaged) in each_case(args, partial(_judged, judge=judge, stated=args.device)):
        failed += bool(reasons)
        passed += not reasons
        if reasons:
            console.print(f"{case.name}: {'; '.join(reasons)}", markup=False)
            code = max(code, 2 if damaged else 1)
    console.print(f"{passed} passed, {failed} failed")
    return code


def _judged(case: Path, judge: Judge, stated: str | None) -> tuple[tuple[str, ...], bool]:
    """Why a case fails, and whether it is because one of its files is damaged."""
    try:
        return judge(case, device_of_case(case, stated)), False
    except InputError as error:
        return tuple(str(problem) for problem in error.problems), isinstance(error, Damaged)


def each_case(args: argparse.Namespace, work: Callable[[Path], T]) -> Iterator[tuple[Path, T]]:
    """All cases in order, each with what `work` makes of it.

    Raises InputError for a path that is no case and holds none, or a number of jobs below 1.
    """
    if args.jobs < 1:
        raise InputError(f"--jobs {args.jobs}: at least 1")
    cases = find_cases(args.cases)
    yield from zip(cases, _results(cases, args.jobs, work), strict=True)


def _results(cases: Sequence[Path], jobs: int, work: Callable[[Path], T]) -> Iterator[T]:
    if jobs == 1 or len(cases) == 1:
        yield from map(work, cases)
        return
    with multiprocessing.Pool(jobs, initializer=default_signals) as pool:
        yield from pool.imap(work, cases, chunksize=4)


def find_cases(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The case folders among `paths`, and those directly inside folders that are none. InputError if there is none."""
    cases: list[Path] = []
    problems = []
    for path in paths:
        inside = (
            [path] if is_program(path) else sorted(filter(is_program, path.iterdir())) if os.path.isdir(path) else []
        )
        if not inside:
            found = "is no case" if os.path.isdir(path) else "is no folder"
            problems.append(
                Diagnostic(
                    Where(str(path)),
                    f"{found}; a folder with program.npz, or one of such folders, is expected",
                )
            )
        cases += inside
    if problems:
        raise InputError(problems)
    return tuple(cases)


def is_case(path: Path) -> bool:
    """Is it a folder of the corpus?"""
    return is_program(path) and is_file(path / "meta.json")


def is_program(path: Path) -> bool:
    """Is it a folder with a bus program, a whole case or not?"""
    return is_file(path / "program.npz")
