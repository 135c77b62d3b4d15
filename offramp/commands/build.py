"""`offramp build`: a spec in, verified firmware out."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from rich.console import Console

from offramp.commands.image_tables import print_image_plan, print_image_results
from offramp.comparison.read import report_page
from offramp.configs.errors import InputError
from offramp.host import console as terminal
from offramp.host import workers
from offramp.pipeline.building import IMAGES, BuildOptions, build_firmware, check_possible
from offramp.pipeline.compile import COMPILERS
from offramp.pipeline.devices import devices_of_specs
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import image_report
from offramp.pipeline.images import make_image
from offramp.pipeline.report import image_report_json
from offramp.planner.spec.models import model_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp build`."""
    parser.epilog = (
        "examples:\n  offramp build spec.yaml -o build/name\n  offramp build spec.yaml -o out --images all\n"
        "  offramp build words.yaml faces.yaml -o build/both    two models in one image, both resident"
    )
    add_specs(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help="folder for plan and firmware")
    parser.add_argument("--compiler", choices=("auto", *COMPILERS), default="auto", help="default: the first installed")
    parser.add_argument(
        "--images", default=str(IMAGES), metavar="N", help=f"test images for the emulator, or `all` (default {IMAGES})"
    )
    workers.add_arguments(parser)
    terminal.add_arguments(parser, json="the figures (docs/REPORT.md)")


def run(args: argparse.Namespace) -> int:
    """Plan, generate, compile, emulate, compare. The output folder appears only if every answer is right."""
    console = terminal.make_console(args)
    options = BuildOptions(args.compiler, parse_images(args.images))
    files = model_files(args.specs)
    check_possible(args.output, options)
    with workers.executor_of(args) as tasks, terminal.shown_progress(console, args.verbose) as progress:
        image = make_image(files, devices_of_specs(files.specs), progress, tasks)
        progress.step("running the test data through the integer reference")
        evaluations = [evaluate_plan(made.plan, tasks) for made in image.models]
        report = image_report(image, evaluations)
    print_image_plan(report, console)
    with terminal.shown_progress(console, args.verbose) as progress:
        report = build_firmware(image, evaluations, report, args.output, options, progress, report_page)
    print_image_results(report, console)
    for one in report.models:
        if one.verified and options.images:
            note_images(options.images, one.verified.answers, console)
    if report.verified is None:
        console.print("not verified: the firmware was not run (no test data in the spec, or --images 0)")
    console.print(f"written: {args.output}")
    terminal.print_json(image_report_json(report), args)
    return 0


def add_specs(parser: argparse.ArgumentParser) -> None:
    """The specs of the models of an image."""
    text = "the spec (YAML); several, or a YAML that lists them, are the models of one image"
    parser.add_argument("specs", type=Path, nargs="+", metavar="SPEC", help=text)


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
