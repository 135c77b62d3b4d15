"""From the specs of an image's models to a plan of all: each is planned by itself, and all are placed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from offramp.codegen.firmware import BusWrite
from offramp.codegen.lower import lower_together
from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.host.progress import Progress
from offramp.pipeline.choosing import choose_plan
from offramp.pipeline.judged import Judged
from offramp.pipeline.planning import (
    CHOOSING_AGAIN,
    Planned,
    make_plan,
    planned,
    reached_stages,
    with_thresholds_of,
)
from offramp.planner.allocation.reload_together import Demand
from offramp.planner.allocation.together import PlacedTogether, place_together
from offramp.planner.chain.sources import load_compared, read_sources
from offramp.planner.chain.together import Part, alternatives_of, build_together
from offramp.planner.image_plan import ImagePlan, check_agreement, load_image_plan
from offramp.planner.ir.chain import Chain, with_threshold
from offramp.planner.ir.network import Network
from offramp.planner.plan import Plan
from offramp.planner.rules.check import check_chain, check_network
from offramp.planner.spec.clocks import with_clocks
from offramp.planner.spec.models import ModelFiles
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import AutoSpec, ManualSpec
from offramp.planner.tasks.executor import IN_PROCESS, Executor


@dataclass(frozen=True, eq=False)
class PlannedImage:
    """An image's plan, and of each model its programs and costs."""

    plan: ImagePlan
    models: tuple[Planned, ...]

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def device(self) -> Device:
        return self.models[0].device

    @property
    def names(self) -> tuple[str, ...]:
        """Of the models."""
        return tuple(made.plan.spec.name for made in self.models)

    def model(self, name: str) -> Planned:
        """InputError if there is none of this name."""
        if name not in self.names:
            raise InputError(f"{self.name} has no model `{name}`; it has: {', '.join(self.names)}")
        return self.models[self.names.index(name)]

    def entry(self, model: int) -> tuple[BusWrite, ...]:
        """What the runtime writes when a model runs after another one: the state of its first stage, but for registers
        that keep it."""
        return self.models[model].lowered.switching.entry()


EXTERNAL = (
    "`reload: external` is for a build of a single spec; several models write their weights from flash: `allowed`"
)


def make_image(
    files: ModelFiles, devices: Sequence[Device], progress: Progress, tasks: Executor = IN_PROCESS
) -> PlannedImage:
    """Plan the models of an image and place them together; a single one as it is alone. `devices`: of their specs.

    Each spec keeps its own stages, thresholds and data. InputError lists everything that prevents it; Infeasible says
    which models would fit.
    """
    specs = [load_spec(path, device) for path, device in zip(files.specs, devices, strict=True)]
    if len(specs) == 1:
        return image_of(make_plan(specs[0], devices[0], progress, tasks))
    if problems := [
        Diagnostic(spec.places["reload"], EXTERNAL) for spec in specs if spec.reload and spec.reload.external
    ]:
        raise InputError(problems)
    devices = [with_clocks(device, spec.clocks) for device, spec in zip(devices, specs, strict=True)]
    check_agreement([(spec.where, device) for spec, device in zip(specs, devices, strict=True)])
    names = _names(specs)
    drafts = {name: _draft(spec, devices[0], progress, tasks) for name, spec in zip(names, specs, strict=True)}
    progress.step("placing weights, biases and activations of all models")
    image_name = files.name or "-".join(names)[:64]
    return _placed(image_name, drafts, devices[0], progress, tasks)


def image_of(made: Planned) -> PlannedImage:
    """The image of a single model, which has its name."""
    return PlannedImage(ImagePlan(made.plan.spec.name, (made.plan,), made.plan.placed.placement.objectives), (made,))


def _names(specs: list[ManualSpec | AutoSpec]) -> list[str]:
    """Of the models. InputError if two have the same."""
    names = [spec.name for spec in specs]
    for index, spec in enumerate(specs):
        if spec.name in names[:index]:
            first = specs[names.index(spec.name)].where.file
            found = f"the model is called `{spec.name}`, as that of {first} is: give each spec a `name` of its own"
            raise InputError(Diagnostic(spec.where, found))
    return names


@dataclass(frozen=True, eq=False)
class _Draft:
    """A spec whose stages are known. `chosen`: the plan of the model alone, where they were open; `judged`: what it was
    chosen on."""

    part: Part
    chosen: Plan | None = None
    judged: Judged | None = None

    @property
    def spec(self) -> ManualSpec:
        return self.part.spec


def _draft(spec: ManualSpec | AutoSpec, device: Device, progress: Progress, tasks: Executor) -> _Draft:
    progress.step(f"reading networks and checkpoints of {spec.name}")
    sources = read_sources(spec, device)
    if isinstance(spec, ManualSpec):
        return _Draft(Part(spec, sources))
    plan, _, judged = choose_plan(spec, sources, device, progress, tasks)
    return _Draft(Part(plan.spec, sources), plan, judged)


