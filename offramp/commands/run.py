"""`offramp run`: the firmware of a build on the virtual board."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.table import Table

from offramp.commands import faulting, observing
from offramp.commands.build import note_images, parse_images
from offramp.commands.tables import verified_text
from offramp.configs.arrays import read_array
from offramp.configs.bounds import DATA_FILE
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import is_file
from offramp.host import console as terminal
from offramp.host.build_folder import check_unchanged
from offramp.host.progress import Progress
from offramp.pipeline.answers import Answers, answers_json, board_answers, check_name, checked_input, write_answers
from offramp.pipeline.chains import TEST_DATA, data_set
from offramp.pipeline.devices import device_of_plan
from offramp.pipeline.emulate import RUNNING, check_verified, try_faults, verify
from offramp.pipeline.planning import open_plan
from offramp.planner.plan import Plan
from offramp.planner.reference.profile import profile
from offramp.simulator.board.calls import Status
from offramp.simulator.board.core import require_board
from offramp.simulator.board.errors import BoardError

SHOWN = 20  # answers that are printed one by one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp run`."""
    parser.epilog = (
        "examples:\n  offramp run build/mnist --images 50\n  offramp run build/mnist --input digit.npy -o answers.csv\n"
        "  offramp run build/mnist --images 1 --trace\n"
        "  offramp run build/mnist --images 1 --trace trace.txt --trace-only registers --trace-only runs\n"
        "  offramp run build/mnist --profile\n"
        "  offramp run build/mnist --fault done-early --fault power-lost@5"
    )
    parser.add_argument("build", type=Path, metavar="BUILD_DIR", help="folder that `offramp build` made")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        help="one input, an int8 array C x H x W (.npy), or several, N x C x H x W",
    )
    choice.add_argument("--images", default="10", metavar="N", help="so many test images, or `all` (default 10)")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write all answers with their logits (.csv, .npz)"
    )
    observing.add_arguments(parser)
    faulting.add_arguments(parser)
    terminal.add_arguments(parser, json="the answers, and the trace or profile that is asked for,")


def run(args: argparse.Namespace) -> int:
    """Run the firmware, print its answers and compare them with the integer reference; 1 if one differs."""
    if args.output:
        check_name(args.output)
    console = terminal.make_console(args)
    if args.fault == [faulting.LIST]:
        faulting.show_names(console)
        return 0
    faults = faulting.parse(args)
    elf = args.build / "firmware.elf"
    if not is_file(elf):
        message = "holds no firmware.elf; the folder of a finished `offramp build` is expected"
        raise InputError(Diagnostic(Where(str(args.build)), message))
    require_board()
    path = args.build / "plan.json"
    plan = open_plan(path, device_of_plan(path)).plan
    device = plan.placed.requirements.device
    meter = observing.make_meter(args, elf, device)
    images = parse_images(args.images)
    x = _read_input(args.input, plan) if args.input else _test_images(plan, images)
    expected = profile(plan.chain, x)
    stages = [segment.name for segment in plan.chain.segments]
    for name in (path.name, elf.name):
        check_unchanged(args.build, name)
    with terminal.shown_progress(console, args.verbose) as progress:
        progress.step(RUNNING)
        try:
            count = _counted(progress, len(x))
            if faults:
                emulated = try_faults(elf, x, plan.placed, expected, faults, count)
            else:
                emulated = verify(elf, x, plan.placed, expected, count, meter)
        except BoardError:
            observing.show_trace(meter, args, console, device, stages)
            raise
    more = observing.show_trace(meter, args, console, device, stages)
    found = board_answers(plan.chain, emulated.run)
    sums = observing.profile_of(meter, len(x), stages)
    console.print(_table(found, plan, sums.images if sums else ()))
    if len(x) > SHOWN:
        console.print(f"... and {len(x) - SHOWN} more")
    if args.output:
        write_answers(args.output, found)
    more |= observing.show_profile(sums, console)
    terminal.print_json(answers_json(found, emulated.verified.mismatches, more), args)
    if faults:
        faulting.show_outcome(emulated, args.fault, console)
        return 0
    check_verified(emulated)
    if images and not args.input:
        note_images(images, len(x), console)
    console.print(verified_text(emulated.verified.answers), style="bold green")
    return 0


def _counted(progress: Progress, images: int) -> Callable[[int], None]:
    return lambda done: progress.count("emulating", done, images)


def _test_images(plan: Plan, images: int | None) -> npt.NDArray[np.int8]:
    if TEST_DATA not in plan.spec.data:
        raise InputError(Diagnostic(plan.spec.where, f"names no data set `{TEST_DATA}`; give an input with --input"))
    if images == 0:
        raise InputError("--images 0: at least one is needed")
    return data_set(plan.spec, plan.chain, TEST_DATA).x[:images]


def _read_input(path: Path, plan: Plan) -> npt.NDArray[np.int8]:
    return checked_input(read_array(path, DATA_FILE), plan.chain, Where(str(path)))


def _table(found: Answers, plan: Plan, instructions: Sequence[int]) -> Table:
    """`instructions`: of each image, where they have been counted."""
    table = Table(header_style="")
    counted = ("instructions",) if instructions else ()
    for name in ("input", "class", "left at", "confidence", *counted):
        table.add_column(name, justify="right" if name in ("input", "instructions") else "left")
    for index in range(min(SHOWN, len(found.classes))):
        stage = plan.chain.exits[int(found.exit_index[index])]
        label = int(found.classes[index])
        name = plan.spec.labels[label] if plan.spec.labels else str(label)
        confidence = f"{stage.exit.measure} {found.confidence[index]:.4g}"
        count = (f"{instructions[index]:,}",) if instructions else ()
        cells = (name, stage.name, confidence) if not found.error[index] else (Status(found.error[index]).name, "", "")
        table.add_row(str(index), *cells, *count)
    return table
