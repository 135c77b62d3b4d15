"""From a plan to verified firmware: generated, compiled, run on the virtual board, compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from offramp.codegen.assemble import assemble
from offramp.codegen.firmware import DIGEST_BYTES, KnownAnswer
from offramp.codegen.render import render
from offramp.configs.errors import InputError
from offramp.host.build_folder import check_free, whole_folder
from offramp.host.files import write_text, write_tree
from offramp.host.progress import Progress
from offramp.pipeline.compile import Compiled, compile_firmware, find_compiler
from offramp.pipeline.emulate import RUNNING, check_verified, verify
from offramp.pipeline.evaluate import Evaluation
from offramp.pipeline.footprint import report_footprint
from offramp.pipeline.planning import Planned
from offramp.pipeline.probe import probe_files
from offramp.pipeline.report import FirmwareReport, Report, Verified, report_json
from offramp.planner.plan import plan_digest, plan_json
from offramp.planner.reference.profile import Profile
from offramp.simulator.board.core import require_board
from offramp.simulator.board.elf import require_elftools
from offramp.simulator.board.objects import require_capstone

IMAGES = 200  # test images that go through the emulator unless told otherwise


@dataclass(frozen=True)
class BuildOptions:
    """`compiler`: a name, or `auto` for the first that is installed. `images`: how many of the test images go through
    the emulator, None for all; 0: the firmware is not run.
    """

    compiler: str = "auto"
    images: int | None = IMAGES

    def __post_init__(self) -> None:
        """InputError for a number of images that is none."""
        if self.images is not None and (type(self.images) is not int or self.images < 0):
            raise InputError(f"images {self.images!r}: a whole number from 0 on, or None for all, is expected")


def check_possible(output: Path, options: BuildOptions) -> None:
    """InputError before any work if the folder is taken, or what compiles or runs the firmware is not installed."""
    check_free(output)
    find_compiler(options.compiler)
    require_elftools("firmware.elf")
    require_capstone("its object files")
    if options.images != 0:
        require_board()


def build_firmware(
    made: Planned,
    evaluation: Evaluation | None,
    report: Report,
    output: Path,
    options: BuildOptions,
    progress: Progress,
) -> Report:
    """Write the folder `output`: firmware, ELF, registers, plan and report. It appears only if every answer is right.

    `report`: of the plan; returned with what was compiled and verified.
    """
    with whole_folder(output) as folder:
        progress.step("generating and compiling the firmware")
        compiled = _generate(made, evaluation, folder, options.compiler)
        footprint = report_footprint(folder / "firmware", options.compiler)
        firmware = FirmwareReport(compiled.flash_bytes, compiled.ram_bytes, compiled.compiler, footprint)
        report = replace(report, firmware=firmware)
        if evaluation and options.images != 0:
            verified = _emulate(made, evaluation, compiled.elf, options.images, progress)
            report = replace(report, verified=verified)
        # The folder takes its final place only now, but the plan's paths are relative to that place.
        write_text(folder / "plan.json", plan_json(made.plan, output))
        write_text(folder / "report.json", report_json(report))
    return report


def _generate(made: Planned, evaluation: Evaluation | None, folder: Path, compiler: str) -> Compiled:
    """Write the firmware tree and the register programs as text, and compile the tree for the virtual board."""
    write_tree(folder / "firmware", firmware_files(made, evaluation))
    write_tree(folder / "registers", {f"{program.name}.txt": program.text() for program in made.lowered.programs})
    return compile_firmware(folder / "firmware", folder / "firmware.elf", compiler)


def firmware_files(made: Planned, evaluation: Evaluation | None) -> dict[str, str]:
    """The firmware tree: file name -> text."""
    tests = _samples(made, evaluation) if evaluation else ()
    digest = bytes.fromhex(plan_digest(made.plan))[:DIGEST_BYTES]
    firmware = assemble(made.lowered, made.plan.spec.name, digest, made.plan.spec.labels, tests)
    return render(firmware, made.device) | probe_files(made, firmware)


def _samples(made: Planned, evaluation: Evaluation) -> tuple[KnownAnswer, ...]:
    """For each stage the first test image that leaves there, for the board to test itself with."""
    samples = []
    for stage in range(len(made.chain.stages)):
        leaving = np.flatnonzero(evaluation.exit_index == stage)
        if len(leaving):
            first = int(leaving[0])
            logits = tuple(evaluation.profiled.logits[stage][first].tolist())
            answer = int(evaluation.profiled.answers[stage][first])
            run = made.chain.answering[stage]
            samples.append(KnownAnswer(evaluation.data.x[first], run, answer, logits))
    return tuple(samples)


def _emulate(made: Planned, evaluation: Evaluation, elf: Path, images: int | None, progress: Progress) -> Verified:
    """Run the firmware on the first `images` test images (None: all); CheckFailed if any answer is wrong."""
    x = evaluation.data.x[:images]
    expected = Profile(
        tuple(logit[: len(x)] for logit in evaluation.profiled.logits),
        tuple(one[: len(x)] for one in evaluation.profiled.confidence),
    )
    progress.step(RUNNING)
    emulated = verify(elf, x, made.plan.placed, expected, lambda done: progress.count("emulating", done, len(x)))
    check_verified(emulated)
    return emulated.verified
