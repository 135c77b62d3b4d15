"""Charts of a page: cycles of layers as bars, and accuracy against cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from markupsafe import Markup

from offramp.comparison.layouts import Layout, Point, front
from offramp.comparison.measures import mark_estimate
from offramp.comparison.palette import HUES, look
from offramp.comparison.svg import (
    CHARACTER,
    INK,
    PAPER,
    SIZE,
    Rectangle,
    drawing,
    line,
    marks,
    number,
    overlap,
    powers,
    text,
)
from offramp.host.output import shown

WIDTH = 390.0  # narrow enough for a phone, so that text stays readable there
BAR = 17.0  # height per layer
LOGARITHMIC = 5  # from this ratio of the largest to the smallest cost on
HEIGHT = 290.0  # of a chart of points
LEFT, RIGHT, TOP, BOTTOM = 56.0, 14.0, 14.0, 40.0  # around its ground
STAR, DOT = 16.0, 7.0  # sizes of points
# Places of a label from its point, the best first. A chosen point is larger.
OFFSETS = ((0, -14), (-17, 0), (17, 0), (-15, -11), (15, -11), (15, 11), (-15, 11), (0, 14), (-28, 0), (28, 0))
FEW = 12  # so many points can all have labels
START, END = 7, 10  # characters that a long name is cut to
SHADE = "rgb(0 0 0 / 0.5)"  # of patterns, as in page.css
NUMBERS = 108  # all that is written at the end of a bar
FIVE = ((0, -9), (2.6, -3), (9, -2.8), (4, 1.8), (5.6, 8.4), (0, 4.4), (-5.6, 8.4), (-4, 1.8), (-9, -2.8), (-2.6, -3))


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


@dataclass(frozen=True)
class Ground:
    """Where a chart of points has its values. `low`, `high`: (cost, accuracy in percent) at its edges; `logarithmic`:
    the scale of costs."""

    low: tuple[float, float]
    high: tuple[float, float]
    logarithmic: bool

    @property
    def text(self) -> str:
        """For the page's script."""
        return " ".join(map(str, (*self.low, *self.high, int(self.logarithmic))))

    def x(self, cost: float) -> float:
        low, high = self.low[0], self.high[0]
        part = log(cost / low) / log(high / low) if self.logarithmic else (cost - low) / (high - low)
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def y(self, percent: float) -> float:
        part = (percent - self.low[1]) / (self.high[1] - self.low[1])
        return HEIGHT - BOTTOM - part * (HEIGHT - BOTTOM - TOP)


def common_scale(layouts: Sequence[Layout]) -> Scale:
    """For charts whose bars are to be compared."""
    layers = [layer for layout in layouts for layer in layout.layers]
    return Scale(max(layer.cycles for layer in layers), max(len(_short(layer.name)) for layer in layers))


def cycles_chart(layout: Layout, scale: Scale, name: str) -> Markup:
    """Cycles of every layer as bars, first layer on top. `name`: unique in the page."""
    left, bottom = 12 + CHARACTER * scale.characters, BAR * len(layout.layers)
    per_cycle = (WIDTH - left - NUMBERS) / scale.cycles
    parts = [_patterns(name)]
    for mark in marks(0, scale.cycles, 4):
        x = left + mark * per_cycle
        parts += [line(x, 0, x, bottom + 3), text(x, bottom + 11, number(mark), "middle")]
    stages = [layer.stage for layer in layout.layers]
    for position, layer in enumerate(layout.layers):
        y, width = position * BAR + BAR / 2, layer.cycles * per_cycle
        own = look(layer.stage, position - stages.index(layer.stage))
        parts.append(text(left - 6, y, _short(layer.name), "end"))
        for fill in (own.fill, f"url(#{name}-{own.pattern})"):
            parts.append(_bar(left, y, width, fill))
        share = layer.cycles / layout.stage_cycles
        told = f"{mark_estimate(f'{layer.cycles:,}', layer.estimated)} ({'<1%' if share < 0.01 else f'{share:.0%}'})"
        parts.append(text(left + width + 4, y, told, "start", ' font-size="10"'))
    parts += [line(left, 0, left, bottom + 3, INK), text((left + WIDTH) / 2, bottom + 26, "cycles", "middle")]
    return drawing(WIDTH, bottom + 34, parts, name)


def _bar(x: float, y: float, width: float, fill: str) -> Markup:
    half = 0.4 * BAR
    return Markup(f'<rect x="{x:.4g}" y="{y - half:.4g}" width="{width:.4g}" height="{2 * half:.4g}" fill="{fill}"/>')


def _patterns(name: str) -> Markup:
    """Those of the palette, drawn over a colour."""
    shapes = {"plain": "M0 0", "stripes": "M-1 -1L7 7", "dots": "M3 3h.1", "bars": "M3 0V6"}
    drawn = (
        f'<pattern id="{name}-{kind}" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<path d="{path}" stroke="{SHADE}" stroke-linecap="round" stroke-width="{2 if kind == "dots" else 1}"/>'
        "</pattern>"
        for kind, path in shapes.items()
    )
    return Markup(f"<defs>{''.join(drawn)}</defs>")


def ground_of(points: Sequence[tuple[float, float]]) -> Ground:
    """Room for points of (cost, accuracy in percent), a little on all sides, and none above 100 %."""
    costs, rights = [cost for cost, _ in points], [right for _, right in points]
    low, high = min(costs), max(costs)
    logarithmic = low > 0 and high / low > LOGARITHMIC
    wide = max(max(rights) - min(rights), 0.5) * 0.15
    if logarithmic:
        factor = (high / low) ** 0.1
        left, right = low / factor, high * factor
    else:
        left, right = 0.0, high * 1.1 or 1.0
    return Ground((left, max(min(rights) - wide, 0)), (right, min(max(rights) + wide, 100)), logarithmic)


