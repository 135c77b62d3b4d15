"""Pieces of charts as SVG: their colours are those of the page, light or dark; their text is text.

Coordinates are in typographic points of a drawing that a page stretches to the width it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, isclose, log10

from markupsafe import Markup, escape

from offramp.host.output import shown

SIZE = 11  # of text
CHARACTER = 6.3  # width of one
INK, QUIET, FAINT, PAPER = "var(--ink)", "var(--quiet)", "var(--line)", "var(--paper)"
STEPS = (1, 2, 5)  # of marks, times a power of ten

Rectangle = tuple[float, float, float, float]  # left, top, right, bottom


def text(x: float, y: float, content: str, anchor: str = "start", more: str = "") -> Markup:
    """Text whose middle line is at y."""
    place = Markup(f'<text x="{x:.4g}" y="{y:.4g}" text-anchor="{anchor}" dominant-baseline="central"{more}>')
    return Markup("{}{}</text>").format(place, escape(shown(content)))


def line(x1: float, y1: float, x2: float, y2: float, color: str = FAINT) -> Markup:
    """A straight one."""
    return Markup(f'<path d="M{x1:.4g} {y1:.4g}L{x2:.4g} {y2:.4g}" stroke="{color}"/>')


def drawing(width: float, height: float, parts: Sequence[Markup], name: str) -> Markup:
    """A picture that says nothing to screen readers: what it shows stands in a table, too."""
    inside = Markup("").join(parts)
    head = f'<svg viewBox="0 0 {width:.4g} {height:.4g}" font-size="{SIZE}" aria-hidden="true" data-name="{name}">'
    return Markup("{}{}</svg>").format(Markup(head), inside)


def marks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from `low` to `high`, at most so many."""
    if high <= low:
        return [low]
    exponent = floor(log10((high - low) / most))
    step = next(
        one * 10.0**power
        for power in range(exponent, exponent + 3)
        for one in STEPS
        if (high - low) / (one * 10.0**power) < most
    )
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def powers(low: float, high: float) -> list[float]:
    """Marks of a logarithmic scale: 1, 2 and 5 times powers of ten or, of many, powers of ten alone."""
    wide = high / low > 200
    tens = range(floor(log10(low)), ceil(log10(high)) + 1)
    every = [one * 10.0**power for power in tens for one in (STEPS[:1] if wide else STEPS)]
    return [one for one in every if low <= one * (1 + 1e-9) and one <= high * (1 + 1e-9)]


def number(value: float) -> str:
    """A mark's label."""
    if value >= 10 or isclose(value, round(value)):
        return f"{value:,.0f}" if isclose(value, round(value), rel_tol=1e-6) else f"{value:g}"
    return f"{value:g}"


def overlap(one: Rectangle, others: Sequence[Rectangle]) -> bool:
    """Whether it covers a part of any of them."""
    return any(one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3] for other in others)
