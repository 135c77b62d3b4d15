"""Thresholds that are tried by hand, without a browser: stops, lines for the spec, p-values, the best that is drawn."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from offramp.comparison.facts import Facts, facts_of
from offramp.comparison.fronts import front_of
from offramp.comparison.spec_lines import spec_lines
from offramp.comparison.trial import CALIBRATION, TEST, Trial, p_values, trial_of
from offramp.configs.device import load_device
from offramp.pipeline.evaluate import Evaluation, evaluate_plan
from offramp.pipeline.judged import judged_again
from offramp.pipeline.planning import Planned
from offramp.planner.exits.guarantee import p_value
from offramp.planner.ir.chain import Chain, with_threshold
from offramp.planner.reference.profile import exit_indices
from tests.helpers.plans import plan_of
from tests.helpers.specs import FRONT, GATED, TINY, write_spec
from tests.helpers.trials import LABELS, three_stages


@pytest.fixture(scope="module", params=[False, True], ids=["three stages", "by class"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Planned:
    return plan_of(three_stages(tmp_path_factory.mktemp("trial"), per_class=request.param))


@pytest.fixture(scope="module")
def evaluation(made: Planned) -> Evaluation:
    found = evaluate_plan(made.plan)
    assert found
    return found


@pytest.fixture(scope="module")
def trial(made: Planned, evaluation: Evaluation) -> Trial:
    found = facts_of(made, evaluation).trial
    assert isinstance(found, Trial)
    return found


def chain_with(made: Planned, trial: Trial, positions: list[int]) -> Chain:
    """The plan's chain with the thresholds of a setting."""
    limits = [one.stops[at] for one, at in zip(trial.sliders, positions, strict=True)]
    stages = {}
    for number, stage in enumerate(made.chain.exits[:-1]):
        own = tuple(limit for one, limit in zip(trial.sliders, limits, strict=True) if one.stage == number)
        stages[stage.name] = own if stage.rule.by_class else own[0]
    return with_threshold(made.chain, stages)


def test_levels_say_who_leaves_where_at_every_stop(made: Planned, evaluation: Evaluation, trial: Trial) -> None:
    """As the chain itself does with these thresholds, on the test data."""
    found = next(one for one in trial.sets if one.name == TEST)
    rng = np.random.default_rng(0)
    for _ in range(50):
        positions = [int(rng.integers(len(one.stops))) for one in trial.sliders]
        expected = exit_indices(chain_with(made, trial, positions), evaluation.profiled)
        assert (found.leaving(positions) == expected).all()


def test_sliders_go_from_nobody_to_everybody_past_the_plan(made: Planned, trial: Trial) -> None:
    for images in trial.sets:
        last = len(trial.stages) - 1
        assert (images.leaving([0] * len(trial.sliders)) == last).all()
        assert (images.leaving([len(one.stops) - 1 for one in trial.sliders]) == 0).all()
    rules = [stage.rule for stage in made.chain.exits[:-1]]
    planned = [limit for rule in rules for limit in rule.by_class or [rule.threshold]]
    assert [one.stops[one.planned] for one in trial.sliders] == planned
    assert [one.label for one in trial.sliders if one.label] in ([], list(LABELS))


def test_the_planned_setting_has_the_figures_of_the_plan(made: Planned, trial: Trial) -> None:
    """Those of the calibration, and of the test behind its guarantee."""
    known, images = made.plan.calibration, next(one for one in trial.sets if one.name == CALIBRATION)
    assert known and known.risk and trial.risk
    leaving = images.leaving([one.planned for one in trial.sliders])
    right = images.right[leaving, np.arange(len(leaving))]
    assert np.array(trial.cycles)[leaving].mean() == pytest.approx(known.mean_cycles)
    assert right.mean() == pytest.approx(known.accuracy.staged)
    assert tuple((leaving == stage).mean() for stage in range(len(trial.stages))) == pytest.approx(known.shares)
    assert images.tested == known.risk.images == 225
    assert (images.right[-1] & ~right)[: images.tested].sum() == known.risk.losses
    assert trial.risk.p_values[known.risk.losses] == known.risk.p_value


def test_what_was_calibrated_just_now_is_what_a_plan_that_is_read_gives(made: Planned) -> None:
    again = judged_again(made.plan, made.device)
    assert again and made.judged
    for name in ("confidence", "group", "right"):
        assert (getattr(again, name) == getattr(made.judged, name)).all()


def copied_of(made: Planned, trial: Trial) -> Planned:
    """The plan of its spec with the lines of its page."""
    assert trial.lines
    text = trial.lines.texts[0]
    for number, after in zip(trial.lines.sliders, trial.lines.texts[1:], strict=True):
        slider = trial.sliders[number]
        text += f"{slider.stops[slider.planned] / slider.unit}{after}"
    path = Path(made.plan.spec.where.file)
    before = path.read_text(encoding="utf-8").split("calibrate:")[0]
    other = path.with_name("copied.yaml")
    other.write_text(before + text, encoding="utf-8")
    return plan_of(other, made.device)


def test_the_lines_of_the_spec_make_the_same_stages(made: Planned, trial: Trial) -> None:
    copied = copied_of(made, trial)
    assert [stage.exit for stage in copied.chain.exits[:-1]] == [stage.exit for stage in made.chain.exits[:-1]]
    assert [stage.name for stage in copied.chain.stages] == [stage.name for stage in made.chain.stages]
    assert copied.plan.placed.placement.weights == made.plan.placed.placement.weights


