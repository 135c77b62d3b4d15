"""`--trace` and `--profile` of `offramp run`: what the firmware does on the bus, and where its instructions go."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from offramp.configs.device import Device
from offramp.configs.errors import InputError
from offramp.host.files import write_text
from offramp.pipeline.profiling import SOURCE, PartSum, ProfileSums, profile_json, sum_up
from offramp.pipeline.tracing import KINDS, chosen, trace_json, trace_lines
from offramp.simulator.board.meter import Meter
from offramp.simulator.board.profile import Profiler
from offramp.simulator.board.symbols import load_functions
from offramp.simulator.board.trace import Tracer

TERMINAL = Path("-")
FUNCTIONS = 25  # that are printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        nargs="?",
        const=TERMINAL,
        help="print every access to the bus, by register and field, or write it to FILE",
    )
    choice.add_argument(
        "--profile",
        action="store_true",
        help="count instructions by part, function and image on the virtual board",
    )
    parser.add_argument(
        "--trace-only",
        action="append",
        default=[],
        choices=KINDS,
        help="of the trace: accesses of this kind, or runs of the accelerator; may be repeated",
    )


def make_meter(args: argparse.Namespace, elf: Path, device: Device) -> Meter | None:
    """What the arguments ask for; None for nothing. InputError if they contradict each other, or if the ELF file names
    no functions."""
    if args.trace_only and not args.trace:
        raise InputError("--trace-only needs --trace")
    if args.trace:
        return Tracer(device)
    return Profiler(device, load_functions(elf)) if args.profile else None


def show_trace(
    tracer: Meter | None, args: argparse.Namespace, console: Console, device: Device, stages: Sequence[str]
) -> dict[str, Any]:
    """Print or write a trace, as far as the run has come; what the JSON document has of it."""
    if not isinstance(tracer, Tracer):
        return {}
    entries = chosen(tracer.entries, args.trace_only)
    lines = list(trace_lines(entries, device, stages))
    if args.trace == TERMINAL:
        for line in lines:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        return {"trace": trace_json(entries, stages)}
    write_text(args.trace, "\n".join(lines) + "\n")
    console.print(f"{args.trace}: {len(entries):,} entries", markup=False, soft_wrap=True)
    return {}


def profile_of(profiler: Meter | None, images: int, stages: Sequence[str]) -> ProfileSums | None:
    """The sums of a profile; None if there is none."""
    return sum_up(profiler, images, stages) if isinstance(profiler, Profiler) else None


def show_profile(sums: ProfileSums | None, console: Console) -> dict[str, Any]:
    """Print the tables of a profile; what the JSON document has of it."""
    if sums is None:
        return {}
    inside = sum(sums.images)
    title = f"{inside:,} instructions for {len(sums.images):,} images ({SOURCE})"
    console.print(_parts(title, sums.parts, inside))
    outside = sums.instructions - inside
    console.print(_parts(f"{outside:,} before, between and after images", sums.outside, outside))
    console.print(_functions(sums, inside))
    if len(sums.functions) > FUNCTIONS:
        console.print(f"... and {len(sums.functions) - FUNCTIONS} more")
    console.print("Functions that are inlined count for their caller; --json has the functions of each part and image.")
    return {"profile": profile_json(sums)}


def _parts(title: str, parts: Sequence[PartSum], total: int) -> Table:
    table = _table(title, ("what", "times", "each", "instructions", "share"))
    for part in parts:
        each = f"{part.instructions / part.times:,.0f}"
        count = f"{part.instructions:,}"
        table.add_row(part.name, f"{part.times:,}", each, count, _share(part.instructions, total))
    return table


def _functions(sums: ProfileSums, total: int) -> Table:
    table = _table("by function", ("function", "calls", "for images", "share", "otherwise"))
    for one in sums.functions[:FUNCTIONS]:
        share = _share(one.images, total)
        table.add_row(one.name, f"{one.calls:,}", f"{one.images:,}", share, f"{one.outside:,}")
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", header_style="")
    for name in columns:
        table.add_column(name, justify="left" if name == columns[0] else "right")
    return table


def _share(part: int, total: int) -> str:
    return f"{part / total:.1%}" if total else "-"
