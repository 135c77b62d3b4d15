"""The chart on which a setting that is tried moves: what is known of one data set, and the point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from offramp.comparison.charts import HEIGHT, WIDTH, Ground, axes, ground_of, stairs
from offramp.comparison.palette import HUES
from offramp.comparison.svg import INK, PAPER, drawing, text
from offramp.comparison.trial import Trial, TrialSet

Place = tuple[float, float]  # (cost, accuracy as a fraction of 1)
TRIED = 12  # stops of a slider for which there is room


@dataclass(frozen=True)
class TrialChart:
    """`ground`: where its values are, for the point that moves."""

    set_name: str
    energy: bool
    ground: Ground
    svg: Markup


def trial_chart(
    trial: Trial,
    images: TrialSet,
    costs: Sequence[float],
    reached: Sequence[Place],
    energy: bool,
    name: str,
    tag: str,
) -> TrialChart:
    """`costs`: by stage at which an inference leaves, in what is drawn. `reached`: the best settings that are known.
    `tag`: how far costs can be trusted."""
    ends = [(cost, float(right.mean())) for cost, right in zip(costs, images.right, strict=True)]
    shown = (*reached, *ends, *_tried(trial, images, costs))
    ground = ground_of([(cost, 100 * right) for cost, right in shown])
    parts = axes(ground, energy, tag)
    if reached:
        places = [(ground.x(cost), ground.y(100 * right)) for cost, right in reached]
        parts.append(stairs(places, HUES[0]))
        parts += [Markup(f'<circle cx="{x:.4g}" cy="{y:.4g}" r="2.5" fill="{HUES[0]}"/>') for x, y in places]
    for number, (cost, right) in enumerate(ends):
        x, y = ground.x(cost), ground.y(100 * right)
        parts.append(Markup(f'<path d="M{x - 4:.4g} {y - 4:.4g}l8 8m0 -8l-8 8" stroke="{INK}"/>'))
        parts.append(text(x + (8 if x < WIDTH / 2 else -8), y + 9, f"{number + 1}", "middle"))
    for kind, radius in (("planned", 4.5), ("live", 7)):
        fill = INK if kind == "planned" else "none"
        parts.append(
            Markup(f'<circle class="{kind}" cx="0" cy="{HEIGHT}" r="{radius}" fill="{fill}" stroke="{PAPER}"/>')
        )
    return TrialChart(images.name, energy, ground, drawing(WIDTH, HEIGHT, parts, name))


def _tried(trial: Trial, images: TrialSet, costs: Sequence[float]) -> Iterator[Place]:
    """Where the point is as planned, and as each slider moves."""
    planned = [slider.planned for slider in trial.sliders]
    every = np.arange(images.right.shape[1])
    for number, slider in enumerate(trial.sliders):
        for stop in (slider.planned, *np.linspace(0, len(slider.stops) - 1, TRIED).astype(int).tolist()):
            leaving = images.leaving([*planned[:number], stop, *planned[number + 1 :]])
            yield float(np.array(costs)[leaving].mean()), float(images.right[leaving, every].mean())
