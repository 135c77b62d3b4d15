"""Work is done once a command: files read, chains lowered, the reference run on a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from offramp.cli import main
from offramp.codegen import lower as lowering
from offramp.configs.lines import load_yaml
from offramp.pipeline import evaluate, planning
from offramp.planner.ai8x import description
from offramp.planner.ai8x.checkpoint import load_checkpoint
from offramp.planner.chain import sources
from offramp.planner.exits import candidates
from offramp.planner.reference import profile as profiling
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


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    found = Counts(monkeypatch)
    by_name: Callable[..., str] = lambda path, *_: Path(path).name  # noqa: E731
    found.count(load_checkpoint, sources, by=by_name)
    found.count(load_yaml, description, by=by_name)
    by_chain: Callable[..., str] = lambda placed: (
        "lower " + "+".join(slot.name for slot in placed.requirements.chain.slots)
    )
    modules = [module for module in (planning, _choosing()) if hasattr(module, "lower")]
    found.count(lowering.lower, *modules, by=by_chain)
    by_images: Callable[..., str] = lambda chain, x: f"reference {len(x)} images"  # noqa: E731
    found.count(profiling.profile, planning, evaluate, by=by_images)
    by_data: Callable[..., str] = lambda _, data: f"candidates {data.name}"  # noqa: E731
    found.count(candidates.profile_candidates, _choosing(), by=by_data)
    return found.calls


def _choosing() -> Any:
    from offramp.pipeline import choosing

    return choosing


@pytest.mark.parametrize("spec", ["spec.yaml", "branch.yaml", "auto.yaml"])
def test_plan_does_everything_once(counts: Counter[str], spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(EXAMPLES / "mnist" / spec)]) == 0
    assert {name: count for name, count in counts.items() if count > 1} == {}
    assert {"main.yaml", "main.pth.tar", "reference 1000 images"} <= counts.keys()
    assert any(name.startswith("lower ") for name in counts)


def test_what_is_only_compared_is_read_once_too(counts: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(EXAMPLES / "mnist" / "spec.yaml")]) == 0
    assert counts["single.yaml"] == counts["single.pth.tar"] == 1
