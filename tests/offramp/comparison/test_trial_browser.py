"""Trying thresholds and looking at pictures in a headless Chromium; skipped where there is none."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest

from offramp.comparison.facts import facts_of
from offramp.comparison.layout_image import layout_of_image
from offramp.comparison.layouts import Layout
from offramp.comparison.page import comparison_page
from offramp.comparison.samples import Sample
from offramp.comparison.trial import Trial
from offramp.pipeline.evaluate import Evaluation, evaluate_plan
from offramp.pipeline.figures import image_report
from offramp.pipeline.images import image_of
from offramp.pipeline.judged import Judged
from offramp.pipeline.planning import Planned
from offramp.planner.exits.guarantee import images_that_test, p_value
from offramp.planner.ir.chain import Chain, Threshold, with_threshold
from offramp.planner.plan import plan_digest
from offramp.planner.reference.confidence import to_threshold
from offramp.planner.reference.exits import leaving
from offramp.planner.reference.profile import exit_indices
from tests.helpers.browser import Tab
from tests.helpers.plans import plan_of
from tests.helpers.trials import three_stages

NASTY = "</script><script>alert(1)</script> \"'&\x1b\u202e"
SETTINGS = 200


class Case:
    """A plan with the page of it."""

    def __init__(self, folder: Path, per_class: bool) -> None:
        self.spec = three_stages(folder, per_class=per_class)
        self.made = plan_of(self.spec)
        found = evaluate_plan(self.made.plan)
        assert found and self.made.judged
        self.evaluation: Evaluation = found
        self.judged: Judged = self.made.judged
        self.layout = layout_of(self.made, found)
        trial = self.layout.models[0].trial
        assert isinstance(trial, Trial)
        self.trial = trial
        self.page = folder / "report.html"
        self.page.write_text(comparison_page([self.layout]), encoding="utf-8")


def layout_of(made: Planned, found: Evaluation) -> Layout:
    image = image_of(made)
    report = image_report(image, [found])
    return layout_of_image(image, report, "spec", "some/spec.yaml", [facts_of(made, found)])


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("three"), per_class=False)


@pytest.fixture(scope="module")
def by_class(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("classes"), per_class=True)


# Sets every slider to a position, and takes what the page then says.
TRY = """(positions => {
    const inputs = [...document.querySelectorAll('.trial input[type=range]')];
    return positions.map(setting => {
        inputs.forEach((input, number) => { input.value = String(setting[number]); });
        inputs[0].dispatchEvent(new Event('input', {bubbles: true}));
        const verdict = document.querySelector('.verdict');
        return {
            tables: [...document.querySelectorAll('.results tbody')].map(body =>
                [...body.rows].map(row => [row.cells[0].textContent, row.cells[1].textContent])),
            verdict: verdict.textContent, state: verdict.className, p: verdict.dataset.p,
            yaml: document.querySelector('.trial textarea').value,
        };
    });
})"""


def tried(tab: Tab, settings: list[list[int]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tab.run(f"{TRY}({json.dumps(settings)})")
    return found


def chain_with(case: Case, setting: list[int]) -> Chain:
    """The thresholds as the firmware has them, from the text that the page writes."""
    limits: dict[str, Threshold] = {}
    for number, stage in enumerate(case.made.chain.exits[:-1]):
        own = tuple(
            to_threshold(one.measure, one.stops[at] / one.unit, stage.rule.fraction_bits)
            for one, at in zip(case.trial.sliders, setting, strict=True)
            if one.stage == number
        )
        limits[stage.name] = own if stage.rule.by_class else own[0]
    return with_threshold(case.made.chain, limits)


def judged_exits(case: Case, chain: Chain) -> np.ndarray:
    """Where images of the calibration data leave, by the groups that they belong to."""
    index = np.full(case.judged.images, len(chain.stages) - 1)
    for stage in reversed(range(len(chain.stages) - 1)):
        found = leaving(chain.exits[stage], np.maximum(case.judged.group[stage], 0), case.judged.confidence[stage])
        index[found] = stage
    return index


def expected_rows(case: Case, index: np.ndarray, right: np.ndarray) -> list[list[str]]:
    count, costs = len(index), case.made.cycles
    correct = right[index, np.arange(count)].mean()
    shares = [[f"leave at {name}", f"{(index == stage).mean():.2%}"] for stage, name in enumerate(case.trial.stages)]
    return [
        *shares,
        ["accuracy", f"{correct:.2%}"],
        ["against the last stage alone", f"{100 * (correct - right[-1].mean()):+.2f} points"],
        ["mean cycles", f"~{int(costs.mean(index) + 0.5):,}"],
        ["mean time", f"~{costs.mean(index) / 50_000:.3f} ms"],
        ["mean energy", f"~{case.made.energy.mean(index) / 10**6:.2f} uJ"],
        ["worst cycles", f"~{np.array(costs.cost_by_exit)[index].max():,}"],
    ]


def near(text: str, other: str) -> bool:
    """Equal, but for how a half in the last digit is rounded."""
    numbers = [float(re.sub("[^-+.0-9]", "", one)) for one in (text, other)]
    digit = 10.0 ** -len(text.partition(".")[2].rstrip("% msuJpoint"))
    return re.sub("[0-9]", "", text) == re.sub("[0-9]", "", other) and abs(numbers[0] - numbers[1]) <= 1.01 * digit


@pytest.mark.parametrize("which", ["case", "by_class"])
def test_sliders_give_what_the_interface_gives(tab: Tab, which: str, request: pytest.FixtureRequest) -> None:
    case: Case = request.getfixturevalue(which)
    tab.open(case.page, 1280)
    rng = np.random.default_rng(5)
    settings = [[int(rng.integers(len(one.stops))) for one in case.trial.sliders] for _ in range(SETTINGS)]
    assert case.trial.risk and case.evaluation.right is not None
    risk, rounded = case.trial.risk.found, 0
    for setting, found in zip(settings, tried(tab, settings), strict=True):
        chain = chain_with(case, setting)
        calibration, test = judged_exits(case, chain), exit_indices(chain, case.evaluation.profiled)
        pairs = [(calibration, case.judged.right), (test, case.evaluation.right)]
        for (index, right), rows in zip(pairs, found["tables"], strict=True):
            for row, expected in zip(rows, expected_rows(case, index, right), strict=True):
                assert row == expected or (row[0] == expected[0] and near(row[1], expected[1])), (row, expected)
                rounded += row != expected
        own = case.judged.right[:, images_that_test(case.judged.images, risk.images)]
        leave = calibration[images_that_test(case.judged.images, risk.images)]
        losses = int((own[-1] & ~own[leave, np.arange(risk.images)]).sum())
        assert float(found["p"]) == p_value(losses, risk.images, risk.accuracy_drop)
        assert found["state"] == ("verdict lost" if losses > risk.allowed else "verdict open")
        assert (
            f"({losses} of {risk.images} images lost, {risk.allowed} allowed; exact binomial p = " in found["verdict"]
        )
    assert rounded < SETTINGS / 10


@pytest.mark.parametrize("which", ["case", "by_class"])
def test_copied_lines_build_the_same_plan(tab: Tab, which: str, request: pytest.FixtureRequest) -> None:
    case: Case = request.getfixturevalue(which)
    tab.open(case.page, 1280)
    planned = [one.planned for one in case.trial.sliders]
    settings = [planned, [0 for _ in planned], [len(one.stops) - 1 for one in case.trial.sliders]]
    texts = [one["yaml"] for one in tried(tab, settings)]
    before = case.spec.read_text(encoding="utf-8").split("calibrate:")[0]
    for setting, text in zip(settings, texts, strict=True):
        copied = case.spec.with_name("copied.yaml")
        copied.write_text(before + text, encoding="utf-8")
        again, expected = plan_of(copied), chain_with(case, setting)
        assert [stage.exit for stage in again.chain.exits[:-1]] == [stage.exit for stage in expected.exits[:-1]]
        assert (plan_digest(again.plan) == plan_digest(case.made.plan)) == (setting == planned)


SLIDERS = "document.querySelectorAll('.trial input[type=range]')"


def test_every_control_of_the_trial_works_by_mouse_and_keyboard(tab: Tab, case: Case) -> None:
    tab.open(case.page, 1280)
    first, shares = f"{SLIDERS}[0]", "document.querySelector('.results td').textContent"
    planned = tab.run(f"{first}.value")
    tab.run(f"{first}.focus()")
    for key, value in (("Home", "0"), ("ArrowRight", "1"), ("ArrowLeft", "0"), ("End", tab.run(f"{first}.max"))):
        tab.press(key)
        assert tab.run(f"{first}.value") == value
    assert tab.run(shares) == "100.00%" and tab.run(f"{first}.getAttribute('aria-valuetext')").startswith("margin ")
    tab.click(first, 0.01)
    assert tab.run(f"{first}.value") == "0" and tab.run(shares) == "0.00%"
    tab.click("document.querySelector('button.planned')")
    assert tab.run(f"{first}.value") == planned and "guaranteed" in tab.run(
        "document.querySelector('.verdict').textContent"
    )
    charts = "[...document.querySelectorAll('.trial .chart')].map(one => one.hidden)"
    assert tab.run(charts) == [False, False, True, True]
    tab.click("document.querySelectorAll('.trial input[type=radio]')[1]")
    assert tab.run(charts) == [True, True, False, False]
    tab.press("ArrowLeft")
    assert tab.run(charts) == [False, False, True, True]
    tab.run("document.querySelector('button.copy').focus()")
    tab.press("Enter")
    told = "document.querySelector('.copied').textContent"
    for _ in range(50):
        if tab.run(told):
            break
        sleep(0.1)
    assert tab.run(told) in ("copied", "selected below: copy it with the keyboard")
    tab.run("document.querySelector('.lines summary').focus()")
    open_before = tab.run("document.querySelector('.lines').open")
    tab.press("Enter")
    assert tab.run("document.querySelector('.lines').open") != open_before


def test_every_control_of_pictures_works_by_mouse_and_keyboard(tab: Tab, case: Case) -> None:
    tab.open(case.page, 1280)
    picture = "document.querySelector('#weights .picture')"
    width = f"{picture}.querySelector('.plot').getBoundingClientRect().width"
    before = tab.run(width)
    tab.click(f"{picture}.querySelector('[data-zoom=\"1\"]')")
    assert tab.run(width) > 1.8 * before and tab.run(f"{picture}.querySelector('.zoom output').textContent") == "2 x"
    tab.run(f"{picture}.querySelector('[data-zoom=\"-1\"]').focus()")
    for _ in range(2):  # the second one has nothing left to do
        tab.press("Enter")
        assert tab.run(width) == before
    free = f"[...{picture}.querySelectorAll('.unused')].filter(one => !one.hidden).length"
    assert tab.run(free) == 0
    tab.click(f"{picture}.querySelector('.show-free')")
    assert tab.run(free) > 0
    tab.press("Space")
    assert tab.run(free) == 0
    tab.click(f"{picture}.querySelector('input[type=search]')")
    tab.write("SECOND")
    bright = f"[...{picture}.querySelectorAll('.block:not(.dimmed)')].map(one => one.title.split(' ')[0])"
    assert set(tab.run(bright)) == {"main/1:second"}
    assert tab.run(f"{picture}.querySelector('.hits').textContent") == "1 found"
    assert tab.run(f"{picture}.querySelector('.told').textContent").startswith("main/1:second (stage main): columns")


def test_a_way_in_time_says_what_happens_and_where_the_figure_comes_from(tab: Tab, case: Case) -> None:
    tab.open(case.page, 1280)
    tab.run("document.querySelector('#time .block').focus()")
    told = "document.querySelector('#time .told').textContent"
    assert re.match(
        r"load the input: [\d,]+ cycles, [\d.]+ us; [\d,]+ instructions, [\d,]+ of them on the bus; estimated, ",
        tab.run(told),
    )
    tab.press("End")
    assert tab.run(told).startswith("back to front for the next input: ")
    lanes = tab.run("[...document.querySelectorAll('#time .block')].map(one => one.getBoundingClientRect().right)")
    plot = tab.run("document.querySelector('#time .plot').getBoundingClientRect().right")
    assert max(lanes) <= plot + 4


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_all_of_a_page_fits(tab: Tab, case: Case, width: int, dark: bool) -> None:
    tab.open(case.page, width, dark)
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.requests == [case.page.resolve().as_uri()] + [one for one in tab.requests if one.startswith("data:")]
    assert tab.run("[...document.querySelectorAll('h2')].map(one => one.textContent)")[:4] == [
        "Try a threshold",
        "Who leaves where",
        "One answer in time",
        "Why this plan",
    ]
    cut = """[...document.querySelectorAll('button, summary, legend, h2, h3, label, output, dt, dd, th, .verdict')]
        .filter(one => one.offsetParent && !one.closest('.scroll, .pane') && one.scrollWidth > one.clientWidth + 1
            && getComputedStyle(one).display !== 'inline').map(one => one.textContent.trim())"""
    assert tab.run(cut) == []


def test_every_control_has_a_name(tab: Tab, case: Case) -> None:
    """As a screen reader gets it from the browser."""
    tab.open(case.page, 1280)
    tab.call("Accessibility.enable")
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    roles = ("slider", "button", "radio", "checkbox", "searchbox", "link", "textbox", "region", "group", "img")
    found = [(one["role"]["value"], one.get("name", {}).get("value", "")) for one in nodes if not one["ignored"]]
    named = [(role, name) for role, name in found if role in roles]
    assert [role for role, name in named if not name and role not in ("group", "img")] == []
    assert ("slider", "front: threshold, leaves if margin at least") in named
    assert ("slider", "branch: threshold, leaves if entropy at most") in named


def nasty(one: Sample) -> Sample:
    return replace(one, answer=NASTY, truth=NASTY)


def test_names_stay_text_whatever_they_are(tab: Tab, case: Case, tmp_path: Path) -> None:
    facts = case.layout.models[0]
    assert isinstance(facts.trial, Trial)
    trial = replace(facts.trial, stages=(NASTY, *facts.trial.stages[1:]))
    samples = tuple(
        replace(
            one,
            stage=NASTY,
            kinds=tuple(
                (kind, tuple(replace(image, answer=NASTY, truth=NASTY) for image in own)) for kind, own in one.kinds
            ),
        )
        for one in facts.samples
    )
    ways = tuple(replace(way, stage=NASTY) for way in facts.ways)
    page = tmp_path / "page.html"
    named = replace(facts, trial=trial, samples=samples, ways=ways, model=NASTY)
    page.write_text(comparison_page([replace(case.layout, name=NASTY, models=(named,))]), encoding="utf-8")
    tab.open(page, 1280)
    assert tab.run("document.querySelectorAll('script').length") == 2  # one of data, one that runs
    text = tab.run("document.querySelector('.results').innerText")
    assert "leave at </script><script>alert(1)</script> \"'&\\x1b\\u202e" in text
    assert "\x1b" not in page.read_text(encoding="utf-8") and "\u202e" not in page.read_text(encoding="utf-8")


def test_it_prints_on_a4(tab: Tab, case: Case) -> None:
    tab.open(case.page, 1280)
    tab.call("Emulation.setEmulatedMedia", media="print", features=[])
    assert tab.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert tab.run("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    pdf = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert boxes and {(round(float(width)), round(float(height))) for width, height in boxes} == {(595, 842)}
    assert tab.run("[...document.querySelectorAll('details')].every(one => one.open)")


def test_nothing_moves_where_that_is_not_wanted(tab: Tab, case: Case) -> None:
    tab.open(case.page, 1280)
    duration = "getComputedStyle(document.querySelector('.live')).transitionDuration"
    assert tab.run(duration) != "0s"
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert tab.run(duration) == "0s"


def test_without_a_model_of_energy_nothing_is_said_of_it(tab: Tab, case: Case, tmp_path: Path) -> None:
    made = replace(case.made, energy=replace(case.made.energy, **nothing(case.made)))
    facts = facts_of(made, case.evaluation)
    page = tmp_path / "page.html"
    page.write_text(comparison_page([replace(case.layout, models=(facts,))]), encoding="utf-8")
    tab.open(page, 1280)
    assert tab.run("document.querySelectorAll('.trial .chart').length") == 2
    assert tab.run("document.querySelectorAll('.trial input[type=radio]').length") == 0
    assert "energy" not in tab.run("document.querySelector('#try').innerText")
    tab.run(f"{SLIDERS}[0].focus()")
    tab.press("Home")
    assert tab.run("document.querySelector('.results td').textContent") == "0.00%"


def nothing(made: Planned) -> dict[str, Any]:
    """Energy of all parts, 0."""
    names = ("loads", "starts", "stages", "inside", "checks", "forward", "back")
    return {name: tuple(replace(one, picojoules=0) for one in getattr(made.energy, name)) for name in names}


def test_two_layouts_have_trials_of_their_own(tab: Tab, case: Case, by_class: Case, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(comparison_page([case.layout, by_class.layout]), encoding="utf-8")
    tab.open(page, 390)
    ids = tab.run("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    verdicts = "[...document.querySelectorAll('.verdict')].map(one => one.textContent.split(/[: ]/)[0])"
    assert tab.run(verdicts) == ["As", "As"]
    tab.run(f"{SLIDERS}[2].focus()")
    tab.press("Home")
    assert tab.run(verdicts) == ["As", "Tried"]
    assert tab.run("document.documentElement.scrollWidth") <= 390
