"""The digest of a plan: of what determines the firmware, wherever the files are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import Damaged
from offramp.pipeline.images import open_single
from offramp.planner.plan import plan_digest, plan_json
from tests.helpers.plans import plan_of
from tests.helpers.specs import write_staged

DEVICE = load_device()


def digest(folder: Path, extra: str = "") -> str:
    folder.mkdir(parents=True)
    return plan_digest(plan_of(write_staged(folder, extra)).plan)


def test_folders_do_not_matter_and_the_firmware_does(tmp_path: Path) -> None:
    first = digest(tmp_path / "first" / "spec")
    assert digest(tmp_path / "elsewhere" / "deeper" / "spec") == first
    assert digest(tmp_path / "slow" / "spec", "clocks: {cnn_hz: 25000000}\n") != first
    assert digest(tmp_path / "named" / "spec", "labels: [a, b, c, d]\n") != first


def test_a_digest_that_is_not_the_plans_is_damage(tmp_path: Path) -> None:
    plan = plan_of(write_staged(tmp_path)).plan
    path = tmp_path / "plan.json"
    content = json.loads(plan_json(plan, tmp_path))
    assert content["digest"] == plan_digest(plan)
    content["digest"] = "0" * 64
    path.write_text(json.dumps(content))
    with pytest.raises(Damaged, match="`digest` is not that of its content"):
        open_single(path, DEVICE)
