"""The figures of an image on the terminal: of each of its models, and of what they have in common."""

from __future__ import annotations

from rich.console import Console

from offramp.commands.tables import make_table, memory_cells, print_firmware, print_plan, print_results, print_verified
from offramp.pipeline.report import ImageReport


def print_image_plan(report: ImageReport, console: Console) -> None:
    """What is known without running the firmware. Of a single model: of that."""
    for one in report.models:
        print_plan(one, console, alone=len(report.models) == 1)
    if len(report.models) > 1:
        names = ("", "weight columns", "weight bytes", "bias bytes")
        memory = make_table(f"{report.name}: memory of all {len(report.models)} models, everything resident", names)
        memory.add_row("of the device", *memory_cells(report.memory))
        console.print(memory)
        _print_entries(report, console)


def _print_entries(report: ImageReport, console: Console) -> None:
    names = ("from another model to", "register writes", "weight words", "bias words", "words of a reload")
    table = make_table("between models", (*names, "cycles (estimated)"))
    for one in report.entries:
        counts = (one.register_writes, one.weight_words, one.bias_words, one.reload_words, one.cycles)
        table.add_row(one.model, *(f"{count:,}" for count in counts))
    console.print(table)


def print_image_results(report: ImageReport, console: Console) -> None:
    """Shares, accuracy, cycles and warnings of each model; the firmware, and what was verified."""
    for one in report.models:
        if len(report.models) > 1:
            console.print(f"model {one.name}", style="bold", markup=False)
        print_results(one, console)
    if report.firmware:
        print_firmware(report.firmware, console)
    if report.verified:
        if report.verified_switches is not None and len(report.models) > 1:
            console.print(f"the models answered in turn: {report.verified_switches:,} switches between them")
        print_verified(report.verified, any(one.reload for one in report.models), console)
