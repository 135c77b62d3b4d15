"""The figures of an image on the terminal: of each of its models, and of what they have in common."""

from __future__ import annotations

from rich.console import Console

from offramp.commands.tables import (
    make_table,
    memory_cells,
    print_firmware,
    print_plan,
    print_results,
    print_verified,
    proof_text,
    written_text,
)
from offramp.pipeline.report import ImageReport, ReloadReport


def print_image_plan(report: ImageReport, console: Console) -> None:
    """What is known without running the firmware. Of a single model: of that."""
    for one in report.models:
        print_plan(one, console, alone=len(report.models) == 1, resident=report.reload is None)
    if len(report.models) > 1:
        names = ("", "weight columns", "weight bytes", "bias bytes")
        resident = "" if report.reload else ", everything resident"
        memory = make_table(f"{report.name}: memory of all {len(report.models)} models{resident}", names)
        memory.add_row("of the device", *memory_cells(report.memory))
        console.print(memory)
        if report.reload:
            console.print(_reload_text(report.reload), markup=False)
        _print_entries(report, console)


def _print_entries(report: ImageReport, console: Console) -> None:
    names = ("from another model to", "register writes", "weight words", "bias words", "words of a reload")
    table = make_table("between models", (*names, "cycles (estimated)"))
    for one in report.entries:
        counts = (one.register_writes, one.weight_words, one.bias_words, one.reload_words, one.cycles)
        table.add_row(one.model, *(f"{count:,}" for count in counts))
    console.print(table)


def _reload_text(one: ReloadReport) -> str:
    """What is written again, when, and what that costs."""
    entered = written_text(one.entry_weights, one.entry_biases)
    again = written_text(one.weights, one.biases)
    lines = [f"written when its model runs after another one: {entered}"] if entered else []
    lines += [f"written again when needed: {again}"] if again else []
    mean = f"{one.words:,.0f} words in the mean inference ({proof_text(one)}), at most {one.worst:,}"
    return "\n".join([*lines, f"{mean}; all that may be: {one.everything:,.0f}"])


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
        print_verified(report.verified, bool(report.reload or report.models[0].reload), console)
