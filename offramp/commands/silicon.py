"""`offramp silicon`: firmware that asks a chip what is not known of it, and what its log says."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.configs.records import json_text
from offramp.configs.values import date, text
from offramp.host import console as terminal
from offramp.host.build_folder import whole_folder
from offramp.host.files import write_text, write_tree
from offramp.host.progress import Progress
from offramp.pipeline.compile import COMPILERS, compile_firmware
from offramp.pipeline.devices import add_device, stated_device
from offramp.silicon.board import AskedAccelerator
from offramp.silicon.evidence import evidence_lines
from offramp.silicon.log import VIRTUAL, Log, parse_log, read_log
from offramp.silicon.project import MAIN, project_files, script, virtual_log
from offramp.silicon.questions import all_questions
from offramp.silicon.steps import Question
from offramp.silicon.verdicts import Answered, Verdict, answer
from offramp.simulator.board.core import require_board

FORMAT = 1
ASKED = "image"  # the form of the registers that the questions set
EPILOG = """\
examples:
  offramp silicon -o build/silicon     the firmware's project, for the vendor's SDK
  offramp silicon LOG                  what a chip's log says
  offramp silicon LOG --source "J. Doe, EvKit rev. C" --date 2026-01-31      the same, as lines for the device file
  offramp silicon                      run it on the virtual board, which answers what the model assumes

docs/SILICON.md explains every question and how to get a log.
"""
VIRTUAL_NOTE = "The virtual board answered: the accelerator's model, not a chip."
CYCLES = "cycles"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp silicon`."""
    parser.epilog = EPILOG
    parser.add_argument("log", type=Path, nargs="?", metavar="LOG", help="a log that the firmware has printed")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="write the firmware's project to this folder")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the log of the virtual board in this file")
    parser.add_argument("--compiler", choices=("auto", *COMPILERS), default="auto", help="for the virtual board")
    parser.add_argument("--source", metavar="TEXT", help="who saw it, on which board: print lines for the device file")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="with --source: when")
    add_device(parser, "device that is asked")
    terminal.add_arguments(parser, json="what the log says")


def run(args: argparse.Namespace) -> int:
    """Write the project, or read a log, or make one on the virtual board. Exit code 1 if an answer differs."""
    _check(args)
    device = stated_device(args.device)
    if device.layer_form != ASKED:
        message = f"the questions are about the registers of the MAX78000; there are none for the {device.name} yet"
        raise InputError(Diagnostic(None, message))
    questions = all_questions(device)
    console = terminal.make_console(args)
    if args.output:
        with whole_folder(args.output) as folder:
            write_tree(folder, project_files(questions, device))
        console.print(f"{args.output}: `make` in it with MAXIM_PATH set; docs/SILICON.md says how to go on")
        return 0
    with terminal.shown_progress(console, args.verbose) as progress:
        log = read_log(args.log) if args.log else _ask_model(questions, device, args, progress)
    if args.source and log.board == VIRTUAL:
        raise InputError(Diagnostic(log.where, "a log of the virtual board, which is no evidence"))
    found = answer(log, questions, script(questions).digest, device.name)
    terminal.print_json(_json(log, found), args)
    _print(log, found, device, console)
    if args.source:
        console.print(evidence_lines(found, args.source, args.date), markup=False, highlight=False, soft_wrap=True)
    return int(any(one.verdict == Verdict.DIFFERS for one in found))


def _check(args: argparse.Namespace) -> None:
    """InputError for options that do not go together."""
    if args.output and (args.log or args.source or args.save):
        raise InputError("-o writes the firmware; it takes no LOG, no --save and no --source")
    if args.log and args.save:
        raise InputError("--save is for the log of the virtual board; there is one already")
    if bool(args.source) != bool(args.date):
        raise InputError("--source and --date: both are needed")
    if args.source and not args.log:
        raise InputError("--source needs the LOG of a chip: what the virtual board answers is no evidence")
    for option, kind in (("source", text), ("date", date)):
        try:
            kind(getattr(args, option) or "2000-01-01")
        except ValueError as error:
            raise InputError(f"--{option} {getattr(args, option)}: {error}") from error


def _ask_model(questions: Sequence[Question], device: Device, args: argparse.Namespace, progress: Progress) -> Log:
    """The log of the virtual board. InputError if there is no compiler, or what it needs is not installed."""
    require_board()
    progress.step("running the questions on the virtual board")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_tree(folder, project_files(questions, device))
        elf = compile_firmware(folder, folder / "silicon.elf", args.compiler, MAIN).elf
        text = virtual_log(elf, AskedAccelerator(device), device)
    if args.save:
        write_text(args.save, text)
    return parse_log(text, "the log of the virtual board")


def _print(log: Log, found: Sequence[Answered], device: Device, console: Console) -> None:
    table = Table(title=f"{device.name}, board {log.board}", show_lines=True)
    for name in ("question", "we assume", "this chip did", ""):
        table.add_column(name, overflow="fold")
    for one in found:
        table.add_row(one.question.asks, one.question.assumed, one.saw, one.verdict.value)
    console.print(table, markup=False, highlight=False)
    _print_cycles(found, console)
    _print_known(found, device, console)
    if log.board == VIRTUAL:
        console.print(VIRTUAL_NOTE, highlight=False)


def _print_cycles(found: Sequence[Answered], console: Console) -> None:
    """Counted cycles beside those of the model, where the board has a clock."""
    answers = [one for each in found if each.question.name == CYCLES for one in each.answers if one.values]
    if not answers:
        return
    table = Table(title="cycles of the accelerator")
    for name in ("layers", "model", "this chip"):
        table.add_column(name, justify="left" if name == "layers" else "right")
    for one in answers:
        assert one.measurement.values
        table.add_row(one.measurement.short, f"{one.measurement.values[0]:,}", f"{one.values[0]:,}")
    console.print(table)


def _print_known(found: Sequence[Answered], device: Device, console: Console) -> None:
    """What the device file holds already."""
    for one in found:
        for known in device.evidence:
            if known.fact == one.question.name:
                console.print(
                    f"{known.fact}: {known.seen} ({known.source}, {known.date})", markup=False, highlight=False
                )


def _json(log: Log, found: Sequence[Answered]) -> str:
    questions = [
        {
            "name": one.question.name,
            "question": one.question.asks,
            "assumed": one.question.assumed,
            "seen": one.saw,
            "verdict": one.verdict.value,
            "measurements": [
                {
                    "name": each.measurement.name,
                    "seen": each.saw,
                    "values": list(each.values),
                    "problems": list(each.problems),
                    "verdict": each.verdict.value,
                }
                for each in one.answers
            ],
        }
        for one in found
    ]
    return json_text({"format": FORMAT, "device": log.device, "board": log.board, "questions": questions})
