"""What is allowed but rarely meant: said on the terminal and kept in report.json."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.configs.errors import Where
from offramp.pipeline.evaluate import Evaluation
from offramp.pipeline.networks import unused_text
from offramp.planner.ir.chain import Chain, ExitRule, Threshold
from offramp.planner.ir.network import Layer, UnusedLayers
from offramp.planner.plan import Plan
from offramp.planner.reference.confidence import to_real, to_threshold
from offramp.planner.reference.exits import leaving
from offramp.planner.reference.profile import Answers
from offramp.planner.spec.dataset import DataSet, Images
from offramp.planner.spec.spec import ManualSpec

LEAST_BELOW = 64  # images from which on pixels of which none is negative are no chance


def data_warnings(data: Images) -> tuple[str, ...]:
    """About the images and labels of a data set."""
    found = []
    if len(data.x) >= LEAST_BELOW and int(data.x.min()) >= 0:
        text = f"no value of data set `{data.name}` is negative: are its pixels unsigned, without 128 taken off?"
        found.append(text)
    if isinstance(data, DataSet) and len(data.y) > 1 and len(np.unique(data.y)) == 1:
        found.append(f"all {len(data.y):,} images of data set `{data.name}` are of class {data.y[0]}")
    return tuple(found)


NO_LABELS = "a limit of the cross-entropy with the label, which no device has"  # what the distiller's thresholds are


def earlyexit_warnings(
    spec: ManualSpec, chain: Chain, answered: Answers, right: npt.NDArray[np.bool_], chosen: Sequence[Threshold]
) -> tuple[str, ...]:
    """What the distiller's thresholds would do as thresholds of the entropy, beside those chosen on the same data.

    `right`: whether each stage is right, (stages, N).
    """
    found = []
    for index, (entry, stage, threshold) in enumerate(zip(spec.stages, chain.exits, chosen, strict=False)):
        given = entry.exit.earlyexit
        if given is None:
            continue
        rule = replace(stage.rule, threshold=to_threshold("entropy", given, stage.rule.fraction_bits), by_class=())
        leave = leaving(replace(stage, exit=rule), answered.classes[index].astype(np.int64), answered.confidence[index])
        share = f"lets {leave.mean():.2%} of the calibration data leave"
        share += f", {right[index][leave].mean():.2%} of them right" if leave.any() else ""
        own = f"{to_real('entropy', threshold, 0):.4g}" if isinstance(threshold, int) else "one for each class"
        text = f"the distiller's threshold {given:g} is {NO_LABELS}; as one of the entropy it {share}"
        found.append(f"stage `{stage.name}`: {text}; chosen is {own}")
    return tuple(found)


def plan_warnings(plan: Plan, evaluation: Evaluation | None) -> tuple[str, ...]:
    """About a plan and, if there are test data, what it gives on them."""
    found = [
        *(plan.calibration.warnings if plan.calibration else ()),
        *_thresholds(plan),
        *_unused(plan),
        *_heads(plan),
    ]
    if evaluation:
        shares = [evaluation.share(stage) for stage in range(len(plan.chain.stages))]
        return (*found, *data_warnings(evaluation.data), *_loss(plan, evaluation), *_shares(plan, shares, "test data"))
    shares = [*plan.calibration.shares] if plan.calibration else []
    return (*found, *_shares(plan, shares, "calibration data"))


def _unused(plan: Plan) -> Iterator[str]:
    """Layers of checkpoints that no network takes; each file's once."""
    files = plan.spec.networks
    found: dict[Path, dict[UnusedLayers, None]] = {}
    for name, network in {**plan.chain.networks, **plan.compared}.items():
        if name in files:
            found.setdefault(files[name].checkpoint, {}).update(dict.fromkeys(network.unused))
    for file, parts in found.items():
        yield from unused_text(Where(str(file)), tuple(parts))


def _heads(plan: Plan) -> Iterator[str]:
    """Heads of the distiller's that read another layer than the one that they were trained behind."""
    for stage in plan.spec.stages:
        if stage.branch is None or stage.branch.head.network is None:
            continue
        entry, until = plan.spec.networks[stage.branch.head.network], stage.branch.until
        if entry.checkpoint.resolve() != plan.spec.networks[stage.network].checkpoint.resolve():
            continue
        for head in plan.chain.networks[stage.network].heads:
            if head.prefix == entry.prefix and until not in head.places:
                text = f"the distiller trained head `{entry.name}` (`{head.prefix}`) behind layer `{head.after}`"
                yield f"stage `{stage.name}`: {text}; after `until: {until}` it reads the output of another layer"


def _loss(plan: Plan, evaluation: Evaluation) -> Iterator[str]:
    """Accuracy on the test data falls by more than was asked for."""
    limit = plan.calibration.accuracy_drop if plan.calibration else None
    full, staged = evaluation.accuracy_alone(-1), evaluation.accuracy
    if plan.calibration is None or limit is None or full is None or staged is None:
        return
    lost = 100 * (full - staged)
    if lost > limit + 1e-9:
        rest = "" if plan.calibration.risk else ", which the calibration data keep; `risk` is for new data"
        yield f"accuracy on the test data falls by {lost:.2f} points; `accuracy_drop` is {limit:g}{rest}"


def _shares(plan: Plan, shares: Sequence[float], data: str) -> Iterator[str]:
    """Stages at which nobody leaves, or everybody."""
    for stage, share in zip(plan.chain.stages[:-1], shares, strict=False):
        if share == 1:
            yield f"every image of the {data} leaves at stage `{stage.name}`: later stages never run"
        elif not share:
            yield f"no image of the {data} leaves at stage `{stage.name}`: it only costs"


def _thresholds(plan: Plan) -> Iterator[str]:
    """Thresholds that no answer can meet, or that every answer does."""
    stages = plan.spec.stages if isinstance(plan.spec, ManualSpec) else ()
    earlyexit = {stage.name: stage.exit.earlyexit for stage in stages}
    for stage in plan.chain.exits[:-1]:
        rule = stage.rule
        given = earlyexit.get(stage.name)
        if plan.calibration is None and given is not None:
            text = f"the distiller's threshold {given:g} is {NO_LABELS}; it is taken for one of the entropy"
            yield f"stage `{stage.name}`: {text}: `calibrate` chooses one on data"
        if rule.threshold is None:
            continue
        real = to_real(rule.measure, rule.threshold, rule.fraction_bits)
        never, always = _limits(rule, plan.placed.requirements.hw[stage.result].layer)
        if never is not None and real > never:
            yield f"stage `{stage.name}`: no {rule.measure} is {real:.4g}; nobody leaves there"
        if always is not None and (real >= always if rule.measure == "entropy" else real <= always):
            yield f"stage `{stage.name}`: every {rule.measure} meets {real:.4g}; everybody leaves there"


def _limits(rule: ExitRule, layer: Layer) -> tuple[float | None, float | None]:
    """(above which nobody leaves, from which on everybody does), in real units; None where there is no such limit.

    `layer`: whose outputs are the logits.
    """
    if rule.measure == "margin":
        return (None if layer.output_width > 8 else 255 / 2**rule.fraction_bits), 0.0
    if rule.hardware:
        return None, None
    classes = layer.out_shape.channels
    return (1.0, 1 / classes) if rule.measure == "max_probability" else (None, log(classes))
