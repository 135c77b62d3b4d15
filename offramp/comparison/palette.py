"""Colours of stages and layers, readable on light and dark pages and without colour vision.

Every stage has a hue and a pattern, so that nothing is told by colour alone. Layers of a stage take shades of it in
turn. All shades have a contrast of 3 to 1 or more with the grounds of light and dark pictures, their labels one of 4.5
to 1 (WCAG 2.2, 1.4.3 and 1.4.11).
"""

from __future__ import annotations

from dataclasses import dataclass

WHITE, BLACK = "#ffffff", "#000000"
INPUT_FILL = "#767676"  # no stage's

# Blue, vermilion, bluish green, reddish purple: M. Okabe and K. Ito, "Color Universal Design".
HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
SHADES = (0.155, 0.205, 0.260)  # relative luminance of neighbouring layers
PATTERNS = ("plain", "stripes", "dots", "bars")  # classes of page.css, patterns of charts


@dataclass(frozen=True)
class Look:
    """Fill and label colour, name of the pattern."""

    fill: str
    label: str
    pattern: str


INPUT_LOOK = Look(INPUT_FILL, WHITE, PATTERNS[0])
FREE_LOOK = Look("transparent", BLACK, "free")  # of what nothing lies in


def look(stage: int, layer: int) -> Look:
    """Of a layer, by stage and position in its stage. Hues and patterns repeat with different periods."""
    hue, pattern = stage % len(HUES), (stage + stage // len(HUES)) % len(PATTERNS)
    fill = with_luminance(HUES[hue], SHADES[layer % len(SHADES)])
    label = max((WHITE, BLACK), key=lambda color: contrast(color, fill))
    return Look(fill, label, PATTERNS[pattern])


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours as WCAG defines it, 1..21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    """Relative luminance of an sRGB colour, 0..1."""
    red, green, blue = _linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def with_luminance(color: str, wanted: float) -> str:
    """The colour mixed with black or white until it has a relative luminance."""
    own = luminance(color)
    linear = _linear(color)
    if own >= wanted:
        mixed = tuple(part * wanted / own for part in linear)
    else:
        share = (wanted - own) / (1 - own)
        mixed = tuple(part + (1 - part) * share for part in linear)
    return "#" + "".join(f"{round(255 * _encoded(part)):02x}" for part in mixed)


def _linear(color: str) -> tuple[float, float, float]:
    red, green, blue = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return _decoded(red), _decoded(green), _decoded(blue)


def _decoded(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def _encoded(part: float) -> float:
    return 12.92 * part if part <= 0.0031308 else float(1.055 * part ** (1 / 2.4) - 0.055)
