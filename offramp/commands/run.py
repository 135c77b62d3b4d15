"""`offramp run`: the firmware of a build on the virtual board."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.table import Table

from offramp.build_folder import check_unchanged
from offramp.commands.build import check_verified, parse_images
from offramp.configs.arrays import read_array
from offramp.configs.bounds import DATA_FILE
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.console import make_console
from offramp.devices import device_of_plan
from offramp.pipeline.chains import TEST_DATA, data_set
from offramp.pipeline.emulate import run_verified
from offramp.pipeline.report import verified_text
from offramp.planner.plan import Plan, load_plan
from offramp.planner.reference.confidence import to_real
from offramp.planner.reference.profile import profile
from offramp.simulator.board.core import require_board
from offramp.simulator.board.run import BoardRun

SHOWN = 20  # answers that are printed one by one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp run`."""
    parser.epilog = "examples:\n  offramp run build/mnist --images 50\n  offramp run build/mnist --input digit.npy"
    parser.add_argument("build", type=Path, metavar="BUILD_DIR", help="folder that `offramp build` made")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--input", type=Path, metavar="FILE", help="int8 array (.npy), one input or several")
    choice.add_argument("--images", default="10", metavar="N", help="so many test images, or `all` (default 10)")


def run(args: argparse.Namespace) -> int:
    """Run the firmware, print its answers and compare them with the integer reference; 1 if one differs."""
    console = make_console()
    elf = args.build / "firmware.elf"
    if not elf.is_file():
        message = "holds no firmware.elf; the folder of a finished `offramp build` is expected"
        raise InputError(Diagnostic(Where(str(args.build)), message))
    require_board()
    path = args.build / "plan.json"
    plan = load_plan(path, device_of_plan(path))
    x = _read_input(args.input, plan) if args.input else _test_images(plan, parse_images(args.images))
    expected = profile(plan.chain, x)
    check_unchanged(args.build, elf.name)
    verified, found = run_verified(elf, x, plan.placed, expected, console)
    console.print(_answers(plan, found))
    if len(x) > SHOWN:
        console.print(f"... and {len(x) - SHOWN} more")
    check_verified(verified)
    console.print(verified_text(verified.answers), style="bold green")
    return 0


def _test_images(plan: Plan, images: int | None) -> npt.NDArray[np.int8]:
    if TEST_DATA not in plan.spec.data:
        raise InputError(Diagnostic(plan.spec.where, f"names no data set `{TEST_DATA}`; give an input with --input"))
    if images == 0:
        raise InputError("--images 0: at least one is needed")
    return data_set(plan.spec, plan.chain, TEST_DATA).x[:images]


def _read_input(path: Path, plan: Plan) -> npt.NDArray[np.int8]:
    shape = plan.chain.networks[plan.chain.first_reader.network].input_shape
    x = read_array(path, DATA_FILE)
    wanted = (shape.channels, shape.rows, shape.cols)
    if x.dtype.kind not in "iu" or x.shape[-3:] != wanted or x.ndim not in (3, 4):
        size = ", ".join(map(str, wanted))
        message = f"holds {x.dtype} {x.shape}; integers ({size}) or (N, {size}) are expected"
        raise InputError(Diagnostic(Where(str(path)), message))
    if not x.size:
        raise InputError(Diagnostic(Where(str(path)), "is empty; at least one input is expected"))
    if x.min() < -128 or x.max() > 127:
        found = f"holds values from {x.min()} to {x.max()}; -128..127 are allowed"
        hint = " (pixels 0..255 go in as pixel - 128)" if x.min() >= 0 else ""
        raise InputError(Diagnostic(Where(str(path)), found + hint))
    return x.reshape(-1, *wanted).astype(np.int8)


def _answers(plan: Plan, found: BoardRun) -> Table:
    table = Table(header_style="")
    for name in ("input", "class", "left at", "confidence"):
        table.add_column(name, justify="right" if name == "input" else "left")
    for index in range(min(SHOWN, len(found.classes))):
        stage = plan.chain.stages[int(found.stages[index])]
        if stage.exit is None:
            continue
        label = int(found.classes[index])
        name = plan.spec.labels[label] if plan.spec.labels else str(label)
        value = to_real(stage.exit.measure, int(found.confidences[index]), stage.exit.fraction_bits)
        table.add_row(str(index), name, stage.name, f"{stage.exit.measure} {value:.4g}")
    return table