def axes(ground: Ground, energy: bool, tag: str) -> list[Markup]:
    """The frame of a chart of points, with marks. `tag`: how far its costs can be trusted."""
    parts = []
    (left, low), (right, high) = ground.low, ground.high
    for mark in powers(left, right) if ground.logarithmic else marks(left, right, 5):
        x = ground.x(mark)
        parts += [line(x, TOP, x, HEIGHT - BOTTOM + 3), text(x, HEIGHT - BOTTOM + 12, number(mark), "middle")]
    for mark in marks(low, high, 6):
        y = ground.y(mark)
        parts += [line(LEFT - 3, y, WIDTH - RIGHT, y), text(LEFT - 6, y, f"{mark:g}", "end")]
    parts += [line(LEFT, TOP, LEFT, HEIGHT - BOTTOM, INK), line(LEFT, HEIGHT - BOTTOM, WIDTH, HEIGHT - BOTTOM, INK)]
    cost = f"mean {'energy (uJ)' if energy else 'cycles'} of an inference, {tag}"
    parts.append(text((LEFT + WIDTH) / 2, HEIGHT - 10, cost, "middle"))
    middle = (HEIGHT - BOTTOM + TOP) / 2
    parts.append(text(10, middle, "accuracy (%)", "middle", f' transform="rotate(-90 10 {middle:.4g})"'))
    return parts


def pareto_chart(families: Sequence[Family], energy: bool, name: str, tag: str = "estimated") -> Markup:
    """Accuracy against cost: each layout's front as a line, the chosen points as stars, hollow what is behind."""
    ground = ground_of([(_cost(point, energy), 100 * point.accuracy) for one in families for point in one.points])
    parts = axes(ground, energy, tag)
    for position, family in enumerate(families):
        parts += _family(ground, family, position, energy)
    return drawing(WIDTH, HEIGHT, [*parts, *_labels(ground, families, energy)], name)


def _family(ground: Ground, family: Family, position: int, energy: bool) -> list[Markup]:
    color, best = HUES[position % len(HUES)], front(family.points, energy)
    places = [(ground.x(_cost(point, energy)), ground.y(100 * point.accuracy)) for point in best]
    parts = [stairs(places, color)]
    for point in family.points:
        x, y = ground.x(_cost(point, energy)), ground.y(100 * point.accuracy)
        parts.append(_point(x, y, color, position, point.chosen, point in best))
    return parts


def stairs(places: Sequence[tuple[float, float]], color: str) -> Markup:
    """A line that is level up to the next point."""
    path = "".join(f"H{x:.4g}V{y:.4g}" for x, y in places[1:])
    return Markup(
        f'<path d="M{places[0][0]:.4g} {places[0][1]:.4g}{path}" stroke="{color}" stroke-width="1.5" fill="none"/>'
    )


def _point(x: float, y: float, color: str, shape: int, chosen: bool, best: bool) -> Markup:
    """A star, or a shape that families take in turn: told apart without colours."""
    shapes = ("M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0Z", "M-3 -3H3V3H-3Z", "M0 -4L4 3H-4Z", "M0 -4L4 0L0 4L-4 0Z")
    star = "M" + "L".join(f"{dx} {dy}" for dx, dy in FIVE) + "Z"
    path = star if chosen else shapes[shape % len(shapes)]
    fill = color if chosen or best else PAPER
    return Markup(f'<path transform="translate({x:.4g} {y:.4g})" d="{path}" fill="{fill}" stroke="{color}"/>')


def _labels(ground: Ground, families: Sequence[Family], energy: bool) -> list[Markup]:
    """Letter and number beside points, chosen ones first; one that would cover another or a point is left out."""
    named = [
        (f"{family.letter}{place + 1}", point, point.chosen or (len(family.points) <= FEW and point in best))
        for family, best in ((family, front(family.points, energy)) for family in families)
        for place, point in enumerate(family.points)
    ]
    dots = [(ground.x(_cost(point, energy)), ground.y(100 * point.accuracy)) for _, point, _ in named]
    taken = [_around(*dot, *(STAR if one.chosen else DOT,) * 2) for dot, (_, one, _) in zip(dots, named, strict=True)]
    parts = []
    for place in sorted(range(len(named)), key=lambda place: not named[place][1].chosen):
        label, _, wanted = named[place]
        for dx, dy in OFFSETS if wanted else ():
            x, y = dots[place][0] + dx, dots[place][1] + dy
            box = _around(x, y, 7.5 * len(label), SIZE + 4)
            inside = box[0] > LEFT and box[1] > 0 and box[2] < WIDTH and box[3] < HEIGHT - BOTTOM
            if inside and not overlap(box, taken):
                parts.append(text(x, y, label, "middle"))
                taken.append(box)
                break
    return parts


def _around(x: float, y: float, width: float, height: float) -> Rectangle:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _cost(point: Point, energy: bool) -> float:
    return (point.energy or 0.0) if energy else point.cycles


def _short(name: str) -> str:
    """Long names lose their middle: they begin with the network and end with the layer."""
    name = shown(name)
    return name if len(name) <= START + 3 + END else f"{name[:START]}...{name[-END:]}"
