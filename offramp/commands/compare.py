"""`offramp compare`: memory layouts side by side, as a table and as one HTML page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from offramp import console as terminal
from offramp.comparison.layout_plan import layout_of_plan
from offramp.comparison.layout_vendor import layout_of_case
from offramp.comparison.layouts import LETTERS, Layout
from offramp.comparison.measures import Row, rows_of, stage_names
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.corpus.cases import is_case
from offramp.devices import device_of_case, device_of_plan, device_of_spec
from offramp.files import write_text
from offramp.pipeline.chains import TEST_DATA
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.planning import make_plan, open_plan
from offramp.pipeline.report import read_report
from offramp.pipeline.reporting import plan_report
from offramp.planner.plan import read_plan
from offramp.planner.spec.reader import load_spec
from offramp.progress import Progress

SUFFIXES = (".json", ".yaml", ".yml")
UNLIMITED = 10_000  # characters: what a table would like to have


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp compare`."""
    parser.epilog = (
        "examples:\n  offramp compare build/mnist examples/mnist/branch.yaml -o compare.html\n"
        "  offramp compare spec.yaml ../shared/corpus/cases/net-mnist"
    )
    accepted = "a spec (YAML), a plan (JSON), the folder of a build, or of a corpus case (the vendor tool's layout)"
    parser.add_argument("layouts", nargs="+", type=Path, metavar="LAYOUT", help=accepted)
    parser.add_argument("-o", "--output", type=Path, metavar="HTML", help="write a page with pictures of the memories")
    terminal.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read all layouts, print the table, write the page if asked to."""
    console = terminal.make_console(args)
    if args.output:
        _page_maker()
    if len(args.layouts) > len(LETTERS):
        raise InputError(f"{len(args.layouts)} layouts; at most {len(LETTERS)} are compared")
    with terminal.shown_progress(console, args.verbose) as progress:
        layouts = [read_layout(path, progress) for path in args.layouts]
    print_comparison(layouts, console)
    if args.output:
        write_text(args.output, _page_maker()(layouts))
        console.print(f"written: {args.output}")
    return 0


def _page_maker() -> Callable[[Sequence[Layout]], str]:
    """What makes the page. InputError where the plotting library, an extra, is not installed."""
    try:
        from offramp.comparison.page import comparison_page
    except ModuleNotFoundError as error:
        message = f"--output needs {error.name}; in the folder of Offramp: {sys.executable} -m pip install -e '.[page]'"
        raise InputError(message) from error
    return comparison_page


def read_layout(path: Path, progress: Progress) -> Layout:
    """The layout that a spec, plan, build or case describes. InputError if the path is none of them."""
    if is_case(path):
        progress.step(f"reading the vendor's layout in {path}")
        return layout_of_case(path, device_of_case(path))
    if (path / "plan.json").is_file():
        progress.step(f"reading the build in {path}")
        return _build_layout(path)
    if path.is_file() and path.suffix in SUFFIXES:
        return _plan_layout(path, progress)
    found = "is none of them" if path.exists() else "does not exist"
    wanted = "a spec (.yaml), a plan (.json), a folder with plan.json, or one with program.npz and meta.json"
    raise InputError(Diagnostic(Where(str(path)), f"{found}; expected: {wanted}"))


def _build_layout(path: Path) -> Layout:
    """The layout of a build, with the figures that it noted down. InputError if they are damaged or another plan's."""
    plan, report = path / "plan.json", path / "report.json"
    made, figures = open_plan(plan, device_of_plan(plan)), read_report(report)
    names = [stage.name for stage in made.chain.stages]
    if [stage.name for stage in figures.stages] != names:
        found = ", ".join(stage.name for stage in figures.stages) or "no stage"
        raise InputError(Diagnostic(Where(str(report)), f"is of {found}; plan.json beside it is of {', '.join(names)}"))
    return layout_of_plan(made, figures, "build", str(path))


def _plan_layout(path: Path, progress: Progress) -> Layout:
    """The layout of a plan or a spec, with the test data run through the integer reference."""
    is_plan = path.suffix == ".json"
    device = device_of_plan(path) if is_plan else device_of_spec(path)
    made = open_plan(path, device) if is_plan else make_plan(load_spec(path, device), device, progress)
    if TEST_DATA in made.plan.spec.data:
        progress.step("running the test data through the integer reference")
    report = plan_report(made, evaluate_plan(made.plan))
    if is_plan:  # what was chosen from is only known to the file
        report = replace(report, choice=read_plan(path).choice)
    return layout_of_plan(made, report, "plan" if is_plan else "spec", str(path))


def print_comparison(layouts: Sequence[Layout], console: Console) -> None:
    """What each letter stands for, and all measures. A value that differs from A's has a star and is bold."""
    for letter, layout in zip(LETTERS, layouts, strict=False):
        stages = stage_names(layout)
        console.print(f"{letter}: {layout.name}, {layout.kind} {layout.path}, stages: {stages}", markup=False)
    rows = rows_of(layouts)
    for table in _tables(layouts, rows, console):
        console.print(table)
    if any(row.differs for row in rows):
        console.print("* differs from A")
    console.print("~ estimated; other cycles are simulated. Energy is above idle.")


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
    table = Table(title="memory layouts", title_justify="left", title_style="bold", header_style="")
    table.add_column("")
    for index in shown:
        table.add_column(f"{LETTERS[index]}: {layouts[index].name}", justify="right", overflow="fold")
    for row in rows:
        cells = [row.cells[index] for index in shown]
        table.add_row(row.name, *(_styled(f"{cell.text} {cell.change}".strip(), cell.differs) for cell in cells))
    return table


def _styled(text: str, differs: bool) -> Text:
    return Text(f"{text} *", style="bold") if differs else Text(text)
