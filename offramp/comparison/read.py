"""The layout of what a path names: a spec, a plan, a build, or a case of the vendor's tool."""

from __future__ import annotations

import os
from pathlib import Path

from offramp.comparison.layout_image import layout_of_image
from offramp.comparison.layout_vendor import layout_of_case
from offramp.comparison.layouts import Layout
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import is_file
from offramp.corpus.cases import is_case
from offramp.host.build_folder import check_unchanged
from offramp.host.progress import Progress
from offramp.pipeline.chains import TEST_DATA
from offramp.pipeline.devices import device_of_case, device_of_plan, devices_of_specs
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import image_report
from offramp.pipeline.images import PlannedImage, make_image, open_image
from offramp.pipeline.report import read_image_report
from offramp.planner.spec.models import model_files

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
    image, figures = open_image(plan, device_of_plan(plan)), read_image_report(report)
    names = [stage.name for made in image.models for stage in made.chain.stages]
    found = [stage.name for one in figures.models for stage in one.stages]
    if found != names or len(figures.models) != len(image.models):
        shown = ", ".join(found) or "no stage"
        raise InputError(Diagnostic(Where(str(report)), f"is of {shown}; plan.json beside it is of {', '.join(names)}"))
    for file in (plan, report):
        check_unchanged(path, file.name)
    return layout_of_image(image, figures, "build", str(path))


def _planned(path: Path, progress: Progress) -> PlannedImage:
    """The image of a spec, or of those that a file lists."""
    files = model_files([path])
    return make_image(files, devices_of_specs(files.specs), progress)


def _plan_layout(path: Path, progress: Progress) -> Layout:
    """The layout of a plan, a spec or a list of models, with the test data run through the integer reference."""
    is_plan = path.suffix == ".json"
    image = open_image(path, device_of_plan(path)) if is_plan else _planned(path, progress)
    if any(TEST_DATA in made.plan.spec.data for made in image.models):
        progress.step("running the test data through the integer reference")
    report = image_report(image, [evaluate_plan(made.plan) for made in image.models])
    return layout_of_image(image, report, "plan" if is_plan else "spec", str(path))
