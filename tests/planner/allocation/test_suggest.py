"""Where a chain does not fit, the message names a change with which it does; the change is made here and tried."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from offramp.configs.device import Device, load_device
from offramp.configs.errors import Infeasible
from offramp.planner.allocation.place import place
from offramp.planner.allocation.suggest import _halved
from offramp.planner.ir.chain import Chain
from tests.helpers.devices import with_columns
from tests.helpers.plans import chain_of, plan_of
from tests.helpers.specs import FRONT, TINY, WIDE_STAGES, write_spec

DEVICE = load_device()
WIDE = TINY.spec(WIDE_STAGES, front="", wide="")


def refusal(chain: Chain, device: Device) -> str:
    with pytest.raises(Infeasible) as error:
        place(chain, device)
    return str(error.value)


def test_freed_processors_are_suggested(tmp_path: Path) -> None:
    path, device = write_spec(tmp_path, WIDE), with_columns(40)
    with pytest.raises(Infeasible, match=r"; it would fit with `processors: free` for wide$"):
        plan_of(path, device)
    path.write_text(path.read_text().replace("wide: {", "wide: {processors: free, "))
    assert plan_of(path, device).plan.placed.placement.highest.value <= 40


def test_chosen_stages_may_have_their_processors_freed_too(tmp_path: Path) -> None:
    path, device = write_spec(tmp_path, WIDE), with_columns(40)
    chosen = "main: wide\ncandidates: [{front: front}]\nchoose: {data: calibration, accuracy_drop: 100}\n"
    path.write_text(path.read_text().partition("stages:")[0] + "exits: auto\n" + chosen)
    with pytest.raises(Infeasible, match=r"; it would fit with `processors: free` for wide$"):
        plan_of(path, device)
    path.write_text(path.read_text().replace("wide: {", "wide: {processors: free, "))
    plan = plan_of(path, device)
    assert [stage.name for stage in plan.chain.stages] == ["front", "wide"]
    assert plan.plan.placed.placement.highest.value <= 40


def test_fewer_weight_bits_are_suggested_for_one_layer(tmp_path: Path) -> None:
    chain, device = chain_of(write_spec(tmp_path, WIDE)), with_columns(88)
    found = re.search("; it would fit with 4-bit weights for (wide/[0-9])$", refusal(chain, device))
    assert found
    assert place(_halved(chain, [found[1]]), device).placement.highest.value <= 88


def test_fewer_weight_bits_are_suggested_for_several_layers_where_one_is_not_enough(tmp_path: Path) -> None:
    chain, device = chain_of(write_spec(tmp_path, WIDE)), with_columns(80)
    found = refusal(chain, device).partition("; it would fit with ")[2]
    names = re.findall("4-bit weights for (wide/[0-9])", found)
    assert len(names) > 1
    assert place(_halved(chain, names), device).placement.highest.value <= 80


def test_freed_offsets_are_suggested(tmp_path: Path) -> None:
    path = write_spec(tmp_path)
    yaml = tmp_path / "main.yaml"
    yaml.write_text(yaml.read_text().replace("{name: first,", "{name: first, out_offset: 0,"))
    chain = chain_of(path)
    assert refusal(chain, DEVICE).endswith("; it would fit with `offsets: free` for main")
    place(replace(chain, keep_offsets={**chain.keep_offsets, "main": False}), DEVICE)


def test_nothing_is_suggested_that_does_not_help(tmp_path: Path) -> None:
    found = refusal(chain_of(write_spec(tmp_path, FRONT)), with_columns(4))
    assert "the weights do not fit" in found
    assert "it would fit" not in found
