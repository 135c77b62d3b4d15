"""Work is done once a command: files read, chains lowered, the reference run on a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from offramp.cli import main
from offramp.codegen.lower import lower
from offramp.configs.lines import load_yaml
from offramp.pipeline import building, choosing, evaluate, planning
from offramp.planner.ai8x import description
from offramp.planner.ai8x.checkpoint import load_checkpoint
from offramp.planner.allocation.place import Placed
from offramp.planner.chain import sources
from offramp.planner.exits.candidates import profile_candidates
from offramp.planner.reference.profile import profile, profile_answers
from offramp.planner.spec.dataset import DataSet
from tests.helpers.paths import EXAMPLES


class Counts:
    """Counts the calls of a function wherever it was imported by name; `by`: what tells its calls apart."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.calls: Counter[str] = Counter()

    def count(self, function: Callable[..., Any], *modules: Any, by: Callable[..., str]) -> None:
        def counted(*args: Any, **options: Any) -> Any:
            self.calls[by(*args)] += 1
            return function(*args, **options)

        for module in modules:
            assert getattr(module, function.__name__) is function
            self.monkeypatch.setattr(module, function.__name__, counted)


def file_name(path: Path, *_: object) -> str:
    return Path(path).name


def chain_name(placed: Placed) -> str:
    return "lower " + "+".join(slot.name for slot in placed.requirements.chain.slots)


def images(_: object, x: Sequence[object], *__: object) -> str:
    return f"reference {len(x)} images"


def data_name(_: object, data: DataSet, *__: object) -> str:
    return f"candidates {data.name}"


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    found = Counts(monkeypatch)
    found.count(load_checkpoint, sources, by=file_name)
    found.count(load_yaml, description, by=file_name)
    found.count(lower, planning, choosing, by=chain_name)
    found.count(profile, evaluate, building, by=images)
    found.count(profile_answers, planning, by=images)
    found.count(profile_candidates, choosing, by=data_name)
    return found.calls


@pytest.mark.parametrize("spec", ["spec.yaml", "branch.yaml", "auto.yaml"])
def test_plan_does_everything_once(counts: Counter[str], spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(EXAMPLES / "mnist" / spec)]) == 0
    assert {name: count for name, count in counts.items() if count > 1} == {}
    assert {"main.yaml", "main.pth.tar", "reference 2000 images"} <= counts.keys()
    assert any(name.startswith("lower ") for name in counts)


def test_what_is_only_compared_is_read_once_too(counts: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(EXAMPLES / "mnist" / "spec.yaml")]) == 0
    assert counts["single-6.yaml"] == counts["single-6.pth.tar"] == 1


@pytest.mark.parametrize("spec", ["spec.yaml", "branch.yaml"])
def test_what_only_costs_is_read_once_too(counts: Counter[str], spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(EXAMPLES / "mnist" / spec)]) == 0
    assert set(counts.values()) == {1} and "main.pth.tar" in counts


@pytest.mark.slow
def test_building_and_running_do_everything_once(
    counts: Counter[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", str(EXAMPLES / "mnist" / "spec.yaml"), "-o", str(tmp_path / "out"), "--images", "2"]) == 0
    assert set(counts.values()) == {1} and {"main.pth.tar", "reference 2000 images"} <= counts.keys()
    counts.clear()
    assert main(["run", str(tmp_path / "out"), "--images", "3"]) == 0
    assert set(counts.values()) == {1} and {"main.pth.tar", "reference 3 images"} <= counts.keys()
