"""The search: from a training spec to networks that are worth having, and what is known about all that were tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from offramp.host.progress import Progress
from offramp.planner.ai8x.weights import LayerWeights
from offramp.planner.ir.measure import LARGEST_LOGIT
from offramp.planner.tasks.executor import Executor
from offramp.training.candidates import Bench, Priced, Proposal
from offramp.training.contest import Contest, Course, epochs_of
from offramp.training.costs import spread
from offramp.training.data import Split
from offramp.training.design import Design
from offramp.training.fit import weights_of
from offramp.training.halving import Standing
from offramp.training.material import Basics, copies_for, front_data, head_data
from offramp.training.objective import Judge, Logits, Worth, judged_goal, worth
from offramp.training.proposing import Field, designs_within
from offramp.training.saved import Result, Store
from offramp.training.spec import TrainSpec
from offramp.training.task import FitState, Recipe, TrainingData
from offramp.training.work import BATCH, budget_work

FRONT_PART = 0.75  # of the budget, where heads are wanted too
RECIPE = Recipe(batch=BATCH)
_INPUT = "input"
_ONE_BY_ONE = 0.3
_VARIANTS_PART = 0.25  # of a budget: what asking main about variants may take besides
SINGLES = 8  # networks that are tried to be the best single one
_SINGLE_COSTS = 0.6  # of what it may cost, at least


@dataclass(frozen=True, eq=False)
class Setting:
    """What all contests of a search share."""

    bench: Bench
    basics: Basics
    store: Store
    tasks: Executor
    progress: Progress

    @property
    def judge(self) -> Judge:
        """The images that networks are compared on."""
        basics, numbers = self.basics, self.basics.split.validation
        goal = judged_goal(self.bench.spec.choice, len(numbers))
        return Judge(goal, self.bench.alone, basics.truth[numbers], basics.answers[numbers])


@dataclass(frozen=True, eq=False)
class Trained:
    """A candidate with the weights that it has now."""

    priced: Priced
    standing: Standing[FitState, Worth]
    weights: tuple[LayerWeights, ...]

    @property
    def proposal(self) -> Proposal:
        return self.priced.proposal


def budgets(bench: Bench) -> tuple[int, int]:
    """Work for fronts and for heads."""
    spec, whole = bench.spec, budget_work(bench.spec.budget)
    if spec.fronts is None or spec.heads is None:
        return (0, whole) if spec.fronts is None else (whole, 0)
    return int(FRONT_PART * whole), whole - int(FRONT_PART * whole)


def fronts_contest(setting: Setting, field: Field) -> Contest:
    """Training the fronts; variants of the images are made here."""
    spec = setting.bench.spec
    assert spec.fronts is not None
    designs = {name: one.proposal.design for name, one in field.priced.items()}
    budget = budgets(setting.bench)[0]
    course = _input_course(setting, designs, spec.fronts.count, budget)
    judge = partial(_worth, setting.judge, field.priced)
    return Contest("fronts", course, spec.fronts.count, budget, judge, _costs(field))


def recipe_of(spec: TrainSpec) -> Recipe:
    """Exits that look at the largest logit alone need logits that say something by themselves."""
    absolute = LARGEST_LOGIT in spec.choice.measures and not spec.gate
    return replace(RECIPE, one_by_one=_ONE_BY_ONE) if absolute else RECIPE


def _costs(field: Field) -> dict[str, int]:
    return {name: one.cost.cost_by_exit["cycles"][0] for name, one in field.priced.items()}


def _worth(judge: Judge, known: Mapping[str, Priced], name: str, logits: Logits) -> Worth:
    return worth(judge, known[name], logits)


def _input_course(setting: Setting, designs: Mapping[str, Design], kept: int, budget: int) -> Course:
    """A course of networks that read main's input."""
    basics, spec = setting.basics, setting.bench.spec
    augmentation = spec.fronts.augment if spec.fronts else "none"
    split: Split = basics.split
    epochs = epochs_of(list(designs.values()), kept, budget, len(split.fitting))
    copies = copies_for(basics, epochs, int(_VARIANTS_PART * budget))
    setting.progress.step("asking main for its answers to variants of the training images")
    data = front_data(basics, augmentation, copies, spec.seed, setting.tasks)  # type: ignore[arg-type]
    judged = split.images.x[split.validation]
    return Course(
        designs,
        dict.fromkeys(designs, _INPUT),
        {_INPUT: data},
        {_INPUT: judged},
        recipe_of(spec),
        spec.seed,
        setting.bench.device,
    )


def heads_contest(setting: Setting, field: Field) -> Contest:
    """Training the heads, on what main's layers give; pooling is done beforehand."""
    spec = setting.bench.spec
    assert spec.heads is not None
    designs, takes = {}, {}
    data: dict[str, TrainingData] = {}
    judged = {}
    setting.progress.step("running main on the training images up to its cuts")
    for name, one in field.priced.items():
        design, cut = one.proposal.design, one.proposal.cut
        assert cut is not None
        pool = design.layers[0].pool
        takes[name] = f"{cut}/{pool}"
        if takes[name] not in data:
            made = head_data(setting.basics, cut, pool, setting.tasks)
            data[takes[name]], judged[takes[name]] = made.data, made.validation
        designs[name] = without_pooling(design)
    course = Course(designs, takes, data, judged, recipe_of(spec), spec.seed, setting.bench.device)
    judge = partial(_worth, setting.judge, field.priced)
    return Contest("heads", course, spec.heads.count, budgets(setting.bench)[1], judge, _costs(field))


def without_pooling(design: Design) -> Design:
    """A head as it is trained: what its first layer pools is pooled already."""
    first, shape = design.layers[0], design.input
    pool = first.pool
    rows, cols = shape.rows // pool, 1 if shape.cols == 1 else shape.cols // pool
    layers = (replace(first, pool=1, pool_stride=1), *design.layers[1:])
    return replace(design, input=replace(shape, rows=rows, cols=cols), layers=layers)


def trained(contest: Contest, field: Field, found: Result) -> list[Trained]:
    """Candidates that still have weights, the best first."""
    return [
        Trained(field.priced[one.name], one, weights_of(contest.course.designs[one.name], one.state))
        for one in found.standings
        if one.state is not None
    ]


def singles_contest(setting: Setting, cycles: float) -> Contest | None:
    """Training single networks that cost at most so many cycles, with the budget of the exits; None if there are
    none."""
    designs = designs_within(setting.bench, int(cycles), int(_SINGLE_COSTS * cycles))
    chosen = spread(designs, SINGLES, by_sight=True)
    if not chosen:
        return None
    named = {f"single-{at + 1}": replace(one.design, name=f"single-{at + 1}") for at, one in enumerate(chosen)}
    budget = budget_work(setting.bench.spec.budget)
    course = _input_course(setting, named, 1, budget)
    costs = {name: one.cycles for name, one in zip(named, chosen, strict=True)}
    return Contest("singles", course, 1, budget, partial(_alone, setting.judge), costs)


def _alone(judge: Judge, name: str, logits: Logits) -> Worth:
    """A network that gives all answers."""
    answers = logits.argmax(axis=1)
    right, same = float((answers == judge.truth).mean()), float((answers == judge.answers).mean())
    return Worth(1 - right, 0.0, 0.0, 1.0, right, right, same)
