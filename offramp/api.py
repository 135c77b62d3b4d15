"""The public Python interface (docs/API.md). Nothing here prints; what goes wrong is an OfframpError.

`import offramp` alone loads none of it: names are looked up here when they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.comparison.layouts import LETTERS, Layout
from offramp.comparison.measures import Row, rows_of
from offramp.comparison.page import comparison_page
from offramp.comparison.read import read_layout, report_page
from offramp.configs.device import load_device
from offramp.configs.errors import CheckFailed, Diagnostic, Infeasible, InputError, OfframpError
from offramp.configs.extras import pytorch_needed
from offramp.configs.files import recorded_reads
from offramp.data.load import Reading, load_source
from offramp.data.objects import source_of
from offramp.data.sets import SetOptions, Sets, make_sets, write_sets
from offramp.data.source import Samples, Source
from offramp.data.split import Sizes
from offramp.data.write import write_set
from offramp.host.build_folder import check_unchanged
from offramp.host.progress import SILENT, Progress
from offramp.pipeline import building
from offramp.pipeline.answers import Answers, board_answers, checked_input, reference_answers
from offramp.pipeline.building import task_for
from offramp.pipeline.devices import device_of_plan, device_of_spec, devices_of_specs
from offramp.pipeline.emulate import RUNNING, verify_together
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import image_report
from offramp.pipeline.images import PlannedImage, make_image, open_image, open_single
from offramp.pipeline.outside import has_outside, outside_file
from offramp.pipeline.planning import Planned, make_plan
from offramp.pipeline.report import ImageReport, Report
from offramp.planner.ir.network import Network
from offramp.planner.reference.profile import profile
from offramp.planner.spec.models import model_files
from offramp.planner.spec.reader import load_spec as read_spec
from offramp.planner.spec.spec import AutoSpec, ManualSpec
from offramp.planner.tasks.executor import IN_PROCESS
from offramp.simulator.board.core import require_board
from offramp.training.report import TrainReport
from offramp.training.task import Recipe

__all__ = [
    "Answers",
    "AutoSpec",
    "Built",
    "BuiltImage",
    "CheckFailed",
    "Comparison",
    "Diagnostic",
    "ImageReport",
    "Infeasible",
    "InputError",
    "ManualSpec",
    "OfframpError",
    "Planned",
    "PlannedImage",
    "Progress",
    "Reading",
    "Recipe",
    "Report",
    "Samples",
    "SetOptions",
    "Sets",
    "Simulated",
    "Sizes",
    "Source",
    "TrainReport",
    "Trained",
    "build",
    "build_image",
    "compare",
    "load_image",
    "load_plan",
    "load_source",
    "load_spec",
    "make_sets",
    "plan",
    "plan_image",
    "reference",
    "simulate",
    "source_of",
    "train_exits",
    "train_network",
    "write_set",
    "write_sets",
]


@dataclass(frozen=True, eq=False)
class Built:
    """A finished build: its folder, the plan it was made from, and its figures (report.json)."""

    folder: Path
    planned: Planned
    report: Report


@dataclass(frozen=True, eq=False)
class BuiltImage:
    """A finished build of several models: its folder, their plans, and all figures (report.json)."""

    folder: Path
    planned: PlannedImage
    report: ImageReport


@dataclass(frozen=True, eq=False)
class Simulated:
    """Answers of a build's firmware on the virtual board, and a line for each that differs from the reference."""

    answers: Answers
    mismatches: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Memory layouts side by side. `rows`: a measure each, with a cell a layout."""

    layouts: tuple[Layout, ...]
    rows: tuple[Row, ...]

    def page(self) -> str:
        """A self-contained HTML page: what each is worth, thresholds to try, pictures of the memories."""
        return comparison_page(self.layouts)


@dataclass(frozen=True, eq=False)
class Trained:
    """A network that was trained, as it is read back from its files."""

    network: Network
    checkpoint: Path

    def accuracy(self, data: Path | str) -> float:
        """Share of right answers on a data set, by the integers of the accelerator."""
        from offramp.training import main_network

        return main_network.accuracy(self.network, main_network.load_examples(Path(data)))


def load_spec(path: Path | str) -> ManualSpec | AutoSpec:
    """Read a spec. InputError lists everything that is wrong with it."""
    return read_spec(Path(path), device_of_spec(Path(path)))


def plan(spec: ManualSpec | AutoSpec | Path | str, *, progress: Progress = SILENT) -> Planned:
    """Place the stages of a spec, choose stages and thresholds that it leaves open.

    Infeasible if the stages are proved not to fit, InputError for what is wrong with the files.
    """
    loaded = load_spec(spec) if isinstance(spec, Path | str) else spec
    return make_plan(loaded, device_of_spec(Path(loaded.where.file)), progress)


def load_plan(path: Path | str) -> Planned:
    """The plan of a build's folder, or in a file that `offramp plan -o` or a build has written (plan.json), checked
    again."""
    file = _plan_file(path)
    return open_single(file, device_of_plan(file))


def build(
    spec: Path | str,
    output: Path | str,
    *,
    compiler: str = "auto",
    images: int | None = building.IMAGES,
    progress: Progress = SILENT,
) -> Built:
    """Plan, generate, compile and verify the firmware of a spec, as `offramp build` does.

    `images`: test images that go through the virtual board, None for all. The folder `output` appears only if every
    answer is right; CheckFailed otherwise.
    """
    built = build_image([spec], output, compiler=compiler, images=images, progress=progress)
    if len(built.planned.models) > 1:
        raise AssertionError("one spec made several models")
    report = replace(built.report.models[0], firmware=built.report.firmware)
    return Built(built.folder, built.planned.models[0], report)


def plan_image(specs: Sequence[Path | str], *, progress: Progress = SILENT) -> PlannedImage:
    """Plan the models of one image, a spec each (or one file that lists them), and place them together.

    Infeasible, with which of them would fit, if they are proved not to fit together.
    """
    files = model_files([Path(spec) for spec in specs])
    return make_image(files, devices_of_specs(files.specs), progress)


def build_image(
    specs: Sequence[Path | str],
    output: Path | str,
    *,
    compiler: str = "auto",
    images: int | None = building.IMAGES,
    progress: Progress = SILENT,
) -> BuiltImage:
    """Build one firmware with several models, all resident, as `offramp build a.yaml b.yaml` does.

    `images`: test images of each model; the models answer in turn. Otherwise as `build`.
    """
    folder, options = Path(output), building.BuildOptions(compiler, images)
    building.check_possible(folder, options)
    with recorded_reads():
        planned = plan_image(specs, progress=progress)
        evaluations = [evaluate_plan(made.plan) for made in planned.models]
        report = image_report(planned, evaluations)
        report = building.build_firmware(planned, evaluations, report, folder, options, progress, report_page)
    return BuiltImage(folder, planned, report)


def load_image(path: Path | str) -> PlannedImage:
    """The plans of a build's folder, of one or several models, checked again."""
    file = _plan_file(path)
    return open_image(file, device_of_plan(file))


