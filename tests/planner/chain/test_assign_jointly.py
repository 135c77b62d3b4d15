"""`processors: free` in a spec: the YAML's processors are kept, forgotten, or chosen together where that is needed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import Infeasible
from offramp.planner.allocation.place import place
from offramp.planner.allocation.requirements import placement_problem, requirements_of
from offramp.planner.chain.assign_processors import no_columns_occupied
from offramp.planner.chain.build import build_chain
from offramp.planner.chain.sources import read_sources
from offramp.planner.ir.chain import Chain
from offramp.planner.placement.columns import weights_fit
from offramp.planner.rules.check import check_network
from tests.helpers.devices import with_columns
from tests.helpers.plans import chain_of, manual_spec
from tests.helpers.specs import BRANCH, FRONT_STAGE, MAIN_STAGE, TINY, WIDE_STAGES, write_spec

DEVICE = load_device()
FREE = "processors: free"


def wide_spec(folder: Path, keys: str = "") -> Path:
    return write_spec(folder, TINY.spec(WIDE_STAGES, front="", wide=keys))


def processors_of(chain: Chain, network: str) -> list[int]:
    return [layer.processors for layer in chain.networks[network].layers]


def test_processors_are_kept_unless_the_spec_frees_them(tmp_path: Path) -> None:
    device = with_columns(32)
    chain = chain_of(wide_spec(tmp_path), device)
    assert processors_of(chain, "wide") == [0xF, *[0xFFFFF] * 4]
    with pytest.raises(Infeasible, match="the weights do not fit"):
        place(chain, device)


def test_freed_processors_make_room(tmp_path: Path) -> None:
    device = with_columns(32)
    chain = chain_of(wide_spec(tmp_path, FREE), device)
    found = processors_of(chain, "wide")
    assert found[0] == 0xF and len(set(found)) > 2
    assert place(chain, device).placement.highest.value <= 32


def test_whether_other_processors_would_do_is_told(tmp_path: Path) -> None:
    """Three layers of 20 processors and the one that reads the input fill 20 columns of all 64; a fifth needs 3."""
    device = with_columns(22)
    chain = chain_of(wide_spec(tmp_path, FREE), device)
    with pytest.raises(Infeasible, match=r"do not fit, .*; no other choice of the freed processors fits either"):
        place(chain, device)


def test_weights_that_find_no_room_layer_by_layer_are_placed_together(tmp_path: Path) -> None:
    path = write_spec(tmp_path, TINY.spec(WIDE_STAGES, front=FREE, wide=FREE))
    spec = manual_spec(path)
    one_by_one = placement_problem(requirements_of(build_chain(spec, read_sources(spec, DEVICE), DEVICE), DEVICE))
    assert not weights_fit(replace(one_by_one, columns=24))
    device = with_columns(24)
    assert place(build_chain(spec, read_sources(spec, device), device), device).placement.highest.value == 24


def test_a_head_moves_with_the_layer_that_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offramp.planner.chain.build.weights_fit", lambda problem: False)
    text = BRANCH.replace("}", f", {FREE}}}", 2)
    chain = chain_of(write_spec(tmp_path, text))
    first, second = processors_of(chain, "main")[:2]
    assert first == 0xF
    assert processors_of(chain, "head") == [second]
    place(chain, DEVICE)


def test_every_network_of_a_chain_uses_quadrant_0(tmp_path: Path) -> None:
    """Also where others have filled it, so that emptier processors lie elsewhere."""
    path = write_spec(tmp_path, TINY.spec(f"stages:\n{FRONT_STAGE}{MAIN_STAGE}", front=FREE, main=FREE))
    for name in ("front", "main"):
        described = tmp_path / f"{name}.yaml"
        described.write_text(re.sub(r"(output_)?processors: 0x[0-9a-f]+, ", "", described.read_text()))
    device = load_device()
    occupied = no_columns_occupied(device)
    occupied[: device.geometry.processors_per_quadrant] = 100
    occupied[-1] = 1
    spec = manual_spec(path)
    chain = build_chain(spec, read_sources(spec, device), device, occupied)
    for network in chain.networks.values():
        assert any((layer.processors | layer.output_processors) & 0xFFFF for layer in network.layers)
        assert not check_network(network, device)
