"""What a training found, on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from offramp.commands.choice_table import print_choice
from offramp.commands.tables import make_table, print_results
from offramp.configs.device import load_device
from offramp.training.report import CandidateReport, SingleReport, TrainReport

_LEFT_OUT = 6  # lines of what was not trained; all of it is in report.json


def print_training(report: TrainReport, console: Console) -> None:
    """Candidates, what was left out, the chain that was planned, and the single network beside it."""
    console.print(_candidates(report))
    for candidate in _shown(report):
        console.print(f"{candidate.name}: {candidate.reason}", markup=False)
    others = len(report.candidates) - len(_shown(report))
    if others:
        console.print(f"worse when they had had as much training: {others}; all of them are in report.json")
    for left in report.left_out[:_LEFT_OUT]:
        console.print(f"not trained: {left.what}: {left.reason}", markup=False)
    if len(report.left_out) > _LEFT_OUT:
        console.print(f"and {len(report.left_out) - _LEFT_OUT} more, all in report.json")
    for part in report.data:
        labels = "" if part.labels else ", without labels"
        console.print(f"{part.name}: {part.images:,} images{labels}; {part.use}", markup=False)
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    if not report.judged_with_risk:
        console.print("compared without the test of `risk`: it is not wanted, or the images are too few for it")
    if report.plan:
        if report.plan.choice:
            print_choice(report.plan.choice, console)
        print_results(report.plan, console)
    if report.single:
        console.print(_single(report.single, _tag(report)), markup=False)


def _candidates(report: TrainReport) -> Table:
    images = next((one.images for one in report.data if "validation" in one.name), 0)
    names = ("candidate", "layers", "cycles", "trained", "right", "agrees", "leave", "mean cycles")
    table = make_table(f"{report.name}: candidates, each before main on {images:,} images", names, left=2)
    for one in _shown(report):
        where = "" if one.cut is None else f"after layer {one.cut}: "
        bits = "" if one.bits == 8 else f" ({one.bits} bits)"
        table.add_row(
            one.name, f"{where}{', '.join(one.layers)}{bits}", f"{one.cycles:,}", f"{one.part:.0%}", *_worth(one)
        )
    alone = report.main
    table.add_row("main", "", f"{alone.cycles:,}", "", f"{alone.accuracy:.2%}", "", "", f"{alone.cycles:,}")
    agrees = "right, agrees: alone, with what is right and with main"
    table.caption = f"cycles of a whole answer, {_tag(report)}; {agrees}"
    return table


def _tag(report: TrainReport) -> str:
    """How far cycles of the device can be trusted."""
    return "unverified" if load_device(report.device).cycles == "unverified" else "estimated"


def _shown(report: TrainReport) -> list[CandidateReport]:
    """Those that were trained to the end, or are kept."""
    return [one for one in report.candidates if one.kept or one.part == 1]


def _worth(one: CandidateReport) -> tuple[str, str, str, str]:
    found = one.validation
    if found is None:
        return "", "", "", ""
    return f"{found.own:.2%}", f"{found.agreement:.2%}", f"{found.share:.1%}", f"{found.cycles:,.0f}"


def _single(one: SingleReport, tag: str) -> str:
    return (
        f"the best of {one.tried} single networks of at most {one.limit:,.0f} cycles (the chain's mean on the "
        f"calibration data) is {one.name} ({', '.join(one.layers)}): {one.cycles:,} cycles ({tag}), "
        f"{one.accuracy:.2%} right on the images that candidates were compared on"
    )
