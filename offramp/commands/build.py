"""`offramp build`: a spec in, verified firmware out."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from offramp.build_folder import check_free, whole_folder
from offramp.codegen.assemble import assemble
from offramp.codegen.firmware import KnownAnswer
from offramp.codegen.lower import lower
from offramp.codegen.render import render
from offramp.configs.device import Device
from offramp.configs.errors import CheckFailed, InputError
from offramp.console import make_console, progress_on
from offramp.devices import device_of_spec
from offramp.files import write_text, write_tree
from offramp.pipeline.compile import COMPILERS, Compiled, compile_firmware, find_compiler
from offramp.pipeline.emulate import Verified, run_verified
from offramp.pipeline.evaluate import Evaluation
from offramp.pipeline.planning import evaluate_plan, make_plan, plan_report
from offramp.pipeline.report import FirmwareReport, Report, VerifiedReport, print_plan, print_results, report_json
from offramp.planner.plan import Plan, plan_json
from offramp.planner.reference.profile import Profile
from offramp.planner.spec.dataset import DataSet
from offramp.simulator.board.core import require_board
from offramp.simulator.board.elf import require_elftools

IMAGES = 200  # test images that go through the emulator unless told otherwise
SHOWN = 10  # mismatches that are printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp build`."""
    parser.epilog = "examples:\n  offramp build spec.yaml -o build/name\n  offramp build spec.yaml -o out --images all"
    parser.add_argument("spec", type=Path, metavar="SPEC", help="the spec (YAML)")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help="folder for plan and firmware")
    parser.add_argument("--compiler", choices=("auto", *COMPILERS), default="auto", help="default: the first there is")
    parser.add_argument(
        "--images", default=str(IMAGES), metavar="N", help=f"test images for the emulator, or `all` (default {IMAGES})"
    )


def run(args: argparse.Namespace) -> int:
    """Plan, generate, compile, emulate, compare. The output folder appears only if every answer is right."""
    console = make_console()
    device = device_of_spec(args.spec)
    images = parse_images(args.images)
    check_free(args.output)
    find_compiler(args.compiler)
    require_elftools("firmware.elf")
    if images != 0:
        require_board()
    with progress_on(console) as progress:
        plan = make_plan(args.spec, device, progress)
        progress("running the test data through the integer reference")
        evaluated = evaluate_plan(plan)
        report = plan_report(plan, device, evaluated)
    print_plan(report, console)
    with whole_folder(args.output) as folder:
        with progress_on(console) as progress:
            progress("generating and compiling the firmware")
            compiled = _generate(plan, device, evaluated, folder, args.compiler)
        one = FirmwareReport(compiled.flash_bytes, compiled.ram_bytes, compiled.compiler)
        report = replace(report, firmware=one)
        if evaluated and images != 0:
            report = emulate(plan, evaluated, compiled.elf, images, report, console)
        # The folder takes its final place only now, but the plan's paths are relative to that place.
        write_text(folder / "plan.json", plan_json(plan, args.output))
        write_text(folder / "report.json", report_json(report))
    print_results(report, console)
    if report.verified is None:
        console.print("not verified: the firmware was not run (no test data in the spec, or --images 0)")
    console.print(f"written: {args.output}")
    return 0


def parse_images(text: str) -> int | None:
    """A number of images, or None for all. InputError for anything else."""
    if text == "all":
        return None
    if not text.isdigit():
        raise InputError(f"--images {text}: a number or `all` is expected")
    return int(text)


def _generate(
    plan: Plan, device: Device, evaluated: tuple[Evaluation, DataSet] | None, folder: Path, compiler: str
) -> Compiled:
    """Write the firmware tree and the register programs as text, and compile the tree for the virtual board."""
    tests = _samples(plan, *evaluated) if evaluated else ()
    firmware = assemble(plan.placed, plan.spec.name, plan.spec.labels, tests)
    write_tree(folder / "firmware", render(firmware, device))
    write_tree(folder / "registers", {f"{one.name}.txt": one.text() for one in lower(plan.placed)})
    return compile_firmware(folder / "firmware", folder / "firmware.elf", compiler)


def _samples(plan: Plan, evaluation: Evaluation, data: DataSet) -> tuple[KnownAnswer, ...]:
    """For each stage the first test image that leaves there, for the board to test itself with."""
    samples = []
    for stage in range(len(plan.chain.stages)):
        leaving = np.flatnonzero(evaluation.exit_index == stage)
        if len(leaving):
            first = int(leaving[0])
            logits = tuple(evaluation.profiled.logits[stage][first].tolist())
            samples.append(KnownAnswer(data.x[first], stage, logits))
    return tuple(samples)


def emulate(
    plan: Plan,
    evaluated: tuple[Evaluation, DataSet],
    elf: Path,
    images: int | None,
    report: Report,
    console: Console,
) -> Report:
    """Run the firmware on the first `images` test images (None: all); CheckFailed if any answer is wrong."""
    evaluation, data = evaluated
    x = data.x[:images]
    expected = Profile(
        tuple(one[: len(x)] for one in evaluation.profiled.logits),
        tuple(one[: len(x)] for one in evaluation.profiled.confidence),
    )
    verified, _ = run_verified(elf, x, plan.placed, expected, console)
    check_verified(verified)
    counts = (verified.answers, len(verified.mismatches), verified.weight_words, verified.bias_words)
    return replace(report, verified=VerifiedReport(*counts))


def check_verified(verified: Verified) -> None:
    """CheckFailed with the first mismatches, if there are any."""
    if verified.mismatches:
        shown = "\n  ".join(verified.mismatches[:SHOWN])
        count = f"{len(verified.mismatches)} of {verified.answers} answers differ from the integer reference"
        raise CheckFailed(f"{count}:\n  {shown}")
