"""The page of a build and of `offramp compare`: one HTML file that needs no other. All text from files is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from offramp.comparison.charts import Family, Scale, common_scale, cycles_chart, pareto_chart
from offramp.comparison.layouts import LETTERS, Layout, Point, front
from offramp.comparison.measures import UNKNOWN, mark_estimate, rows_of, stage_names
from offramp.comparison.model_views import ModelView, model_view
from offramp.comparison.palette import Look, look
from offramp.comparison.pictures import (
    Picture,
    bias_picture,
    data_picture,
    layer_looks,
    ranges,
    span,
    weight_picture,
)
from offramp.host.output import shown

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("pictures.js", "outcomes.js", "trial.js")
STRICT = '"use strict";\n'
SHOWN_POINTS = 12  # in a table; the chart shows all
WORD_STEP = 1024  # data memory is drawn up to a multiple of it


@dataclass(frozen=True)
class LayerRow:
    """A layer as text: all that the pictures show of it."""

    number: int
    name: str
    stage: str
    look: Look
    cycles: str
    mean: str
    energy: str
    weights: str
    bias: str
    output: str


@dataclass(frozen=True)
class View:
    """A layout as the page shows it."""

    letter: str
    layout: Layout
    stages: tuple[tuple[str, Look], ...]
    ways: str  # stages with the share that leaves at each
    free: str
    words: int  # of each data memory that are drawn
    weights: Picture
    data: Picture
    bias: Picture
    cycles: Markup
    mean: str
    layers: tuple[LayerRow, ...]
    models: tuple[ModelView, ...]


@dataclass(frozen=True)
class PointRow:
    key: str
    point: Point
    best: bool


def comparison_page(layouts: Sequence[Layout]) -> str:
    """The page as text. The same layouts give the same bytes. ValueError if there are none."""
    if not layouts:
        raise ValueError("there is nothing to compare")
    scale = common_scale(layouts)
    highest = max(layout.highest_word for layout in layouts)
    words = -(-highest // WORD_STEP) * WORD_STEP
    views = [_view(letter, layout, scale, words) for letter, layout in zip(LETTERS, layouts, strict=False)]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _text("page.css"), "".join((STRICT, *map(_text, SCRIPTS)))
    return environment.get_template("page.html.j2").render(
        style=Markup(style),
        script=Markup(script),
        hashes={"style": _hash(style), "script": _hash(script)},
        views=views,
        rows=rows_of(layouts),
        charts=_pareto_charts(views),
        points=[(view, *_point_rows(view)) for view in views if view.layout.points],
    )


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _plain(value: object) -> object:
    """Text of users without control characters; markup is ours."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _pareto_charts(views: Sequence[View]) -> list[tuple[str, Markup]]:
    """Captions and charts, two for each kind of data: results of test and of calibration data share no axis, and cycles
    that nobody has verified none with others."""
    charts = []
    drawn = [view for view in views if view.layout.points]
    kinds = dict.fromkeys((view.layout.points_data, view.layout.unverified) for view in drawn)
    for kind, (data, unverified) in enumerate(kinds):
        families = [
            Family(view.letter, view.layout.points)
            for view in drawn
            if (view.layout.points_data, view.layout.unverified) == (data, unverified)
        ]
        for energy, cost in enumerate(("cycles", "energy")):
            if energy and any(point.energy is None for one in families for point in one.points):
                continue
            chart = pareto_chart(
                families, bool(energy), f"front{kind}{energy}", "unverified" if unverified else "estimated"
            )
            found = f"{cost}, unverified" if unverified else cost
            charts.append((f"Accuracy on the {data} against {found}", chart))
    return charts


def _view(letter: str, layout: Layout, scale: Scale, words: int) -> View:
    return View(
        letter=letter,
        layout=layout,
        stages=tuple((stage.name, look(number, 0)) for number, stage in enumerate(layout.stages)),
        ways=stage_names(layout),
        free=_free_text(layout),
        words=min(words, layout.sizes.words),
        weights=weight_picture(layout, letter),
        data=data_picture(layout, letter, min(words, layout.sizes.words)),
        bias=bias_picture(layout, letter),
        cycles=cycles_chart(layout, scale, f"cycles{letter}"),
        mean=_mean_text(layout),
        layers=tuple(_layer_row(layout, number) for number in range(len(layout.layers))),
        models=tuple(model_view(layout, number, f"{letter}{number}") for number in range(len(layout.models))),
    )


def _free_text(layout: Layout) -> str:
    start, columns = layout.free_columns
    return f"columns {span(start, columns)} are free in all processors" if columns else "no column is free everywhere"


def _mean_text(layout: Layout) -> str:
    """Where most cycles go if most images leave early; empty if there is one stage or it is not known."""
    means = layout.layer_means
    if means is None or len(layout.stages) == 1:
        return ""
    most = max(range(len(means)), key=lambda number: means[number])
    where = f"{means[most] / sum(means):.0%} of it in {layout.layers[most].name}"
    return f"in the mean over the test images {sum(means):,.0f}, {where}"


def _layer_row(layout: Layout, number: int) -> LayerRow:
    layer, means = layout.layers[number], layout.layer_means
    weights = [
        f"columns {span(weight.start, weight.columns)} x {weight.processors.bit_count()} processors"
        for weight in layout.weights
        if number in weight.layers
    ]
    biases = [
        f"quadrant {bias.quadrant}, bytes {span(bias.start, bias.length)}"
        for bias in layout.biases
        if bias.layer == number
    ]
    outputs = [
        f"words {span(one.start, one.words)} x instances {ranges(one.instances)}"
        for one in layout.data
        if one.layer == number
    ]
    return LayerRow(
        number=layer.number,
        name=layer.name,
        stage=layout.stages[layer.stage].name,
        look=layer_looks(layout)[number],
        cycles=mark_estimate(f"{layer.cycles:,}", layer.estimated),
        mean=mark_estimate(f"{means[number]:,.0f}", layer.estimated) if means else UNKNOWN,
        energy=UNKNOWN if layer.energy is None else f"~{layer.energy:,.2f}",
        weights="; ".join(weights) or "none",
        bias="; ".join(biases) or "none",
        output="; ".join(outputs),
    )


def _point_rows(view: View) -> tuple[list[PointRow], int]:
    """Rows for the most interesting points, and how many are left out: chosen ones first, then those on a front."""
    points = view.layout.points
    best = {*front(points), *front(points, energy=True)}
    rows = [PointRow(f"{view.letter}{number + 1}", point, point in best) for number, point in enumerate(points)]
    rows.sort(key=lambda row: (not row.point.chosen, not row.best))
    return rows[:SHOWN_POINTS], len(rows) - len(rows[:SHOWN_POINTS])
