"""Calibration against plain trial of all thresholds."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.configs.errors import Infeasible
from offramp.planner.exits import search
from offramp.planner.exits.calibrate import Calibrated, StageProfile, calibrate
from offramp.planner.exits.frontier import Ints
from offramp.planner.ir.chain import Threshold
from offramp.planner.ir.measure import MEASURES, Measure
from offramp.planner.reference.confidence import confident


def follow(profiles: list[StageProfile], thresholds: tuple[Threshold, ...]) -> tuple[int, int, tuple[int, ...]]:
    """(cycles, right answers, images answered by each stage), image by image."""
    cycles = right = 0
    left = [0] * len(profiles)
    for image in range(len(profiles[0].correct)):
        for stage, profile in enumerate(profiles):
            cycles += profile.cycles
            last = stage == len(profiles) - 1
            if last or leaves(profile, image, thresholds[stage]):
                right += int(profile.correct[image])
                left[stage] += 1
                break
    return cycles, right, tuple(left)


def leaves(profile: StageProfile, image: int, threshold: Threshold) -> bool:
    group = 0 if profile.group is None else int(profile.group[image])
    limit = threshold if isinstance(threshold, int) else threshold[group]
    return group >= 0 and bool(confident(profile.measure, profile.confidence[image : image + 1], limit)[0])


def trial(profiles: list[StageProfile], needed: int) -> tuple[int, int]:
    """(cycles, -right answers) of the best thresholds, by trying all that make a difference."""
    ranges: list[list[Threshold]] = []
    for one in profiles[:-1]:
        values = range(int(one.confidence.max()) + 2)
        ranges.append([*product(values, repeat=one.groups)] if one.groups else [*values])
    found = [follow(profiles, thresholds) for thresholds in product(*ranges)]
    return min((cycles, -right) for cycles, right, _ in found if right >= needed)


@st.composite
def chains_of_classes(draw: st.DrawFn, stages: int) -> list[StageProfile]:
    """Chains whose early stages have classes, some of which mean nothing, with one threshold or several."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    found = []
    for one in draw(chains(stages)):
        groups = draw(st.integers(0, 3))
        group = rng.integers(-1, max(1, groups), len(one.correct))
        confidences = np.minimum(one.confidence, 4).astype(np.uint32)  # so that trying all is possible
        found.append(replace(one, confidence=confidences, group=group, groups=groups))
    return [*found[:-1], replace(found[-1], group=None, groups=0)]


@st.composite
def chains(draw: st.DrawFn, stages: int) -> list[StageProfile]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 12))
    measures: list[Measure] = [draw(st.sampled_from(MEASURES)) for _ in range(stages)]
    return [
        StageProfile(
            measure,
            rng.integers(1, 7, count).astype(np.uint32),
            rng.random(count) < draw(st.sampled_from([0.5, 0.9])),
            draw(st.integers(1, 50)),
        )
        for measure in measures
    ]


def agrees(profiles: list[StageProfile], drop: float) -> Calibrated:
    full = profiles[-1].correct
    result = calibrate(profiles, full, drop)
    needed = int(full.sum()) - int(drop * len(full) + 1e-9)
    assert (result.cycles, result.correct, result.exit_counts) == follow(profiles, result.thresholds)
    assert result.correct >= needed
    assert (result.cycles, -result.correct) >= trial(profiles, needed)
    return result


@settings(max_examples=60, deadline=None)
@given(chains(2), st.sampled_from([0.0, 0.1, 0.3, 1.0]))
def test_two_stages_are_solved_exactly(profiles: list[StageProfile], drop: float) -> None:
    result = agrees(profiles, drop)
    needed = int(profiles[-1].correct.sum()) - int(drop * len(profiles[0].correct) + 1e-9)
    assert result.method == "exact"
    assert (result.cycles, -result.correct) == trial(profiles, needed)


