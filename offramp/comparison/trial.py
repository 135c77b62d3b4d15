"""Thresholds that can be tried by hand: stops of sliders, and of every image the first stop at which it would leave.

A slider's stops are thresholds in the units of the firmware, from "nobody leaves" to "everybody leaves". What a page
computes from levels is exact at every stop, however few there are: stops are what is quantized, not the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lgamma, log, log1p

import numpy as np

from offramp.comparison.spec_lines import SpecLines, spec_lines
from offramp.pipeline.evaluate import Evaluation
from offramp.pipeline.judged import Judged, judge
from offramp.pipeline.planning import Planned
from offramp.planner.chain.answers import class_labels
from offramp.planner.exits.frontier import LARGEST, NEVER, Ints, to_scores
from offramp.planner.exits.guarantee import FIXED, Guarantee, images_that_test, p_value
from offramp.planner.ir.chain import Chain
from offramp.planner.ir.measure import Measure
from offramp.planner.reference.confidence import unit
from offramp.planner.reference.exits import meant_classes

Right = np.ndarray[tuple[int, int], np.dtype[np.bool_]]
STOPS = 400  # of a slider at most, and a few that must be among them
CALIBRATION, TEST = "calibration", "test"
NEGLIGIBLE = 1e-40  # a probability that changes no sum of them


@dataclass(frozen=True)
class Slider:
    """A threshold of stage number `stage`. `label`: of the class that it is for, empty where it is for all. `stops`:
    thresholds in the unit of the measure, `unit` of them 1 in real units, the strictest first; `planned`: by number."""

    stage: int
    label: str
    measure: Measure
    unit: int
    stops: tuple[int, ...]
    planned: int


@dataclass(frozen=True, eq=False)
class TrialSet:
    """A data set of N images, the first `tested` of which test the guarantee. `slider`: (early stages, N), the slider
    that decides, by number, -1 where an image cannot leave; `level`: the first stop of it at which it leaves, or the
    number of stops. `right`: bool (stages, N)."""

    name: str
    tested: int
    slider: Ints
    level: Ints
    right: Right

    def leaving(self, positions: Sequence[int]) -> Ints:
        """The stage at which each image leaves, (N,), with a stop of each slider."""
        stops = np.array([*positions, -1])[self.slider]  # of images that cannot leave: before the first one
        leaves = np.append(self.level <= stops, np.ones((1, self.right.shape[1]), bool), axis=0)
        found: Ints = leaves.argmax(axis=0)
        return found


@dataclass(frozen=True)
class Risk:
    """The test of a guarantee. `p_values`: by the losses among the images that test, from none on; more losses than it
    has entries have the last one. `covers_all`: every threshold is in the sequence of tests, the strictest first; else
    only those that the tool has tried are."""

    found: Guarantee
    p_values: tuple[float, ...]
    covers_all: bool


@dataclass(frozen=True, eq=False)
class Trial:
    """All that trying thresholds of a model takes. Costs by stage at which an inference leaves: cycles, and picojoules,
    all 0 where there is no model of the device's energy.
    `accuracy_drop`: the limit on the calibration data in points; None without one. `against`: what is right there."""

    stages: tuple[str, ...]
    sliders: tuple[Slider, ...]
    sets: tuple[TrialSet, ...]
    cycles: tuple[int, ...]
    picojoules: tuple[int, ...]
    clock_hz: int
    accuracy_drop: float | None
    against: str
    risk: Risk | None
    lines: SpecLines | None


def trial_of(made: Planned, evaluation: Evaluation | None, judged: Judged | None) -> Trial | str:
    """What can be tried, or why nothing can. `judged`: on the data that the thresholds were chosen on."""
    chain = made.chain
    if len(chain.stages) < 2:
        return "There is one stage, so there is no threshold."
    if chain.misses_inputs:
        return (
            "Rolling buffers of a later stage miss inputs that leave early: with other thresholds its answers differ."
        )
    known = [(CALIBRATION, judged)] if judged else []
    if evaluation is not None and evaluation.right is not None:
        known.append((TEST, _judged(chain, evaluation, evaluation.right)))
    if not known:
        return "The spec names no data on which it is known what is right."
    sliders = _sliders(made, [one for _, one in known])
    calibration = made.plan.calibration
    return Trial(
        stages=tuple(stage.name for stage in chain.stages),
        sliders=sliders,
        sets=tuple(_set(name, chain, sliders, one, _risk(made)) for name, one in known),
        cycles=made.cycles.cost_by_exit,
        picojoules=made.energy.cost_by_exit,
        clock_hz=made.device.clocks["cnn_hz"],
        accuracy_drop=calibration.accuracy_drop if calibration else None,
        against=calibration.against if calibration else "labels",
        risk=_test(_risk(made), len(sliders)),
        lines=spec_lines(made.plan, sliders_by_stage(sliders, len(chain.stages) - 1)),
    )


def sliders_by_stage(sliders: Sequence[Slider], stages: int) -> list[list[int]]:
    """Numbers of the sliders of each early stage."""
    return [[number for number, one in enumerate(sliders) if one.stage == stage] for stage in range(stages)]


def _judged(chain: Chain, found: Evaluation, right: Right) -> Judged:
    profiled = found.profiled
    return judge(chain, np.stack(profiled.classes), np.stack(profiled.confidence), right)


def _risk(made: Planned) -> Guarantee | None:
    plan = made.plan
    return (plan.choice.risk if plan.choice else None) or (plan.calibration.risk if plan.calibration else None)


def _sliders(made: Planned, known: Sequence[Judged]) -> tuple[Slider, ...]:
    found = []
    for stage, one in enumerate(made.chain.exits[:-1]):
        rule, labels = one.rule, class_labels(made.plan.spec, made.plan.spec.stages[stage])
        groups: list[int] | list[None] = meant_classes(made.chain, one) if rule.by_class else [None]
        for group, number in enumerate(groups):
            planned = rule.threshold if number is None else rule.by_class[number]
            assert planned is not None
            scores = [own.scores(made.chain, stage)[own.group[stage] == group] for own in known]
            score = int(to_scores(rule.measure, np.array([planned], np.uint32))[0])
            stops = _stops(scores, score)
            limits = tuple(LARGEST - value if rule.measure == "entropy" else value for value in stops)
            label = "" if number is None else labels[number] if labels else str(number)
            scale = unit(rule.measure, rule.fraction_bits)
            found.append(Slider(stage, label, rule.measure, scale, limits, stops.index(score)))
    return tuple(found)


def _stops(scores: Sequence[Ints], planned: int) -> list[int]:
    """Scores, the highest first: above all images, if there is a score, those of some images of the first data set,
    about as many between two of them, the lowest of all, and the planned one."""
    every = np.concatenate([*scores, np.array([], np.int64)])
    wanted = {planned}
    if len(every):
        wanted |= {min(int(every.max()) + 1, LARGEST), int(every.min())}
    values = np.sort(next((one for one in scores if len(one)), every))
    if len(values):
        wanted |= set(values[np.linspace(0, len(values) - 1, min(STOPS, len(values))).astype(np.int64)].tolist())
    return sorted(wanted, reverse=True)


def _set(name: str, chain: Chain, sliders: Sequence[Slider], judged: Judged, risk: Guarantee | None) -> TrialSet:
    order, tested = np.arange(judged.images), 0
    if name == CALIBRATION and risk:
        first = images_that_test(judged.images, risk.images)
        tested = len(first)
        order = np.concatenate([first, np.setdiff1d(order, first)])
    slider, level = np.full(judged.group.shape, -1), np.zeros(judged.group.shape, np.int64)
    for stage, numbers in enumerate(sliders_by_stage(sliders, len(chain.stages) - 1)):
        scores = judged.scores(chain, stage)
        for group, number in enumerate(numbers):
            own = (judged.group[stage] == group) & (scores != NEVER)
            stops = to_scores(sliders[number].measure, np.array(sliders[number].stops, np.uint32))
            slider[stage, own] = number
            level[stage, own] = np.searchsorted(-stops, -scores[own], side="left")
    return TrialSet(name, tested, slider[:, order], level[:, order], judged.right[:, order])


def _test(found: Guarantee | None, sliders: int) -> Risk | None:
    if found is None:
        return None
    covers_all = sliders == 1 and found.method == FIXED
    return Risk(found, p_values(found.images, found.accuracy_drop), covers_all)


def p_values(images: int, rate: float) -> tuple[float, ...]:
    """`p_value` by the number of losses, as far as it changes; the last one holds for all that are more, but `images`
    losses, with which it is 1."""
    found = [p_value(0, images, rate)]
    for losses in range(1, images):
        more = lgamma(images + 1) - lgamma(losses + 1) - lgamma(images - losses + 1)
        more += losses * log(rate) + (images - losses) * log1p(-rate)
        if losses > rate * images and more < log(NEGLIGIBLE):
            break
        found.append(p_value(losses, images, rate))
    while len(found) > 1 and found[-1] == found[-2]:
        found.pop()
    return tuple(found)
