"""What was chosen and why, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from offramp.planner.exits.choice import Choice, Outcome

_POINTS = 10  # of a Pareto front; all of them are in report.json
_CHAINS = 12


def print_choice(choice: Choice, console: Console) -> None:
    """The chosen chain, the others, why candidates were left out, and the Pareto fronts."""
    console.print(_chains(choice))
    for name, reason in choice.candidates:
        console.print(f"{name}: {reason}")
    console.print(_proof(choice))
    for quantity, points in choice.pareto.items():
        console.print(_pareto(choice, quantity, points))


def _chains(choice: Choice) -> Table:
    images = f"{choice.chosen.images:,} calibration images"
    table = _table(f"chains, {images}", ("stages", "leaves if", "early", "accuracy", "mean cycles", "mean uJ", ""), 2)
    order = sorted(choice.verdicts, key=lambda one: _rank(one.best, choice))
    for one in order[:_CHAINS]:
        figures = _figures(one.best) if one.best else ("", "", "", "", "")
        why = one.reason if one.best else one.reason.split(":")[0]
        reason = f"runner-up: {one.reason}" if one.best and one.best is choice.runner_up else why
        table.add_row(" > ".join(one.stages), *figures, reason)
    if len(order) > _CHAINS:
        table.caption = f"and {len(order) - _CHAINS} more, all in report.json"
    return table


def _rank(best: Outcome | None, choice: Choice) -> tuple[int, float]:
    """Chosen, runner-up, the others by cycles, those without settings."""
    if best is None:
        return 3, 0.0
    return (0 if best is choice.chosen else 1 if best is choice.runner_up else 2), best.means["cycles"]


def _figures(one: Outcome) -> tuple[str, str, str, str, str]:
    early = f"{1 - one.exit_counts[-1] / one.images:.1%}"
    return _rules(one), early, f"{one.accuracy:.2%}", f"{one.means['cycles']:,.0f}", f"{one.means['energy']:,.1f}"


def _rules(one: Outcome) -> str:
    parts = zip(one.measures, one.real_thresholds, strict=True)
    return ", then ".join(f"{measure} {'<=' if measure == 'entropy' else '>='} {value:.4g}" for measure, value in parts)


def _proof(choice: Choice) -> str:
    if choice.guarantee:
        one = choice.guarantee
        text = f"accuracy on new data falls by more than {one.accuracy_drop:.2%} with probability {one.delta:g} at most"
        return f"{text}: {one.losses} of {one.images:,} images lost, {one.allowed} allowed ({one.method})"
    limits = f"among chains of up to {choice.most + 1} stages, for these images"
    if choice.method == "tested":
        return "no early exit passed the test for new data"
    return f"proved the best {limits}" if choice.method == "exact" else f"within {choice.gap:.3%} of the best {limits}"


def _pareto(choice: Choice, quantity: str, points: Sequence[Outcome]) -> Table:
    unit = {"cycles": "mean cycles", "energy": "mean uJ"}[quantity]
    table = _table(f"accuracy against {quantity}", (unit, "accuracy", "early", "stages", "leaves if"), 0)
    shown = _spread(points, quantity, choice.chosen)
    for one in shown:
        mark = " (chosen)" if one == choice.chosen else ""
        early, stages = f"{1 - one.exit_counts[-1] / one.images:.1%}", " > ".join(one.stages) + mark
        table.add_row(f"{one.means[quantity]:,.1f}", f"{one.accuracy:.2%}", early, stages, _rules(one))
    if len(shown) < len(points):
        table.caption = f"{len(shown)} of {len(points)} points; all of them are in report.json"
    return table


def _spread(points: Sequence[Outcome], quantity: str, chosen: Outcome) -> list[Outcome]:
    """Some of the points, at about equal ratios of cost, the first, the last and the chosen one among them."""
    factor = (points[-1].means[quantity] / points[0].means[quantity]) ** (1 / (_POINTS - 1))
    shown: list[Outcome] = []
    limit = float("inf")
    for one in points:
        if one.means[quantity] <= limit or one in (points[-1], chosen):
            shown.append(one)
            limit = one.means[quantity] * factor
    return shown


def _table(title: str, columns: Sequence[str], left: int) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="", caption_justify="left")
    for position, name in enumerate(columns):
        text = position < left or name in ("stages", "leaves if", "")
        table.add_column(name, justify="left" if text else "right", overflow="fold")
    return table
