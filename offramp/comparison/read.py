"""The layout of what a path names: a spec, a plan, a build, or a case of the vendor's tool."""

from __future__ import annotations

import os
from pathlib import Path

from offramp.comparison.layout_plan import layout_of_plan
from offramp.comparison.layout_vendor import layout_of_case
from offramp.comparison.layouts import Layout
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import is_file
from offramp.corpus.cases import is_case
from offramp.host.build_folder import check_unchanged
from offramp.host.progress import Progress
from offramp.pipeline.chains import TEST_DATA
from offramp.pipeline.devices import device_of_case, device_of_plan, device_of_spec
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.planning import make_plan, open_plan
from offramp.pipeline.report import read_report
from offramp.planner.spec.reader import load_spec

SUFFIXES = (".json", ".yaml", ".yml")


def read_layout(path: Path, progress: Progress) -> Layout:
    """The layout that a spec, plan, build or case describes. InputError if the path is none of them."""
    if is_case(path):
        progress.step(f"reading the vendor's layout in {path}")
        return layout_of_case(path, device_of_case(path))
    if is_file(path / "plan.json"):
        progress.step(f"reading the build in {path}")
        return _build_layout(path)
    if is_file(path) and path.suffix in SUFFIXES:
        return _plan_layout(path, progress)
    found = "is none of them" if os.path.exists(path) else "does not exist"
    wanted = "a spec (.yaml), a plan (.json), a folder with plan.json, or one with program.npz and meta.json"
    raise InputError(Diagnostic(Where(str(path)), f"{found}; expected: {wanted}"))


def _build_layout(path: Path) -> Layout:
    """The layout of a build, with the figures of its report. InputError if they are damaged or another plan's."""
    plan, report = path / "plan.json", path / "report.json"
    made, figures = open_plan(plan, device_of_plan(plan)), read_report(report)
    names = [stage.name for stage in made.chain.stages]
    if [stage.name for stage in figures.stages] != names:
        found = ", ".join(stage.name for stage in figures.stages) or "no stage"
        raise InputError(Diagnostic(Where(str(report)), f"is of {found}; plan.json beside it is of {', '.join(names)}"))
    for file in (plan, report):
        check_unchanged(path, file.name)
    return layout_of_plan(made, figures, "build", str(path))


def _plan_layout(path: Path, progress: Progress) -> Layout:
    """The layout of a plan or a spec, with the test data run through the integer reference."""
    is_plan = path.suffix == ".json"
    device = device_of_plan(path) if is_plan else device_of_spec(path)
    made = open_plan(path, device) if is_plan else make_plan(load_spec(path, device), device, progress)
    if TEST_DATA in made.plan.spec.data:
        progress.step("running the test data through the integer reference")
    report = plan_report(made, evaluate_plan(made.plan))
    return layout_of_plan(made, report, "plan" if is_plan else "spec", str(path))
