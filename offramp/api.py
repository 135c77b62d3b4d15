"""The public Python interface (docs/API.md). Nothing here prints; what goes wrong is an OfframpError.

`import offramp` alone loads none of it: names are looked up here when they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.comparison.layouts import LETTERS, Layout
from offramp.comparison.measures import Row, rows_of
from offramp.comparison.page_maker import page_maker
from offramp.comparison.read import read_layout
from offramp.configs.errors import CheckFailed, Diagnostic, Infeasible, InputError, OfframpError
from offramp.configs.files import recorded_reads
from offramp.host.build_folder import check_unchanged
from offramp.host.progress import SILENT, Progress
from offramp.pipeline import building
from offramp.pipeline.answers import Answers, board_answers, checked_input, reference_answers
from offramp.pipeline.devices import device_of_plan, device_of_spec
from offramp.pipeline.emulate import RUNNING, verify
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.planning import Planned, make_plan, open_plan
from offramp.pipeline.report import Report
from offramp.planner.reference.profile import profile
from offramp.planner.spec.reader import load_spec as read_spec
from offramp.planner.spec.spec import AutoSpec, ManualSpec
from offramp.simulator.board.core import require_board

__all__ = [
    "Answers",
    "AutoSpec",
    "Built",
    "CheckFailed",
    "Comparison",
    "Diagnostic",
    "Infeasible",
    "InputError",
    "ManualSpec",
    "OfframpError",
    "Planned",
    "Progress",
    "Report",
    "Simulated",
    "build",
    "compare",
    "load_plan",
    "load_spec",
    "plan",
    "reference",
    "simulate",
]


@dataclass(frozen=True, eq=False)
class Built:
    """A finished build: its folder, the plan it was made from, and its figures (report.json)."""

    folder: Path
    planned: Planned
    report: Report


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
        """A self-contained HTML page with pictures of the memories. InputError without the extra `page`."""
        return page_maker()(self.layouts)


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
    file = Path(path) / "plan.json" if Path(path).is_dir() else Path(path)
    return open_plan(file, device_of_plan(file))


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
    folder, options = Path(output), building.BuildOptions(compiler, images)
    building.check_possible(folder, options)
    with recorded_reads():
        planned = plan(Path(spec), progress=progress)
        evaluation = evaluate_plan(planned.plan)
        report = plan_report(planned, evaluation)
        report = building.build_firmware(planned, evaluation, report, folder, options, progress)
    return Built(folder, planned, report)


def reference(planned: Planned, x: npt.NDArray[np.int8]) -> Answers:
    """What the plan answers by the integer reference: the bits that the firmware gives.

    `x`: int8 (N, channels, rows, cols) or one input without N, as the accelerator gets it.
    """
    inputs = checked_input(x, planned.chain)
    return reference_answers(planned.chain, profile(planned.chain, inputs))


def simulate(folder: Path | str, x: npt.NDArray[np.int8], *, progress: Progress = SILENT) -> Simulated:
    """Run the firmware of a build on the virtual board (extra `board`) and compare it with the reference.

    `x` as in `reference`.
    """
    elf, path = Path(folder) / "firmware.elf", Path(folder) / "plan.json"
    require_board()
    planned = load_plan(path)
    inputs = checked_input(x, planned.chain)
    for name in (path.name, elf.name):
        check_unchanged(Path(folder), name)
    progress.step(RUNNING)
    expected = profile(planned.chain, inputs)
    total = len(inputs)
    emulated = verify(elf, inputs, planned.plan.placed, expected, lambda done: progress.count("emulating", done, total))
    return Simulated(board_answers(planned.chain, emulated.run), emulated.mismatches)


def compare(*paths: Path | str, progress: Progress = SILENT) -> Comparison:
    """The memory layouts of specs, plans, builds or corpus cases, in the order given; the first is what others differ
    from."""
    if not 1 <= len(paths) <= len(LETTERS):
        raise InputError(f"{len(paths)} layouts; 1 to {len(LETTERS)} are compared")
    layouts: Sequence[Layout] = [read_layout(Path(path), progress) for path in paths]
    return Comparison(tuple(layouts), tuple(rows_of(layouts)))
