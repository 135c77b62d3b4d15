"""From a plan to verified firmware: generated, compiled, run on the virtual board, compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.codegen.assemble import ModelPart, assemble_together
from offramp.codegen.external import external_file, external_name
from offramp.codegen.firmware import DIGEST_BYTES, Firmware, KnownAnswer
from offramp.codegen.render import has_probe, render
from offramp.configs.errors import InputError
from offramp.host.build_folder import check_free, whole_folder
from offramp.host.files import write_bytes, write_text, write_tree
from offramp.host.progress import Progress
from offramp.pipeline.compile import Compiled, compile_firmware, find_compiler
from offramp.pipeline.emulate import RUNNING, Task, check_verified, switches_between, verify_together
from offramp.pipeline.evaluate import Evaluation
from offramp.pipeline.footprint import report_footprint
from offramp.pipeline.images import PlannedImage
from offramp.pipeline.planning import Planned
from offramp.pipeline.probe import probe_files
from offramp.pipeline.report import FirmwareReport, ImageReport, image_report_json
from offramp.planner.image_plan import image_digest, image_plan_json
from offramp.planner.reference.profile import profile
from offramp.simulator.board.core import require_board
from offramp.simulator.board.elf import require_elftools
from offramp.simulator.board.objects import require_capstone

MakePage = Callable[[PlannedImage, Sequence[Evaluation | None], ImageReport], str]
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
    image: PlannedImage,
    evaluations: Sequence[Evaluation | None],
    report: ImageReport,
    output: Path,
    options: BuildOptions,
    progress: Progress,
    page: MakePage,
) -> ImageReport:
    """Write the folder `output`: firmware, ELF, registers, plan, report and page. It appears only if every answer is
    right.

    `evaluations`: of each model's test data; `report`: of the plans; returned with what was compiled and verified.
    """
    with whole_folder(output) as folder:
        progress.step("generating and compiling the firmware")
        compiled = _generate(image, evaluations, folder, options.compiler)
        footprint = report_footprint(folder / "firmware", options.compiler)
        firmware = FirmwareReport(compiled.flash_bytes, compiled.ram_bytes, compiled.compiler, footprint)
        report = replace(report, firmware=firmware)
        if any(evaluations) and options.images != 0:
            report = _verified(image, evaluations, compiled.elf, options.images, report, progress)
        # The folder takes its final place only now, but the plan's paths are relative to that place.
        write_text(folder / "plan.json", image_plan_json(image.plan, output))
        write_text(folder / "report.json", image_report_json(report))
        progress.step("drawing the page of the report")
        write_text(folder / "report.html", page(image, evaluations, report))
    return report


def _generate(image: PlannedImage, evaluations: Sequence[Evaluation | None], folder: Path, compiler: str) -> Compiled:
    """Write the firmware tree and the register programs as text, and compile the tree for the virtual board."""
    write_firmware(image, evaluations, folder / "firmware")
    for name, made in zip(image.names, image.models, strict=True):
        programs = {f"{program.name}.txt": program.text() for program in made.lowered.programs}
        write_tree(folder / "registers" / name if len(image.models) > 1 else folder / "registers", programs)
    return compile_firmware(folder / "firmware", folder / "firmware.elf", compiler)


def write_firmware(image: PlannedImage, evaluations: Sequence[Evaluation | None], folder: Path) -> None:
    """The firmware tree, and the weights that are outside flash."""
    firmware = assembled(image, evaluations)
    write_tree(folder, rendered(image, firmware))
    if firmware.external:
        write_bytes(folder / external_name(firmware), external_file(firmware))


def firmware_files(image: PlannedImage, evaluations: Sequence[Evaluation | None]) -> dict[str, str]:
    """The firmware tree: file name -> text."""
    return rendered(image, assembled(image, evaluations))


def rendered(image: PlannedImage, firmware: Firmware) -> dict[str, str]:
    """The same of what is assembled."""
    probe = probe_files(image, firmware) if has_probe(firmware) else {}
    return render(firmware, image.device) | probe


def assembled(image: PlannedImage, evaluations: Sequence[Evaluation | None]) -> Firmware:
    """What the firmware holds, with samples of the test data of each model."""
    tests = [
        sample
        for model, (made, found) in enumerate(zip(image.models, evaluations, strict=True))
        for sample in (_samples(made, found, model) if found else ())
    ]
    digest = bytes.fromhex(image_digest(image.plan))[:DIGEST_BYTES]
    parts = [ModelPart(made.plan.spec.name, made.lowered, made.plan.spec.names) for made in image.models]
    return assemble_together(parts, image.name, digest, tests)


def _samples(made: Planned, evaluation: Evaluation, model: int) -> tuple[KnownAnswer, ...]:
    """Test images for the board to test itself with: for each stage the first one that leaves there. Where rolling
    buffers keep data from one image to the next, the first ones, as many as there are stages."""
    stages = range(len(made.chain.stages))
    if made.chain.buffers:
        chosen = list(stages)[: evaluation.images]
    else:
        leaving = [np.flatnonzero(evaluation.exit_index == stage) for stage in stages]
        chosen = [int(images[0]) for images in leaving if len(images)]
    return tuple(_sample(made, evaluation, image, model) for image in chosen)


def _sample(made: Planned, evaluation: Evaluation, image: int, model: int) -> KnownAnswer:
    stage = int(evaluation.exit_index[image])
    found = evaluation.profiled
    values = tuple(found.results[stage][image].tolist())
    meant = (int(found.answers[stage][image]), int(found.classes[stage][image]))
    return KnownAnswer(evaluation.data.x[image], made.chain.answering[stage], *meant, values, model)


def _verified(
    image: PlannedImage,
    evaluations: Sequence[Evaluation | None],
    elf: Path,
    images: int | None,
    report: ImageReport,
    progress: Progress,
) -> ImageReport:
    """The report once the firmware has answered the first `images` test images of each model (None: all), the models in
    turn; CheckFailed if any answer is wrong."""
    tasks = [task_of(made, found, images) for made, found in zip(image.models, evaluations, strict=True)]
    counts = [len(task.x) for task in tasks]
    progress.step(RUNNING)
    emulated = verify_together(elf, tasks, lambda done: progress.count("emulating", done, sum(counts)))
    for name, one in zip(image.names, emulated, strict=True):
        check_verified(one, name if len(emulated) > 1 else "")
    each = [one.verified for one in emulated]
    models = tuple(replace(own, verified=one) for own, one in zip(report.models, each, strict=True))
    whole = replace(each[0], answers=sum(counts), mismatches=sum(one.mismatches for one in each))
    return replace(report, models=models, verified=whole, verified_switches=switches_between(counts))


def task_of(made: Planned, evaluation: Evaluation | None, images: int | None) -> Task:
    """The first `images` test images of a model; none if it has no test data."""
    if evaluation is None:
        return task_for(made, None)
    x = evaluation.data.x[:images]
    return Task(made.plan.placed, x, evaluation.profiled.first(len(x)))


def task_for(made: Planned, x: npt.NDArray[np.int8] | None) -> Task:
    """Inputs of a model, int8 (N, channels, rows, cols); None: the model stands by."""
    if x is None:
        shape = made.chain.networks[made.chain.first_reader.network].input_shape
        return Task(made.plan.placed, np.zeros((0, shape.channels, shape.rows, shape.cols), np.int8), None)
    return Task(made.plan.placed, x, profile(made.chain, x))
