"""The example's figures and answers; run with `pytest examples/two-models`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from offramp import api

HERE = Path(__file__).parent
README = (HERE / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def image() -> api.PlannedImage:
    return api.plan_image([HERE / "two-models.yaml"])


def row(name: str) -> list[int]:
    """The numbers of a row of the README's tables."""
    line = next(line for line in README.splitlines() if line.startswith(f"| {name}"))
    return [int(number.replace(",", "")) for number in re.findall(r"(?<=\| )[\d,]+", line)]


def test_both_fit_with_the_columns_of_the_readme(image: api.PlannedImage) -> None:
    alone = [api.plan(HERE / f"{name}-spec.yaml").plan.placed.placement.highest for name in image.names]
    together = image.plan.objectives[1]
    assert [*(one.value for one in alone), together.value] == row("kernel columns")
    assert together.optimal and all(one.optimal for one in alone)


def test_answers_are_not_constant(image: api.PlannedImage) -> None:
    for name, file, least in (("kws20", "sounds", 8), ("cats-dogs", "pictures", 2)):
        data = np.load(HERE / f"{file}.npz")
        answers = api.reference(image.model(name), data["x"][:8])
        assert answers.classes.tolist() == data["y"][:8].tolist()
        assert len(np.unique(data["y"])) >= least


@pytest.mark.slow
def test_the_firmware_answers_for_both_and_switches_write_what_the_readme_says(tmp_path: Path) -> None:
    """Two inputs of each model."""
    pytest.importorskip("unicorn")
    built = api.build_image([HERE / "two-models.yaml"], tmp_path / "both", images=2)
    verified = built.report.verified
    assert verified and (verified.answers, verified.mismatches, built.report.verified_switches) == (4, 0, 3)
    assert [verified.weight_words] == row("weight words, loaded once")
    for entry in built.report.entries:
        counts = (entry.register_writes, entry.weight_words, entry.bias_words, entry.reload_words, entry.cycles)
        assert list(counts) == row(f"to {entry.model}")
    for name, file in (("kws20", "sounds"), ("cats-dogs", "pictures")):
        x = np.load(HERE / f"{file}.npz")["x"][-1:]
        assert api.simulate(built.folder, x, model=name).mismatches == ()
