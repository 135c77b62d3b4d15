"""The `stages` of a plan as lines of a spec, with gaps for thresholds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from offramp.planner.chain.answers import class_labels
from offramp.planner.ir.measure import GATE, HARDWARE
from offramp.planner.plan import Plan
from offramp.planner.reference.exits import meant_classes
from offramp.planner.spec.spec import AnswersSpec, HeadSpec, StageSpec

GIVEN = ("stages", "calibrate")  # what the lines stand in the place of
CHOSEN = ("exits", "main", "main_answers", "candidates", "choose", "confidence")
_GAP = "gap of threshold number {}"


@dataclass(frozen=True)
class SpecLines:
    """`texts`: around the thresholds; `sliders`: which threshold follows each of them but the last, by number."""

    texts: tuple[str, ...]
    sliders: tuple[int, ...]


def spec_lines(plan: Plan, sliders: Sequence[Sequence[int]]) -> SpecLines | None:
    """`sliders`: numbers of the thresholds of each early stage. None if no list of stages says the same: where heads
    that are layers of a network were not chosen, stages that are named would run them."""
    heads = [stage.head for stage in plan.spec.stages]
    if any(head not in heads for _, head in plan.spec.left_out):
        return None
    stages = [_stage(plan, index, own) for index, own in enumerate((*sliders, ()))]
    instead = ", ".join(f"`{key}`" for key in (CHOSEN if plan.choice else GIVEN))
    text = f"# in the place of {instead}\n"
    if plan.choice:
        text += f"# take all networks but these out of `networks`: {json.dumps(list(plan.spec.networks))}\n"
    text += yaml.safe_dump({"stages": stages}, sort_keys=False, default_flow_style=None, width=2**20)
    texts, numbers = [], []
    for number in sorted((one for own in sliders for one in own), key=lambda one: text.index(_gap(one))):
        before, text = text.split(_gap(number), 1)
        texts.append(before)
        numbers.append(number)
    return SpecLines((*texts, text), tuple(numbers))


def _gap(number: int) -> str:
    return f"{_GAP.format(number)}."


def _stage(plan: Plan, index: int, sliders: Sequence[int]) -> dict[str, Any]:
    one = plan.spec.stages[index]
    found: dict[str, Any] = {"name": one.name, "network": one.network}
    if one.branch:
        found |= {"until": one.branch.until, "head": _head(one.branch.head)}
    if one.until is not None:
        found["until"] = one.until
    if one.answers:
        found["answers"] = _answers(one.answers)
    if index < len(plan.spec.stages) - 1:
        found["exit"] = _exit(one, _threshold(plan, one, index, sliders))
    return found


def _exit(one: StageSpec, threshold: object) -> dict[str, Any]:
    measure = one.exit.measure
    if measure in HARDWARE:
        return {"hardware": {"at_least": threshold} | ({"gate": True} if measure == GATE else {})}
    rule = {"confidence": measure, "threshold": threshold}
    return rule | ({"temperature": one.exit.temperature} if one.exit.temperature != 1 else {})


def _threshold(plan: Plan, one: StageSpec, index: int, sliders: Sequence[int]) -> object:
    stage = plan.chain.exits[index]
    if not stage.rule.by_class:
        return _gap(sliders[0])
    labels = class_labels(plan.spec, one)
    names = [labels[number] if labels else number for number in meant_classes(plan.chain, stage)]
    return dict(zip(names, map(_gap, sliders), strict=True))


def _head(head: HeadSpec) -> object:
    return head.network if head.network else {"layers": list(head.layers)}


def _answers(answers: AnswersSpec) -> object:
    return answers.always if answers.always is not None else dict(answers.by_class)