@pytest.mark.parametrize("gate", [False, True])
def test_lines_with_hardware_exits_make_the_same_stages(gate: bool, tmp_path: Path) -> None:
    family, rule = (GATED, "{hardware: {gate: true}}") if gate else (TINY, "{hardware: {}}")
    keys = "device: MAX78002\ncalibrate: {data: calibration, accuracy_drop: 20}\nstages:\n"
    keys += f"  - {{network: front, exit: {rule}}}\n  - {{network: main}}\n"
    device = load_device("MAX78002")
    made = plan_of(write_spec(tmp_path, family.spec(keys, front="", main=""), family), device)
    trial = trial_of(made, evaluate_plan(made.plan), made.judged)
    assert isinstance(trial, Trial) and all(stop > 0 for one in trial.sliders for stop in one.stops)
    copied = copied_of(made, trial)
    assert [stage.exit for stage in copied.chain.exits[:-1]] == [stage.exit for stage in made.chain.exits[:-1]]
    assert copied.plan.placed.placement == made.plan.placed.placement


def test_the_lines_name_the_networks_that_chosen_stages_need(tmp_path: Path) -> None:
    choice = "exits: auto\nmain: main\ncandidates: [{head: head, until: first}]\n"
    choice += "choose: {data: calibration, minimise: cycles, accuracy_drop: 0}\n"
    spec = write_spec(tmp_path, TINY.spec(choice, front="", main="", head="") + "compare: [front]\n")
    made = plan_of(spec)
    kept = sorted({"front", *(network for stage in made.plan.spec.stages for network in stage.networks)})
    lines = spec_lines(made.plan, [[number] for number in range(len(made.chain.stages) - 1)])
    assert lines
    found = re.search("^# take all networks but these out of `networks`: (.*)$", lines.texts[0], re.MULTILINE)
    assert found and sorted(json.loads(found[1])) == kept


@pytest.mark.parametrize(("images", "rate"), [(1, 0.5), (30, 0.3), (500, 0.01), (6667, 0.002)])
def test_the_table_of_p_values_is_the_tools(images: int, rate: float) -> None:
    found = p_values(images, rate)
    for losses in {*range(min(images, 200)), images // 2, images - 1}:
        assert found[min(losses, len(found) - 1)] == p_value(losses, images, rate)


def test_the_best_settings_are_no_worse_than_the_planned_one(trial: Trial) -> None:
    images = next(one for one in trial.sets if one.name == CALIBRATION)
    reached = front_of(trial, images, trial.cycles)
    leaving = images.leaving([one.planned for one in trial.sliders])
    cost = float(np.array(trial.cycles)[leaving].mean())
    right = float(images.right[leaving, np.arange(len(leaving))].mean())
    assert any(mean <= cost and share >= right for mean, share in reached)
    assert list(reached) == sorted(reached) and len({share for _, share in reached}) == len(reached)


def test_given_thresholds_are_tried_on_the_test_data_only(tmp_path: Path) -> None:
    made = plan_of(write_spec(tmp_path, FRONT))
    found = facts_of(made, evaluate_plan(made.plan))
    assert isinstance(found.trial, Trial) and found.reached is None
    assert [one.name for one in found.trial.sets] == [TEST] and found.trial.risk is None
    assert found.reasons.how == ("The spec names the stages and gives their thresholds: nothing was chosen.",)


def test_what_cannot_be_tried_says_why(tmp_path: Path) -> None:
    alone = plan_of(write_spec(tmp_path, TINY.spec("stages: [{network: main}]\n", main="")))
    assert facts_of(alone, evaluate_plan(alone.plan)).trial == "There is one stage, so there is no threshold."
    made = plan_of(write_spec(tmp_path, FRONT))
    assert facts_of(made, None).trial == "The spec names no data on which it is known what is right."


def test_ways_take_what_the_budget_says(made: Planned, evaluation: Evaluation) -> None:
    facts = facts_of(made, evaluation)
    assert tuple(way.cycles for way in facts.ways) == made.cycles.cost_by_exit
    first = facts.ways[0].parts
    assert first[0].name == "load the input" and first[0].accesses > 0 and first[0].instructions > first[0].accesses
    assert [part.layer for part in facts.ways[-1].parts if part.layer is not None] == list(range(facts.layer_count))
    assert all(part.source and part.tag for part in facts.ways[-1].parts)


def test_samples_are_the_surest_the_least_sure_and_the_wrong(made: Planned, evaluation: Evaluation) -> None:
    facts: Facts = facts_of(made, evaluation)
    for stage, found in enumerate(facts.samples):
        here = np.flatnonzero(evaluation.exit_index == stage)
        assert found.images == len(here)
        kinds = dict(found.kinds)
        if not found.images:
            assert kinds == {}
            continue
        rule = made.chain.exits[stage].exit
        assert rule and evaluation.right is not None
        surest, least = ([one.confidence or 0.0 for one in kinds[kind]] for kind in ("surest", "least sure"))
        high_is_sure = rule.measure != "entropy"
        assert surest == sorted(surest, reverse=high_is_sure) and least == sorted(least, reverse=not high_is_sure)
        assert len(here) < len(surest + least) or (surest[-1] >= least[-1]) == high_is_sure or surest[-1] == least[-1]
        assert not any(one.right for one in kinds["wrong"])
        assert found.confusion and sum(map(sum, found.confusion.counts)) == len(here)
        assert sum(one.count for one in found.confusion.mistakes) == (~evaluation.right[stage][here]).sum()
