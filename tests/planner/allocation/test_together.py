"""Models placed together: weights and biases side by side, equal kernels once, data in the same words."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from offramp.configs.device import Device, load_device
from offramp.configs.errors import CheckFailed, Infeasible
from offramp.planner.allocation import models
from offramp.planner.allocation.place import place
from offramp.planner.allocation.requirements import placement_problem
from offramp.planner.allocation.suggest import halved
from offramp.planner.allocation.together import PlacedTogether, check_together, place_together, problem_together
from offramp.planner.chain.sources import read_sources
from offramp.planner.chain.together import Part, build_together
from offramp.planner.ir.chain import Chain
from offramp.planner.placement.problem import Placement
from tests.helpers.devices import with_columns
from tests.helpers.models import write_model
from tests.helpers.plans import chain_of, manual_spec
from tests.helpers.specs import TINY, WIDE_STAGES, write_checkpoint, write_spec

DEVICE = load_device()
WIDE = TINY.spec(WIDE_STAGES, front="", wide="")


@pytest.fixture
def wide(tmp_path: Path) -> Chain:
    return chain_of(write_spec(tmp_path, WIDE))


def test_a_single_model_is_placed_as_alone(wide: Chain) -> None:
    found = place_together({"only": wide}, DEVICE)
    assert found.models["only"].placement == place(wide, DEVICE).placement


def test_equal_kernels_are_stored_once(wide: Chain) -> None:
    found = place_together({"a": wide, "b": wide}, DEVICE)
    assert found.models["a"].placement.weights == found.models["b"].placement.weights
    assert found.objectives[1].value == place(wide, DEVICE).placement.highest.value


def test_biases_lie_side_by_side_and_data_in_the_same_words(wide: Chain) -> None:
    found = place_together({"a": wide, "b": wide}, DEVICE)
    a, b = (one.placement for one in found.models.values())
    assert not set(a.biases.values()) & set(b.biases.values())
    assert a.data == b.data


def test_what_is_kept_lives_while_other_models_run(wide: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffer of the first model, which says so, shares no word with any of the second."""
    made = placement_problem

    def keep_one(*arguments: object) -> object:
        problem = made(*arguments)  # type: ignore[arg-type]
        first, *rest = problem.data
        return replace(problem, data=(*rest, replace(first, kept=True, offset=None)))

    monkeypatch.setattr(models, "placement_problem", keep_one)
    problem = problem_together({"a": wide, "b": wide}, DEVICE)
    last = max(buffer.last for buffer in problem.data)
    assert [(one.first, one.last) for one in problem.data if one.kept] == [(0, last), (0, last)]
    steps = {one.name: (one.first, one.last) for one in problem.data if not one.kept}
    assert max(end for name, (_, end) in steps.items() if name.startswith("a:")) < min(
        start for name, (start, _) in steps.items() if name.startswith("b:")
    )


def with_start(placement: Placement, name: str, start: int) -> Placement:
    return replace(placement, weights={**placement.weights, name: start})


def test_the_check_sees_models_that_want_the_same_columns(tmp_path: Path) -> None:
    chains = {name: chain_of(write_model(tmp_path, name, WIDE, TINY)) for name in ("a", "b")}
    other = chain_of(write_spec(tmp_path))
    found = place_together({"a": chains["a"], "b": other}, DEVICE)
    check_together(found.models, found.objectives)
    with pytest.raises(CheckFailed, match=r"weights_disjoint: weights a:.* and b:.* both occupy column"):
        alone = {"a": place(chains["a"], DEVICE), "b": place(other, DEVICE)}
        check_together(alone, found.objectives)
    twins = place_together(chains, DEVICE)
    moved = twins.models["b"]
    name, start = max(moved.placement.weights.items(), key=lambda one: one[1])
    changed = replace(moved, placement=with_start(moved.placement, name, start + 20))
    with pytest.raises(CheckFailed, match=r"kernels_shared: weights b:.* start at column"):
        check_together({"a": twins.models["a"], "b": changed}, twins.objectives)


def test_what_does_not_fit_together_is_proved_and_what_would_is_said(wide: Chain, tmp_path: Path) -> None:
    other = chain_of(write_model(tmp_path, "more"))
    alone = place(wide, DEVICE).placement.highest.value
    device = with_columns(alone)
    with pytest.raises(Infeasible) as error:
        place_together({"a": wide, "b": other}, device)
    text = str(error.value)
    assert "the weights do not fit" in text and "`a` fits alone" in text
    names = re.findall(r"4-bit weights for a:(\S+)", text.partition("all models would fit with ")[2])
    assert names
    changed = {"a": halved(wide, names), "b": other}
    assert place_together(changed, device).objectives[1].value <= alone


def both(tmp_path: Path, device: Device, processors: str = "") -> PlacedTogether:
    """A wide chain and another one like it with other weights."""
    parts = {}
    for name, text in (("a", WIDE), ("b", WIDE.replace("wide: {", f"wide: {{{processors}"))):
        spec = manual_spec(write_model(tmp_path, name, text))
        if name == "b":
            for network in spec.networks.values():
                network.checkpoint.write_bytes(other_weights(tmp_path, network.name).read_bytes())
        parts[name] = Part(spec, read_sources(spec, device))
    return place_together(build_together(parts, device), device)


def other_weights(folder: Path, name: str) -> Path:
    (folder / "other").mkdir(exist_ok=True)
    return write_checkpoint(folder / "other", name, TINY.networks[name].weights, seed=77)


def test_freed_processors_go_beside_the_other_models(tmp_path: Path) -> None:
    with pytest.raises(Infeasible):
        both(tmp_path / "kept", with_columns(130))
    found = both(tmp_path / "free", with_columns(130), "processors: free, ")
    assert found.objectives[1].value <= 130