@settings(max_examples=30, deadline=None)
@given(chains(3), st.sampled_from([0.0, 0.2]))
def test_three_stages_are_solved_exactly(profiles: list[StageProfile], drop: float) -> None:
    result = agrees(profiles, drop)
    needed = int(profiles[-1].correct.sum()) - int(drop * len(profiles[0].correct) + 1e-9)
    assert result.method == "exact"
    assert (result.cycles, -result.correct) == trial(profiles, needed)


@settings(max_examples=60, deadline=None)
@given(chains_of_classes(2), st.sampled_from([0.0, 0.1, 0.3, 1.0]))
def test_thresholds_of_classes_are_solved_exactly(profiles: list[StageProfile], drop: float) -> None:
    """Nobody leaves whose class means nothing."""
    result = agrees(profiles, drop)
    assert result.method == "exact" and result.gap == 0.0


@settings(max_examples=20, deadline=None)
@given(chains_of_classes(3), st.sampled_from([0.0, 0.2]))
def test_several_stages_with_classes(profiles: list[StageProfile], drop: float) -> None:
    agrees([replace(one, groups=min(one.groups, 2), group=clipped(one)) for one in profiles], drop)


@settings(max_examples=20, deadline=None)
@given(chains_of_classes(3), st.sampled_from([0.0, 0.2]))
def test_more_thresholds_than_are_searched(profiles: list[StageProfile], drop: float) -> None:
    """What is chosen keeps the limit, and nothing is cheaper by more than the gap that is stated."""
    few = [replace(one, groups=min(one.groups, 2), group=clipped(one)) for one in profiles]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "SEARCHED", 1)
        result = agrees(few, drop)
    needed = int(few[-1].correct.sum()) - int(drop * len(few[0].correct) + 1e-9)
    assert result.cycles * (1 - result.gap) <= trial(few, needed)[0] + 1e-6


@pytest.mark.parametrize("drop", [0.0, 0.25])
def test_many_thresholds_are_found_with_which_hardly_any_image_leaves(drop: float) -> None:
    """Early stages are mostly wrong and the last one is right: what is cheap is far from what is allowed."""
    rng = np.random.default_rng(11)
    right = [rng.random(40) < share for share in (0.3, 0.3, 0.3, 1.0)]
    stages = [
        StageProfile("margin", rng.integers(1, 50, 40).astype(np.uint32), own, cycles)
        for own, cycles in zip(right, (10, 20, 30, 500), strict=True)
    ]
    by_class = [replace(one, group=rng.integers(-1, 4, 40), groups=4) for one in stages[:3]]
    assert calibrate([*by_class, stages[3]], right[3], drop).correct >= 40 * (1 - drop)


def test_what_no_thresholds_of_many_can_reach_is_proved() -> None:
    """Images that are as sure as can be leave with any threshold."""
    right = [np.zeros(10, bool), np.ones(10, bool)]
    sure = np.where(np.arange(10) < 3, 0, 1000).astype(np.uint32)
    early = StageProfile("entropy", sure, right[0], 10, np.arange(10) % 4, 4)
    middle = StageProfile("entropy", sure + 1, right[0], 10, np.arange(10) % 5, 5)
    last = StageProfile("margin", sure, right[1], 500)
    with pytest.raises(Infeasible, match="no thresholds give 8 right answers of 10"):
        calibrate([early, middle, last], right[1], 0.2)
    assert calibrate([early, middle, last], right[1], 0.3).correct == 7


def test_ten_classes_in_each_of_two_stages_end_soon() -> None:
    """Twenty thresholds: ranges of them cannot be cut into grids."""
    rng = np.random.default_rng(0)
    right = [rng.random(300) < share for share in (0.8, 0.9, 0.95)]
    stages = [
        StageProfile("margin", (rng.integers(1, 500, 300) + 200 * own).astype(np.uint32), own, cycles)
        for own, cycles in zip(right, (10, 20, 500), strict=True)
    ]
    by_class = [replace(one, group=rng.integers(0, 10, 300), groups=10) for one in stages[:2]]
    found = calibrate([*by_class, stages[2]], right[2], 0.02)
    assert found.method == "gap" and 0 < found.gap < 1
    assert found.correct >= right[2].sum() - 6
    assert found.cycles < 0.7 * 530 * 300


