"""`offramp plan`: stages, thresholds and memory of a spec, without firmware."""

from __future__ import annotations

import argparse
from pathlib import Path

from offramp.console import make_console, progress_on
from offramp.devices import device_of_spec
from offramp.files import write_text
from offramp.pipeline.planning import evaluate_plan, make_plan, plan_report
from offramp.pipeline.report import print_plan, print_results
from offramp.planner.plan import plan_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp plan`."""
    parser.epilog = "example:\n  offramp plan examples/mnist/spec.yaml -o plan.json"
    parser.add_argument("spec", type=Path, metavar="SPEC", help="the spec (YAML)")
    parser.add_argument("-o", "--output", type=Path, metavar="PLAN", help="keep the plan in this JSON file")


def run(args: argparse.Namespace) -> int:
    """Make a plan, print it and what it gives on the test data; keep it if asked to."""
    console = make_console()
    device = device_of_spec(args.spec)
    with progress_on(console) as progress:
        plan = make_plan(args.spec, device, progress)
        progress("running the test data through the integer reference")
        report = plan_report(plan, device, evaluate_plan(plan))
    print_plan(report, console)
    print_results(report, console)
    if args.output:
        write_text(args.output, plan_json(plan, args.output.parent))
    return 0
