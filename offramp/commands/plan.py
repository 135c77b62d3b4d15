"""`offramp plan`: stages, thresholds and memory of a spec, without firmware."""

from __future__ import annotations

import argparse
from pathlib import Path

from offramp.commands.tables import print_plan, print_results
from offramp.host import console as terminal
from offramp.host.files import write_text
from offramp.pipeline.devices import device_of_spec
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.planning import make_plan
from offramp.pipeline.report import report_json
from offramp.planner.plan import plan_json
from offramp.planner.spec.reader import load_spec
from offramp.planner.tasks.executor import executor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp plan`."""
    parser.epilog = "examples:\n  offramp plan examples/mnist/spec.yaml -o plan.json\n  offramp plan spec.yaml --json"
    parser.add_argument("spec", type=Path, metavar="SPEC", help="the spec (YAML)")
    parser.add_argument("-o", "--output", type=Path, metavar="PLAN", help="keep the plan in this JSON file")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes to plan with (default 1)")
    terminal.add_arguments(parser, json="the figures (docs/REPORT.md)")


def run(args: argparse.Namespace) -> int:
    """Make a plan, print it and what it gives on the test data; keep it if asked to."""
    console = terminal.make_console(args)
    device = device_of_spec(args.spec)
    with executor(args.jobs) as tasks, terminal.shown_progress(console, args.verbose) as progress:
        planned = make_plan(load_spec(args.spec, device), device, progress, tasks)
        progress.step("running the test data through the integer reference")
        report = plan_report(planned, evaluate_plan(planned.plan))
    print_plan(report, console)
    print_results(report, console)
    if args.output:
        write_text(args.output, plan_json(planned.plan, args.output.parent))
    terminal.print_json(report_json(report), args)
    return 0