def _placed(
    name: str, drafts: Mapping[str, _Draft], device: Device, progress: Progress, tasks: Executor
) -> PlannedImage:
    parts = {model: draft.part for model, draft in drafts.items()}
    chains = build_together(parts, device)
    compared = {model: load_compared(part.spec, part.sources, device) for model, part in parts.items()}
    problems = [problem for chain in chains.values() for problem in check_chain(chain, device)]
    networks = [network for own in compared.values() for network in own.values()]
    problems += [problem for network in networks for problem in check_network(network, device)]
    if problems:
        raise InputError(problems)
    together = place_together(chains, device, alternatives_of(parts, chains, device), _demands(drafts, chains))
    models = [
        _as_chosen(draft, made) if draft.chosen else with_thresholds_of(draft.spec, made, progress, tasks)
        for draft, made in zip(drafts.values(), _planned(together, drafts, compared), strict=True)
    ]
    if any(placed.reload for placed in together.models.values()) and any(made.plan.calibration for made in models):
        progress.step(CHOOSING_AGAIN)
        chains = {model: _with_thresholds(chains[model], made.plan) for model, made in zip(parts, models, strict=True)}
        reached = [reached_stages(made.plan) for made in models]
        together = place_together(chains, device, demands=_demands(drafts, chains, reached))
        again = _planned(together, drafts, compared)
        models = [_as_before(made, known.plan, known.judged) for made, known in zip(again, models, strict=True)]
    models = _with_registers(models)
    return PlannedImage(ImagePlan(name, tuple(made.plan for made in models), together.objectives), tuple(models))


def _with_registers(models: Sequence[Planned]) -> list[Planned]:
    """The models with the register programs that they have beside each other: thresholds of hardware exits are in
    registers, and are known only now."""
    if not any(made.chain.hardware for made in models):
        return list(models)
    lowered = lower_together([made.plan.placed for made in models])
    return [replace(made, lowered=one) for made, one in zip(models, lowered, strict=True)]


def _demands(
    drafts: Mapping[str, _Draft], chains: Mapping[str, Chain], reached: Sequence[tuple[int, ...]] = ()
) -> dict[str, Demand] | None:
    """How often models are used, if one may be written again: every stage always, unless it is known better."""
    always = [(1,) * len(chain.stages) for chain in chains.values()]
    found = {
        name: Demand(counts, draft.spec.asked, draft.spec.reload is not None)
        for (name, draft), counts in zip(drafts.items(), reached or always, strict=True)
    }
    return found if any(one.allowed for one in found.values()) else None


def _planned(
    together: PlacedTogether, drafts: Mapping[str, _Draft], compared: Mapping[str, Mapping[str, Network]]
) -> list[Planned]:
    """A plan of each model, as it was placed."""
    lowered = lower_together(list(together.models.values()))
    return [
        planned(Plan(draft.spec, one.placed, compared[name]), one)
        for one, (name, draft) in zip(lowered, drafts.items(), strict=True)
    ]


def _as_chosen(draft: _Draft, made: Planned) -> Planned:
    """The model with the thresholds that were chosen for it alone."""
    assert draft.chosen
    placed = made.plan.placed.with_chain(_with_thresholds(made.chain, draft.chosen))
    made = replace(made, plan=replace(made.plan, placed=placed), lowered=replace(made.lowered, placed=placed))
    return _as_before(made, draft.chosen, draft.judged)


def _as_before(made: Planned, known: Plan, judged: Judged | None) -> Planned:
    """The model with what is known of how it was chosen."""
    plan = replace(made.plan, calibration=known.calibration, choice=known.choice)
    return replace(made, plan=plan, judged=judged)


def _with_thresholds(chain: Chain, known: Plan) -> Chain:
    """The chain with the thresholds of a plan of the same stages."""
    rules = [(stage.name, stage.exit) for stage in known.chain.exits]
    chosen = [(name, rule, rule.threshold) for name, rule in rules if rule and rule.known]
    return with_threshold(chain, {name: rule.by_class if one is None else one for name, rule, one in chosen})


def open_image(path: Path, device: Device) -> PlannedImage:
    """Plans read from their file, checked again. InputError if it is damaged or its inputs have changed."""
    image = load_image_plan(path, device)
    lowered = lower_together([plan.placed for plan in image.models])
    return PlannedImage(image, tuple(planned(plan, one) for plan, one in zip(image.models, lowered, strict=True)))


def open_single(path: Path, device: Device) -> Planned:
    """The plan of a build of one model. InputError, also for an image with several."""
    image = open_image(path, device)
    if len(image.models) > 1:
        found = f"has the models {', '.join(image.names)}; the build of one model is expected: build it alone"
        raise InputError(Diagnostic(Where(str(path)), found))
    return image.models[0]
