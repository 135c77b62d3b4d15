"""The example of hardware exits: three stages of one run, and a learned gate."""

from __future__ import annotations

from pathlib import Path

import offramp

FOLDER = Path(__file__).parent


def test_all_stages_are_one_run() -> None:
    planned = offramp.plan(FOLDER / "spec.yaml")
    assert planned.device.name == "MAX78002" and planned.chain.runs == ((0, 1, 2),)
    early = planned.chain.exits[:-1]
    assert [stage.rule.measure for stage in early] == ["largest_logit"] * 2
    assert all(planned.lowered.switching.transition(one, other) == () for one, other in ((0, 1), (1, 2), (2, 0)))
    assert all((stage.rule.threshold or 0) > 0 for stage in early)
    known = planned.plan.calibration
    assert known and known.risk and known.risk.accuracy_drop == 0.002 and min(known.shares) > 0


def test_a_learned_gate_decides() -> None:
    planned = offramp.plan(FOLDER / "gate.yaml")
    first = planned.chain.exits[0]
    assert first.rule.measure == "gate" and planned.chain.producers[first.result].layer.out_shape.channels == 11
    known = planned.plan.calibration
    assert known and known.risk and known.risk.losses <= known.risk.allowed and known.shares[0] > 0.9
