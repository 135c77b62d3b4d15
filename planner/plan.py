"""The plan: a spec's chain with thresholds and a checked placement, and the JSON file that keeps it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from offramp.configs.device import Device
from offramp.configs.errors import CheckFailed, Damaged, Diagnostic, InputError, Where
from offramp.configs.files import digest_of, is_file
from offramp.configs.records import converter, read_record, to_json
from offramp.planner.allocation.place import Placed
from offramp.planner.allocation.reload import Reload, reloaded
from offramp.planner.allocation.requirements import MemoryRequirements, placement_problem, requirements_of
from offramp.planner.allocation.runs import cuts_at, fits, furthest_ends
from offramp.planner.chain.build import build_chain
from offramp.planner.chain.sources import Sources, load_compared, read_sources
from offramp.planner.exits.candidates import chosen_spec, stages_to_choose
from offramp.planner.exits.records import CalibrationRecord, ChoiceRecord
from offramp.planner.ir.chain import Chain, ExitStage, Threshold, with_cuts, with_threshold
from offramp.planner.ir.measure import Measure
from offramp.planner.ir.network import Network
from offramp.planner.placement.check import check
from offramp.planner.placement.problem import CYCLES, HIGHEST, BiasPlace, Objective, Placement, Problem
from offramp.planner.spec.clocks import with_clocks
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import AutoSpec, ManualSpec, ReloadSpec, Spec, StageSpec

FORMAT = 2


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything the generator needs. All thresholds are known; `calibration` says how they were found, if they were,
    `choice` how the stages were, if the spec leaves them open; `spec` holds the chosen ones. `compared`: networks that
    the spec wants compared with the chain, by name."""

    spec: ManualSpec
    placed: Placed
    compared: Mapping[str, Network]
    calibration: CalibrationRecord | None = None
    choice: ChoiceRecord | None = None

    @property
    def chain(self) -> Chain:
        return self.placed.requirements.chain


@dataclass(frozen=True)
class StageRecord:
    """A stage: its layers in the order of execution, the tensor that is its result, and its exit in integer units; of
    a result that is none of logits neither measure nor threshold. `cuts`: the layers with which its runs but the first
    begin."""

    name: str
    layers: tuple[str, ...]
    result: str
    confidence: Measure | None
    threshold: int | None
    cuts: tuple[str, ...] = ()
    class_thresholds: tuple[int, ...] = ()
    answers: tuple[int, ...] = ()


@dataclass(frozen=True)
class PlacementRecord:
    """Where everything lies: start columns of kernels, (quadrant, byte) of biases, first words of tensors, by name."""

    weights: Mapping[str, int]
    biases: Mapping[str, tuple[int, int]]
    data: Mapping[str, int]
    objectives: tuple[Objective, ...]
    reload: Reload | None = None


@dataclass(frozen=True)
class PlanRecord:
    """plan.json (docs/PLAN.md); its keys are these fields, in this order. Paths are relative to its folder."""

    format: int
    name: str
    device: str
    digest: str
    spec: str
    digests: Mapping[str, str]
    stages: tuple[StageRecord, ...]
    calibration: CalibrationRecord | None
    choice: ChoiceRecord | None
    placement: PlacementRecord


def plan_json(plan: Plan, folder: Path) -> str:
    """The plan as text, to be kept in `folder`: paths are relative to it. The same plan gives the same bytes."""
    return to_json(plan_record(plan, folder), FORM)


def plan_record(plan: Plan, folder: Path) -> PlanRecord:
    """What plan.json in `folder` holds."""
    placement = plan.placed.placement
    return PlanRecord(
        format=FORMAT,
        name=plan.spec.name,
        device=plan.placed.requirements.device.name,
        digest=plan_digest(plan),
        spec=_relative(Path(plan.spec.where.file), folder),
        digests={_relative(path, folder): digest_of(path) for path in input_files(plan.spec)},
        stages=tuple(_stage_record(stage) for stage in plan.chain.exits),
        calibration=plan.calibration,
        choice=plan.choice,
        placement=PlacementRecord(
            weights=placement.weights,
            biases={name: (place.quadrant, place.start) for name, place in placement.biases.items()},
            data=placement.data,
            objectives=placement.objectives,
            reload=plan.placed.reload,
        ),
    )


