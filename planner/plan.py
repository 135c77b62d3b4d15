"""The plan: a spec's chain with thresholds and a checked placement, and the JSON file that keeps it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from offramp.configs.device import Device
from offramp.configs.errors import CheckFailed, Diagnostic, InputError, Where
from offramp.configs.files import digest_of, is_file
from offramp.planner.allocation.place import Placed
from offramp.planner.allocation.requirements import placement_problem, requirements_of
from offramp.planner.chain.build import build_chain
from offramp.planner.exits.calibrate import Calibrated
from offramp.planner.exits.candidates import chosen_spec, with_cuts
from offramp.planner.exits.choice import Choice
from offramp.planner.ir.chain import Chain, with_threshold
from offramp.planner.ir.measure import Measure
from offramp.planner.placement.check import check
from offramp.planner.placement.problem import BiasPlace, Objective, Placement
from offramp.planner.spec.clocks import with_clocks
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import Spec

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything the generator needs. All thresholds are known; `calibrated` says how they were found, if they were,
    `choice` how the stages were, if the spec leaves them open; `spec` holds the chosen ones."""

    spec: Spec
    placed: Placed
    calibrated: Calibrated | None
    choice: Choice | None = None

    @property
    def chain(self) -> Chain:
        return self.placed.requirements.chain


def plan_json(plan: Plan, folder: Path) -> str:
    """The plan as text, to be kept in `folder`: paths are relative to it. The same plan gives the same bytes."""
    placement = plan.placed.placement
    content = {
        "format": FORMAT,
        "name": plan.spec.name,
        "device": plan.placed.requirements.device.name,
        "spec": _relative(Path(plan.spec.where.file), folder),
        "digests": {_relative(path, folder): digest_of(path) for path in input_files(plan.spec)},
        "stages": [
            {
                "name": stage.name,
                "layers": [slot.name for slot in stage.slots],
                "result": stage.result,
                "confidence": stage.exit.measure if stage.exit else None,
                "threshold": stage.exit.threshold if stage.exit else None,
            }
            for stage in plan.chain.stages
        ],
        "calibration": plan.calibrated.summary() if plan.calibrated else None,
        "choice": plan.choice.summary() if plan.choice else None,
        "placement": {
            "weights": dict(placement.weights),
            "biases": {name: [place.quadrant, place.start] for name, place in placement.biases.items()},
            "data": dict(placement.data),
            "objectives": [asdict(one) for one in placement.objectives],
        },
    }
    return json.dumps(content, indent=1) + "\n"


def load_plan(path: Path, device: Device) -> Plan:
    """Read a plan back, with its spec, networks and checkpoints, and check its placement again.

    InputError if it is not a plan, or if a file it was made from is gone or has changed.
    """
    saved = _read(path)
    folder = path.parent
    if saved.device != device.name:
        raise InputError(Diagnostic(Where(str(path)), f"is a plan for a {saved.device}, not for a {device.name}"))
    changed = [
        Diagnostic(Where(str(folder / name)), "is missing or has changed since the plan was made; build again")
        for name, known in saved.digests.items()
        if not is_file(folder / name) or digest_of(folder / name) != known
    ]
    if changed:
        raise InputError(changed)
    spec = load_spec(folder / saved.spec, device)
    device = with_clocks(device, spec.clocks)
    if saved.chosen:
        spec = chosen_spec(with_cuts(spec, device), *saved.chosen)
    chain = with_threshold(build_chain(spec, device), saved.thresholds)
    requirements = requirements_of(chain, device)
    problem = placement_problem(requirements)
    placement = saved.placement
    violations = check(problem, placement)
    if violations:
        raise CheckFailed(Diagnostic(Where(str(path)), f"{one.rule}: {one.message}") for one in violations)
    return Plan(spec, Placed(requirements, problem, placement), None)


def plan_device(path: Path) -> tuple[str, Where]:
    """The name of the device that a plan is for, and its place. InputError if the file is not a plan."""
    return _read(path).device, Where(str(path))


def input_files(spec: Spec) -> list[Path]:
    """Everything that a plan depends on: the spec, and the networks, checkpoints and data that it names."""
    files = [Path(spec.where.file)]
    for network in spec.networks.values():
        files += [network.network, network.checkpoint]
    return list(dict.fromkeys([*files, *spec.data.values()]))


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


@dataclass(frozen=True)
class Saved:
    """What a plan file says beside what its spec says. `chosen`: stages before the last, and their measures."""

    device: str
    spec: str
    digests: Mapping[str, str]
    thresholds: Mapping[str, int]
    placement: Placement
    chosen: tuple[list[str], list[Measure]] | None


def _read(path: Path) -> Saved:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(Diagnostic(Where(str(path)), f"is not a plan: {error}")) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(Diagnostic(Where(str(path)), f"is not a plan of format {FORMAT}"))
    try:
        chosen = content["choice"] and content["choice"]["chosen"]
        return Saved(
            device=str(content["device"]),
            spec=str(content["spec"]),
            digests=dict(content["digests"]),
            thresholds={stage["name"]: stage["threshold"] for stage in content["stages"]},
            placement=_placement(content["placement"]),
            chosen=(chosen["stages"][:-1], chosen["measures"]) if chosen else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(Diagnostic(Where(str(path)), f"is not a plan: it is damaged ({error!r})")) from error


def _placement(content: Mapping[str, Any]) -> Placement:
    return Placement(
        weights=dict(content["weights"]),
        biases={name: BiasPlace(*place) for name, place in content["biases"].items()},
        data=dict(content["data"]),
        objectives=tuple(Objective(**one) for one in content["objectives"]),
    )
