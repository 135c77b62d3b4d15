"""Charts as SVG to be put into a page: their colours are those of the page, light or dark, their text is text."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Affine2D, Bbox

from offramp.comparison.layouts import Layout, Point, front
from offramp.comparison.measures import mark_estimate
from offramp.comparison.palette import HUES, look
from offramp.host.output import shown

# Colours that stand for the page's variables until the SVG is written.
INK, FAINT, PAPER = "#010203", "#040506", "#070809"
VARIABLES = {INK: "var(--ink)", FAINT: "var(--line)", PAPER: "var(--paper)"}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
WIDTH = 5.4  # inches; at 72 dots narrow enough for a phone, so that text stays readable there
BAR = 0.24  # inches of height per layer
LOGARITHMIC = 5  # from this ratio of the largest to the smallest cost on
FINE = 200  # up to this ratio the axis has 2 and 5 between powers of ten
STAR, DOT = (16, 16), (7, 7)  # sizes of points, in typographic points
# Places of a label from its point, the best first. A chosen point is larger.
OFFSETS = ((0, 14), (-17, 0), (17, 0), (-15, 11), (15, 11), (15, -11), (-15, -11), (0, -14), (-28, 0), (28, 0), (0, 26))
FEW = 12  # so many points can all have labels
START, END = 7, 10  # characters that a long name is cut to
CHARACTER = 6.3  # typographic points that a character takes, and
NUMBERS = 104  # all that is written at the end of a bar

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "hatch.linewidth": 0.8,
    "text.parse_math": False,  # names come from files; a $ is a $
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@dataclass(frozen=True)
class Family:
    """Points of one layout, named by its letter."""

    letter: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Scale:
    """What charts of several layouts have in common: the most cycles of a layer, characters of the longest name."""

    cycles: int
    characters: int


def common_scale(layouts: Sequence[Layout]) -> Scale:
    """For charts whose bars are to be compared."""
    layers = [layer for layout in layouts for layer in layout.layers]
    return Scale(max(layer.cycles for layer in layers), max(len(_short(layer.name)) for layer in layers))


def cycles_chart(layout: Layout, scale: Scale, name: str) -> str:
    """Cycles of every layer as bars, first layer on top. `name`: unique in the page."""
    style = STYLE | {"svg.hashsalt": name, "axes.grid.axis": "x"}
    with matplotlib.rc_context(style):
        height = 0.75 + BAR * len(layout.layers)
        figure = Figure(figsize=(WIDTH, height))
        left, width = 16 + CHARACTER * scale.characters, 72 * WIDTH
        figure.subplots_adjust(left / width, 0.65 / height, 1 - 4 / width, 1 - 0.05 / height)
        axes = figure.add_subplot()
        _bars(axes, layout)
        axes.set_xlim(0, scale.cycles * (width - left) / (width - left - NUMBERS))
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.xaxis.set_major_formatter(_number)
        axes.set_xlabel("cycles")
        return _svg(figure, name)


def _bars(axes: Axes, layout: Layout) -> None:
    stages = [layer.stage for layer in layout.layers]
    looks = [look(stage, number - stages.index(stage)) for number, stage in enumerate(stages)]
    numbers = range(len(looks))
    axes.barh(
        numbers,
        [layer.cycles for layer in layout.layers],
        color=[one.fill for one in looks],
        hatch=[one.hatch for one in looks],
        edgecolor=PAPER,
        linewidth=0,
    )
    axes.set_yticks(numbers, [_short(layer.name) for layer in layout.layers])
    axes.set_ylim(len(looks) - 0.5, -0.5)
    for number, layer in enumerate(layout.layers):
        share = layer.cycles / layout.stage_cycles
        text = f"{mark_estimate(f'{layer.cycles:,}', layer.estimated)} ({'<1%' if share < 0.01 else f'{share:.0%}'})"
        axes.annotate(text, (layer.cycles, number), (4, 0), textcoords="offset points", va="center", size=10)


def pareto_chart(families: Sequence[Family], energy: bool, name: str) -> str:
    """Accuracy against cost: each layout's front as a line, the chosen points as stars, hollow what is behind."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for position, family in enumerate(families):
            _family(axes, family, position, energy)
        _scale(axes, [_cost(point, energy) for family in families for point in family.points])
        axes.margins(0.12)
        axes.set_ylim(top=min(axes.get_ylim()[1], 100))
        axes.set_xlabel(f"mean {'energy (uJ)' if energy else 'cycles'} of an inference, estimated")
        axes.set_ylabel("accuracy (%)")
        figure.draw_without_rendering()  # so that the places of points can be read
        _label(axes, families, energy)
        return _svg(figure, name)