def plan_digest(plan: Plan) -> str:
    """SHA-256, hexadecimal, of what determines the firmware: contents of files, but no path, and not where thresholds
    and placement come from."""
    spec, placement = plan.spec, plan.placed.placement
    used = plan.chain.networks  # a head may be made of layers of another one, and has no files then
    files = {name: network for name, network in spec.networks.items() if name in used}
    content = {
        "name": spec.name,
        "device": plan.placed.requirements.device.name,
        "clocks": dict(plan.placed.requirements.device.clocks),
        "labels": spec.names,
        "files": {name: [digest_of(one.network), digest_of(one.checkpoint)] for name, one in files.items()},
        "networks": {name: [network.fifo, network.avg_pool_rounding] for name, network in used.items()},
        "stages": [
            [
                stage.name,
                [slot.name for slot in stage.slots],
                stage.result,
                *_numbers(stage),
                stage.answers,
                stage.cuts,
            ]
            for stage in plan.chain.exits
        ],
        "weights": dict(placement.weights),
        "biases": {name: [place.quadrant, place.start] for name, place in placement.biases.items()},
        "data": dict(placement.data),
        **({"reload": _reload_names(reload)} if (reload := plan.placed.reload) else {}),
        **({"external": True} if reload and reload.external else {}),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _reload_names(reload: Reload) -> list[tuple[str, ...]]:
    return [reload.weights, reload.biases, reload.entry_weights, reload.entry_biases]


def _numbers(stage: ExitStage) -> tuple[object, ...]:
    return astuple(stage.exit) if stage.exit else ()


def _stage_record(stage: ExitStage) -> StageRecord:
    layers = tuple(slot.name for slot in stage.slots)
    cuts = tuple(layers[position] for position in stage.cuts)
    rule = stage.exit
    if rule is None:
        return StageRecord(stage.name, layers, stage.result, None, None, cuts, answers=stage.answers)
    numbers = (rule.measure, rule.threshold, cuts, rule.by_class)
    return StageRecord(stage.name, layers, stage.result, *numbers, stage.answers)


def read_plan(path: Path) -> PlanRecord:
    """A plan file as it stands. InputError if it is none or damaged."""
    return read_record(path, PlanRecord, "a plan", FORMAT, FORM)


def load_plan(path: Path, device: Device) -> Plan:
    """Read a plan back, with its spec, networks and checkpoints, and check its placement again.

    InputError if it is not a plan, or if a file it was made from is gone or has changed; Damaged if it does not belong
    to its spec.
    """
    saved = read_plan(path)
    opened = open_record(saved, path, device)
    return restored(saved, opened, build_chain(opened.spec, opened.sources, opened.device), path)


@dataclass(frozen=True, eq=False)
class OpenedRecord:
    """A spec whose stages a plan has chosen, if they were open; its files; the device at its clocks."""

    spec: ManualSpec
    sources: Sources
    device: Device


def open_record(saved: PlanRecord, path: Path, device: Device) -> OpenedRecord:
    """The files that a plan kept in `path` was made from. InputError if one has changed, Damaged as `load_plan`."""
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
    sources = read_sources(spec, device)
    if isinstance(spec, AutoSpec):
        spec = _chosen(spec, stages_to_choose(spec, sources, device), saved, path)
    elif saved.choice:
        raise damaged(path, "`choice` is there, but its spec gives the stages")
    _check_inputs(saved, spec, path)
    return OpenedRecord(spec, sources, device)


def restored(saved: PlanRecord, opened: OpenedRecord, built: Chain, path: Path, several: bool = False) -> Plan:
    """The plan of a record with its chain. CheckFailed if its placement breaks a rule, Damaged as `load_plan`.
    `several`: it is that of a model beside others."""
    chain = with_threshold(built, _thresholds(saved))
    chain = with_cuts(chain, _saved_cuts(saved, chain, opened.device, path))
    _check_stages(saved, chain, path)
    requirements = requirements_of(chain, opened.device)
    problem, reload = placement_problem(requirements), saved.placement.reload
    if reload:
        problem = _reloaded(requirements, problem, reload, path, several)
        source = opened.spec.reload
        if source is None or (reload.external, reload.bytes_per_second) != _read_from(reload, source):
            raise damaged(path, "`placement.reload` is not what its spec allows")
    placement = _placement(saved.placement)
    violations = check(problem, placement)
    if violations:
        raise CheckFailed(
            Diagnostic(Where(str(path)), f"{violation.rule}: {violation.message}") for violation in violations
        )
    placed = Placed(requirements, problem, placement, reload)
    if not all(fits(stage, furthest_ends(placed, stage)) for stage in chain.stages):
        raise damaged(path, "what is written again has the same place twice in a run")
    compared = load_compared(opened.spec, opened.sources, opened.device)
    plan = Plan(opened.spec, placed, compared, saved.calibration, saved.choice)
    if plan_digest(plan) != saved.digest:
        raise damaged(path, "`digest` is not that of its content")
    return plan


def _chosen(spec: AutoSpec, stages: Sequence[StageSpec], saved: PlanRecord, path: Path) -> ManualSpec:
    """The spec with the stages that the plan says were chosen. Damaged if it does not say, or names others."""
    by_name = {stage.name: stage for stage in stages}
    chosen = saved.choice.chosen if saved.choice else None
    early = chosen.stages[:-1] if chosen else ()
    if chosen is None or not by_name.keys() >= set(early) or len(set(early)) != len(early):
        raise damaged(path, "`choice` does not say which stages of its spec were chosen; build again")
    return chosen_spec(spec, [by_name[name] for name in early], chosen.measures)


def _check_inputs(saved: PlanRecord, spec: Spec, path: Path) -> None:
    """Damaged if the plan is not of this spec with all its files."""
    missing = {_relative(one, path.parent) for one in input_files(spec)} - saved.digests.keys()
    if missing:
        raise damaged(path, f"`digests` lacks {', '.join(sorted(missing))}")


def _check_stages(saved: PlanRecord, chain: Chain, path: Path) -> None:
    """Damaged if the plan's stages are not those of the chain, each but the last with a threshold of 32 bits."""
    stages = tuple(_stage_record(stage) for stage in chain.exits)
    early = [one for stage in saved.stages[:-1] for one in stage.class_thresholds or [stage.threshold]]
    if stages != saved.stages or not all(one is not None and 0 <= one < 1 << 32 for one in early):
        raise damaged(path, "`stages` are not those of its spec")
    if [objective.name for objective in saved.placement.objectives] != [CYCLES, HIGHEST]:
        message = f"another version made it: its `placement.objectives` are not {CYCLES} and {HIGHEST}; build again"
        raise InputError(Diagnostic(Where(str(path)), message))


def _reloaded(requirements: MemoryRequirements, problem: Problem, reload: Reload, path: Path, several: bool) -> Problem:
    """The problem with what the plan says is written again. Damaged if that cannot be."""
    try:
        return reloaded(requirements, problem, reload, several)
    except ValueError as error:
        raise damaged(path, f"`placement.reload`: {error}") from error


def _read_from(reload: Reload, source: ReloadSpec) -> tuple[bool, int | None]:
    """Where weights that are written again come from, and how fast."""
    return (source.external, source.bytes_per_second) if reload.weights else (False, None)


def _saved_cuts(saved: PlanRecord, chain: Chain, device: Device, path: Path) -> list[tuple[int, ...]]:
    """Where the plan's stages are cut into runs. Damaged if there can be no cut, or if a run gets too many layers."""
    found = [cuts_at(chain, stage, one.cuts, device) for one, stage in zip(saved.stages, chain.stages, strict=False)]
    for record, cuts in zip(saved.stages, found, strict=False):
        if cuts is None:
            raise damaged(path, f"stage `{record.name}` cannot be cut at its `cuts`")
    return [cuts or () for cuts in found] + [()] * (len(chain.stages) - len(found))


def damaged(path: Path, message: str) -> Damaged:
    return Damaged(Diagnostic(Where(str(path)), f"is not a plan: it is damaged ({message})"))


def _thresholds(saved: PlanRecord) -> dict[str, Threshold]:
    given = {stage.name: stage.class_thresholds or stage.threshold for stage in saved.stages}
    return {name: threshold for name, threshold in given.items() if threshold is not None}


def input_files(spec: Spec) -> list[Path]:
    """Everything that a plan depends on: the spec, and the networks, checkpoints and data that it names."""
    files = [Path(spec.where.file)]
    for network in spec.networks.values():
        files += [network.network, network.checkpoint]
    return list(dict.fromkeys([*files, *spec.data.values()]))


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _placement(record: PlacementRecord) -> Placement:
    return Placement(
        weights=record.weights,
        biases={name: BiasPlace(*place) for name, place in record.biases.items()},
        data=record.data,
        objectives=record.objectives,
    )


FORM = converter()
