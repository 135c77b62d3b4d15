"""The guarantee on new data: p-values, the order of tests, and how often it fails on simulated data."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from offramp.configs.errors import CheckFailed
from offramp.planner.exits.calibrate import StageProfile, calibrate
from offramp.planner.exits.frontier import ExitScores, ThresholdSetting
from offramp.planner.exits.guarantee import allowed_losses, certify, p_value


@pytest.mark.parametrize(("losses", "images", "rate"), [(0, 1, 0.5), (0, 500, 0.01), (3, 500, 0.01), (40, 60, 0.5)])
def test_p_values_are_binomial(losses: int, images: int, rate: float) -> None:
    share = Fraction(rate)
    exact = sum(comb(images, k) * share**k * (1 - share) ** (images - k) for k in range(losses + 1))
    assert p_value(losses, images, rate) == pytest.approx(float(exact), rel=1e-9)
    assert p_value(images, images, rate) == 1.0


def test_allowed_losses_are_the_most_that_pass() -> None:
    for images, rate, level in ((100, 0.05, 0.05), (2000, 0.003, 0.1), (50, 0.01, 0.05)):
        most = allowed_losses(images, rate, level)
        assert p_value(most + 1, images, rate) > level
        assert most < 0 or p_value(most, images, rate) <= level


class Population:
    """Images whose early stage is right with a probability that grows with its confidence; main is always right."""

    def __init__(self, fronts: int) -> None:
        self.fronts = fronts

    def sample(self, images: int, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        scores = [rng.integers(0, 1000, images) for _ in range(self.fronts)]
        right = [rng.random(images) < 0.8 + 0.2 * (one / 1000) ** 0.5 for one in scores]
        return scores, np.stack([*right, np.ones(images, bool)])

    def exits(self, images: int, rng: np.random.Generator) -> ExitScores:
        scores, right = self.sample(images, rng)
        return ExitScores(tuple((one,) for one in scores), right, tuple(range(1, self.fronts + 2)))

    def loss(self, settings: tuple[ThresholdSetting, ...]) -> float:
        """The rate of wrong answers, exactly: the scores are independent and uniform."""
        wrong = 0.2 * (1 - (np.arange(1000) / 1000) ** 0.5)
        rate, left = 0.0, 1.0
        for one in settings:
            start = min(one.score, 1000)
            rate += left * float(wrong[start:].sum()) / 1000
            left *= start / 1000
        return rate


@pytest.mark.slow
@pytest.mark.parametrize(("fronts", "images"), [(1, 600), (2, 900)])
def test_the_loss_exceeds_the_target_no_more_often_than_delta(fronts: int, images: int) -> None:
    rng = np.random.default_rng(7)
    population = Population(fronts)
    rate, delta, trials = 0.02, 0.2, 200
    failures = useful = 0
    for _ in range(trials):
        passed = certify([population.exits(images, rng)], rate, delta)
        failures += bool(passed) and population.loss(passed[0].settings) > rate
        useful += bool(passed)
    assert failures <= trials * delta + 3 * (trials * delta * (1 - delta)) ** 0.5
    assert useful > trials / 2  # it does not hold for want of trying


def test_without_the_guarantee_the_loss_exceeds_the_target_more_often() -> None:
    rng = np.random.default_rng(7)
    population = Population(1)
    failures = 0
    for _ in range(100):
        exits = population.exits(600, rng)
        profiles = [
            StageProfile("margin", exits.scores[0][0].astype(np.uint32), exits.right[0], 1),
            StageProfile("margin", np.zeros(600, np.uint32), exits.right[1], 1),
        ]
        (threshold,) = calibrate(profiles, exits.right[1], 0.02).thresholds
        assert isinstance(threshold, int)
        failures += population.loss((ThresholdSetting(0, threshold),)) > 0.02
    assert failures > 35


def test_calibrate_with_delta_is_stricter_and_tells_its_test() -> None:
    exits = Population(1).exits(1000, np.random.default_rng(3))
    profiles = [
        StageProfile("margin", exits.scores[0][0].astype(np.uint32), exits.right[0], 10),
        StageProfile("margin", np.zeros(1000, np.uint32), exits.right[1], 90),
    ]
    plain, safe = (calibrate(profiles, exits.right[1], 0.03, delta) for delta in (None, 0.05))
    (higher,), (lower,) = safe.thresholds, plain.thresholds
    assert isinstance(higher, int) and isinstance(lower, int)
    assert higher > lower and safe.method == "tested"
    one = safe.guarantee
    assert one is not None and one.losses <= one.allowed == allowed_losses(1000, 0.03, 0.05) and one.p_value <= 0.05
    assert one.losses == 1000 - safe.correct
    # The next lower threshold fails.
    leaving = exits.scores[0][0] >= np.sort(exits.scores[0][0][exits.scores[0][0] < safe.thresholds[0]])[-1]
    assert (leaving & ~exits.right[0]).sum() > one.allowed


def test_measures_share_delta_the_first_one_first() -> None:
    exits = Population(1).exits(1000, np.random.default_rng(3))
    two = ExitScores(((exits.scores[0][0], exits.scores[0][0]),), exits.right, exits.cost_by_exit)
    passed = certify([two], 0.03, 0.05)
    allowed = {one.settings[0].measure: one.guarantee.allowed for one in passed}
    assert allowed[0] == allowed_losses(1000, 0.03, 0.05) > allowed[1] >= 0
    assert p_value(allowed[0], 1000, 0.03) + p_value(allowed[1], 1000, 0.03) <= 0.05
    assert p_value(allowed[0], 1000, 0.03) + p_value(allowed[1] + 1, 1000, 0.03) > 0.05


def test_too_few_images_say_how_many_are_needed() -> None:
    exits = Population(1).exits(100, np.random.default_rng(3))
    with pytest.raises(ValueError, match=r"a loss below 1 point with delta 0\.05; at least 299"):
        certify([exits], 0.01, 0.05)
    exits = Population(1).exits(299, np.random.default_rng(3))
    certify([exits], 0.01, 0.05)


@pytest.mark.parametrize("images", [1, 2, 3, 4, 100, 398])
def test_too_few_images_to_learn_and_to_test_say_how_many_are_needed(images: int) -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(ValueError, match=f"^{images} images cannot show .*; at least 399 are needed"):
        certify([Population(2).exits(images, rng)], 0.01, 0.05)
    certify([Population(2).exits(399, rng)], 0.01, 0.05)


def test_stages_that_are_always_wrong_fail_the_test() -> None:
    values = np.arange(1000, dtype=np.uint32)
    wrong = StageProfile("margin", values // 500, np.zeros(1000, bool), 10)
    main = StageProfile("margin", values, np.ones(1000, bool), 90)
    with pytest.raises(CheckFailed, match=r"no thresholds keep the loss below 1 point with probability 95%"):
        calibrate([wrong, main], main.correct, 0.01, 0.05)


def test_the_given_images_lose_no_more_than_the_target_either() -> None:
    """A test that fails nine times of ten would allow more losses than that."""
    rng = np.random.default_rng(5)
    for _ in range(40):
        exits = Population(1).exits(200, rng)
        profiles = [
            StageProfile("margin", exits.scores[0][0].astype(np.uint32), exits.right[0], 10),
            StageProfile("margin", np.zeros(200, np.uint32), exits.right[1], 90),
        ]
        assert allowed_losses(200, 0.025, 0.9) > 5
        assert calibrate(profiles, exits.right[1], 0.025, 0.9).correct >= 195
