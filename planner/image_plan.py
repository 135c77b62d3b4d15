"""The plans of all models of an image, placed together, and the JSON file that keeps them.

The file of a single model is that of its plan; of several it holds a plan for each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.records import read_json, read_record, to_json
from offramp.planner.allocation.together import check_together
from offramp.planner.chain.together import Part, build_together
from offramp.planner.placement.problem import Objective
from offramp.planner.plan import (
    FORM,
    FORMAT,
    OpenedRecord,
    Plan,
    PlanRecord,
    damaged,
    load_plan,
    open_record,
    plan_digest,
    plan_json,
    plan_record,
    read_plan,
    restored,
)


@dataclass(frozen=True, eq=False)
class ImagePlan:
    """Plans of models that were placed together. `objectives`: of all their weights."""

    name: str
    models: tuple[Plan, ...]
    objectives: tuple[Objective, ...]


@dataclass(frozen=True)
class ImagePlanRecord:
    """plan.json of several models (docs/PLAN.md); its keys are these fields, in this order. In `models` the objectives
    are of a model's own weights, with nothing proved."""

    format: int
    name: str
    device: str
    digest: str
    objectives: tuple[Objective, ...]
    models: tuple[PlanRecord, ...]


def image_plan_json(image: ImagePlan, folder: Path) -> str:
    """The plans as text, to be kept in `folder`: paths are relative to it."""
    if len(image.models) == 1:
        return plan_json(image.models[0], folder)
    device = image.models[0].placed.requirements.device
    models = tuple(plan_record(plan, folder) for plan in image.models)
    record = ImagePlanRecord(FORMAT, image.name, device.name, image_digest(image), image.objectives, models)
    return to_json(record, FORM)


def image_digest(image: ImagePlan) -> str:
    """SHA-256, hexadecimal, of what determines the firmware: that of the only plan, or of the name and all digests."""
    digests = [plan_digest(plan) for plan in image.models]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join([image.name, *digests]).encode()).hexdigest()


def load_image_plan(path: Path, device: Device) -> ImagePlan:
    """Read the plans back, and check the placement of all again. Errors as from `load_plan`."""
    if not _has_models(path):
        plan = load_plan(path, device)
        return ImagePlan(plan.spec.name, (plan,), plan.placed.placement.objectives)
    saved = _read(path)
    opened = {record.name: open_record(record, path, device) for record in saved.models}
    _check_names(saved, opened, path)
    parts = {name: Part(one.spec, one.sources) for name, one in opened.items()}
    chains = build_together(parts, next(iter(opened.values())).device)
    plans = [restored(record, opened[record.name], chains[record.name], path, several=True) for record in saved.models]
    check_together({plan.spec.name: plan.placed for plan in plans}, saved.objectives)
    image = ImagePlan(saved.name, tuple(plans), saved.objectives)
    if image_digest(image) != saved.digest:
        raise damaged(path, "`digest` is not that of its content")
    return image


def image_device(path: Path) -> tuple[str, Where]:
    """The name of the device that plans are for, and its place. InputError if the file holds none."""
    return (_read(path) if _has_models(path) else read_plan(path)).device, Where(str(path))


def _has_models(path: Path) -> bool:
    found = read_json(path, "a plan")
    return isinstance(found, dict) and "models" in found


def _read(path: Path) -> ImagePlanRecord:
    return read_record(path, ImagePlanRecord, "the plan of several models", FORMAT, FORM)


def _check_names(saved: ImagePlanRecord, opened: dict[str, OpenedRecord], path: Path) -> None:
    """Damaged if the models are not several with names of their own, those of their specs."""
    names = [record.name for record in saved.models]
    if len(names) < 2 or len(opened) < len(names) or any(one.spec.name != name for name, one in opened.items()):
        raise damaged(path, "`models` are not those of its specs")


def check_agreement(devices: Sequence[tuple[Where, Device]]) -> None:
    """InputError if specs of one image are for different devices or clocks."""
    first, known = devices[0]
    for where, device in devices[1:]:
        if (device.name, dict(device.clocks)) != (known.name, dict(known.clocks)):
            found = f"is for a {_named(device)}; {first.file} is for a {_named(known)}"
            raise InputError(Diagnostic(where, f"{found}: models of one image have the same device and clocks"))


def _named(device: Device) -> str:
    return f"{device.name} at {', '.join(f'{name} {value:,}' for name, value in device.clocks.items())}"
