"""`offramp compare`: memory layouts side by side, as a table and as one HTML page."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from offramp.comparison.layouts import LETTERS, Layout
from offramp.comparison.measures import Row, rows_of, stage_names
from offramp.comparison.page import comparison_page
from offramp.comparison.read import devices_for, read_layout
from offramp.configs.errors import InputError
from offramp.configs.records import json_text
from offramp.host import console as terminal
from offramp.host.files import write_text
from offramp.pipeline.devices import stated_device

FORMAT = 1
UNLIMITED = 10_000  # characters that a table needs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp compare`."""
    parser.epilog = (
        "examples:\n  offramp compare build/mnist examples/mnist/branch.yaml -o compare.html\n"
        "  offramp compare spec.yaml ../shared/corpus/cases/net-mnist"
    )
    accepted = "a spec (YAML), a plan (JSON), the folder of a build, or of a corpus case (the vendor tool's layout)"
    parser.add_argument("layouts", nargs="+", type=Path, metavar="LAYOUT", help=accepted)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="HTML",
        help="write a page that shows all of it",
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="NAME",
        help="read specs that name no device for this one; several times, for each of them",
    )
    terminal.add_arguments(parser, json="all measures")


def run(args: argparse.Namespace) -> int:
    """Read all layouts, print the table, write the page if asked to."""
    console = terminal.make_console(args)
    for name in args.device:
        stated_device(name)  # is there one of this name, whether or not a spec is read for it
    wanted = [(path, device) for path in args.layouts for device in devices_for(path, args.device)]
    if len(wanted) > len(LETTERS):
        raise InputError(f"{len(wanted)} layouts; at most {len(LETTERS)} are compared")
    with terminal.shown_progress(console, args.verbose) as progress:
        layouts = [read_layout(path, progress, bool(args.output), device) for path, device in wanted]
    print_comparison(layouts, console)
    if args.output:
        write_text(args.output, comparison_page(layouts))
        console.print(f"written: {args.output}")
    terminal.print_json(comparison_json(layouts), args)
    return 0


def comparison_json(layouts: Sequence[Layout]) -> str:
    """The layouts and all measures of them as JSON."""
    content = {
        "format": FORMAT,
        "layouts": [{"name": layout.name, "kind": layout.kind, "path": layout.path} for layout in layouts],
        "measures": [
            {
                "name": row.name,
                "note": row.note,
                "cells": [{"text": cell.text, "change": cell.change, "differs": cell.differs} for cell in row.cells],
            }
            for row in rows_of(layouts)
        ],
    }
    return json_text(content)


def print_comparison(layouts: Sequence[Layout], console: Console) -> None:
    """What each letter stands for, and all measures. A value that differs from A's has a star and is bold."""
    for letter, layout in zip(LETTERS, layouts, strict=False):
        stages = stage_names(layout)
        of = f" for the {layout.device}" if len({one.device for one in layouts}) > 1 else ""
        console.print(f"{letter}: {layout.name}, {layout.kind} {layout.path}{of}, stages: {stages}", markup=False)
    rows = rows_of(layouts)
    for table in _tables(layouts, rows, console):
        console.print(table)
    if any(row.differs for row in rows):
        console.print("* differs from A")
    simulated = any(not layout.unverified for layout in layouts)
    console.print("~ estimated; other cycles are simulated. Energy is above idle." if simulated else "~ estimated.")
    unverified = sorted({layout.device for layout in layouts if layout.unverified})
    if unverified:
        text = (
            f"(unverified) the MAX78000's cycles at the clocks of the {', '.join(unverified)}: nobody has published any"
        )
        console.print(f"{text}; they are not compared with cycles of another device.")


def _tables(layouts: Sequence[Layout], rows: Sequence[Row], console: Console) -> Iterator[Table]:
    """One table if the console is wide enough, else several that begin with A: no number is broken in two."""
    rest = list(range(1, len(layouts)))
    while True:
        count = len(rest)
        while count > 1 and _width(_table(layouts, rows, [0, *rest[:count]]), console) > console.width:
            count -= 1
        yield _table(layouts, rows, [0, *rest[:count]])
        rest = rest[count:]
        if not rest:
            return


def _width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=UNLIMITED), table).maximum


def _table(layouts: Sequence[Layout], rows: Sequence[Row], shown: Sequence[int]) -> Table:
    """The measures of some layouts."""
    table = Table(title="layouts", title_justify="left", title_style="bold", header_style="")
    table.add_column("")
    for index in shown:
        several = len({one.device for one in layouts}) > 1
        name = f"{layouts[index].name}, {layouts[index].device}" if several else layouts[index].name
        table.add_column(f"{LETTERS[index]}: {name}", justify="right", overflow="fold")
    for row in rows:
        cells = [row.cells[index] for index in shown]
        table.add_row(row.name, *(_styled(f"{cell.text} {cell.change}".strip(), cell.differs) for cell in cells))
    return table


def _styled(text: str, differs: bool) -> Text:
    return Text(f"{text} *", style="bold") if differs else Text(text)