def clipped(profile: StageProfile) -> Ints | None:
    return None if profile.group is None else np.minimum(profile.group, 1)


@settings(max_examples=30, deadline=None)
@given(chains(4), st.sampled_from([0.0, 0.2]))
def test_a_search_that_is_stopped_states_the_gap(profiles: list[StageProfile], drop: float) -> None:
    full = profiles[-1].correct
    needed = int(full.sum()) - int(drop * len(full) + 1e-9)
    result = calibrate(profiles, full, drop, work=1)
    assert (result.cycles, result.correct, result.exit_counts) == follow(profiles, result.thresholds)
    assert result.correct >= needed
    best, _ = trial(profiles, needed)
    assert result.cycles * (1 - result.gap) <= best + 1e-6 <= result.cycles + 1e-6
    assert (result.method == "exact") == (result.gap == 0)


def profile(measure: Measure, confidence: list[int], correct: list[int], cycles: int) -> StageProfile:
    return StageProfile(measure, np.array(confidence, np.uint32), np.array(correct, bool), cycles)


def test_drop_buys_cycles() -> None:
    front = profile("margin", [50, 40, 30, 20, 10], [1, 1, 0, 1, 1], 10)
    back = profile("margin", [0] * 5, [1, 1, 1, 1, 0], 100)
    same = calibrate([front, back], back.correct, 0.0)
    # Everybody leaves: one wrong answer more, but the last image is right only in front.
    assert same.thresholds == (10,) and same.exit_counts == (5, 0) and same.correct == 4
    strict = profile("margin", [50, 40, 30, 20, 10], [1, 1, 0, 1, 0], 10)
    none = calibrate([strict, back], back.correct, 0.0)
    assert none.thresholds == (40,) and none.exit_counts == (2, 3) and none.cycles == 5 * 10 + 3 * 100
    some = calibrate([strict, back], back.correct, 0.2)
    assert some.thresholds == (10,) and some.mean_cycles == 10.0


def test_entropy_leaves_below_and_nobody_can_be_expressed() -> None:
    back = profile("entropy", [0] * 3, [1, 1, 1], 100)
    front = profile("entropy", [5, 6, 7], [1, 0, 1], 10)
    assert calibrate([front, back], back.correct, 0.0).thresholds == (5,)
    wrong = profile("entropy", [5, 6, 7], [0, 0, 0], 10)
    assert calibrate([wrong, back], back.correct, 0.0).thresholds == (4,)
    certain = profile("entropy", [0, 6, 7], [0, 0, 0], 10)
    with pytest.raises(Infeasible, match="3 right answers of 3"):
        calibrate([certain, back], back.correct, 0.0)


def test_the_record_holds_shares_of_the_images() -> None:
    front = profile("margin", [50, 40], [1, 0], 10)
    back = profile("margin", [0, 0], [1, 1], 100)
    assert asdict(calibrate([front, back], back.correct, 0.0).record()) == {
        "thresholds": (50,),
        "method": "exact",
        "gap": 0.0,
        "images": 2,
        "accuracy": {"staged": 1.0, "full": 1.0},
        "shares": (0.5, 0.5),
        "mean_cycles": 60.0,
        "risk": None,
        "against": "labels",
        "accuracy_drop": None,
        "warnings": (),
    }


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_stages_or_images(count: int) -> None:
    one = profile("margin", [1] * count, [1] * count, 10)
    with pytest.raises(ValueError, match="two stages or more"):
        calibrate([one] * (2 - count), one.correct, 0.0)
