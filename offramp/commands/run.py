"""`offramp run`: the firmware of a build on the virtual board."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from offramp.commands import faulting, observing
from offramp.commands.build import note_images, parse_images
from offramp.commands.tables import verified_text
from offramp.configs.arrays import read_array
from offramp.configs.bounds import DATA_FILE
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import is_file
from offramp.configs.records import json_text
from offramp.host import console as terminal
from offramp.host.build_folder import check_unchanged
from offramp.host.progress import Progress
from offramp.pipeline.answers import Answers, answers_content, board_answers, check_name, checked_input, write_answers
from offramp.pipeline.building import task_for
from offramp.pipeline.chains import TEST_DATA, data_set
from offramp.pipeline.devices import device_of_plan
from offramp.pipeline.emulate import RUNNING, Emulated, check_verified, verify_together
from offramp.pipeline.images import PlannedImage, open_image
from offramp.pipeline.outside import has_outside, outside_file
from offramp.pipeline.planning import Planned
from offramp.planner.plan import Plan
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
        "  offramp run build/both                          both models, in turn\n"
        "  offramp run build/both --model words --input word.npy\n"
        "  offramp run build/mnist --fault done-early --fault power-lost@5"
    )
    parser.add_argument("build", type=Path, metavar="BUILD_DIR", help="folder that `offramp build` made")
    parser.add_argument("--model", metavar="NAME", help="of a build with several models: the one that answers")
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
    image = open_image(path, device_of_plan(path))
    asked = _asked(args, image)
    stages = [segment.name for made in asked for segment in made.chain.segments]
    meter = observing.make_meter(args, elf, image.device)
    images = parse_images(args.images)
    given = [_inputs(args, made.plan, images) if made in asked else None for made in image.models]
    tasks = [task_for(made, x) for made, x in zip(image.models, given, strict=True)]
    total = sum(len(task.x) for task in tasks)
    placed = [made.plan.placed for made in image.models]
    faulting.check_possible(faults, has_outside(placed))
    outside = [outside_file(args.build)] if has_outside(placed) else []
    for name in (path.name, elf.name, *outside):
        check_unchanged(args.build, name)
    with terminal.shown_progress(console, args.verbose) as progress:
        progress.step(RUNNING)
        try:
            emulated = verify_together(elf, tasks, _counted(progress, total), meter, faults)
        except BoardError:
            observing.show_trace(meter, args, console, image.device, stages)
            raise
    more = observing.show_trace(meter, args, console, image.device, stages)
    sums = observing.profile_of(meter, total, stages)
    answered = [(made, one) for made, one in zip(image.models, emulated, strict=True) if made in asked]
    for made, one in answered:
        _print_answers(made, one, sums.images if sums else (), len(asked) > 1, console)
    if args.output:
        made, one = answered[0]
        write_answers(args.output, board_answers(made.chain, one.run))
    more |= observing.show_profile(sums, console)
    terminal.print_json(_json(answered, more), args)
    if faults:
        faulting.show_outcome([one for _, one in answered], args.fault, console)
        return 0
    for made, one in answered:
        check_verified(one, made.plan.spec.name if len(image.models) > 1 else "")
        if images and not args.input:
            note_images(images, one.verified.answers, console)
    console.print(verified_text(total), style="bold green")
    return 0


def _asked(args: argparse.Namespace, image: PlannedImage) -> tuple[Planned, ...]:
    """The models that are to answer. InputError if one must be named and is not."""
    if args.model is not None:
        return (image.model(args.model),)
    wants = [name for name in ("input", "output", "trace", "profile") if getattr(args, name)]
    if len(image.models) > 1 and wants:
        found = f"{args.build} has the models {', '.join(image.names)}"
        raise InputError(f"{found}; --{wants[0]} is for one of them: name it with --model")
    return image.models


def _inputs(args: argparse.Namespace, plan: Plan, images: int | None) -> npt.NDArray[np.int8]:
    return _read_input(args.input, plan) if args.input else _test_images(plan, images)


def _print_answers(
    made: Planned, emulated: Emulated, instructions: Sequence[int], several: bool, console: Console
) -> None:
    found = board_answers(made.chain, emulated.run)
    if several:
        console.print(f"model {made.plan.spec.name}", style="bold", markup=False)
    console.print(_table(found, made.plan, instructions))
    if len(found.classes) > SHOWN:
        console.print(f"... and {len(found.classes) - SHOWN} more")


def _json(answered: Sequence[tuple[Planned, Emulated]], more: Mapping[str, Any]) -> str:
    """Of a model its answers; of several a list of them, with their names."""
    contents = [answers_content(board_answers(made.chain, one.run), one.verified.mismatches) for made, one in answered]
    if len(answered) == 1:
        return json_text({**contents[0], **more})
    names = [made.plan.spec.name for made, _ in answered]
    models = [{"model": name} | content for name, content in zip(names, contents, strict=True)]
    return json_text({"format": 1, "models": models})


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


def _shape(found: Answers, index: int) -> str:
    """What there is instead of a class and a confidence."""
    return f"result {'x'.join(map(str, found.result(index).shape))}"


def _table(found: Answers, plan: Plan, instructions: Sequence[int]) -> Table:
    """`instructions`: of each image, where they have been counted."""
    table = Table(header_style="")
    counted = ("instructions",) if instructions else ()
    for name in ("input", "answer", "left at", "confidence", *counted):
        table.add_column(name, justify="right" if name in ("input", "instructions") else "left")
    for index in range(min(SHOWN, len(found.classes))):
        stage = plan.chain.exits[int(found.exit_index[index])]
        answer = int(found.answers[index])
        name = plan.spec.names[answer] if plan.spec.names else str(answer) if stage.exit else "-"
        confidence = f"{stage.exit.measure} {found.confidence[index]:.4g}" if stage.exit else _shape(found, index)
        count = (f"{instructions[index]:,}",) if instructions else ()
        cells = (name, stage.name, confidence) if not found.error[index] else (Status(found.error[index]).name, "", "")
        table.add_row(str(index), *cells, *count)
    return table
