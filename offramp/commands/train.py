"""`offramp train`: fronts and heads for a network that has none."""

from __future__ import annotations

import argparse
from pathlib import Path

from offramp.commands.train_tables import print_training
from offramp.configs.extras import pytorch_needed
from offramp.host import console as terminal
from offramp.host import workers
from offramp.pipeline.devices import device_of_spec
from offramp.training.report import train_report_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp train`."""
    parser.epilog = (
        "examples:\n  offramp train train.yaml -o exits --workers 2\n  offramp build exits/spec.yaml -o build/mine"
    )
    parser.add_argument("spec", type=Path, metavar="SPEC", help="the training spec (YAML, docs/TRAIN.md)")
    text = "folder for networks, spec and report; a search that was stopped there goes on"
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help=text)
    workers.add_arguments(parser)
    terminal.add_arguments(parser, json="the report (docs/TRAIN.md)")


def run(args: argparse.Namespace) -> int:
    """Search, train, write, and print what was found."""
    with pytorch_needed():
        from offramp.training.exits import train_exits
    console = terminal.make_console(args)
    device = device_of_spec(args.spec)
    with workers.executor_of(args, ("torch",)) as tasks, terminal.shown_progress(console, args.verbose) as progress:
        try:
            report = train_exits(args.spec, args.output, device, tasks, progress)
        except KeyboardInterrupt:
            console.print("stopped; the same command goes on from the last rung that was done", highlight=False)
            raise
    print_training(report, console)
    console.print(f"written: {args.output}; next: offramp build {args.output / 'spec.yaml'} -o build/{report.name}")
    terminal.print_json(train_report_json(report), args)
    return 0