def _scale(axes: Axes, costs: Sequence[float]) -> None:
    ratio = max(costs) / min(costs) if min(costs) > 0 else 1
    if ratio > LOGARITHMIC:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < FINE else (1,)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(_number)


def _family(axes: Axes, family: Family, position: int, energy: bool) -> None:
    color, marker = HUES[position % len(HUES)], MARKERS[position % len(MARKERS)]
    best = front(family.points, energy)
    costs = [_cost(point, energy) for point in best]
    axes.step(costs, [100 * point.accuracy for point in best], where="post", color=color, linewidth=1.5)
    for point in family.points:
        place = (_cost(point, energy), 100 * point.accuracy)
        known = point in best or point.chosen
        axes.plot(
            *place,
            marker="*" if point.chosen else marker,
            color=color,
            markersize=17 if point.chosen else 7,
            fillstyle="full" if known else "none",
            clip_on=False,  # all of a point at 100 %
        )


def _label(axes: Axes, families: Sequence[Family], energy: bool) -> None:
    """Letter and number beside points, chosen ones first; one that would cover another or a point is left out."""
    named = [
        (f"{family.letter}{number + 1}", point, point.chosen or (len(family.points) <= FEW and point in best))
        for family, best in ((family, front(family.points, energy)) for family in families)
        for number, point in enumerate(family.points)
    ]
    places = [(_cost(point, energy), 100 * point.accuracy) for _, point, _ in named]
    dots = axes.transData.transform(places) * 72 / axes.figure.dpi
    taken = [_around(dot, STAR if point.chosen else DOT) for dot, (_, point, _) in zip(dots, named, strict=True)]
    ground = axes.bbox.frozen().transformed(Affine2D().scale(72 / axes.figure.dpi))
    order = sorted(range(len(named)), key=lambda number: not named[number][1].chosen)
    for number in order:
        text, _, wanted = named[number]
        size = (7 * len(text), 12)
        for offset in OFFSETS if wanted else ():
            box = _around(dots[number] + offset, size)
            if ground.contains(*box.min) and ground.contains(*box.max) and not box.count_overlaps(taken):
                axes.annotate(text, places[number], offset, textcoords="offset points", ha="center", va="center")
                taken.append(box)
                break


def _around(center: tuple[float, float], size: tuple[float, float]) -> Bbox:
    return Bbox.from_bounds(center[0] - size[0] / 2, center[1] - size[1] / 2, *size)


def _cost(point: Point, energy: bool) -> float:
    return point.energy if energy else point.cycles


def _short(name: str) -> str:
    """Long names lose their middle: they begin with the network and end with the layer."""
    name = shown(name)
    return name if len(name) <= START + 3 + END else f"{name[:START]}...{name[-END:]}"


def _number(value: float, _: object) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def _svg(figure: Figure, name: str) -> str:
    """The picture without what a page does not need: prologue, metadata, background, size. Identifiers get a prefix."""
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = file.getvalue()
    text = text[text.index("<svg ") :]
    text = re.sub(r"<(metadata|style)\b.*?</\1>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;]*;", "", text)
    text = re.sub(r'^<svg [^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = text.replace("url(#", f"url(#{name}-")
    for color, variable in VARIABLES.items():
        text = text.replace(color, variable)
    return text
