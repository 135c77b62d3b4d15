"""The layout of what a path names: a spec, a plan, a build, or a case of the vendor's tool."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from offramp.comparison.facts import Facts, facts_of
from offramp.comparison.layout_image import layout_of_image
from offramp.comparison.layout_vendor import layout_of_case
from offramp.comparison.layouts import Layout
from offramp.comparison.page import comparison_page
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import is_file
from offramp.corpus.cases import is_case
from offramp.host.build_folder import check_unchanged
from offramp.host.progress import Progress
from offramp.pipeline.chains import TEST_DATA
from offramp.pipeline.devices import device_of_case, device_of_plan, devices_of_specs, says_its_device
from offramp.pipeline.evaluate import Evaluation, evaluate_plan
from offramp.pipeline.figures import image_report
from offramp.pipeline.images import PlannedImage, make_image, open_image
from offramp.pipeline.report import ImageReport, read_image_report
from offramp.planner.spec.models import model_files

SUFFIXES = (".json", ".yaml", ".yml")


def devices_for(path: Path, stated: Sequence[str]) -> Sequence[str | None]:
    """The devices that a path is read for: the stated ones, if it is a spec that names none."""
    if not stated or not is_file(path) or path.suffix not in SUFFIXES[1:]:
        return (None,)
    return (None,) if says_its_device(model_files([path]).specs) else stated


def read_layout(path: Path, progress: Progress, page: bool = False, device: str | None = None) -> Layout:
    """The layout that a spec, plan, build or case describes; `page`: with all that a page says of it. `device`: for a
    spec that names none. InputError if the path is none of them."""
    if is_case(path):
        progress.step(f"reading the vendor's layout in {path}")
        return layout_of_case(path, device_of_case(path))
    if is_file(path / "plan.json"):
        progress.step(f"reading the build in {path}")
        return _build_layout(path, progress, page)
    if is_file(path) and path.suffix in SUFFIXES:
        return _plan_layout(path, progress, page, device)
    found = "is none of them" if os.path.exists(path) else "does not exist"
    wanted = "a spec (.yaml), a plan (.json), a folder with plan.json, or one with program.npz and meta.json"
    raise InputError(Diagnostic(Where(str(path)), f"{found}; expected: {wanted}"))


def _build_layout(path: Path, progress: Progress, page: bool) -> Layout:
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
    models = _facts(image, _evaluations(image, progress)) if page else ()
    return layout_of_image(image, figures, "build", str(path), models)


def _evaluations(image: PlannedImage, progress: Progress) -> list[Evaluation | None]:
    if any(TEST_DATA in made.plan.spec.data for made in image.models):
        progress.step("running the test data through the integer reference")
    return [evaluate_plan(made.plan) for made in image.models]


def _facts(image: PlannedImage, evaluations: Sequence[Evaluation | None]) -> tuple[Facts, ...]:
    return tuple(facts_of(made, found) for made, found in zip(image.models, evaluations, strict=True))


def report_page(image: PlannedImage, evaluations: Sequence[Evaluation | None], report: ImageReport) -> str:
    """The page of a build, as a file of it; it names no path."""
    return comparison_page([layout_of_image(image, report, "build", "", _facts(image, evaluations))])


def _planned(path: Path, progress: Progress, device: str | None) -> PlannedImage:
    """The image of a spec, or of those that a file lists."""
    files = model_files([path])
    return make_image(files, devices_of_specs(files.specs, device), progress)


def _plan_layout(path: Path, progress: Progress, page: bool, device: str | None) -> Layout:
    """The layout of a plan, a spec or a list of models, with the test data run through the integer reference."""
    is_plan = path.suffix == ".json"
    image = open_image(path, device_of_plan(path)) if is_plan else _planned(path, progress, device)
    evaluations = _evaluations(image, progress)
    models = _facts(image, evaluations) if page else ()
    return layout_of_image(image, image_report(image, evaluations), "plan" if is_plan else "spec", str(path), models)
