"""What was chosen and why, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from offramp.planner.exits.guarantee import in_points
from offramp.planner.exits.records import ChoiceRecord, OutcomeRecord

_POINTS = 10  # of a Pareto front; all of them are in report.json
_CHAINS = 12


def print_choice(choice: ChoiceRecord, console: Console) -> None:
    """The chosen chain, the others, why candidates were left out, and the Pareto fronts."""
    console.print(_chains(choice))
    for one in choice.candidates:
        console.print(f"{one.name}: {one.reason}")
    console.print(_proof(choice))
    for quantity, points in choice.pareto.items():
        if quantity == "cycles" or choice.chosen.mean_energy_uj is not None:
            console.print(_pareto(choice, quantity, points))


def _chains(choice: ChoiceRecord) -> Table:
    images = f"{choice.images:,} calibration images"
    table = _table(f"chains, {images}", ("stages", "leaves if", "early", "accuracy", "mean cycles", "mean uJ", ""), 2)
    order = sorted(choice.chains, key=lambda one: _rank(one.best, choice))
    for one in order[:_CHAINS]:
        figures = _figures(one.best) if one.best else ("", "", "", "", "")
        why = one.reason if one.best else one.reason.split(":")[0]
        reason = f"runner-up: {one.reason}" if one.best and one.best == choice.runner_up else why
        table.add_row(" > ".join(one.stages), *figures, reason)
    if len(order) > _CHAINS:
        table.caption = f"and {len(order) - _CHAINS} more, all in report.json"
    return table


def _rank(best: OutcomeRecord | None, choice: ChoiceRecord) -> tuple[int, float]:
    """Chosen, runner-up, the others by cycles, those without settings."""
    if best is None:
        return 3, 0.0
    return (0 if best == choice.chosen else 1 if best == choice.runner_up else 2), best.mean_cycles


def _figures(one: OutcomeRecord) -> tuple[str, str, str, str, str]:
    early = f"{1 - one.shares[-1]:.1%}"
    energy = "-" if one.mean_energy_uj is None else f"{one.mean_energy_uj:,.1f}"
    return _rules(one), early, f"{one.accuracy:.2%}", f"{one.mean_cycles:,.0f}", energy


def _rules(one: OutcomeRecord) -> str:
    parts = zip(one.measures, one.thresholds, strict=True)
    signs = {measure: "<=" if measure == "entropy" else ">=" for measure in one.measures}
    said = (f"{one} by class" if value is None else f"{one} {signs[one]} {value:.4g}" for one, value in parts)
    return ", then ".join(said)


def _proof(choice: ChoiceRecord) -> str:
    if choice.risk:
        one = choice.risk
        fall = f"accuracy on new data falls by more than {in_points(one.accuracy_drop)}"
        text = f"{fall} with probability at most {one.delta:g}"
        lost = "lost" if choice.against == "labels" else "answered otherwise than by main"
        return f"{text}: {one.losses} of {one.images:,} images {lost}, {one.allowed} allowed ({one.method})"
    limits = f"among chains of up to {choice.most_early_stages + 1} stages, for these images"
    if choice.method == "tested":
        return "no early exit passed the test for new data"
    return f"proved the best {limits}" if choice.method == "exact" else f"within {choice.gap:.3%} of the best {limits}"


def _pareto(choice: ChoiceRecord, quantity: str, points: Sequence[OutcomeRecord]) -> Table:
    unit = {"cycles": "mean cycles", "energy": "mean uJ"}[quantity]
    table = _table(f"accuracy against {quantity}", (unit, "accuracy", "early", "stages", "leaves if"), 0)
    shown = _spread(points, quantity, choice.chosen)
    for one in shown:
        mark = " (chosen)" if one == choice.chosen else ""
        early, stages = f"{1 - one.shares[-1]:.1%}", " > ".join(one.stages) + mark
        table.add_row(f"{_mean(one, quantity):,.1f}", f"{one.accuracy:.2%}", early, stages, _rules(one))
    if len(shown) < len(points):
        table.caption = f"{len(shown)} of {len(points)} points; all of them are in report.json"
    return table


def _spread(points: Sequence[OutcomeRecord], quantity: str, chosen: OutcomeRecord) -> list[OutcomeRecord]:
    """Some of the points, at about equal ratios of cost, the first, the last and the chosen one among them."""
    factor = (_mean(points[-1], quantity) / _mean(points[0], quantity)) ** (1 / (_POINTS - 1))
    shown: list[OutcomeRecord] = []
    limit = float("inf")
    for one in points:
        mean = _mean(one, quantity)
        if mean <= limit or one in (points[-1], chosen):
            shown.append(one)
            limit = mean * factor
    return shown


def _mean(one: OutcomeRecord, quantity: str) -> float:
    return one.mean_cycles if quantity == "cycles" else one.mean_energy_uj or 0.0


def _table(title: str, columns: Sequence[str], left: int) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="", caption_justify="left")
    for position, name in enumerate(columns):
        text = position < left or name in ("stages", "leaves if", "")
        table.add_column(name, justify="left" if text else "right", overflow="fold")
    return table