def _plan_file(path: Path | str) -> Path:
    return Path(path) / "plan.json" if Path(path).is_dir() else Path(path)


def reference(planned: Planned, x: npt.NDArray[np.int8]) -> Answers:
    """What the plan answers by the integer reference: the bits that the firmware gives.

    `x`: int8 (N, channels, rows, cols) or one input without N, as the accelerator gets it.
    """
    inputs = checked_input(x, planned.chain)
    return reference_answers(planned.chain, profile(planned.chain, inputs))


def simulate(
    folder: Path | str, x: npt.NDArray[np.int8], *, model: str | None = None, progress: Progress = SILENT
) -> Simulated:
    """Run the firmware of a build on the virtual board (extra `board`) and compare it with the reference.

    `x` as in `reference`. `model`: the name of the one that answers, where the build has several.
    """
    elf, path = Path(folder) / "firmware.elf", Path(folder) / "plan.json"
    require_board()
    image = load_image(path)
    if model is None and len(image.models) > 1:
        raise InputError(f"{path}: has the models {', '.join(image.names)}; say which one answers (`model`)")
    planned = image.model(model) if model is not None else image.models[0]
    inputs = checked_input(x, planned.chain)
    outside = has_outside(made.plan.placed for made in image.models)
    for name in (path.name, elf.name, *([outside_file(Path(folder))] if outside else [])):
        check_unchanged(Path(folder), name)
    progress.step(RUNNING)
    total = len(inputs)
    tasks = [task_for(made, inputs if made is planned else None) for made in image.models]
    emulated = verify_together(elf, tasks, lambda done: progress.count("emulating", done, total))
    answered = emulated[image.models.index(planned)]
    return Simulated(board_answers(planned.chain, answered.run), answered.mismatches)


def compare(*paths: Path | str, progress: Progress = SILENT) -> Comparison:
    """The memory layouts of specs, plans, builds or corpus cases, in the order given; the first is what others differ
    from."""
    if not 1 <= len(paths) <= len(LETTERS):
        raise InputError(f"{len(paths)} layouts; 1 to {len(LETTERS)} are compared")
    layouts: Sequence[Layout] = [read_layout(Path(path), progress, page=True) for path in paths]
    return Comparison(tuple(layouts), tuple(rows_of(layouts)))


def train_exits(spec: Path | str, output: Path | str, *, progress: Progress = SILENT) -> TrainReport:
    """Train fronts and heads for the network of a training spec, as `offramp train` does (extra `train`).

    `output`: the folder for networks, spec.yaml and report.json; a search that was stopped there goes on. CheckFailed
    if nothing saves anything within the limit of accuracy.
    """
    with pytorch_needed():
        from offramp.training import exits
    path = Path(spec)
    return exits.train_exits(path, Path(output), device_of_spec(path), IN_PROCESS, progress)


def train_network(
    network: Path | str,
    training: Path | str,
    checkpoint: Path | str | None = None,
    *,
    recipe: Recipe | None = None,
    epochs: int = 20,
    seed: int = 1,
    biases: bool = True,
    progress: Progress = SILENT,
) -> Trained:
    """Train the network of an ai8x YAML from random weights, with the accelerator's arithmetic (extra `train`).

    `training`: a data set with labels. `checkpoint`: the file to write; None: `.pth.tar` beside the YAML, if new.
    `biases`: of all layers, or only of the last one. Equal arguments give equal bytes. InputError for what is wrong.
    """
    with pytorch_needed():
        from offramp.training import main_network
    path = Path(network)
    course = main_network.checked(main_network.Course(recipe or Recipe(), epochs, seed, biases))
    written = main_network.place_of(path, None if checkpoint is None else Path(checkpoint))
    data = main_network.load_examples(Path(training))
    found = main_network.train_network(path, written, data, course, load_device(), progress)
    return Trained(found, written)
