"""Corpus cases on the command line: finding them, judging each, counting those that pass."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from offramp.configs.device import Device
from offramp.configs.errors import Damaged, Diagnostic, InputError, Where
from offramp.configs.files import is_file
from offramp.host import workers
from offramp.host.console import add_arguments as add_console_arguments
from offramp.host.console import make_console
from offramp.pipeline.devices import add_device, device_of_case
from offramp.planner.tasks.executor import apply

Judge = Callable[[Path, Device], tuple[str, ...]]  # a case folder, its device -> why the case fails; () if it passes
T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cases", nargs="+", type=Path, metavar="CASE", help="a case folder, or a folder of cases")
    workers.add_arguments(parser, cluster=False)
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

    With workers, after all are done. Raises InputError for a path that is no case and holds none, or a number of
    workers below 1.
    """
    cases = find_cases(args.cases)
    if args.workers is None:
        yield from zip(cases, map(work, cases), strict=True)
        return
    with workers.executor_of(args) as tasks:
        results = tasks.map(apply, work, cases)
    yield from zip(cases, results, strict=True)


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
