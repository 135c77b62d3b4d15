"""The page of `offramp compare` in a headless Chromium; skipped where there is none."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from offramp.comparison.layouts import Point
from offramp.comparison.page import comparison_page
from tests.helpers.browser import Tab
from tests.helpers.layouts import NASTY, small_layout

LONG = "a_name_without_any_place_to_break_it_" * 4


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(
        comparison_page([small_layout(), small_layout(LONG), replace(small_layout("third"), accuracy=0.8)]),
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_renders_without_complaint_and_fits(tab: Tab, page: Path, width: int, dark: bool) -> None:
    tab.open(page, width, dark)
    assert tab.run("document.documentElement.scrollWidth") <= width  # a phone would zoom out to show more
    assert tab.run("document.querySelectorAll('h2').length") == 7
    assert tab.requests == [page.resolve().as_uri()]
    ground = tab.run("getComputedStyle(document.documentElement).backgroundColor")
    assert ground == ("rgb(18, 22, 28)" if dark else "rgb(255, 255, 255)")
    text = tab.run("getComputedStyle(document.querySelector('.chart text')).fill")
    assert text == ("rgb(232, 235, 240)" if dark else "rgb(26, 30, 36)")


@pytest.mark.parametrize("width", [1280, 375])
def test_every_layer_is_seen(tab: Tab, page: Path, width: int) -> None:
    tab.open(page, width)
    seen = """[...document.querySelectorAll('.block')].filter(block => {
        const box = block.getBoundingClientRect(), plot = block.parentElement.getBoundingClientRect();
        return box.width >= 3 && box.height >= 3 && box.left >= plot.left - 1 && box.right <= plot.right + 4
            && box.top >= plot.top - 1 && box.bottom <= plot.bottom + 4;
    }).map(block => block.dataset.layer)"""
    assert set(tab.run(seen)) == {f"{letter}{layer}" for letter in "ABC" for layer in ("0", "1", "2", "input")}
    assert tab.run("document.querySelectorAll('.block').length") == len(tab.run(seen))
    text = tab.run("document.body.innerText")
    for layer in small_layout().layers:
        assert layer.name in text
    assert tab.run("[...document.querySelectorAll('.chart text')].map(one => one.textContent)").count("main/0") == 3


def test_numbers_line_up_and_their_names_stay_in_sight(tab: Tab, page: Path) -> None:
    """A number ends where its column ends, whether it differs from A or not."""
    tab.open(page, 375)
    assert tab.run("document.querySelectorAll('#numbers .differs').length") > 0
    gaps = """[...document.querySelectorAll('#numbers td')].map(cell => {
        const range = document.createRange();
        range.selectNodeContents(cell.firstChild);
        return Math.round(cell.getBoundingClientRect().right - range.getBoundingClientRect().right);
    })"""
    assert len(set(tab.run(gaps))) == 1
    for table in ("numbers", "layers"):
        scroll = f"document.querySelector('#{table} .scroll').scrollLeft"
        tab.run(f"{scroll} = 200")
        assert tab.run(scroll) > 0
        names = f"[...document.querySelectorAll('#{table} .scroll')[0].querySelectorAll('th:first-child')]"
        assert min(tab.run(f"{names}.map(one => one.getBoundingClientRect().left)")) >= 0


def test_texts_in_charts_do_not_cover_each_other(tab: Tab, tmp_path: Path) -> None:
    """Two fronts close to each other, most of both at the cheap end."""
    costs = ((5669, 0.99), (5413, 0.988), (4885, 0.986), (4674, 0.984), (4413, 0.982), (70429, 0.984))
    points = tuple(Point(f"p{cost}", right, cost, cost / 4000, cost == 5669) for cost, right in costs)
    near = tuple(replace(point, accuracy=point.accuracy + 0.0002, cycles=point.cycles + 150) for point in points)
    page = tmp_path / "page.html"
    page.write_text(comparison_page([replace(small_layout(), points=one) for one in (points, near)]), encoding="utf-8")
    tab.open(page, 1280)
    texts = """[...document.querySelectorAll('#points .chart')].map(chart =>
        [...chart.querySelectorAll('text')].map(one => {
            const box = one.getBoundingClientRect();
            return [one.textContent, box.left, box.right, box.top + 2, box.bottom - 2];
        }))"""
    for chart in tab.run(texts):
        assert {"A1", "B1"} <= {text for text, *_ in chart}  # chosen
        assert sum(text[0] in "AB" for text, *_ in chart) >= 6
        for (one, left, right, top, bottom), (two, *other) in combinations(chart, 2):
            assert right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top, (one, two)


@pytest.mark.parametrize("width", [1280, 375])
def test_bars_of_layouts_are_on_one_scale_and_their_texts_whole(tab: Tab, tmp_path: Path, width: int) -> None:
    named = replace(small_layout(), layers=tuple(replace(one, name="net/0") for one in small_layout().layers))
    layers = tuple(replace(one, cycles=12_345_678) for one in small_layout(LONG).layers)
    page = tmp_path / "page.html"
    stages = tuple(replace(one, cycles=24_000_000) for one in small_layout().stages)
    long = replace(small_layout(LONG), layers=layers, stages=stages)
    page.write_text(comparison_page([named, long]), encoding="utf-8")
    tab.open(page, width)
    charts = """[...document.querySelectorAll('#cycles svg')].map(chart => {
        const frame = chart.getBoundingClientRect();
        return [...chart.querySelectorAll('text')].map(one => {
            const box = one.getBoundingClientRect();
            return [box.left - frame.left, frame.right - box.right, one.textContent];
        });
    })"""
    found = tab.run(charts)
    assert min(min(left, right) for chart in found for left, right, _ in chart) >= -0.5
    zeros = [left for chart in found for left, _, text in chart if text == "0"]
    assert len(zeros) == 2 and max(zeros) - min(zeros) < 0.5


def test_blocks_are_reached_and_read_by_keyboard(tab: Tab, page: Path) -> None:
    tab.open(page, 1280)
    tab.press("Tab")
    assert tab.run("document.activeElement.className") == "skip"
    assert tab.run("document.activeElement.getBoundingClientRect().left") >= 0
    tab.press("Enter")
    assert tab.run("document.activeElement.id") == "main"
    for _ in range(40):
        tab.press("Tab")
        if tab.run("document.activeElement.matches('#data .block')"):
            break
    told = "document.activeElement.closest('.picture').querySelector('.told').textContent"
    assert tab.run(told).startswith("input: words 0-49 of instances 0")
    tab.press("ArrowRight")
    assert tab.run(told).startswith("output of front/0: words 0-119 of instances 1-2")
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert tab.run("document.querySelectorAll('.block.same').length") == 5  # all of this layer of A
    tab.press("End")
    assert tab.run(told).startswith("output of main/1")
    tab.press("ArrowRight")
    assert tab.run(told).startswith("output of main/1")
    tab.press("Home")
    assert tab.run(told).startswith("input")


def test_pointing_at_a_block_names_it(tab: Tab, page: Path) -> None:
    tab.open(page, 375)
    tab.run("document.querySelector('#weights .block').scrollIntoView({block: 'center'})")
    place = tab.run(
        "(() => { const box = document.querySelector('#weights .block').getBoundingClientRect();"
        " return [box.left + box.width / 2, box.top + box.height / 2]; })()"
    )
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    told = tab.run("document.querySelector('#weights .told').textContent")
    assert told.startswith(f"front/{NASTY} (stage front) and main/1 (stage main): columns 4-13")


def test_pointing_at_a_name_finds_its_block(tab: Tab, page: Path) -> None:
    tab.open(page, 1280)
    told = "document.querySelector('#weights .told').textContent"
    for layer, start in (
        ("A0", f"front/{NASTY} (stage front) and main/1"),
        ("A1", "0 main/0: no block of its own"),
    ):
        place = tab.run(
            f"(() => {{ const name = document.querySelector('#weights [data-names={layer}]');"
            " name.scrollIntoView({block: 'center'}); const box = name.getBoundingClientRect();"
            " return [box.left + 10, box.top + box.height / 2]; })()"
        )
        tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
        assert tab.run(told).startswith(start)
        assert set(tab.run("[...document.querySelectorAll('.same')].map(one => one.dataset.layer)")) == {layer}


def test_complaints_of_a_page_are_heard(tab: Tab, tmp_path: Path) -> None:
    """Or else an empty console would mean nothing."""
    broken = tmp_path / "broken.html"
    broken.write_text("<script>missing()</script><img src='gone.png'>")
    tab.open(broken, 375)
    assert any("missing is not defined" in one for one in tab.complaints)
    assert (tmp_path / "gone.png").resolve().as_uri() in tab.requests
    tab.complaints.clear()
