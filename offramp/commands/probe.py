"""`offramp probe`: which layer or hardware exit fails, on a board or on the virtual one."""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from rich.table import Table

from offramp.configs.bounds import JSON_FILE
from offramp.configs.errors import CheckFailed, Diagnostic, InputError, Where
from offramp.configs.files import is_file, read_bytes
from offramp.configs.records import json_text
from offramp.host import console as terminal
from offramp.host.build_folder import check_unchanged
from offramp.host.files import write_bytes
from offramp.host.progress import Progress
from offramp.host.serial_port import read_port
from offramp.pipeline.compile import compile_probe
from offramp.pipeline.devices import device_of_plan
from offramp.pipeline.images import PlannedImage, open_image
from offramp.pipeline.outside import has_outside
from offramp.pipeline.probe import (
    Decided,
    Findings,
    Probed,
    exit_text,
    failure_text,
    first_failure,
    judge,
    layers_of,
    printed_values,
    run_name,
    run_on_board,
)
from offramp.pipeline.probe_log import FIRST, LAST, ProbeLog, read_log
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.core import require_board
from offramp.simulator.clock import Clock

VIRTUAL = "virtual board"
OUTSIDE = "has weights outside flash (`reload: external`); the probe is for builds with everything in flash"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp probe`."""
    parser.epilog = (
        "examples:\n"
        "  offramp probe build/mnist                        on the virtual board\n"
        "  make -C build/mnist/firmware PROBE=1             for a board; load it, save what it prints, then\n"
        "  offramp probe build/mnist --log console.txt\n"
        "  offramp probe build/mnist --port /dev/ttyACM0    or read it from the board: start this, then reset it\n\n"
        "exit codes: 0 all is right, 1 a layer or a hardware exit is not, 2 the log is damaged or of another build"
    )
    parser.add_argument("build", type=Path, metavar="BUILD_DIR", help="folder that `offramp build` made")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--log", type=Path, metavar="FILE", help="what a board with the probe has printed")
    source.add_argument("--port", metavar="PORT", help="serial port of the board's console (extra `serial`)")
    source.add_argument(
        "--values", type=int, metavar="LAYER", help="number of a layer whose values the virtual board prints"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.npz", help="write the results whose values were printed, as arrays"
    )
    terminal.add_arguments(parser, json="what became of each layer")


def run(args: argparse.Namespace) -> int:
    """Compare every layer's result and every hardware exit with the integer reference; CheckFailed names the first
    layer that differs, or if none does the first exit."""
    console = terminal.make_console(args)
    path = args.build / "plan.json"
    image = open_image(path, device_of_plan(path))
    check_unchanged(args.build, path.name)
    if has_outside(made.plan.placed for made in image.models):
        raise InputError(Diagnostic(Where(str(args.build)), OUTSIDE))
    with terminal.shown_progress(console, args.verbose) as progress:
        text, source = _console_text(args, image, progress)
    log = read_log(text, source)
    found = judge(log, image)
    if args.output:
        _write_values(args.output, log, image)
    console.print(_table(found.layers, image))
    if found.exits:
        console.print(_exit_table(found.exits, image))
    terminal.print_json(_json(found, image), args)
    failure = first_failure(found.layers)
    if failure:
        raise CheckFailed(Diagnostic(Where(source), failure_text(failure, image)))
    wrong = next((one for one in found.exits if not one.right), None)
    if wrong:
        raise CheckFailed(Diagnostic(Where(source), exit_text(wrong, image)))
    equal = sum(one.outcome == "equal" for one in found.layers)
    decided = f"; {len(found.exits):,} decisions of hardware exits are as it says" if found.exits else ""
    console.print(f"probed: {equal:,} results equal the integer reference, bit for bit{decided}", style="bold green")
    return 0


def _write_values(path: Path, log: ProbeLog, image: PlannedImage) -> None:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **printed_values(log, image))
    write_bytes(path, content.getvalue())


def _console_text(args: argparse.Namespace, image: PlannedImage, progress: Progress) -> tuple[str, str]:
    """What the probe has printed, and where that comes from."""
    if args.log:
        return read_bytes(args.log, JSON_FILE).decode("utf-8", "surrogateescape"), str(args.log)
    if args.port:
        progress.step(f"reading {args.port}")
        return read_port(args.port, FIRST, LAST), args.port
    require_board()
    folder = args.build / "firmware"
    if not is_file(folder / "probe" / "probe_main.c"):
        builds = "the folder of a finished `offramp build` with all weights in flash is expected"
        message = f"holds no firmware with a probe; {builds}"
        raise InputError(Diagnostic(Where(str(args.build)), message))
    layers = len(layers_of(image))
    if args.values is not None and not 0 <= args.values < layers:
        raise InputError(f"--values {args.values}: the number of a layer, 0 to {layers - 1}, is expected")
    progress.step("compiling the probe and running it on the virtual board")
    clock = Clock(image.device)
    with tempfile.TemporaryDirectory(prefix="offramp-") as scratch:
        elf = Path(scratch) / "probe.elf"
        compile_probe(folder, elf, values=args.values)
        return run_on_board(elf, image, Accelerator(image.device, clock), clock), VIRTUAL


def _table(found: Sequence[Probed], image: PlannedImage) -> Table:
    """A row for each layer."""
    table = Table(header_style="")
    several = len(image.models) > 1
    for name in ("", *(("model",) if several else ()), "stage", "layer", "result", "inputs"):
        table.add_column(name, justify="right" if not name else "left")
    for number, group in groupby(found, key=lambda one: one.number):
        results = list(group)
        layer, model = results[0].layer, image.names[results[0].model]
        shape = " x ".join(map(str, layer.result.shape)) if layer.result else "not in memory as a whole"
        where = (*((model,) if several else ()), run_name(results[0].model, layer.stage, image))
        table.add_row(str(number), *where, layer.slot.name, shape, _outcomes(results))
    return table


def _exit_table(found: Sequence[Decided], image: PlannedImage) -> Table:
    """A row for each hardware exit."""
    table = Table(header_style="")
    several = len(image.models) > 1
    for name in (*(("model",) if several else ()), "stage", "hardware exit, by input"):
        table.add_column(name)
    for _, group in groupby(found, key=lambda one: (one.model, one.exit.stage)):
        results = list(group)
        first = results[0]
        where = (*((image.names[first.model],) if several else ()), run_name(first.model, first.exit.stage, image))
        table.add_row(*where, ", ".join(_decided(one) for one in results))
    return table


def _decided(one: Decided) -> str:
    return one.expected if one.right else one.error or "different"


def _outcomes(results: Sequence[Probed]) -> str:
    first = results[0]
    if first.layer.streams_to:
        return f"not visible: {first.layer.streams_to.name} reads its rows as they come"
    texts = [one.error or one.outcome for one in results]
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)


def _json(found: Findings, image: PlannedImage) -> str:
    entries = [
        {
            "model": image.names[one.model],
            "stage": run_name(one.model, one.layer.stage, image),
            "layer": one.layer.slot.name,
            "input": one.input,
            "outcome": one.outcome,
            "error": one.error or None,
            "place": one.place and vars(one.place),
        }
        for one in found.layers
    ]
    exits = [
        {
            "model": image.names[one.model],
            "stage": run_name(one.model, one.exit.stage, image),
            "input": one.input,
            "expected": one.expected,
            "matches": one.matches,
            "goes_on": one.goes_on,
            "right": one.right,
            "error": one.error or None,
        }
        for one in found.exits
    ]
    return json_text({"format": 1, "results": entries, "exits": exits})
