"""Pictures of memories to scale, and colours that everybody can tell apart."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from offramp.comparison.page import TEMPLATES
from offramp.comparison.palette import INPUT_LOOK, contrast, look, luminance, with_luminance
from offramp.comparison.pictures import (
    bias_picture,
    data_picture,
    instance_groups,
    ranges,
    runs,
    unused,
    weight_picture,
)
from tests.helpers.layouts import small_layout


def test_blocks_lie_to_scale() -> None:
    layout = small_layout()
    (block,) = weight_picture(layout, "A").blocks
    columns = (100 * 4 / 768, 100 * 10 / 768)
    for box, top in zip(block.boxes, (0, 12.5), strict=True):
        assert (box.left, box.width, box.top, box.height) == pytest.approx((*columns, top, 6.25))
    picture = data_picture(layout, "A", 8192)
    box = picture.blocks[2].boxes[0]
    lane = next(lane for lane in picture.lanes if lane.label == "1")
    assert (box.left, box.width) == pytest.approx((100 * 2 / 6, 50))
    assert box.top == pytest.approx(lane.top + lane.height * 100 / 8192)
    assert box.height == pytest.approx(lane.height * 40 / 8192)
    assert sum(lane.height for lane in picture.lanes) == pytest.approx(100)


def test_instances_that_hold_the_same_share_a_lane() -> None:
    assert instance_groups(small_layout()) == ((0,), (1,), (2,), tuple(range(3, 16)))


def test_numbers_are_shown_in_runs() -> None:
    assert runs([]) == () and ranges([]) == ""
    assert ranges([9, 0, 1, 2, 5]) == "0-2, 5, 9"


def css_colors(scheme: int) -> dict[str, str]:
    """Variables of the page's style: 0 light, 1 dark, 2 on paper."""
    style = (TEMPLATES / "page.css").read_text()
    parts = re.split(r"@media \(prefers-color-scheme: dark\)|@media print", style)
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", parts[scheme]))


@pytest.mark.parametrize("scheme", [0, 1, 2])
def test_contrast_is_enough_in_light_and_dark_and_on_paper(scheme: int) -> None:
    colors = css_colors(scheme)
    for ground in ("paper", "raised"):
        for text in ("ink", "quiet", "link", "mark"):
            assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)
        assert contrast(colors["focus"], colors[ground]) >= 3
        for one in [INPUT_LOOK, *(look(stage, layer) for stage in range(8) for layer in range(4))]:
            assert contrast(one.fill, colors[ground]) >= 3, (one, ground)
            assert contrast(one.fill, one.label) >= 4.5


def test_stages_differ_in_pattern_and_colour() -> None:
    looks = [look(stage, 0) for stage in range(16)]
    assert len({(one.fill, one.pattern) for one in looks}) == 16
    for one, following in pairwise(looks):
        assert one.pattern != following.pattern
    assert len({look(0, layer).fill for layer in range(3)}) == 3


@pytest.mark.parametrize("wanted", [0.05, 0.15, 0.5])
def test_a_colour_gets_the_luminance_asked_for(wanted: float) -> None:
    assert luminance(with_luminance("#0072b2", wanted)) == pytest.approx(wanted, abs=0.005)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_what_is_free_is_what_nothing_lies_in() -> None:
    layout = small_layout()
    free = weight_picture(layout, "A").free
    area = sum(box.width * box.height for one in free for box in one.boxes) / 100**2
    assert area == pytest.approx(1 - 10 * 8 / (768 * 64))
    assert free[0].label == "free: columns 0-3, processors 0-3, 144 bytes"
    assert [one.label for one in bias_picture(layout, "A").free][1:3] == [
        "free: quadrant 1, bytes 0-7",
        "free: quadrant 1, bytes 24-511",
    ]
    labels = [one.label for one in data_picture(layout, "A", 8192).free]
    assert labels[0] == "free at all steps: words 50-7999 of instances 0, 31,800 bytes"
    assert labels[-1] == "free at all steps: words 0-8191 of instances 3-15, 425,984 bytes"


def test_gaps_between_runs_that_overlap() -> None:
    assert unused([(2, 3), (4, 4)], 10) == ((0, 2), (8, 2))
    assert unused([], 3) == ((0, 3),) and unused([(0, 3)], 3) == ()
