"""The example of hardware exits: three stages of one run."""

from __future__ import annotations

from pathlib import Path

from offramp.configs.device import load_device
from tests.helpers.plans import manual_spec, plan_of

SPEC = Path(__file__).parent / "spec.yaml"


def test_all_stages_are_one_run() -> None:
    device = load_device("MAX78002")
    planned = plan_of(SPEC, device)
    assert planned.chain.runs == ((0, 1, 2),)
    assert [stage.rule.hardware for stage in planned.chain.exits[:-1]] == [True, True]
    assert all(planned.lowered.switching.transition(one, other) == () for one, other in ((0, 1), (1, 2), (2, 0)))
    assert manual_spec(SPEC, device).calibration is not None
    assert [stage.rule.threshold is not None for stage in planned.chain.exits[:-1]] == [True, True]
