"""The rows of a comparison: each is one measure of all layouts, differences from the first one marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from offramp.comparison.layouts import Layout

UNKNOWN = "-"
UNVERIFIED = "(unverified)"
AS_RATIO = 2  # from this factor on a change is given as a factor


@dataclass(frozen=True)
class Cell:
    """A measure of one layout. `change`: against the first layout, empty where equal or not comparable."""

    text: str
    change: str
    differs: bool


@dataclass(frozen=True)
class Row:
    """A measure of all layouts. `note`: what exactly is counted."""

    name: str
    note: str
    cells: tuple[Cell, ...]

    @property
    def differs(self) -> bool:
        return any(cell.differs for cell in self.cells)


@dataclass(frozen=True)
class Measure:
    """How a number is taken from a layout and written; None: unknown. `change`: how a difference is given.

    `estimated`: whether it is, wholly or in part. `cycles`: it is a number of cycles, which not all devices verify.
    """

    name: str
    note: str
    value: Callable[[Layout], float | None]
    text: Callable[[Layout, float], str]
    change: Literal["percent", "points", "count"] = "percent"
    estimated: Callable[[Layout], bool] = lambda layout: False
    cycles: bool = False


def _whole(layout: Layout, value: float) -> str:
    return f"{value:,.0f}"


def _microjoules(layout: Layout, value: float) -> str:
    return f"{value:,.2f}"


def _always(layout: Layout) -> bool:
    return True


MEASURES = (
    Measure("stages", "runs of the accelerator, each with its registers", lambda one: len(one.stages), _whole, "count"),
    Measure("layers", "in all stages", lambda one: len(one.layers), _whole, "count"),
    Measure(
        "weight bytes",
        "of the 72-bit kernel columns in use; share of the weight memory",
        lambda one: one.weight_bytes,
        lambda one, value: f"{value:,.0f} ({one.weight_share:.1%})",
    ),
    Measure(
        "highest column",
        "in use in the fullest processor, counted from 0",
        lambda one: one.highest_column,
        lambda one, value: f"{value:,.0f} of {one.fullest_height}",
    ),
    Measure("bias bytes", "in use in all quadrants", lambda one: one.bias_bytes, _whole),
    Measure("live data bytes", "at the fullest step", lambda one: one.data_bytes, _whole),
    Measure(
        "highest data word", "in use in the fullest instance, counted from 0", lambda one: one.highest_word, _whole
    ),
    Measure(
        "switch writes",
        "to the bus, through all stages and back to the first",
        lambda one: one.switch_writes,
        _whole,
        "count",
    ),
    Measure(
        "all stages, cycles",
        "of the accelerator; estimated where layers stream",
        lambda one: one.stage_cycles,
        _whole,
        estimated=lambda one: any(stage.estimated for stage in one.stages),
        cycles=True,
    ),
    Measure(
        "mean cycles",
        "of an inference over the test data, from its input to the answer; what the core does is estimated",
        lambda one: one.mean_cycles,
        _whole,
        estimated=_always,
        cycles=True,
    ),
    Measure(
        "worst cycles",
        "of an inference, the same",
        lambda one: one.worst_cycles,
        _whole,
        estimated=_always,
        cycles=True,
    ),
    Measure(
        "all stages, energy (uJ)",
        "of the accelerator, above idle",
        lambda one: one.layer_energy,
        _microjoules,
        estimated=_always,
    ),
    Measure(
        "mean energy (uJ)",
        "above idle, of what mean cycles counts",
        lambda one: one.mean_energy,
        _microjoules,
        estimated=_always,
    ),
    Measure(
        "accuracy",
        "on the test data of each",
        lambda one: one.accuracy,
        lambda _, value: f"{value:.2%}",
        change="points",
    ),
)


def mark_estimate(text: str, estimated: bool) -> str:
    """The figure as `offramp cost` writes it: `~` if it is estimated."""
    return f"~{text}" if estimated else text


def stage_names(layout: Layout) -> str:
    """Names of the stages; of several, how many test images leave at each."""
    known = len(layout.stages) > 1 and all(stage.share is not None for stage in layout.stages)
    return ", ".join(f"{one.name} ({one.share:.1%} leave here)" if known else one.name for one in layout.stages)


def rows_of(layouts: Sequence[Layout]) -> tuple[Row, ...]:
    """All measures, each compared with the first layout's."""
    return tuple(_row(measure, layouts) for measure in MEASURES)


def _row(measure: Measure, layouts: Sequence[Layout]) -> Row:
    return Row(measure.name, measure.note, tuple(_cell(measure, layout, layouts[0]) for layout in layouts))


def _cell(measure: Measure, layout: Layout, reference: Layout) -> Cell:
    """Cycles that are not verified say so, and are not compared with others that are."""
    value, first = measure.value(layout), measure.value(reference)
    if value is None:
        return Cell(UNKNOWN, "", False)
    if measure.cycles and (layout.unverified or reference.unverified):
        known = mark_estimate(measure.text(layout, value), measure.estimated(layout))
        text = f"{value:,.0f} {UNVERIFIED}" if layout.unverified else known
        same = layout.unverified == reference.unverified
        return Cell(text, _change(measure, value, first) if same else "", same and first is not None and value != first)
    differs = first is not None and value != first
    text = mark_estimate(measure.text(layout, value), measure.estimated(layout))
    return Cell(text, _change(measure, value, first), differs)


def _change(measure: Measure, value: float, first: float | None) -> str:
    if first is None or value == first:
        return ""
    if measure.change == "points":
        return f"{100 * (value - first):+.2f} points"
    if measure.change == "count" or not first:
        return f"{value - first:+,.0f}"
    ratio = value / first
    return f"{ratio:,.1f} x" if ratio >= AS_RATIO else f"{ratio - 1:+.1%}"
