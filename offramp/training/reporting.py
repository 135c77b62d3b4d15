"""What is known at the end of a search, or when it is stopped, as a report."""

from __future__ import annotations

from collections.abc import Sequence

from offramp.pipeline.report import Report
from offramp.planner.allocation.budget import alone_budget
from offramp.planner.exits.verdicts import UNITS
from offramp.planner.spec.dataset import has_labels
from offramp.training.candidates import Priced
from offramp.training.costs import weights_of
from offramp.training.design import Design, LayerDesign
from offramp.training.halving import Standing
from offramp.training.keeping import Kept
from offramp.training.objective import Worth
from offramp.training.proposing import Field
from offramp.training.report import (
    FORMAT,
    CandidateReport,
    DataReport,
    LeftOut,
    MainReport,
    SingleReport,
    TrainReport,
)
from offramp.training.saved import Result
from offramp.training.search import Setting
from offramp.training.spec import CALIBRATION, TEST
from offramp.training.task import FitState

_ABOVE_CHANCE = 0.2  # of the way from chance to all right, which twice chance is of few classes
_OPS = {"conv2d": "conv", "conv1d": "conv1d", "linear": "linear"}


def report_of(
    setting: Setting,
    races: Sequence[tuple[Field, Result | None]],
    kept: Kept,
    single: SingleReport | None,
    plan: Report | None,
) -> TrainReport:
    """The report of a search. `races`: what took part in each contest, and how far it is."""
    bench, judge = setting.bench, setting.judge
    spec, alone = bench.spec, bench.alone.cost_by_exit
    budget = alone_budget(bench.main, bench.device)
    return TrainReport(
        format=FORMAT,
        name=spec.name,
        device=bench.device.name,
        seed=spec.seed,
        budget_s=spec.budget,
        against="main" if setting.basics.split.labels is None else spec.choice.against,
        judged_with_risk=judge.goal.delta is not None,
        data=_data(setting),
        main=MainReport(
            cycles=alone["cycles"][0],
            energy_uj=alone["energy"][0] / UNITS["energy"],
            accuracy=float((judge.answers == judge.truth).mean()),
        ),
        candidates=tuple(
            _candidate(field.priced[one.name], one, kept)
            for field, found in races
            for one in (found.standings if found else ())
        ),
        left_out=tuple(LeftOut(what, reason) for field, _ in races for what, reason in field.left_out),
        choice=kept.choice,
        single=single,
        tag="estimated",
        sources=tuple(dict.fromkeys(part.source for part in budget.parts if part.amount)),
        plan=plan,
        warnings=warnings_of(setting),
    )


def warnings_of(setting: Setting) -> tuple[str, ...]:
    """What is doubtful about main on the images that networks are compared on; nothing without labels."""
    basics = setting.basics
    if basics.split.labels is None:
        return ()
    numbers = basics.split.validation
    right = float((basics.answers[numbers] == basics.split.labels[numbers]).mean())
    classes = setting.bench.main.layers[-1].out_shape.channels
    chance = 1 / classes
    if right >= min(2 * chance, chance + _ABOVE_CHANCE * (1 - chance)):
        return ()
    found = f"main answers {right:.2%} of {len(numbers):,} images of the validation part right, of {classes} classes"
    return (f"{found}: wrong data, order of the labels or normalization?",)


def _data(setting: Setting) -> tuple[DataReport, ...]:
    spec, split = setting.bench.spec, setting.basics.split
    labels = split.labels is not None
    found = [
        DataReport("training, fitting part", len(split.fitting), labels, "networks learned from it"),
        DataReport("training, validation part", len(split.validation), labels, "networks were compared on it"),
    ]
    uses = {CALIBRATION: "`exits: auto` chooses thresholds on it", TEST: "results are reported on it"}
    for name, use in uses.items():
        if name in spec.data:
            found.append(DataReport(name, split.others[name], has_labels(spec.data[name]), use))
    return tuple(found)


def _candidate(priced: Priced, one: Standing[FitState, Worth], kept: Kept) -> CandidateReport:
    design, cost = priced.proposal.design, priced.cost.cost_by_exit
    reason = kept.reasons.get(one.name, "others were better when they had had as much training")
    return CandidateReport(
        name=one.name,
        cut=priced.proposal.cut,
        layers=tuple(layers_text(design).split(", ")),
        bits=design.layers[0].bits,
        weights=weights_of(priced.candidate.network),
        cycles=cost["cycles"][0],
        energy_uj=cost["energy"][0] / UNITS["energy"],
        part=one.steps / one.total,
        validation=one.found,
        kept=reason == "kept",
        reason=reason,
    )


def layers_text(design: Design) -> str:
    """The layers in a line: `pool 2 conv 3x3 8, conv 3x3 16, linear 10`."""
    return ", ".join(_layer_text(one) for one in design.layers)


def _layer_text(layer: LayerDesign) -> str:
    pool = f"{'average' if layer.pool_average else 'max'} {layer.pool} " if layer.pool > 1 else ""
    size = {"conv2d": f" {layer.kernel}x{layer.kernel}", "conv1d": f" {layer.kernel}"}.get(layer.op, "")
    return f"{pool}{_OPS[layer.op]}{size} {layer.outputs}"
