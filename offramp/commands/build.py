"""`offramp build`: a spec in, verified firmware out."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from rich.console import Console

from offramp.commands.tables import print_plan, print_results
from offramp.configs.errors import InputError
from offramp.host import console as terminal
from offramp.pipeline.building import IMAGES, BuildOptions, build_firmware, check_possible
from offramp.pipeline.compile import COMPILERS
from offramp.pipeline.devices import device_of_spec
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.planning import make_plan
from offramp.pipeline.report import report_json
from offramp.planner.spec.reader import load_spec
from offramp.planner.tasks.executor import executor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp build`."""
    parser.epilog = "examples:\n  offramp build spec.yaml -o build/name\n  offramp build spec.yaml -o out --images all"
    parser.add_argument("spec", type=Path, metavar="SPEC", help="the spec (YAML)")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help="folder for plan and firmware")
    parser.add_argument("--compiler", choices=("auto", *COMPILERS), default="auto", help="default: the first installed")
    parser.add_argument(
        "--images", default=str(IMAGES), metavar="N", help=f"test images for the emulator, or `all` (default {IMAGES})"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes to plan with (default 1)")
    terminal.add_arguments(parser, json="the figures (docs/REPORT.md)")


def run(args: argparse.Namespace) -> int:
    """Plan, generate, compile, emulate, compare. The output folder appears only if every answer is right."""
    console = terminal.make_console(args)
    options = BuildOptions(args.compiler, parse_images(args.images))
    device = device_of_spec(args.spec)
    check_possible(args.output, options)
    with executor(args.jobs) as tasks, terminal.shown_progress(console, args.verbose) as progress:
        planned = make_plan(load_spec(args.spec, device), device, progress, tasks)
        progress.step("running the test data through the integer reference")
        evaluation = evaluate_plan(planned.plan)
        report = plan_report(planned, evaluation)
    print_plan(report, console)
    with terminal.shown_progress(console, args.verbose) as progress:
        report = build_firmware(planned, evaluation, report, args.output, options, progress)
    print_results(report, console)
    if report.verified and options.images:
        note_images(options.images, report.verified.answers, console)
    if report.verified is None:
        console.print("not verified: the firmware was not run (no test data in the spec, or --images 0)")
    console.print(f"written: {args.output}")
    terminal.print_json(report_json(report), args)
    return 0


def note_images(asked: int, there: int, console: Console) -> None:
    """Say it where there are fewer test images than were asked for."""
    if there < asked:
        console.print(f"there are only {there:,} test images: all of them were run, not {asked:,}")


def parse_images(text: str) -> int | None:
    """A number of images, or None for all. InputError for anything else."""
    if text == "all":
        return None
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InputError(f"--images {text}: a number of up to 9 digits or `all` is expected")
    return int(text)
