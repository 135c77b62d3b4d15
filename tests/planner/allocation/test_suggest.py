"""Where a chain does not fit, the message names a change with which it does; the change is made here and tried."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.configs.device import Device, load_device
from offramp.configs.errors import Infeasible
from offramp.planner.allocation.place import place
from offramp.planner.allocation.suggest import halved
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.ir.chain import Chain, whole
from offramp.planner.ir.network import Shape
from tests.helpers.devices import with_columns
from tests.helpers.networks import make_layer, make_network
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
    with pytest.raises(Infeasible, match=r"\n  it would fit with `processors: free` for wide\n"):
        plan_of(path, device)
    path.write_text(path.read_text().replace("wide: {", "wide: {processors: free, "))
    assert plan_of(path, device).plan.placed.placement.highest.value <= 40


def test_chosen_stages_may_have_their_processors_freed_too(tmp_path: Path) -> None:
    path, device = write_spec(tmp_path, WIDE), with_columns(40)
    chosen = "main: wide\ncandidates: [{front: front}]\nchoose: {data: calibration, accuracy_drop: 100}\n"
    path.write_text(path.read_text().partition("stages:")[0] + "exits: auto\n" + chosen)
    with pytest.raises(Infeasible, match=r"\n  it would fit with `processors: free` for wide\n"):
        plan_of(path, device)
    path.write_text(path.read_text().replace("wide: {", "wide: {processors: free, "))
    plan = plan_of(path, device)
    assert [stage.name for stage in plan.chain.stages] == ["front", "wide"]
    assert plan.plan.placed.placement.highest.value <= 40


def test_fewer_weight_bits_are_suggested_for_one_layer(tmp_path: Path) -> None:
    chain, device = chain_of(write_spec(tmp_path, WIDE)), with_columns(88)
    found = re.search("\n  it would fit with 4-bit weights for (wide/[0-9])\n", refusal(chain, device))
    assert found
    assert place(halved(chain, [found[1]]), device).placement.highest.value <= 88


def test_fewer_weight_bits_are_suggested_for_several_layers_where_one_is_not_enough(tmp_path: Path) -> None:
    chain, device = chain_of(write_spec(tmp_path, WIDE)), with_columns(80)
    found = refusal(chain, device).partition("\n  it would fit with ")[2]
    names = re.findall("4-bit weights for (wide/[0-9])", found)
    assert len(names) > 1
    assert place(halved(chain, names), device).placement.highest.value <= 80


def test_freed_offsets_are_suggested(tmp_path: Path) -> None:
    path = write_spec(tmp_path)
    yaml = tmp_path / "main.yaml"
    yaml.write_text(yaml.read_text().replace("{name: first,", "{name: first, out_offset: 0,"))
    chain = chain_of(path)
    assert refusal(chain, DEVICE).endswith("\n  it would fit with `offsets: free` for main")
    place(replace(chain, keep_offsets={**chain.keep_offsets, "main": False}), DEVICE)


def test_nothing_is_suggested_that_does_not_help(tmp_path: Path) -> None:
    found = refusal(chain_of(write_spec(tmp_path, FRONT)), with_columns(4))
    assert "the weights do not fit" in found
    assert "it would fit" not in found


def test_no_more_layers_are_to_be_changed_than_must_be() -> None:
    """Thirteen layers of 64 columns on all processors, 64 columns too many: two layers with half of them are enough."""
    rng = np.random.default_rng(5)
    layers = [make_layer(Shape(64, 2, 2), 64, rng) for _ in range(13)]
    chain = whole("net", complete(make_network(*layers), DEVICE, no_columns_occupied(DEVICE)))
    for layer in range(13):
        with pytest.raises(Infeasible):
            place(halved(chain, [f"net/{layer}:{layer}"]), DEVICE)
    found = refusal(chain, DEVICE).partition("\n  it would fit with ")[2]
    names = re.findall("4-bit weights for (net/[0-9:]+)", found)
    assert len(names) == 2
    place(halved(chain, names), DEVICE)


def test_of_as_many_layers_those_with_the_fewest_weights_are_to_be_changed() -> None:
    rng = np.random.default_rng(5)
    layers = [make_layer(Shape(64, 2, 2), 64, rng) for _ in range(12)]
    layers.append(make_layer(Shape(64, 2, 2), 32, rng))
    chain = whole("net", complete(make_network(*layers), DEVICE, no_columns_occupied(DEVICE)))
    assert "\n  it would fit with 4-bit weights for net/0:0\n" in refusal(chain, DEVICE)
    layers.insert(0, make_layer(Shape(64, 2, 2), 64, rng, kernel=(1, 1), pad=(0, 0)))
    chain = whole("net", complete(make_network(*layers), DEVICE, no_columns_occupied(DEVICE)))
    found = refusal(chain, DEVICE).partition("\n  it would fit with ")[2]
    assert len(re.findall("4-bit weights", found)) == 2
    assert "net/13:13" in found  # 32 output channels


def test_a_wrong_order_of_stages_is_said(tmp_path: Path) -> None:
    """Main writes over the input, which front is to read after it."""
    stages = "stages:\n  - {network: main, exit: {confidence: margin, threshold: 0.5}}\n  - network: front\n"
    path = write_spec(tmp_path, TINY.spec(stages, front="", main=""))
    for name in ("main", "front"):
        yaml = tmp_path / f"{name}.yaml"
        text = yaml.read_text().replace("{name: first,", "{name: first, out_offset: 0x2000,")
        yaml.write_text(text.replace("{name: second,", "{name: second, out_offset: 0,"))
    found = refusal(chain_of(path), DEVICE)
    assert found.endswith(
        "\n  it would fit with stage `front` in front of `main`: it reads the input, which `main` writes over, so the "
        "order of the stages is wrong"
    )
    assert "offsets" not in found
