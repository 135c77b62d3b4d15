"""The terminal: full width in a terminal, a fixed one in files and pipes, so that the same run prints the same text."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from offramp.configs.errors import Diagnostic
from offramp.configs.records import json_text
from offramp.host.output import shown
from offramp.host.plain_console import PlainConsole
from offramp.host.progress import Progress

WIDTH = 110
FORMAT = 1  # of the document that says what is wrong


def add_arguments(parser: argparse.ArgumentParser, json: str = "") -> None:
    """Options of all commands: how much is printed. `json`: what `--json` prints, where a command has it."""
    level = parser.add_mutually_exclusive_group()
    level.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    level.add_argument("-v", "--verbose", action="store_true", help="print how long each step takes")
    parser.set_defaults(json=False, printed=False)
    if json:
        text = f"print {json} as JSON, or what is wrong, and nothing else"
        parser.add_argument("--json", action="store_true", help=text)


def make_console(args: argparse.Namespace | None = None, width: int = WIDTH) -> Console:
    """A console for standard output, silent where the arguments ask for less or for JSON. `width`: of files and
    pipes."""
    quiet = args is not None and (args.quiet or args.json)
    return PlainConsole(None if sys.stdout.isatty() else width, quiet=quiet)


def print_json(text: str, args: argparse.Namespace) -> None:
    """The one document that `--json` asks for."""
    if args.json and not args.quiet:
        args.printed = True
        sys.stdout.write(text)


def print_problems(problems: Sequence[Diagnostic], args: argparse.Namespace) -> None:
    """With `--json`, what is wrong, where the command has not printed its document. `file` and `line` are null where
    there is no place."""
    found = [
        {
            "file": problem.where and problem.where.file,
            "line": problem.where and (problem.where.line or None),
            "message": problem.message,
        }
        for problem in problems
    ]
    if not args.printed:
        print_json(json_text({"format": FORMAT, "problems": found}), args)


@contextmanager
def shown_progress(console: Console, verbose: bool = False) -> Iterator[Progress]:
    """Show what is being done: a line that changes in a terminal, a line for each step elsewhere. `verbose`: and how
    long each step took."""
    timer = _Timer(console, verbose)

    def warn(what: str) -> None:
        console.print(f"warning: {what}", style="yellow", markup=False)

    if not console.is_terminal:
        yield Progress(timer.then(lambda what: console.print(f"{what} ...")), lambda what, done, total: None, warn)
    else:
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        with Bars(*columns, TimeElapsedColumn(), console=console, transient=True) as bars:
            task = bars.add_task("", total=None)
            step = timer.then(lambda what: bars.reset(task, description=shown(f"{what} ..."), total=None))
            yield Progress(step, lambda what, done, total: bars.update(task, completed=done, total=total), warn)
    timer.end()


class _Timer:
    """Prints the seconds of each step as the next one begins, if it is asked to."""

    def __init__(self, console: Console, verbose: bool) -> None:
        self.console, self.verbose = console, verbose
        self.step: tuple[str, float] | None = None

    def then(self, show: Callable[[str], None]) -> Callable[[str], None]:
        def begin(what: str) -> None:
            self.end()
            self.step = (what, time.monotonic())
            show(what)

        return begin

    def end(self) -> None:
        if self.step and self.verbose:
            what, since = self.step
            self.console.print(f"{what}: {time.monotonic() - since:.2f} s")
        self.step = None
