"""The figures of `offramp build` in examples/mnist/README.md are those of the specs beside it."""

from __future__ import annotations

import re

import pytest

import offramp
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.report import Report
from tests.helpers.paths import EXAMPLES

FOLDER = EXAMPLES / "mnist"
PAGE = FOLDER / "README.md"


def rows() -> dict[str, list[str]]:
    """The cells of the table by those that name the row; the sentence in front of it has `offramp build`."""
    text = PAGE.read_text(encoding="utf-8").partition("\n`offramp build` of the three specs")[2]
    table = re.findall(r"^\| (.*) \|$", text.partition("\n\n|")[2].partition("\n\n")[0], re.MULTILINE)
    cells = [row.split(" | ") for row in table]
    return {row[0] if row[0] != "-" else row[1]: row for row in cells}


def report_of(name: str) -> Report:
    planned = offramp.plan(FOLDER / name)
    return plan_report(planned, evaluate_plan(planned.plan))


def figures(report: Report) -> list[str]:
    """The cells of a row, from the share that leaves early on."""
    cycles, energy, accuracy, last = report.cycles, report.energy, report.accuracy, report.stages[-1].share
    assert accuracy and cycles.mean and cycles.ratio and energy.mean_uj and last is not None
    assert cycles.accelerator_mean and cycles.accelerator_ratio
    return [
        f"{1 - last:.1%}".replace("%", " %"),
        f"{accuracy.staged:.2%}".replace("%", " %"),
        *(f"{cycles.mean:,.0f}", f"{cycles.ratio:.2f}", f"{energy.mean_uj:.2f}"),
        *(f"{cycles.accelerator_mean:,.0f}", f"{cycles.accelerator_ratio:.2f}"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spec.yaml", "branch.yaml", "auto.yaml"])
def test_the_page_has_the_figures_of_the_specs(name: str) -> None:
    report = report_of(name)
    assert rows()[f"`{name}`"][2:] == figures(report)
    assert report.accuracy
    full, energy = f"{report.cycles.full:,}", f"{report.energy.full_uj:.2f}"
    accuracy = f"{report.accuracy.full:.2%}".replace("%", " %")
    assert rows()["main alone"][3:] == [accuracy, full, "1", energy, f"{report.cycles.accelerator_full:,}", "1"]
    for one in report.alone:
        ratio = f"{report.cycles.full / one.cycles:.2f}"
        found = [f"{one.accuracy:.2%}".replace("%", " %"), f"{one.cycles:,}", ratio, f"{one.energy_uj:.2f}"]
        assert rows()[f"{one.name} alone"][3:7] == found
