"""`--fault` of `offramp run`: what goes wrong on the virtual board, and what the firmware said of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from offramp.configs.errors import CheckFailed, InputError
from offramp.pipeline.emulate import SHOWN, Emulated
from offramp.simulator.board.fault_names import FAULTS
from offramp.simulator.board.faults import OUTSIDE, AtStart, Fault

LIST = "list"
SECOND = 2  # start of the accelerator at which a fault happens if none is named


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[@N]",
        help=f"let this go wrong at the accelerator's start number N (default {SECOND}); may be repeated; "
        f"`--fault {LIST}` lists the names",
    )


def parse(args: argparse.Namespace) -> tuple[Fault, ...]:
    """The faults that the arguments name. InputError if there is none of a name, or with what cannot be shown then."""
    if args.fault and (args.trace or args.profile):
        raise InputError("--fault: not together with --trace or --profile")
    return tuple(_fault(text) for text in args.fault)


def _fault(text: str) -> Fault:
    name, _, start = text.partition("@")
    if name not in FAULTS:
        raise InputError(f"--fault {text}: no such fault; {LIST} or one of these is expected: {', '.join(FAULTS)}")
    if start and not (start.isascii() and start.isdigit() and 0 < int(start) < 1 << 31):
        raise InputError(f"--fault {text}: `{start}`; the number of a start, from 1 on, is expected behind @")
    return FAULTS[name].make(AtStart(int(start) if start else SECOND))


def check_possible(given: Sequence[Fault], outside: bool) -> None:
    """InputError for a fault of a memory outside flash if the build has none."""
    if not outside and any(isinstance(fault, OUTSIDE) for fault in given):
        raise InputError("--fault external-...: this build has no weights outside flash (`reload: external`)")


def show_names(console: Console) -> None:
    """All faults that can be named."""
    table = Table(header_style="")
    table.add_column("fault")
    table.add_column("what happens")
    for name, fault in FAULTS.items():
        table.add_row(name, fault.description)
    console.print(table)


def show_outcome(emulated: Sequence[Emulated], names: Sequence[str], console: Console) -> None:
    """What the firmware said, of all models. CheckFailed if an answer was wrong although its status was OK."""
    failures = [line for one in emulated for line in one.run.failures()]
    wrong = [line for one in emulated for line in one.wrong]
    for line in failures[:SHOWN]:
        console.print(line)
    count = sum(one.verified.answers for one in emulated)
    right = count - len(failures) - len(wrong)
    text = f"{', '.join(names)}: {right} of {count} answers equal the integer reference, {len(failures)} are errors"
    console.print(f"{text}, {len(wrong)} are wrong without an error")
    if wrong:
        raise CheckFailed("wrong answers without an error:\n  " + "\n  ".join(wrong[:SHOWN]))
