"""What a training found, on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from offramp.commands.choice_table import print_choice
from offramp.commands.tables import make_table, print_results
from offramp.training.report import CandidateReport, SingleReport, TrainReport

_LEFT_OUT = 6  # lines of what was not trained; all of it is in report.json


def print_training(report: TrainReport, console: Console) -> None:
    """Candidates, what was left out, the chain that was planned, and the single network beside it."""
    console.print(_candidates(report))
    for one in report.left_out[:_LEFT_OUT]:
        console.print(f"not trained: {one.what}: {one.reason}", markup=False)
    for part in report.data:
        labels = "" if part.labels else ", without labels"
        console.print(f"{part.name}: {part.images:,} images{labels}; {part.use}", markup=False)
    if not report.judged_with_risk:
        console.print("compared without the test of `risk`: it is not wanted, or the images are too few for it")
    if report.plan:
        if report.plan.choice:
            print_choice(report.plan.choice, console)
        print_results(report.plan, console)
    if report.single:
        console.print(_single(report.single), markup=False)


def _candidates(report: TrainReport) -> Table:
    images = next((one.images for one in report.data if "validation" in one.name), 0)
    names = ("candidate", "", "cycles (estimated)", "trained", "right alone", "agrees", "leave", "mean cycles")
    table = make_table(f"{report.name}: candidates, before main on {images:,} images", names, left=2)
    for one in report.candidates:
        table.add_row(one.name, _about(one), f"{one.cycles:,}", f"{one.part:.0%}", *_worth(one))
    alone = report.main
    table.add_row("main", "alone", f"{alone.cycles:,}", "", f"{alone.accuracy:.2%}", "", "", f"{alone.cycles:,}")
    table.caption = "; ".join(f"{name} by {what}" for name, what in _CAPTION)
    return table


_CAPTION = (
    ("cycles of a whole answer", "the cycle model and instruction counts"),
    ("the rest", "the integer reference"),
)


def _about(one: CandidateReport) -> str:
    layers = ", ".join(one.layers)
    where = "" if one.cut is None else f"after layer {one.cut}: "
    bits = "" if one.bits == 8 else f"; {one.bits} bits"
    return f"{where}{layers}{bits}\n{one.reason}"


def _worth(one: CandidateReport) -> tuple[str, str, str, str]:
    found = one.validation
    if found is None:
        return "", "", "", ""
    return f"{found.own:.2%}", f"{found.agreement:.2%}", f"{found.share:.1%}", f"{found.cycles:,.0f}"


def _single(one: SingleReport) -> str:
    return (
        f"the best of {one.tried} single networks of at most {one.limit:,.0f} cycles, the chain's mean, is {one.name} "
        f"({', '.join(one.layers)}): {one.cycles:,} cycles (estimated), {one.accuracy:.2%} right on the images that "
        f"candidates were compared on; the chain {one.chain_accuracy:.2%}"
    )
