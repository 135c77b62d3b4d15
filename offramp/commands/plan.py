"""`offramp plan`: stages, thresholds and memory of a spec, without firmware."""

from __future__ import annotations

import argparse
from pathlib import Path

from offramp.commands.build import add_specs
from offramp.commands.image_tables import print_image_plan, print_image_results
from offramp.host import console as terminal
from offramp.host import workers
from offramp.host.files import write_text
from offramp.pipeline.devices import devices_of_specs
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import image_report
from offramp.pipeline.images import make_image
from offramp.pipeline.report import image_report_json
from offramp.planner.image_plan import image_plan_json
from offramp.planner.spec.models import model_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp plan`."""
    parser.epilog = "examples:\n  offramp plan examples/mnist/spec.yaml -o plan.json\n  offramp plan spec.yaml --json"
    add_specs(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="PLAN", help="keep the plan in this JSON file")
    workers.add_arguments(parser)
    terminal.add_arguments(parser, json="the figures (docs/REPORT.md)")


def run(args: argparse.Namespace) -> int:
    """Make a plan, print it and what it gives on the test data; keep it if asked to."""
    console = terminal.make_console(args)
    files = model_files(args.specs)
    with workers.executor_of(args) as tasks, terminal.shown_progress(console, args.verbose) as progress:
        image = make_image(files, devices_of_specs(files.specs), progress, tasks)
        progress.step("running the test data through the integer reference")
        report = image_report(image, [evaluate_plan(made.plan, tasks) for made in image.models])
    print_image_plan(report, console)
    print_image_results(report, console)
    if args.output:
        write_text(args.output, image_plan_json(image.plan, args.output.parent))
    terminal.print_json(image_report_json(report), args)
    return 0
